//! The trait that every engine honours. Synchronous: callers in async code go through a blocking thread.
//!
//! Invariants: an append returns after the data is durable; checkpoints and cursors commit with the records they belong to; `recordedAt`
//! never falls along the sequence; a reader sees one watermark for the length of a call.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proreus_model::{
    Change, ClusterId, Filter, Group, JournalId, Namespace, ObjectId, Order, Record, Recorded, Resource, ResourceType, ResourceVersion,
    Seq, SeqRange, WatchScope,
};

/// Records read at once to count their objects: enough that the pages do not matter.
const COUNTED_AT_ONCE: usize = 1_000;

/// Number of the writer's tenure: a stale writer's append is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriterEpoch(pub u64);

/// Where a watch may resume: everything of the scope up to this resourceVersion is in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The watched scope.
    pub scope: WatchScope,
    /// Version to resume after; `None` forgets the checkpoint (the next start lists).
    pub resource_version: Option<ResourceVersion>,
    /// When this was known to be true.
    pub at: Timestamp,
}

/// How far a consumer has read, with the state it needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerCursor {
    /// Name of the consumer, unique in the journal.
    pub consumer: String,
    /// Last position whose effects are done.
    pub seq: Seq,
    /// The consumer's own folded state, opaque here.
    pub state: Vec<u8>,
}

/// What one append commits: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Records in order. `seq` is ignored and given by the writer; `recorded_at` is the caller's clock and raised to the last one where
    /// that is later.
    pub records: Vec<Record>,
    /// Watch positions that are true once these records are durable.
    pub checkpoints: Vec<Checkpoint>,
    /// Consumer positions that move with these records.
    pub cursors: Vec<ConsumerCursor>,
}

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The range given to the batch's records; `None` for a batch without records.
    pub range: Option<SeqRange>,
    /// Everything at or below is durable.
    pub watermark: Seq,
}

/// How much of each change a reader wants; less is faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyDetail {
    /// Metadata only; `body` and `previous` are `None`.
    #[default]
    None,
    /// The object at the change.
    Body,
    /// The object at the change and at the version before it.
    BodyAndPrevious,
}

/// A question for records.
#[derive(Clone, Debug)]
pub struct ReadQuery {
    /// Inclusive positions. `Seq(0)` as the first one means "from the oldest there is"; any other first position that retention took,
    /// and an `after` beyond which something was taken, is `Gone`, so that a reader never takes a hole for quiet.
    pub range: SeqRange,
    /// Which records.
    pub filter: Filter,
    /// Continue after this position (in the direction of `order`).
    pub after: Option<Seq>,
    /// Direction.
    pub order: Order,
    /// Most records to return, at least 1.
    pub limit: usize,
    /// Bodies or not.
    pub detail: BodyDetail,
}

impl ReadQuery {
    /// The positions the query is about in a journal whose oldest record is `oldest`, `None` when there are none. Every engine asks here, so
    /// that all of them call the same things gone.
    pub(crate) fn positions(&self, oldest: Option<Oldest>) -> Result<Option<SeqRange>, StoreError> {
        let (mut first, mut last) = (self.range.first, self.range.last);
        match (self.after, self.order) {
            (Some(after), Order::Ascending) => first = first.max(Seq(after.0.saturating_add(1))),
            (Some(after), Order::Descending) => last = last.min(Seq(after.0.saturating_sub(1))),
            (None, _) => {}
        }
        let Some(oldest) = oldest else { return Ok(None) };
        let continued_below = self.after.filter(|after| self.order == Order::Descending && *after < oldest.seq);
        let asked = if self.range.first > self.range.last {
            return Ok(None);
        } else if first > Seq(0) && first < oldest.seq {
            Some(first)
        } else {
            continued_below.or((self.range.last < oldest.seq).then_some(self.range.last))
        };
        match asked {
            Some(asked) if oldest.seq > Seq(1) => Err(StoreError::Gone { asked: asked.0, oldest }),
            _ => Ok((first <= last).then_some(SeqRange { first, last })),
        }
    }
}

/// Records that match, in order.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Recorded>,
    /// Whether more match beyond the last one.
    pub more: bool,
    /// The journal's last position when the page was read.
    pub watermark: Seq,
}

/// Objects alive at a moment, ordered by `ObjectId`.
#[derive(Clone, Debug, Default)]
pub struct ObjectsPage {
    /// The last change of each object at that moment, body included when asked for.
    pub objects: Vec<Change>,
    /// Whether more match beyond the last one.
    pub more: bool,
}

/// The newest known version of a living object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The object.
    pub object: ObjectId,
    /// Version last recorded.
    pub resource_version: ResourceVersion,
    /// Position of that record.
    pub seq: Seq,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// A namespace of a cluster (`""` for its cluster scope) in which a resource type was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The cluster.
    pub cluster: ClusterId,
    /// Group of the type.
    pub group: Group,
    /// Lower-case plural of the type.
    pub resource: Resource,
    /// The namespace.
    pub namespace: Namespace,
}

