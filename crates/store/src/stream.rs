//! Export and import: a journal as one stream of JSON lines inside zstd, taken at one watermark while appends go on.
//!
//! `EXPORT.md` beside this crate describes the stream. Not a backup of files: the other engine, or the same one in another version,
//! builds its own files from it. Invariants: the records of a stream reach without holes from its oldest to its watermark, its positions
//! are those of that watermark, and whoever lacks the trailer or the checksum has no journal.

mod export;
mod import;
mod lines;

use proreus_model::{Change, JournalId, Record, Seq};

pub use self::export::export;
pub use self::import::import;
use crate::journal::{Checkpoint, ConsumerCursor, Journal, Oldest, StoreError};

/// What the first line calls itself.
pub const FORMAT_NAME: &str = "proreus-journal";

/// The version of the stream that this program writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Every watch position and every consumer position, as of one watermark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// The last position when these were read.
    pub watermark: Seq,
    /// In order of scope.
    pub checkpoints: Vec<Checkpoint>,
    /// In order of consumer.
    pub cursors: Vec<ConsumerCursor>,
}

/// A journal that can be exported.
pub trait Exporting: Journal {
    /// Checkpoints and cursors at one watermark: a checkpoint ahead of the exported records would make the importing side skip changes.
    fn positions(&self) -> Result<Positions, StoreError>;
}

/// What a stream says of itself before its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The exported journal.
    pub journal: JournalId,
    /// Its last position in this stream.
    pub watermark: Seq,
    /// Its oldest position, `None` for an empty journal.
    pub oldest: Option<Oldest>,
}

impl Header {
    /// Records in the stream, bases not counted.
    pub fn records(&self) -> u64 {
        self.oldest.map_or(0, |oldest| (self.watermark.0 + 1).saturating_sub(oldest.seq.0))
    }
}

/// A journal that is being built from a stream. Nothing of it may pass for a journal before `finish`; dropped before that, it removes
/// what it wrote.
pub trait Importing {
    /// What comes out.
    type Journal;

    /// Takes states from before the oldest record, in order of object, each with the seq and time it was recorded at.
    fn base(&mut self, changes: Vec<Change>) -> Result<(), StoreError>;

    /// Takes the next records, with the seq and time they have; the stream was found without holes up to here.
    fn records(&mut self, records: Vec<Record>) -> Result<(), StoreError>;

    /// Makes it a journal, durably. Called once the whole stream was read and its checksum held.
    fn finish(self, positions: Positions) -> Result<Self::Journal, StoreError>;
}

/// What an export or import carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// States from before the oldest record.
    pub bases: u64,
    /// Changes and marks.
    pub records: u64,
    /// Watch positions.
    pub checkpoints: u64,
    /// Consumer positions.
    pub cursors: u64,
}

/// What is told while a stream is written or read: records done, of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);
