//! `SqliteJournal`: the embedded engine, one SQLite file per UTC day under a directory.
//!
//! Not here: watching, redaction, time (records bring theirs). Invariants: one process writes a directory; readers in this process and
//! others never wait for the writer; a damaged day costs its own changes only.

mod day;
mod encode;
mod fault;
mod filter;
mod follow;
mod generations;
mod identity;
mod import;
mod known;
mod lock;
mod names;
mod objects;
mod open;
mod open_day;
mod published;
mod read;
mod recover;
mod retain;
mod rows;
mod schema;
mod solid;
mod solid_read;
mod solid_write;
mod states;
mod tend;
mod times;
mod verify;
mod view;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use proreus_model::{Change, ClusterId, Filter, JournalId, ObjectId, ResourceType, Seq, WatchScope};

use self::day::lock as hold;
use self::published::Published;
use self::writer::Writer;
use crate::journal::{
    Appended, Batch, BodyDetail, Checkpoint, ConsumerCursor, Head, Journal, ObjectsPage, Oldest, Page, Place, ReadQuery, Retained,
    RetentionPolicy, SegmentSummary, StoreError, WriterEpoch,
};

use crate::stream::{Exporting, Positions};

pub use self::import::SqliteImport;
pub use self::lock::DirectoryLock;
pub use self::recover::{DamagedFile, OpenReport};
pub use self::tend::Tended;
pub use self::verify::SegmentVerdict;

/// Bodies that the writer remembers for coding the next versions, unless told otherwise.
const MEMORY_BYTES: usize = 16 << 20;

/// Times a question is asked again because a day went away under it. Days go away hours apart.
const RETRIES: usize = 3;

/// How to open a journal.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Bytes of bodies that the writer keeps to code the next versions against; others are read back when needed.
    pub memory_bytes: usize,
    /// Make a journal when there is none; `NoJournal` otherwise.
    pub create: bool,
    /// Identity of a journal that is made; random when `None`. For restoring one.
    pub id: Option<JournalId>,
    /// First position of a journal that is made. For restoring one whose oldest records are gone.
    pub first_seq: Seq,
    /// Most pages of 4 KiB a day file may have, as if the disk ended there; may change while the journal is open, 0 is no limit. For tests
    /// of a full disk.
    pub most_pages: Option<Arc<AtomicU32>>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { memory_bytes: MEMORY_BYTES, create: true, id: None, first_seq: Seq(1), most_pages: None }
    }
}

/// A journal in a directory.
pub struct SqliteJournal {
    id: JournalId,
    dir: PathBuf,
    report: OpenReport,
    published: RwLock<Arc<Published>>,
    /// `None` when opened to read only.
    writer: Option<Mutex<Writer>>,
    follower: Option<follow::Follower>,
    tending: Mutex<tend::Tending>,
}

impl SqliteJournal {
    /// What opening found and did.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every consumer's position, by name.
    pub fn cursors(&self) -> Result<Vec<ConsumerCursor>, StoreError> {
        self.ask(|now| now.days.last().map_or(Ok(Vec::new()), |day| times::cursors(day)))
    }

    /// This moment of the journal.
    fn now(&self) -> Result<Arc<Published>, StoreError> {
        let known = Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner));
        let Some(follower) = &self.follower else { return Ok(known) };
        match follower.look(&known)? {
            None => Ok(known),
            Some(newer) => {
                let newer = Arc::new(newer);
                *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&newer);
                Ok(newer)
            }
        }
    }

    /// Answers from this moment; once more from the next when a day was removed or replaced meanwhile.
    fn ask<T>(&self, answer: impl Fn(&Published) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut now = self.now()?;
        for _ in 0..RETRIES {
            let answered = answer(&now);
            if answered.is_ok() {
                return answered;
            }
            let newer = self.now()?;
            let same_days = Arc::ptr_eq(&newer, &now) || newer.days.iter().zip(now.days.iter()).all(|(new, old)| Arc::ptr_eq(new, old));
            if same_days {
                return answered;
            }
            now = newer;
        }
        answer(&now)
    }

    fn writer(&self) -> Result<&Mutex<Writer>, StoreError> {
        let read_only = || StoreError::NotWritable { dir: self.dir.display().to_string(), reason: "it was opened to read only".to_owned() };
        self.writer.as_ref().ok_or_else(read_only)
    }

    fn publish(&self, writer: &Writer) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(writer.published());
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        // The last connection of a file folds its log in and removes it, and only one that may write can.
        self.tending = Mutex::default();
        let Some(writer) = &self.writer else { return };
        let mut writer = hold(writer);
        for day in &writer.days {
            day.close_idle();
        }
        if let Some(open) = writer.open.take() {
            open.close();
        }
    }
}

