//! The one writer: takes what waits, appends it in batches, tells what is durable.
//!
//! Invariants: a position is committed with the records that it covers or after them, never before; what cannot be written is kept and
//! tried again, or ends recording loudly; nothing is told as durable before the journal said so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Clock, Mark, MarkKind, Record, Seq, SeqRange, WatchScope};
use proreus_store::{Appended, Batch, Checkpoint, Journal, StoreError, WriterEpoch};
use tokio::sync::{oneshot, watch};

use crate::RecordError;
use crate::board::Board;
use crate::queue::{Entry, Queue};
use crate::worker::Worker;

/// Records a batch: one commit costs the same up to here, and a larger one delays its first record.
const BATCH_RECORDS: usize = 256;

/// How long a batch waits for more.
const BATCH_LINGER: Duration = Duration::from_millis(10);

/// How long positions wait for records to go with them: what a restart repeats at most, in sights of known versions.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// A clock that goes back by more is worth a mark; less is the doing of NTP.
const STEP_TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

/// Waits between tries on a full disk.
const FULL_RETRY: Duration = Duration::from_secs(2);

/// Tries after an engine error before recording ends; a locked or busy file clears within seconds.
const ENGINE_TRIES: u32 = 5;

/// Wait between these.
const ENGINE_RETRY: Duration = Duration::from_millis(500);

/// How long a writer that is to end still waits for a full disk.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

/// What the writer works with.
pub(crate) struct Writer {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) epoch: WriterEpoch,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) board: Arc<Board>,
    pub(crate) watermark: watch::Sender<Seq>,
    pub(crate) closing: tokio_util::sync::CancellationToken,
    /// Where appends are done: on one thread.
    pub(crate) worker: Worker,
}

/// What is between two appends.
struct Pending {
    checkpoints: BTreeMap<WatchScope, Checkpoint>,
    committed_at: Instant,
    newest: Option<Timestamp>,
    has_stepped: bool,
}

impl Writer {
    /// Runs until the queue is closed and empty, or until the journal refuses for good.
    pub(crate) async fn run(self) -> Result<(), RecordError> {
        let outcome = self.work().await;
        if let Err(error) = &outcome {
            tracing::error!(error = %error, cause = ?std::error::Error::source(error).map(ToString::to_string), "recording ended");
            self.board.writer(|writer| writer.failed = Some(error.to_string()));
        }
        self.queue.close();
        outcome
    }

    async fn work(&self) -> Result<(), RecordError> {
        let mut pending = Pending {
            checkpoints: BTreeMap::new(),
            committed_at: Instant::now(),
            newest: self.journal.last_recorded_at(),
            has_stepped: false,
        };
        loop {
            let taken = self.queue.take(BATCH_RECORDS, BATCH_LINGER, CHECKPOINT_INTERVAL).await;
            let is_over = taken.is_none();
            let mut entries = taken.unwrap_or_default();
            let mut records = self.step_mark(&mut pending);
            let (mut cursors, mut owners) = (Vec::new(), Vec::new());
            for entry in &mut entries {
                records.extend(entry.record.take());
                if let Some(checkpoint) = entry.checkpoint.take() {
                    pending.checkpoints.insert(checkpoint.scope.clone(), checkpoint);
                }
                if let Some(own) = entry.own.take() {
                    owners.push((records.len(), own.records.len(), own.appended));
                    records.extend(own.records);
                    cursors.extend(own.cursors);
                }
            }
            let is_due = !pending.checkpoints.is_empty() && (is_over || pending.committed_at.elapsed() >= CHECKPOINT_INTERVAL);
            if !records.is_empty() || !cursors.is_empty() || is_due {
                let checkpoints = std::mem::take(&mut pending.checkpoints).into_values().collect();
                let appended = self.commit(Batch { records, checkpoints, cursors }, &mut pending).await?;
                tell(owners, appended);
            }
            self.queue.written();
            self.settle(entries);
            if is_over {
                return Ok(());
            }
        }
    }

    /// A mark when the wall clock went back behind the newest record.
    fn step_mark(&self, pending: &mut Pending) -> Vec<Record> {
        let now = self.clock.now();
        let Some(newest) = pending.newest else { return Vec::new() };
        let back = newest.duration_since(now);
        if back <= STEP_TOLERANCE {
            pending.has_stepped &= back > SignedDuration::ZERO;
            return Vec::new();
        }
        if std::mem::replace(&mut pending.has_stepped, true) {
            return Vec::new();
        }
        tracing::warn!(seconds = back.as_secs(), "the wall clock went back");
        let mut marks = vec![Record::Mark(Mark {
            seq: Seq(0),
            recorded_at: newest,
            kind: MarkKind::ClockStepped,
            scope: WatchScope::default(),
            reason: format!("the wall clock went back by {} s", back.as_secs()),
            detail: serde_json::json!({ "clock": now.to_string(), "lastRecordedAt": newest.to_string() }),
        })];
        self.queue.hold(&mut marks);
        marks
    }

