//! The suite can fail: each of these journals tells one small lie, and the random comparison finds it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use proreus_model::{Change, ClusterId, Filter, JournalId, ObjectId, Order, ResourceType, Seq, WatchScope};
use proreus_store::conformance::{Workbench, agrees_with_the_model};
use proreus_store::stream::{Exporting, Positions};
use proreus_store::{
    Appended, Batch, BodyDetail, Checkpoint, ConsumerCursor, Head, Journal, MemoryJournal, ObjectsPage, Oldest, Page, ReadQuery, Retained,
    RetentionPolicy, SegmentSummary, StoreError, WriterEpoch,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    ForgetsACheckpoint,
    SaysMoreOnFullPages,
    IgnoresAfterGoingDown,
    GivesTheWrongPreviousBody,
    TellsStatesOnePositionLate,
    ListsEventsOfOtherDays,
    ReadsBelowTheOldest,
    KeepsOneDayTooMany,
    ExportsNewerPositions,
}

struct Liar(MemoryJournal, Lie);

impl Liar {
    fn tells(&self, lie: Lie) -> bool {
        self.1 == lie
    }
}

impl Journal for Liar {
    fn id(&self) -> JournalId {
        self.0.id()
    }
    fn begin_epoch(&self) -> Result<WriterEpoch, StoreError> {
        self.0.begin_epoch()
    }
    fn append(&self, epoch: WriterEpoch, batch: &Batch) -> Result<Appended, StoreError> {
        let mut batch = batch.clone();
        if self.tells(Lie::ForgetsACheckpoint) && batch.checkpoints.len() > 1 {
            batch.checkpoints.pop();
        }
        self.0.append(epoch, &batch)
    }
    fn watermark(&self) -> Seq {
        self.0.watermark()
    }
    fn last_recorded_at(&self) -> Option<Timestamp> {
        self.0.last_recorded_at()
    }
    fn oldest(&self) -> Result<Option<Oldest>, StoreError> {
        self.0.oldest()
    }
    fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        self.0.seq_at(time)
    }
    fn read(&self, query: &ReadQuery) -> Result<Page, StoreError> {
        let mut query = query.clone();
        if self.tells(Lie::IgnoresAfterGoingDown) && query.order == Order::Descending {
            query.after = None;
        }
        if let (true, Ok(Some(oldest))) = (self.tells(Lie::ReadsBelowTheOldest), self.0.oldest()) {
            query.range.first = query.range.first.max(oldest.seq);
        }
        let mut page = self.0.read(&query)?;
        if self.tells(Lie::SaysMoreOnFullPages) {
            page.more = page.records.len() >= query.limit;
        }
        if self.tells(Lie::GivesTheWrongPreviousBody) {
            for recorded in &mut page.records {
                recorded.previous = recorded.previous.take().filter(|body| body.len() < 300);
            }
        }
        Ok(page)
    }
    fn state(&self, object: &ObjectId, at: Seq) -> Result<Option<Change>, StoreError> {
        let late = u64::from(self.tells(Lie::TellsStatesOnePositionLate) && at > Seq(3));
        self.0.state(object, Seq(at.0 - late))
    }
    fn objects(
        &self,
        at: Seq,
        filter: &Filter,
        after: Option<&ObjectId>,
        limit: usize,
        detail: BodyDetail,
    ) -> Result<ObjectsPage, StoreError> {
        let mut page = self.0.objects(at, filter, after, limit, detail)?;
        if self.tells(Lie::ListsEventsOfOtherDays) {
            page.objects.retain(|change| change.object.kind.as_str() != "Event");
        }
        Ok(page)
    }
    fn heads(&self, scope: &WatchScope) -> Result<Vec<Head>, StoreError> {
        self.0.heads(scope)
    }
    fn head(&self, object: &ObjectId) -> Result<Option<Head>, StoreError> {
        self.0.head(object)
    }
    fn clusters(&self) -> Result<Vec<ClusterId>, StoreError> {
        self.0.clusters()
    }
    fn types(&self) -> Result<Vec<ResourceType>, StoreError> {
        self.0.types()
    }
    fn checkpoints(&self, cluster: &ClusterId) -> Result<Vec<Checkpoint>, StoreError> {
        self.0.checkpoints(cluster)
    }
    fn cursor(&self, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
        self.0.cursor(consumer)
    }
    fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Retained, StoreError> {
        let late = if self.tells(Lie::KeepsOneDayTooMany) { 24 } else { 0 };
        self.0.retain(policy, now - jiff::SignedDuration::from_hours(late))
    }
    fn segments(&self) -> Result<Vec<SegmentSummary>, StoreError> {
        self.0.segments()
    }
}

impl Exporting for Liar {
    fn positions(&self) -> Result<Positions, StoreError> {
        let mut positions = self.0.positions()?;
        if self.tells(Lie::ExportsNewerPositions) {
            positions.cursors.iter_mut().for_each(|cursor| cursor.seq.0 += 1);
        }
        Ok(positions)
    }
}

struct Bench(Liar);

impl Workbench for Bench {
    fn journal(&self) -> &dyn Exporting {
        &self.0
    }
    fn reopen(&mut self) {}
    fn settle(&mut self) {}
}

macro_rules! finds {
    ($($test:ident: $lie:ident;)+) => {
        $(#[test]
        fn $test() {
            let found = catch_unwind(AssertUnwindSafe(|| {
                agrees_with_the_model(|| Box::new(Bench(Liar(MemoryJournal::new(), Lie::$lie))));
            }));
            assert!(found.is_err(), "{:?} went unnoticed", Lie::$lie);
        })+
    };
}

finds! {
    finds_a_forgotten_checkpoint: ForgetsACheckpoint;
    finds_more_said_of_a_last_full_page: SaysMoreOnFullPages;
    finds_a_page_that_starts_over: IgnoresAfterGoingDown;
    finds_a_missing_previous_body: GivesTheWrongPreviousBody;
    finds_a_late_state: TellsStatesOnePositionLate;
    finds_missing_events: ListsEventsOfOtherDays;
    finds_a_silent_hole: ReadsBelowTheOldest;
    finds_a_day_kept_too_long: KeepsOneDayTooMany;
    finds_positions_of_another_watermark_in_an_export: ExportsNewerPositions;
}
