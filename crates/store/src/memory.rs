//! `MemoryJournal`: the journal's meaning written down as plainly as possible, in maps behind one lock.
//!
//! Not durable, not small, not fast: it is what the conformance suite compares every engine with, and what tests of other crates
//! record into. Each answer here is the definition of that answer. Invariant: `records` holds exactly `oldest..=watermark`, and `base`
//! holds what was alive (Events excepted) just before `oldest`.

mod answers;
mod carry;
mod matching;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, ClusterId, Filter, JournalId, ObjectId, Record, ResourceType, Seq, SeqRange, Verb, WatchScope};

pub use self::carry::MemoryImport;
use crate::journal::{
    Appended, Batch, BodyDetail, Checkpoint, ConsumerCursor, Head, Journal, ObjectsPage, Oldest, Page, ReadQuery, Retained,
    RetentionPolicy, SegmentSummary, StoreError, WriterEpoch,
};

/// A journal that lives as long as the process. Clones share it, so that a clone is what a reopened journal is elsewhere.
#[derive(Clone, Debug)]
pub struct MemoryJournal {
    id: JournalId,
    held: Arc<Mutex<Held>>,
}

/// Everything the journal knows.
#[derive(Debug, Default)]
struct Held {
    epoch: u64,
    watermark: Seq,
    last_recorded_at: Option<Timestamp>,
    records: BTreeMap<Seq, Record>,
    /// Positions of each object's changes that are still in `records`, ascending.
    versions: BTreeMap<ObjectId, Vec<Seq>>,
    base: BTreeMap<ObjectId, Change>,
    checkpoints: BTreeMap<WatchScope, Checkpoint>,
    cursors: BTreeMap<String, ConsumerCursor>,
}

impl MemoryJournal {
    /// An empty journal with an identity of its own.
    pub fn new() -> Self {
        // `RandomState` is the one source of randomness in the standard library; an identity in memory needs no stronger one.
        let half = || std::collections::hash_map::RandomState::new().build_hasher().finish().to_be_bytes();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(half().into_iter().chain(half())) {
            *to = from;
        }
        Self::with_id(JournalId::from_bytes(bytes))
    }

