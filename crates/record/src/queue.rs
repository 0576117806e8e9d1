//! The bounded queue between the watches and the writer.
//!
//! Bounded by cost: bytes, and a kibibyte for each entry at least. Who finds it full waits, which slows its stream down to the journal's
//! speed. Where that lasts, versions of one object that still wait are replaced by the latest one, with a mark in their place. Invariants:
//! nothing is dropped without a mark in front of the position that leaves it behind; the order of one scope's versions never changes; after
//! `settle_until` gave a moment, no record that is not durable yet gets a time before it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proreus_model::{Change, Gap, Mark, MarkKind, Origin, Record, ResourceVersion, Seq, Verb, WatchScope};
use proreus_store::{Appended, Checkpoint, ConsumerCursor};
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::board::WatchCell;
use crate::known::Slot;

/// What may wait: some 4,000 objects of 4 KB. Leaves most of a 200 MB process to lists in flight, fingerprints and the journal's caches.
pub(crate) const QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// What an entry costs at least, in bytes, its own structure included.
const UNIT: usize = 1024;

/// How long a full queue only slows the watches down before versions are coalesced: a compaction or a slow disk takes a second or two.
const OVERFLOW_PATIENCE: Duration = Duration::from_secs(2);

/// Something to write.
#[derive(Default)]
pub(crate) struct Entry {
    /// A change or a mark.
    pub(crate) record: Option<Record>,
    /// A position that is true once this entry and all before it are written.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The version up to which the watch was taken in with this entry.
    pub(crate) reached: Option<ResourceVersion>,
    /// The object of the change: later versions may take its place.
    pub(crate) slot: Option<Slot>,
    /// When a watch told it.
    pub(crate) arrived_at: Option<Instant>,
    /// The watch it comes from.
    pub(crate) cell: Option<Arc<WatchCell>>,
    /// What does not come from a watch.
    pub(crate) own: Option<Own>,
    /// Told when everything up to here is durable.
    pub(crate) flushed: Option<oneshot::Sender<()>>,
    /// Room taken, set by the queue.
    pub(crate) cost: usize,
}

/// Records of Proreus itself and consumer positions: all of them in one batch.
pub(crate) struct Own {
    pub(crate) records: Vec<Record>,
    pub(crate) cursors: Vec<ConsumerCursor>,
    /// Told the positions once they are durable.
    pub(crate) appended: oneshot::Sender<Appended>,
}

impl Entry {
    pub(crate) fn mark(mark: Mark) -> Self {
        Self { record: Some(Record::Mark(mark)), ..Self::default() }
    }

    fn units(&self) -> usize {
        let own = self.own.as_ref().map_or(0, |own| {
            let state: usize = own.cursors.iter().map(|cursor| cursor.state.len()).sum();
            own.records.len() + own.records.iter().map(body_bytes).sum::<usize>() / UNIT + state / UNIT
        });
        1 + own + self.record.as_ref().map_or(0, body_bytes) / UNIT
    }

    fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.record.iter_mut().chain(self.own.iter_mut().flat_map(|own| &mut own.records))
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.record.iter().chain(self.own.iter().flat_map(|own| &own.records))
    }
}

fn body_bytes(record: &Record) -> usize {
    match record {
        Record::Change(change) => change.body.as_ref().map_or(0, |body| body.len()),
        Record::Mark(_) => 0,
    }
}

fn oldest<'a>(records: impl Iterator<Item = &'a Record>) -> Option<Timestamp> {
    records.map(Record::recorded_at).min()
}

/// The writer has ended; nothing can be recorded any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// Number of the first entry; numbers never repeat.
    first: u64,
    /// Where the last waiting version of an object stands.
    versions: HashMap<(WatchScope, Slot), u64>,
    /// Where a gap mark of a scope stands.
    gap_marks: HashMap<WatchScope, u64>,
    is_closed: bool,
    units: usize,
    /// No record may get a time before this one any more.
    floor: Option<Timestamp>,
    /// The oldest time among the records that the writer took and that are not durable yet.
    in_hand: Option<Timestamp>,
}

/// The queue.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    room: Semaphore,
    capacity: usize,
    patience: Duration,
}

impl Queue {
    pub(crate) fn new(bytes: usize) -> Self {
        Self::with_patience(bytes, OVERFLOW_PATIENCE)
    }

