//! The engine as the source of a stream.
//!
//! Invariant: the positions given out are those of one watermark.

use proreus_model::ClusterId;

use super::day::lock as hold;
use super::{SqliteJournal, times};
use crate::journal::{Journal, StoreError};
use crate::stream::{Exporting, Positions};

/// Looks at a journal that another process writes before it counts as too busy; one look takes microseconds, a commit milliseconds.
const LOOKS: usize = 1_000;

impl Exporting for SqliteJournal {
    fn positions(&self) -> Result<Positions, StoreError> {
        // The writer commits before it publishes: in between, positions would be newer than the watermark.
        let _writer = self.writer.as_ref().map(hold);
        for _ in 0..LOOKS {
            let now = self.now()?;
            let (checkpoints, cursors) = match now.days.last() {
                Some(day) => (times::checkpoints(day, &ClusterId::default())?, times::cursors(day)?),
                None => (Vec::new(), Vec::new()),
            };
            if self.watermark().0 == now.watermark {
                return Ok(Positions { watermark: self.watermark(), checkpoints, cursors });
            }
        }
        let reason = "the journal changes too fast to be looked at; try again".to_owned();
        Err(StoreError::Stream { step: "failed to begin the export".to_owned(), reason })
    }
}
