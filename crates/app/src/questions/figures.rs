//! The journal in figures.

use proreus_store::SegmentSummary;

use super::Questions;
use crate::AppError;

/// How much room the journal takes: cheap enough to be asked all the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSizes {
    /// Changes, marks not counted.
    pub changes: u64,
    /// Canonical JSON of those changes as it would be uncompressed.
    pub raw_bytes: u64,
    /// All files with their indexes.
    pub stored_bytes: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentSummary>,
}

/// What is kept and how much room it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Objects that changed, each counted once for the whole journal.
    pub objects: u64,
    /// The rest.
    pub sizes: StoreSizes,
}

impl Questions {
    /// How much room the journal takes.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn store_sizes(&self) -> Result<StoreSizes, AppError> {
        let segments = self.journal.segments()?;
        let sum = |of: fn(&SegmentSummary) -> u64| segments.iter().map(of).sum();
        Ok(StoreSizes {
            changes: sum(|segment| segment.changes),
            raw_bytes: sum(|segment| segment.raw_bytes),
            stored_bytes: sum(|segment| segment.stored_bytes),
            segments,
        })
    }

    /// What is kept and how much room it takes. Looks at every object: not for polling.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn store_figures(&self) -> Result<StoreFigures, AppError> {
        Ok(StoreFigures { objects: self.journal.changed_objects()?, sizes: self.store_sizes()? })
    }
}