/// The oldest position that can still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// The position.
    pub seq: Seq,
    /// Its time.
    pub recorded_at: Timestamp,
}

impl Place {
    /// Where a change happened.
    pub fn of(change: &Change) -> Self {
        let ObjectId { cluster, group, namespace, .. } = change.object.clone();
        Self { cluster, group, resource: change.resource.clone(), namespace }
    }
}

/// What may be thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Segments whose UTC day ended longer ago go.
    pub max_age: Option<jiff::SignedDuration>,
    /// Oldest segments go while the journal is larger.
    pub max_bytes: Option<u64>,
}

/// What was thrown away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Names of the segments removed.
    pub removed: Vec<String>,
    /// Bytes freed.
    pub freed_bytes: u64,
}

/// Condition of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Appends go here.
    Open,
    /// Past, not yet rewritten.
    Closed,
    /// Past, rewritten by object.
    Compacted,
    /// Could not be read and was set aside.
    Damaged,
}

impl SegmentState {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Compacted => "compacted",
            Self::Damaged => "damaged",
        }
    }
}

/// Figures of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// UTC day, `YYYY-MM-DD`.
    pub day: String,
    /// Condition.
    pub state: SegmentState,
    /// Changes in it, marks not counted.
    pub changes: u64,
    /// Objects that changed in it.
    pub objects: u64,
    /// Canonical JSON of those changes as it would be uncompressed.
    pub raw_bytes: u64,
    /// All its files with their indexes.
    pub stored_bytes: u64,
    /// First and last position, `None` when empty.
    pub range: Option<SeqRange>,
    /// Times of the first and last record.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// Why the journal could not do what was asked. One variant a failed step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process writes here.
    #[error("data directory `{dir}` is in use by another process")]
    Locked {
        /// The directory.
        dir: String,
    },
    /// Written by a newer version of this program.
    #[error("`{file}` has format version {found}, this program reads up to {supported}")]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// The directory or a file in it cannot be written.
    #[error("data directory `{dir}` cannot be written: {reason}")]
    NotWritable {
        /// The directory.
        dir: String,
        /// What the system said.
        reason: String,
    },
    /// There is no journal.
    #[error("no journal in `{dir}`")]
    NoJournal {
        /// The directory.
        dir: String,
    },
    /// The disk is full; nothing of the batch was written.
    #[error("no space left in `{dir}`")]
    Full {
        /// The directory.
        dir: String,
    },
    /// Appends by a writer that was replaced.
    #[error("writer epoch {given} was replaced by {current}")]
    Fenced {
        /// The caller's epoch.
        given: u64,
        /// The one in force.
        current: u64,
    },
    /// Stored bytes do not decode.
    #[error("segment `{segment}` is damaged: {reason}")]
    Damaged {
        /// The segment.
        segment: String,
        /// What does not hold.
        reason: String,
    },
    /// Positions before this were removed by retention.
    #[error("position {asked} is no longer kept, the oldest is {}", oldest.seq)]
    Gone {
        /// What was asked for.
        asked: u64,
        /// The oldest that is left.
        oldest: Oldest,
    },
    /// An import where there is something already.
    #[error("data directory `{dir}` is not empty; import into an empty one")]
    NotEmpty {
        /// The directory.
        dir: String,
    },
    /// An import into the directory was cut off.
    #[error("an import into `{dir}` was not finished; import again, or remove the directory")]
    Unfinished {
        /// The directory.
        dir: String,
    },
    /// An export could not be written, or what was to be imported is none, is cut or damaged.
    #[error("{step}: {reason}")]
    Stream {
        /// What we were doing, such as `failed to import line 7`.
        step: String,
        /// What does not hold.
        reason: String,
    },
    /// The engine failed.
    #[error("{step}: {reason}")]
    Engine {
        /// What we were doing, such as `failed to open segment 2026-11-21`.
        step: String,
        /// What the engine said.
        reason: String,
    },
}

/// A durable sequence of records. Shared between one writer and many readers.
pub trait Journal: Send + Sync {
    /// Identity of this journal, the same for its whole life.
    fn id(&self) -> JournalId;

    /// Takes over as the writer; earlier epochs are fenced.
    fn begin_epoch(&self) -> Result<WriterEpoch, StoreError>;

    /// Appends a batch and returns when it is durable. Errors leave the journal as it was.
    fn append(&self, epoch: WriterEpoch, batch: &Batch) -> Result<Appended, StoreError>;

    /// The last durable position, `Seq(0)` for an empty journal.
    fn watermark(&self) -> Seq;

    /// Time of the last durable record.
    fn last_recorded_at(&self) -> Option<Timestamp>;

    /// The oldest position that can be read, `None` when empty.
    fn oldest(&self) -> Result<Option<Oldest>, StoreError>;

    /// First position still kept and recorded at or after `time`; one past the watermark when there is none.
    fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError>;

    /// A page of records.
    fn read(&self, query: &ReadQuery) -> Result<Page, StoreError>;