    fn with_patience(bytes: usize, patience: Duration) -> Self {
        let capacity = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { waiting: Mutex::default(), arrived: Notify::new(), room: Semaphore::new(capacity), capacity, patience }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries and bytes that wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.entries.len(), waiting.units * UNIT)
    }

    /// Adds an entry, waiting for room.
    pub(crate) async fn push(&self, mut entry: Entry) -> Result<(), Closed> {
        let units = entry.units().min(self.capacity);
        let wanted = u32::try_from(units).unwrap_or(u32::MAX);
        entry.cost = units;
        loop {
            match tokio::time::timeout(self.patience, self.room.acquire_many(wanted)).await {
                Ok(Ok(permit)) => {
                    permit.forget();
                    return self.enter(entry);
                }
                Ok(Err(_closed)) => return Err(Closed),
                Err(_elapsed) => match self.coalesce(entry) {
                    None => return Ok(()),
                    Some(back) => entry = back,
                },
            }
        }
    }

    fn enter(&self, entry: Entry) -> Result<(), Closed> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(Closed);
        }
        waiting.add(entry);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts the entry in the place of a waiting version of its object; gives it back if there is none.
    fn coalesce(&self, mut entry: Entry) -> Option<Entry> {
        let Some((scope, slot)) = key_of(&entry) else { return Some(entry) };
        let mut waiting = self.lock();
        let Some(former) = waiting.versions.get(&(scope.clone(), slot)).copied().filter(|_| is_update(&entry)) else { return Some(entry) };
        let Some(former) = waiting.take_for(former, &scope, &entry) else { return Some(entry) };
        if let (Some(Record::Change(old)), Some(Record::Change(new))) = (&former.record, &mut entry.record) {
            merge(old, new);
        }
        if let Some(cell) = &entry.cell {
            cell.count(|counters| {
                counters.coalesced += 1;
                counters.gaps += 1;
            });
        }
        // The room of the former version is taken over, so that what waits does not grow.
        entry.cost = former.cost;
        waiting.add(entry);
        drop(waiting);
        self.arrived.notify_one();
        None
    }

    /// Waits until everything pushed before is durable.
    pub(crate) async fn flush(&self) -> Result<(), Closed> {
        let (sender, receiver) = oneshot::channel();
        self.push(Entry { flushed: Some(sender), ..Entry::default() }).await?;
        receiver.await.map_err(|_| Closed)
    }

    /// Takes up to `most` records with all that stands between them, waiting up to `patience` for the first entry and up to `linger`
    /// for more. `None` once it is closed and empty.
    pub(crate) async fn take(&self, most: usize, linger: Duration, patience: Duration) -> Option<Vec<Entry>> {
        let _elapsed = tokio::time::timeout(patience, self.until(|waiting| !waiting.entries.is_empty() || waiting.is_closed)).await;
        let _elapsed = tokio::time::timeout(linger, self.until(|waiting| waiting.entries.len() >= most || waiting.is_closed)).await;
        let mut waiting = self.lock();
        if waiting.entries.is_empty() && waiting.is_closed {
            return None;
        }
        Some(waiting.drain(most))
    }

    async fn until(&self, is_reached: impl Fn(&Waiting) -> bool) {
        loop {
            let arrived = self.arrived.notified();
            if is_reached(&self.lock()) {
                return;
            }
            arrived.await;
        }
    }

    /// The latest moment, not after `now`, that lies behind whatever waits or is being written. From here on nothing gets a time before it:
    /// what comes in with an older one is raised, as it would be at the writer.
    pub(crate) fn settle_until(&self, now: Timestamp) -> Timestamp {
        let mut waiting = self.lock();
        let waits = oldest(waiting.entries.iter().flat_map(Entry::records));
        let settled = [waits, waiting.in_hand].into_iter().flatten().fold(now, Timestamp::min);
        let floor = waiting.floor.map_or(settled, |floor| floor.max(settled));
        waiting.floor = Some(floor);
        floor
    }

    /// The writer adds records of its own to what it has in hand.
    pub(crate) fn hold(&self, records: &mut [Record]) {
        let mut waiting = self.lock();
        if let Some(floor) = waiting.floor {
            records.iter_mut().for_each(|record| record.raise(floor));
        }
        waiting.in_hand = waiting.in_hand.into_iter().chain(oldest(records.iter())).min();
    }

    /// Everything that the writer took is durable.
    pub(crate) fn written(&self) {
        self.lock().in_hand = None;
    }

    /// Gives the room of written entries back.
    pub(crate) fn release(&self, written: &[Entry]) {
        self.room.add_permits(written.iter().map(|entry| entry.cost).sum());
    }

    /// No more entries; those that wait are still taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.room.close();
        self.arrived.notify_one();
    }
}

