//! The journal in figures.

use proreus_store::SegmentSummary;

use super::Questions;
use crate::AppError;

/// What is kept and how much room it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Changes, marks not counted.
    pub changes: u64,
    /// Objects that changed, counted once for each segment in which they did.
    pub objects: u64,
    /// Canonical JSON of those changes as it would be uncompressed.
    pub raw_bytes: u64,
    /// All files with their indexes.
    pub stored_bytes: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentSummary>,
}

impl Questions {
    /// What is kept and how much room it takes.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn store_figures(&self) -> Result<StoreFigures, AppError> {
        let segments = self.journal.segments()?;
        let sum = |of: fn(&SegmentSummary) -> u64| segments.iter().map(of).sum();
        Ok(StoreFigures {
            changes: sum(|segment| segment.changes),
            objects: sum(|segment| segment.objects),
            raw_bytes: sum(|segment| segment.raw_bytes),
            stored_bytes: sum(|segment| segment.stored_bytes),
            segments,
        })
    }
}