    /// The object's last change at or before `at`, body included; a delete is returned as such; `None` if it was not known by then.
    /// An empty `uid` in `object` means the newest incarnation known at that moment: a living one before a deleted one (a relist may write
    /// the old one's delete after the new one's create), then the one that changed last. `at` beyond the watermark is the watermark;
    /// before the oldest position but one it is `Gone`: the state just before the oldest record is what the base holds.
    fn state(&self, object: &ObjectId, at: Seq) -> Result<Option<Change>, StoreError>;

    /// Objects alive at `at` (the filter's verbs, origins, managers, `changes` and `marks` are not applied), after `after` in `ObjectId`
    /// order. Events of days before the one of `at` are left out.
    fn objects(
        &self,
        at: Seq,
        filter: &Filter,
        after: Option<&ObjectId>,
        limit: usize,
        detail: BodyDetail,
    ) -> Result<ObjectsPage, StoreError>;

    /// Heads of the living objects of a scope in `ObjectId` order, for comparison with a fresh list; Events only of the day of the last
    /// record and the day before it.
    fn heads(&self, scope: &WatchScope) -> Result<Vec<Head>, StoreError>;

    /// The head of one object (newest incarnation when its uid is empty), `None` if it is not alive, not known, or an Event of an earlier
    /// day than `heads` tells of.
    fn head(&self, object: &ObjectId) -> Result<Option<Head>, StoreError>;

    /// The clusters of which anything is kept, oldest first.
    fn clusters(&self) -> Result<Vec<ClusterId>, StoreError>;

    /// The resource types of which anything is kept, each once, whatever the cluster.
    fn types(&self) -> Result<Vec<ResourceType>, StoreError>;

    /// Where anything is kept, each place once: at least every place of a change that can be read and of an object that a state may tell.
    /// Reads every header unless the engine knows better.
    fn places(&self) -> Result<BTreeSet<Place>, StoreError> {
        let Some(oldest) = self.oldest()? else { return Ok(BTreeSet::new()) };
        let mut places = BTreeSet::new();
        let mut after: Option<ObjectId> = None;
        let before = Seq(oldest.seq.0.saturating_sub(1));
        loop {
            let page = self.objects(before, &Filter::changes(), after.as_ref(), COUNTED_AT_ONCE, BodyDetail::None)?;
            places.extend(page.objects.iter().map(Place::of));
            after = page.objects.into_iter().last().map(|change| change.object);
            if !page.more || after.is_none() {
                break;
            }
        }
        let range = SeqRange { first: oldest.seq, last: self.watermark() };
        let (filter, order, detail) = (Filter::changes(), Order::Ascending, BodyDetail::None);
        let mut query = ReadQuery { range, filter, after: None, order, limit: COUNTED_AT_ONCE, detail };
        loop {
            let page = self.read(&query)?;
            query.after = page.records.last().map(|recorded| recorded.record.seq());
            places.extend(page.records.iter().filter_map(|recorded| match &recorded.record {
                Record::Change(change) => Some(Place::of(change)),
                Record::Mark(_) => None,
            }));
            if !page.more || query.after.is_none() {
                return Ok(places);
            }
        }
    }

    /// A number that is another one whenever `places` may have grown. Asked again after a page was read, it tells whether every record of
    /// the page stands in a place that was known before.
    fn places_generation(&self) -> Result<u64, StoreError> {
        Ok(self.watermark().0)
    }

    /// How many objects have a change that is kept: each once, on however many days it changed.
    /// Reads every header unless the engine knows better.
    fn changed_objects(&self) -> Result<u64, StoreError> {
        let range = SeqRange { first: Seq(0), last: self.watermark() };
        let mut query = ReadQuery {
            range,
            filter: Filter::changes(),
            after: None,
            order: Order::Ascending,
            limit: COUNTED_AT_ONCE,
            detail: BodyDetail::None,
        };
        let mut objects = std::collections::HashSet::new();
        loop {
            let page = self.read(&query)?;
            query.after = page.records.last().map(|recorded| recorded.record.seq());
            objects.extend(page.records.into_iter().filter_map(|recorded| match recorded.record {
                Record::Change(change) => Some(change.object),
                Record::Mark(_) => None,
            }));
            if !page.more || query.after.is_none() {
                return Ok(objects.len() as u64);
            }
        }
    }

    /// Watch positions of a cluster, or of all when it is empty. One that is damaged is left out: its watch begins with a list.
    fn checkpoints(&self, cluster: &ClusterId) -> Result<Vec<Checkpoint>, StoreError>;

    /// A consumer's position, `None` when it never had one. `Damaged` when what is kept is not what was appended: the consumer begins anew,
    /// and its next append puts that right.
    fn cursor(&self, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError>;

    /// Removes what the policy no longer keeps. The open segment always stays.
    fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Retained, StoreError>;

    /// The segments, oldest first.
    fn segments(&self) -> Result<Vec<SegmentSummary>, StoreError>;
}
