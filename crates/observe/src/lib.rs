//! Records in, understanding out: which fields differ between two versions, and where a cluster is while it is being made.
//!
//! Pure: no clock, no randomness, no client; the same input gives the same bytes.

mod diff;
pub mod phases;

pub use diff::changed_fields;
