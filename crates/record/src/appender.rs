//! The way in for records that do not come from a watch: what Proreus itself did, and how far its consumers have read.
//!
//! They go through the one writer, in order with everything else; redaction and noise policy are for what comes from clusters and are not
//! applied. Invariant: what one `append` gives is committed together or not at all.

use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{Clock, Record};
use proreus_store::{Appended, ConsumerCursor};
use tokio::sync::oneshot;

use crate::RecordError;
use crate::queue::{Entry, Own, Queue};

/// Records of one append: a consumer tells what a stretch of the journal brought about, and a stretch is some thousand records.
pub const APPEND_RECORDS_LIMIT: usize = 16_384;

/// Bodies and consumer states of one append, in bytes: they are in memory at once, beside the queue's 16 MiB.
pub const APPEND_BYTES_LIMIT: usize = 64 * 1024 * 1024;

/// Appends records of Proreus itself. Cheap to clone.
#[derive(Clone)]
pub struct Appender {
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
}

impl Appender {
    pub(crate) fn new(queue: Arc<Queue>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, clock }
    }

    /// Appends records and consumer positions in one batch and returns when they are durable, with the positions that these records got.
    /// `seq` of a record is ignored; `recorded_at` is raised to the last one where that is later. Waits for as long as the queue is full or
    /// the disk is.
    ///
    /// # Errors
    /// More than the limits at once; recording has ended.
    pub async fn append(&self, records: Vec<Record>, cursors: Vec<ConsumerCursor>) -> Result<Appended, RecordError> {
        if records.len() > APPEND_RECORDS_LIMIT {
            return Err(RecordError::TooMuch { found: records.len(), what: "records", limit: APPEND_RECORDS_LIMIT });
        }
        let bodies = records.iter().map(|record| match record {
            Record::Change(change) => change.body.as_ref().map_or(0, |body| body.len()),
            Record::Mark(_) => 0,
        });
        let bytes = bodies.chain(cursors.iter().map(|cursor| cursor.state.len())).sum();
        if bytes > APPEND_BYTES_LIMIT {
            return Err(RecordError::TooMuch { found: bytes, what: "bytes", limit: APPEND_BYTES_LIMIT });
        }
        let (appended, told) = oneshot::channel();
        let own = Own { records, cursors, appended };
        let entered = self.queue.push(Entry { own: Some(own), ..Entry::default() }).await;
        entered.map_err(|_closed| RecordError::Ended)?;
        told.await.map_err(|_closed| RecordError::Ended)
    }

    /// The latest moment, not after `now`, below which no later record can be recorded. What is durable below it can be read once this has
    /// returned, so who then reads up to the watermark has everything before that moment.
    pub fn settled_until(&self, now: Timestamp) -> Timestamp {
        // A floor in the future would lift every record to it.
        self.queue.settle_until(now.min(self.clock.now()))
    }

    /// The time by the recorder's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