impl Journal for SqliteJournal {
    fn id(&self) -> JournalId {
        self.id.clone()
    }

    fn begin_epoch(&self) -> Result<WriterEpoch, StoreError> {
        hold(self.writer()?).begin_epoch()
    }

    fn append(&self, epoch: WriterEpoch, batch: &Batch) -> Result<Appended, StoreError> {
        let mut writer = hold(self.writer()?);
        let current = writer.identity.epoch;
        // Epoch 0 is before the first writer: nobody holds it.
        if epoch.0 != current || current == 0 {
            return Err(StoreError::Fenced { given: epoch.0, current });
        }
        let appended = writer.append(batch);
        // After a failure too: a day may have begun.
        self.publish(&writer);
        appended
    }

    fn watermark(&self) -> Seq {
        self.now().map_or(Seq(0), |now| Seq(now.watermark))
    }

    fn last_recorded_at(&self) -> Option<Timestamp> {
        self.now().ok()?.last_at
    }

    fn oldest(&self) -> Result<Option<Oldest>, StoreError> {
        Ok(self.now()?.oldest())
    }

    fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        self.ask(|now| times::seq_at(now, time))
    }

    fn read(&self, query: &ReadQuery) -> Result<Page, StoreError> {
        self.ask(|now| read::page(now, query))
    }

    fn state(&self, object: &ObjectId, at: Seq) -> Result<Option<Change>, StoreError> {
        self.ask(|now| states::state(now, object, at, BodyDetail::Body))
    }

    fn objects(
        &self,
        at: Seq,
        filter: &Filter,
        after: Option<&ObjectId>,
        limit: usize,
        detail: BodyDetail,
    ) -> Result<ObjectsPage, StoreError> {
        self.ask(|now| states::objects(now, at, filter, after, limit, detail))
    }

    fn heads(&self, scope: &WatchScope) -> Result<Vec<Head>, StoreError> {
        self.ask(|now| states::heads(now, scope))
    }

    fn head(&self, object: &ObjectId) -> Result<Option<Head>, StoreError> {
        self.ask(|now| states::head(now, object))
    }

    fn checkpoints(&self, cluster: &ClusterId) -> Result<Vec<Checkpoint>, StoreError> {
        self.ask(|now| now.days.last().map_or(Ok(Vec::new()), |day| times::checkpoints(day, cluster)))
    }

    fn cursor(&self, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
        self.ask(|now| now.days.last().map_or(Ok(None), |day| times::cursor(day, consumer)))
    }

    fn clusters(&self) -> Result<Vec<ClusterId>, StoreError> {
        self.ask(known::clusters)
    }

    fn types(&self) -> Result<Vec<ResourceType>, StoreError> {
        self.ask(known::types)
    }

    fn places(&self) -> Result<BTreeSet<Place>, StoreError> {
        self.ask(known::places)
    }

    fn places_generation(&self) -> Result<u64, StoreError> {
        self.ask(known::places_generation)
    }

    fn changed_objects(&self) -> Result<u64, StoreError> {
        self.ask(known::changed_objects)
    }

    fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Retained, StoreError> {
        self.remove_days(policy, now)
    }

    fn segments(&self) -> Result<Vec<SegmentSummary>, StoreError> {
        self.ask(|now| self.summaries(now))
    }
}

impl Exporting for SqliteJournal {
    fn positions(&self) -> Result<Positions, StoreError> {
        // Holding the writer keeps the newest day as it is between the two reads; another process's journal is read in one transaction.
        let held = self.writer.as_ref().map(hold);
        let positions = self.ask(|now| now.days.last().map_or(Ok(Positions::default()), |day| times::positions(now, day)));
        drop(held);
        positions
    }
}