impl Waiting {
    fn add(&mut self, mut entry: Entry) {
        if let Some(floor) = self.floor {
            entry.records_mut().for_each(|record| record.raise(floor));
        }
        let number = self.first + self.entries.len() as u64;
        if let Some(key) = key_of(&entry) {
            self.versions.insert(key, number);
        }
        self.units += entry.cost;
        self.entries.push_back(entry);
    }

    /// Takes the waiting version `number` out and leaves a gap mark or nothing in its place.
    fn take_for(&mut self, number: u64, scope: &WatchScope, newer: &Entry) -> Option<Entry> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        if !self.entries.get(index).is_some_and(may_be_replaced) {
            return None;
        }
        let needs_mark = !self.gap_marks.get(scope).is_some_and(|mark| (self.first..=number).contains(mark));
        if needs_mark {
            self.gap_marks.insert(scope.clone(), number);
        }
        let mut record = if needs_mark { newer.record.as_ref().map(|record| gap_mark(scope, record.recorded_at())) } else { None };
        if let (Some(record), Some(floor)) = (&mut record, self.floor) {
            record.raise(floor);
        }
        let stand_in = Entry { record, cell: newer.cell.clone(), ..Entry::default() };
        let former = std::mem::replace(self.entries.get_mut(index)?, stand_in);
        self.units -= former.cost;
        Some(former)
    }

    fn drain(&mut self, most: usize) -> Vec<Entry> {
        let count = self.entries.len().min(most);
        let taken: Vec<Entry> = self.entries.drain(..count).collect();
        let end = self.first + count as u64;
        for entry in &taken {
            if let Some(key) = key_of(entry)
                && self.versions.get(&key).is_some_and(|number| *number < end)
            {
                self.versions.remove(&key);
            }
            self.units -= entry.cost;
        }
        self.gap_marks.retain(|_, number| *number >= end);
        self.first = end;
        self.in_hand = self.in_hand.into_iter().chain(oldest(taken.iter().flat_map(Entry::records))).min();
        taken
    }
}

fn key_of(entry: &Entry) -> Option<(WatchScope, Slot)> {
    let Some(Record::Change(change)) = &entry.record else { return None };
    let scope =
        WatchScope { cluster: change.object.cluster.clone(), group: change.object.group.clone(), resource: change.resource.clone() };
    entry.slot.map(|slot| (scope, slot))
}

fn is_update(entry: &Entry) -> bool {
    matches!(&entry.record, Some(Record::Change(change)) if change.verb == Verb::Update)
}

fn may_be_replaced(entry: &Entry) -> bool {
    matches!(&entry.record, Some(Record::Change(change)) if change.verb != Verb::Delete)
}

/// Lets a version tell of the one that it replaces.
fn merge(old: &Change, new: &mut Change) {
    new.verb = old.verb;
    new.origin = Origin::Gap;
    let from = old.gap.map_or(old.recorded_at, |gap| gap.from);
    new.gap = Some(Gap { from, to: new.recorded_at });
}

