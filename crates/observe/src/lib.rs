//! Records in, understanding out: which fields differ between two versions, and what we believe of a cluster at a time.
//!
//! Pure: no clock, no randomness, no client; the same input gives the same bytes.

mod diff;
pub mod field;
mod snapshot;

pub use diff::changed_fields;
pub use snapshot::{EventFacts, Fact, Freshness, KindRef, Observed, OwnerRef, Restart, Selector, Snapshot, Trail};
