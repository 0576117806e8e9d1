//! Records in, understanding out: which fields differ between two versions.
//!
//! Pure: no clock, no randomness, no client; the same input gives the same bytes.

mod diff;

pub use diff::changed_fields;