    async fn commit(&self, batch: Batch, pending: &mut Pending) -> Result<Appended, RecordError> {
        let oldest = batch.records.iter().map(Record::recorded_at).min();
        let newest = batch.records.iter().map(Record::recorded_at).max();
        let count = batch.records.len() as u64;
        let started = Instant::now();
        let (appended, paused) = self.append(batch).await?;
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        pending.newest = pending.newest.max(newest);
        pending.committed_at = Instant::now();
        let now = self.clock.now();
        self.board.writer(|writer| {
            writer.appends += 1;
            writer.records += count;
            writer.append_micros_total = writer.append_micros_total.saturating_add(micros);
            writer.append_micros_max = writer.append_micros_max.max(micros);
            writer.lag_millis = oldest.map_or(0, |oldest| u64::try_from(now.duration_since(oldest).as_millis()).unwrap_or_default());
            writer.watermark = *self.watermark.borrow();
        });
        if let Some((since, reason)) = paused {
            let mark = Mark {
                seq: Seq(0),
                recorded_at: now,
                kind: MarkKind::Gap,
                scope: WatchScope::default(),
                reason: format!("recording was paused: {reason}"),
                detail: serde_json::json!({ "cause": "paused", "from": since.to_string(), "to": now.to_string() }),
            };
            let mut records = vec![Record::Mark(mark)];
            self.queue.hold(&mut records);
            self.append(Batch { records, ..Batch::default() }).await?;
        }
        Ok(appended)
    }

    /// Appends, however long it takes. Gives the positions, and the time and reason of a pause that is over.
    async fn append(&self, mut batch: Batch) -> Result<(Appended, Option<(Timestamp, String)>), RecordError> {
        let mut paused: Option<(Timestamp, String)> = None;
        let mut engine_tries = 0;
        let mut closing_since: Option<Instant> = None;
        loop {
            let (outcome, back) = self.append_once(batch).await?;
            batch = back;
            let error = match outcome {
                Ok(appended) => {
                    self.watermark.send_replace(appended.watermark);
                    if paused.is_some() {
                        tracing::info!("recording goes on");
                        self.board.writer(|writer| writer.paused = None);
                    }
                    return Ok((appended, paused));
                }
                Err(error) => error,
            };
            let wait = match &error {
                StoreError::Full { .. } => FULL_RETRY,
                StoreError::Engine { .. } | StoreError::NotWritable { .. } if engine_tries < ENGINE_TRIES => {
                    engine_tries += 1;
                    ENGINE_RETRY
                }
                _ => return Err(RecordError::Append(error)),
            };
            if self.closing.is_cancelled() && closing_since.get_or_insert_with(Instant::now).elapsed() > CLOSING_LIMIT {
                return Err(RecordError::Append(error));
            }
            if paused.is_none() {
                tracing::warn!(error = %error, "recording is paused, nothing is lost yet; hint: make room on the disk");
                let pause = (self.clock.now(), error.to_string());
                self.board.writer(|writer| writer.paused = Some(pause.clone()));
                paused = Some(pause);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn append_once(&self, batch: Batch) -> Result<(Result<Appended, StoreError>, Batch), RecordError> {
        let (journal, epoch) = (self.journal.clone(), self.epoch);
        let appending = self.worker.run(move || (journal.append(epoch, &batch), batch));
        appending.await.map_err(|error| RecordError::Task(format!("append: {error}")))
    }

    /// Tells the watches what is durable and gives the room back.
    fn settle(&self, mut entries: Vec<Entry>) {
        for entry in &mut entries {
            if let (Some(cell), Some(version)) = (&entry.cell, entry.reached.take()) {
                cell.update(|status| status.durable_version = Some(version));
            }
            if let Some(flushed) = entry.flushed.take() {
                let _nobody_waits = flushed.send(());
            }
        }
        self.queue.release(&entries);
        let (count, bytes) = self.queue.depth();
        let durable_at = Instant::now();
        self.board.writer(|writer| {
            for arrived_at in entries.iter().filter_map(|entry| entry.arrived_at) {
                writer.lag.observe(durable_at.duration_since(arrived_at));
            }
            writer.queue_entries = count as u64;
            writer.queue_bytes = bytes as u64;
        });
    }
}

/// Tells those who appended records of their own which positions these got.
fn tell(owners: Vec<(usize, usize, oneshot::Sender<Appended>)>, appended: Appended) {
    for (from, count, told) in owners {
        let range = appended.range.filter(|_| count > 0).map(|range| {
            let first = range.first.0 + from as u64;
            SeqRange { first: Seq(first), last: Seq(first + count as u64 - 1) }
        });
        let _nobody_waits = told.send(Appended { range, ..appended });
    }
}