fn gap_mark(scope: &WatchScope, at: Timestamp) -> Record {
    Record::Mark(Mark {
        seq: Seq(0),
        recorded_at: at,
        kind: MarkKind::Gap,
        scope: scope.clone(),
        reason: "the journal could not keep up, of some objects only the latest version is recorded".to_owned(),
        detail: serde_json::json!({ "cause": "backPressure" }),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn change(name: &str, verb: Verb, version: &str, bytes: usize) -> Entry {
        let at: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        Entry {
            slot: Some(Slot::of(&"ns".into(), &name.into())),
            record: Some(Record::Change(Change {
                seq: Seq(0),
                recorded_at: at + jiff::SignedDuration::from_secs(version.parse().unwrap()),
                event_time: None,
                verb,
                origin: Origin::Watch,
                gap: None,
                object: proreus_model::ObjectId {
                    cluster: "c".into(),
                    group: "".into(),
                    kind: "Pod".into(),
                    namespace: "ns".into(),
                    name: name.into(),
                    uid: name.into(),
                },
                version: "v1".into(),
                resource: "pods".into(),
                resource_version: version.into(),
                generation: None,
                manager: None,
                regarding: None,
                body: Some(vec![b'x'; bytes].into()),
            })),
            ..Entry::default()
        }
    }

    fn said(entries: &[Entry]) -> Vec<String> {
        entries
            .iter()
            .map(|entry| match &entry.record {
                Some(Record::Change(change)) => {
                    format!("{} {} {}@{}", change.verb.as_str(), change.origin.as_str(), change.object.name, change.resource_version)
                }
                Some(Record::Mark(mark)) => format!("mark {}", mark.kind.as_str()),
                None => "-".to_owned(),
            })
            .collect()
    }

    async fn all(queue: &Queue) -> Vec<String> {
        said(&queue.take(100, Duration::ZERO, Duration::ZERO).await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_the_queue_full_waits_until_there_is_room() {
        let queue = Arc::new(Queue::new(3 * UNIT));
        for name in ["a", "b", "c"] {
            queue.push(change(name, Verb::Create, "1", 0)).await.unwrap();
        }
        let pusher = tokio::spawn({
            let queue = queue.clone();
            async move { queue.push(change("d", Verb::Create, "2", 0)).await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!pusher.is_finished());
        let taken = queue.take(1, Duration::ZERO, Duration::ZERO).await.unwrap();
        queue.release(&taken);
        pusher.await.unwrap().unwrap();
        assert_eq!(all(&queue).await, ["create watch b@1", "create watch c@1", "create watch d@2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_overflow_keeps_the_latest_version_and_marks_what_it_left_out() {
        let queue = Queue::new(3 * UNIT);
        for (name, verb) in [("a", Verb::Update), ("b", Verb::Create), ("c", Verb::Update)] {
            queue.push(change(name, verb, "1", 0)).await.unwrap();
        }
        queue.push(change("a", Verb::Update, "2", 0)).await.unwrap();
        queue.push(change("b", Verb::Update, "3", 0)).await.unwrap();
        queue.push(change("a", Verb::Update, "4", 0)).await.unwrap();
        let entries = queue.take(100, Duration::ZERO, Duration::ZERO).await.unwrap();
        assert_eq!(said(&entries), ["mark gap", "-", "update watch c@1", "-", "create gap b@3", "update gap a@4"]);
        let Some(Record::Change(last)) = &entries.last().unwrap().record else { panic!("a change") };
        assert_eq!(last.gap.unwrap().from, "2026-11-21T10:00:01Z".parse().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_delete_is_never_coalesced() {
        let queue = Arc::new(Queue::new(UNIT));
        queue.push(change("a", Verb::Update, "1", 0)).await.unwrap();
        let pusher = tokio::spawn({
            let queue = queue.clone();
            async move { queue.push(change("a", Verb::Delete, "2", 0)).await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!pusher.is_finished());
        queue.close();
        assert_eq!(pusher.await.unwrap(), Err(Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_larger_than_the_queue_passes_alone() {
        let queue = Queue::new(2 * UNIT);
        queue.push(change("a", Verb::Create, "1", 100 * UNIT)).await.unwrap();
        let taken = queue.take(100, Duration::ZERO, Duration::ZERO).await.unwrap();
        queue.release(&taken);
        queue.push(change("b", Verb::Create, "1", 0)).await.unwrap();
        assert_eq!(all(&queue).await, ["create watch b@1"]);
    }

    fn second(number: i64) -> Timestamp {
        "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(number)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_that_is_not_durable_gets_a_time_before_the_settled_moment() {
        let queue = Queue::new(10 * UNIT);
        queue.push(change("a", Verb::Create, "5", 0)).await.unwrap();
        assert_eq!(queue.settle_until(second(9)), second(5), "what waits holds it back");
        let taken = queue.take(100, Duration::ZERO, Duration::ZERO).await.unwrap();
        assert_eq!(queue.settle_until(second(9)), second(5), "and so does what is being written");
        queue.written();
        queue.release(&taken);
        assert_eq!(queue.settle_until(second(9)), second(9));
        assert_eq!(queue.settle_until(second(8)), second(9), "it never falls");
        queue.push(change("late", Verb::Create, "7", 0)).await.unwrap();
        let taken = queue.take(100, Duration::ZERO, Duration::ZERO).await.unwrap();
        assert_eq!(taken.first().and_then(|entry| entry.record.as_ref()).unwrap().recorded_at(), second(9));
        let mut own = [change("own", Verb::Create, "1", 0).record.unwrap()];
        queue.hold(&mut own);
        assert_eq!(own.first().unwrap().recorded_at(), second(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_gives_what_waits_and_then_ends() {
        let queue = Queue::new(10 * UNIT);
        queue.push(change("a", Verb::Create, "1", 0)).await.unwrap();
        queue.close();
        assert_eq!(queue.push(change("b", Verb::Create, "1", 0)).await, Err(Closed));
        assert_eq!(all(&queue).await, ["create watch a@1"]);
        assert!(queue.take(100, Duration::ZERO, Duration::ZERO).await.is_none());
    }
}