    /// An empty journal with a given identity.
    pub fn with_id(id: JournalId) -> Self {
        Self { id, held: Arc::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic elsewhere leaves the maps whole: nothing in here panics half-way through a change of them.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

/// The UTC day a time belongs to; segments are days.
fn day_of(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

/// Whether the object is an Event of either API. Events never change much and are many, so they stay out of bases, of states of later
/// days, and of heads older than yesterday.
fn is_event(object: &ObjectId) -> bool {
    object.kind.as_str() == "Event" && matches!(object.group.as_str(), "" | "events.k8s.io")
}

impl Held {
    /// The last change of the object at or before `at`, wherever it is kept.
    fn last_change(&self, object: &ObjectId, at: Seq) -> Option<&Change> {
        let positions = self.versions.get(object).map_or(&[][..], Vec::as_slice);
        let upto = positions.partition_point(|seq| *seq <= at);
        match upto.checked_sub(1).and_then(|index| positions.get(index)) {
            Some(seq) => self.change(*seq),
            None => self.base.get(object),
        }
    }

    fn change(&self, seq: Seq) -> Option<&Change> {
        match self.records.get(&seq)? {
            Record::Change(change) => Some(change),
            Record::Mark(_) => None,
        }
    }

    fn oldest(&self) -> Option<Oldest> {
        self.records.first_key_value().map(|(seq, record)| Oldest { seq: *seq, recorded_at: record.recorded_at() })
    }

    /// Every object ever seen that is still kept, in order.
    fn known_objects(&self) -> impl Iterator<Item = &ObjectId> {
        let only_in_base = self.base.keys().filter(|object| !self.versions.contains_key(*object));
        let mut objects: Vec<&ObjectId> = self.versions.keys().chain(only_in_base).collect();
        objects.sort();
        objects.into_iter()
    }

    fn append(&mut self, batch: &Batch) -> Appended {
        let first = Seq(self.watermark.0 + 1);
        for record in &batch.records {
            let seq = Seq(self.watermark.0 + 1);
            let recorded_at = self.last_recorded_at.map_or(record.recorded_at(), |last| last.max(record.recorded_at()));
            let mut record = record.clone();
            match &mut record {
                Record::Change(change) => {
                    (change.seq, change.recorded_at) = (seq, recorded_at);
                    self.versions.entry(change.object.clone()).or_default().push(seq);
                }
                Record::Mark(mark) => (mark.seq, mark.recorded_at) = (seq, recorded_at),
            }
            self.records.insert(seq, record);
            self.watermark = seq;
            self.last_recorded_at = Some(recorded_at);
        }
        for checkpoint in &batch.checkpoints {
            match checkpoint.resource_version {
                Some(_) => self.checkpoints.insert(checkpoint.scope.clone(), checkpoint.clone()),
                None => self.checkpoints.remove(&checkpoint.scope),
            };
        }
        for cursor in &batch.cursors {
            self.cursors.insert(cursor.consumer.clone(), cursor.clone());
        }
        let range = (!batch.records.is_empty()).then_some(SeqRange { first, last: self.watermark });
        Appended { range, watermark: self.watermark }
    }

    /// Days that hold records, oldest first, each with its raw bytes.
    fn days(&self) -> Vec<SegmentSummary> {
        let mut days = answers::segments(self.records.values());
        if let Some(open) = days.last_mut() {
            open.state = crate::journal::SegmentState::Open;
        }
        days
    }

    fn retain(&mut self, policy: &RetentionPolicy, now: Timestamp) -> Retained {
        let mut days = self.days();
        let mut retained = Retained::default();
        while days.len() > 1 {
            let day = &days[0];
            let held: u64 = days.iter().map(|day| day.stored_bytes).sum();
            let too_old = policy.max_age.is_some_and(|age| ended_longer_ago(day, age, now));
            let too_large = policy.max_bytes.is_some_and(|limit| held > limit);
            if !too_old && !too_large {
                break;
            }
            let day = days.remove(0);
            if let Some(range) = day.range {
                self.drop_until(range.last);
            }
            retained.freed_bytes += day.stored_bytes;
            retained.removed.push(day.day);
        }
        retained
    }

    /// Forgets everything up to and including `last`, after folding it into the base.
    fn drop_until(&mut self, last: Seq) {
        let kept = self.records.split_off(&Seq(last.0 + 1));
        let dropped = std::mem::replace(&mut self.records, kept);
        for record in dropped.into_values() {
            let Record::Change(change) = record else { continue };
            if change.verb == Verb::Delete || is_event(&change.object) {
                self.base.remove(&change.object);
            } else {
                self.base.insert(change.object.clone(), change);
            }
        }
        self.versions.retain(|_, positions| {
            positions.retain(|seq| *seq > last);
            !positions.is_empty()
        });
    }
}

/// Whether the day was over more than `age` before `now`.
fn ended_longer_ago(day: &SegmentSummary, age: SignedDuration, now: Timestamp) -> bool {
    let Some((first, _)) = day.times else { return false };
    let midnight = day_of(first).tomorrow().and_then(|next| TimeZone::UTC.to_timestamp(next.to_datetime(jiff::civil::Time::midnight())));
    midnight.is_ok_and(|ended| now.duration_since(ended) > age)
}

impl Journal for MemoryJournal {
    fn id(&self) -> JournalId {
        self.id.clone()
    }

    fn begin_epoch(&self) -> Result<WriterEpoch, StoreError> {
        let mut held = self.held();
        held.epoch += 1;
        Ok(WriterEpoch(held.epoch))
    }

    fn append(&self, epoch: WriterEpoch, batch: &Batch) -> Result<Appended, StoreError> {
        let mut held = self.held();
        // Epoch 0 is before the first writer: nobody holds it.
        if epoch.0 != held.epoch || epoch.0 == 0 {
            return Err(StoreError::Fenced { given: epoch.0, current: held.epoch });
        }
        Ok(held.append(batch))
    }

    fn watermark(&self) -> Seq {
        self.held().watermark
    }

    fn last_recorded_at(&self) -> Option<Timestamp> {
        self.held().last_recorded_at
    }

    fn oldest(&self) -> Result<Option<Oldest>, StoreError> {
        Ok(self.held().oldest())
    }

    fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        let held = self.held();
        let first = held.records.values().find(|record| record.recorded_at() >= time);
        Ok(first.map_or(Seq(held.watermark.0 + 1), Record::seq))
    }

    fn read(&self, query: &ReadQuery) -> Result<Page, StoreError> {
        self.held().read(query)
    }

    fn state(&self, object: &ObjectId, at: Seq) -> Result<Option<Change>, StoreError> {
        self.held().state(object, at)
    }

    fn objects(
        &self,
        at: Seq,
        filter: &Filter,
        after: Option<&ObjectId>,
        limit: usize,
        detail: BodyDetail,
    ) -> Result<ObjectsPage, StoreError> {
        self.held().objects(at, filter, after, limit, detail)
    }

    fn heads(&self, scope: &WatchScope) -> Result<Vec<Head>, StoreError> {
        Ok(self.held().heads(scope))
    }

    fn head(&self, object: &ObjectId) -> Result<Option<Head>, StoreError> {
        Ok(self.held().head(object))
    }

    fn clusters(&self) -> Result<Vec<ClusterId>, StoreError> {
        Ok(self.held().clusters())
    }

    fn types(&self) -> Result<Vec<ResourceType>, StoreError> {
        Ok(self.held().types())
    }

    fn checkpoints(&self, cluster: &ClusterId) -> Result<Vec<Checkpoint>, StoreError> {
        let held = self.held();
        let wanted = held.checkpoints.values().filter(|checkpoint| cluster.is_empty() || checkpoint.scope.cluster == *cluster);
        Ok(wanted.cloned().collect())
    }

    fn cursor(&self, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
        Ok(self.held().cursors.get(consumer).cloned())
    }

    fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Retained, StoreError> {
        Ok(self.held().retain(policy, now))
    }

    fn segments(&self) -> Result<Vec<SegmentSummary>, StoreError> {
        Ok(self.held().days())
    }
}
