//! The journal: changes and marks in one durable sequence, and the questions that can be asked of it.
//!
//! Not here: watching a cluster (`record`), what a change means (`observe`), JSON for people (`api`). No SQL type, file path or day
//! appears in the trait; the SQLite engine and the in-memory model honour one conformance suite.

mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod journal;
mod memory;
mod sqlite;
mod squeeze;
pub mod stream;

pub use journal::{
    Appended, Batch, BodyDetail, Checkpoint, ConsumerCursor, Head, Journal, ObjectsPage, Oldest, Page, Place, ReadQuery, Retained,
    RetentionPolicy, SegmentState, SegmentSummary, StoreError, WriterEpoch,
};
pub use memory::{MemoryImport, MemoryJournal};
pub use sqlite::{DamagedFile, DirectoryLock, OpenOptions, OpenReport, SegmentVerdict, SqliteImport, SqliteJournal, Tended};
pub use squeeze::{squeeze, unsqueeze};
