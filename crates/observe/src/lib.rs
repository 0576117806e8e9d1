//! Records in, understanding out: which fields differ between two versions, what we believe of a cluster at a time, and where a cluster is
//! while it is being made.
//!
//! Pure: no clock, no randomness, no client; the same input gives the same bytes.

mod diff;
pub mod document;
pub mod field;
mod intent;
mod kept_list;
mod own;
pub mod phases;
mod relation;
mod snapshot;

pub use diff::changed_fields;
pub use document::{Document, Node};
pub use intent::is_wanted_field;
pub use kept_list::KeptList;
pub use relation::Relation;
pub use snapshot::{
    EventFacts, Fact, FailedRun, Freshness, KindRef, Observed, OwnerRef, Restart, Restoring, Selector, Snapshot, SnapshotMemory, Trail,
};
