//! The consumer behind the incidents: reads records after its position, folds them, and says what is to be appended.
//!
//! Not here: the time and the appending (`live`). What a step gives is to be appended before the next step is made; a step that failed, or
//! whose portion was not appended, leaves a follower that is thrown away and begun again. Invariants: a follower that begins again goes on
//! as if it had never ended, because effects and position are committed together and the fold gives the same for the same records; what is
//! recorded as open is never opened a second time.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_doctor::DoctorSettings;
use proreus_doctor::incidents::{
    Effect, INCIDENT_RESOURCE, IncidentRecord, IncidentSettings, IncidentState, OWN_GROUP, OWN_VERSION, StateError, Watch, WatchRestoring,
};
use proreus_model::{Change, Filter, ObjectId, Order, Origin, Record, Seq, SeqRange, Verb};
use proreus_store::{BodyDetail, ConsumerCursor, Journal, ReadQuery, StoreError};
use serde::{Deserialize, Serialize};

use super::kept;
use crate::AppError;

/// Name of the cursor up to which everything is told.
pub const CONSUMER: &str = "incidents";
/// Name of the cursor at which the state of the fold is kept; the records after it are folded again at a start.
pub const KEEPER: &str = "incidents-state";
/// Field manager of what Proreus records of itself.
const MANAGER: &str = "proreus";
/// Records read at a time: a step is short beside a question that waits for it.
const PAGE: usize = 250;
/// Incidents told at once, after which a step ends: an append takes some thousand records.
const EFFECTS_LIMIT: usize = 2_000;
/// Records after which the state is kept: folding so many again takes a second or two.
const KEEP_AFTER_RECORDS: u64 = 20_000;
/// Time after which the state is kept, where anything was recorded.
const KEEP_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Largest state that is kept, compressed. With more than that going wrong at once the former state stays, and a start folds more records again.
const KEPT_BYTES_LIMIT: usize = 48 * 1024 * 1024;
/// How long an incident is told of after it was resolved: as long as changes are kept by default.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Between two looks for what is to be forgotten.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// The form of the small state beside the position.
const REACHED_VERSION: u32 = 1;

/// Graces, thresholds, silences; hold-downs, windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchSettings {
    /// Of the checks.
    pub doctor: DoctorSettings,
    /// Of the incidents.
    pub incidents: IncidentSettings,
}

/// What is to be appended, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// Incidents.
    pub records: Vec<Record>,
    /// Where the follower stands with them.
    pub cursors: Vec<ConsumerCursor>,
}

impl Portion {
    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.cursors.is_empty()
    }
}

/// What a step came to.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// What is to be appended before the next step.
    pub portion: Portion,
    /// Whether there are further records.
    pub more: bool,
}

/// The state beside the position.
#[derive(Serialize, Deserialize)]
struct Reached {
    version: u32,
    /// Up to where time had passed.
    advanced: Option<Timestamp>,
}

/// Why a follower cannot go on where it was.
enum Lost {
    /// The state.
    State(StateError),
    /// The position is no longer kept.
    Gone,
}

/// Follows a journal and keeps the incidents.
pub struct Follower {
    journal: Arc<dyn Journal>,
    watch: Watch,
    position: Seq,
    advanced: Option<Timestamp>,
    /// Where and when the state was kept last.
    kept: (Seq, Timestamp),
    keep_after: u64,
    /// When it was last looked for what is to be forgotten.
    tidied_at: Timestamp,
}

/// What is kept of a consumer; nothing when it is damaged, so that it begins anew.
fn readable(journal: &dyn Journal, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
    match journal.cursor(consumer) {
        Err(StoreError::Damaged { reason, .. }) => {
            tracing::error!(consumer, reason, "the incidents are folded anew from the oldest record that is kept");
            Ok(None)
        }
        other => other,
    }
}

impl Follower {
    /// Goes on where the journal says that it was, else begins. Nothing before `settled` will be recorded any more.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn begin(journal: Arc<dyn Journal>, settings: &WatchSettings, settled: Timestamp) -> Result<(Self, Portion), AppError> {
        let (Some(reached), Some(kept)) = (readable(&*journal, CONSUMER)?, readable(&*journal, KEEPER)?) else {
            return match recorded(&*journal, journal.watermark())?.is_empty() {
                true => Self::fresh(journal, settings, settled),
                false => Self::anew(journal, settings, settled),
            };
        };
        match Self::restored(&journal, &reached, kept, settled) {
            Err(error) => Err(error),
            Ok(Ok(mut follower)) => {
                let mut portion = Portion::default();
                if !follower.has(settings) {
                    let effects = follower.watch.reconfigure(settings.doctor.clone(), settings.incidents.clone(), before(settled));
                    portion = follower.portion(&effects, settled)?;
                    follower.keep(&mut portion, settled);
                }
                Ok((follower, portion))
            }
            Ok(Err(lost)) => {
                match lost {
                    Lost::State(error) => tracing::warn!(%error, "the incidents are folded anew from the oldest record that is kept"),
                    Lost::Gone => tracing::warn!("retention took the position of the incidents, they are folded anew from what is kept"),
                }
                Self::anew(journal, settings, settled)
            }
        }
    }

    /// Begins with the oldest record, and tells what comes of it.
    fn fresh(journal: Arc<dyn Journal>, settings: &WatchSettings, settled: Timestamp) -> Result<(Self, Portion), AppError> {
        let mut watch = Watch::new(settings.doctor.clone(), settings.incidents.clone());
        let position = fold_base(&*journal, &mut watch)?;
        let mut follower = Self {
            journal,
            watch,
            position,
            advanced: None,
            kept: (position, settled),
            keep_after: KEEP_AFTER_RECORDS,
            tidied_at: settled,
        };
        let mut portion = follower.portion(&[], settled)?;
        follower.keep(&mut portion, settled);
        Ok((follower, portion))
    }

    /// Folds all that is kept without a word, and then tells what differs from what is recorded as open.
    fn anew(journal: Arc<dyn Journal>, settings: &WatchSettings, settled: Timestamp) -> Result<(Self, Portion), AppError> {
        let mut watch = Watch::new(settings.doctor.clone(), settings.incidents.clone());
        let from = fold_base(&*journal, &mut watch)?;
        let watermark = journal.watermark();
        replay(&*journal, from, watermark, &mut |record| drop(watch.fold(record)))?;
        let mut follower = Self {
            journal,
            watch,
            position: watermark,
            advanced: None,
            kept: (watermark, settled),
            keep_after: KEEP_AFTER_RECORDS,
            tidied_at: settled,
        };
        drop(follower.advance(settled));
        let open: Vec<IncidentRecord> =
            recorded(&*follower.journal, watermark)?.into_iter().filter(|incident| incident.state == IncidentState::Open).collect();
        let effects = follower.watch.adopt(&open, before(settled));
        let mut portion = follower.portion(&effects, settled)?;
        follower.keep(&mut portion, settled);
        Ok((follower, portion))
    }

    fn restored(
        journal: &Arc<dyn Journal>,
        reached: &ConsumerCursor,
        kept: ConsumerCursor,
        settled: Timestamp,
    ) -> Result<Result<Self, Lost>, AppError> {
        let unreadable = |error: serde_json::Error| Lost::State(StateError::Unreadable(error.to_string()));
        let state = serde_json::from_slice::<Reached>(&reached.state).map_err(unreadable).and_then(|state| match state.version {
            REACHED_VERSION => Ok(state),
            found => Err(Lost::State(StateError::Version { found })),
        });
        let advanced = match state {
            Ok(state) => state.advanced,
            Err(lost) => return Ok(Err(lost)),
        };
        match restore(&**journal, kept.seq, &kept.state).and_then(|restored| match restored {
            Err(error) => Ok(Err(error)),
            Ok(mut watch) => {
                replay(&**journal, kept.seq, reached.seq, &mut |record| drop(watch.fold(record)))?;
                Ok(Ok(watch))
            }
        }) {
            Err(AppError::Store(StoreError::Gone { .. })) => Ok(Err(Lost::Gone)),
            Err(error) => Err(error),
            Ok(Err(error)) => Ok(Err(Lost::State(error))),
            Ok(Ok(watch)) => {
                let journal = journal.clone();
                let mut follower = Self {
                    journal,
                    watch,
                    position: reached.seq,
                    advanced: None,
                    kept: (kept.seq, settled),
                    keep_after: KEEP_AFTER_RECORDS,
                    tidied_at: settled,
                };
                if let Some(to) = advanced {
                    drop(follower.advance_to(to));
                }
                Ok(Ok(follower))
            }
        }
    }

    /// What is known, for who asks about now.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The last record that was folded.
    pub fn position(&self) -> Seq {
        self.position
    }

    /// Keeps the state after so many records.
    #[must_use]
    pub fn keeping_after(mut self, records: u64) -> Self {
        self.keep_after = records;
        self
    }

    fn has(&self, settings: &WatchSettings) -> bool {
        self.watch.settings() == (&settings.doctor, &settings.incidents)
    }

    /// Folds further records, and lets time pass where there are no more. Nothing before `settled` will be recorded any more.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn step(&mut self, settings: &WatchSettings, settled: Timestamp) -> Result<Step, AppError> {
        let mut effects = Vec::new();
        let more = match self.read(&mut effects) {
            Ok(more) => more,
            Err(AppError::Store(StoreError::Gone { .. })) => {
                tracing::warn!("retention took the position of the incidents, they are folded anew from what is kept");
                let (fresh, portion) = Self::anew(self.journal.clone(), settings, settled)?;
                *self = fresh.keeping_after(self.keep_after);
                return Ok(Step { portion, more: false });
            }
            Err(error) => return Err(error),
        };
        let mut is_to_keep = false;
        if !more {
            effects.extend(self.advance(settled));
            if !self.has(settings) {
                effects.extend(self.watch.reconfigure(settings.doctor.clone(), settings.incidents.clone(), before(settled)));
                is_to_keep = true;
            }
        }
        let since_kept = self.position.0.saturating_sub(self.kept.0.0);
        let is_late = since_kept > 0 && settled.duration_since(self.kept.1) >= KEEP_AFTER;
        let mut portion = Portion::default();
        if !effects.is_empty() || is_to_keep || is_late || since_kept >= self.keep_after {
            portion = self.portion(&effects, settled)?;
        }
        if !more && settled.duration_since(self.tidied_at) >= FORGET_EVERY {
            self.forget(&mut portion, settled)?;
        }
        if is_to_keep || is_late || since_kept >= self.keep_after {
            self.keep(&mut portion, settled);
        }
        Ok(Step { portion, more })
    }

    /// Folds a page; says whether there is more.
    fn read(&mut self, effects: &mut Vec<Effect>) -> Result<bool, AppError> {
        let watermark = self.journal.watermark();
        if self.position >= watermark {
            return Ok(false);
        }
        let page = self.journal.read(&everything(self.position, watermark))?;
        for recorded in &page.records {
            effects.extend(self.watch.fold(&recorded.record));
            self.position = recorded.record.seq();
            if effects.len() >= EFFECTS_LIMIT {
                return Ok(true);
            }
        }
        if !page.more {
            self.position = self.position.max(watermark);
        }
        Ok(page.more)
    }

    fn advance(&mut self, settled: Timestamp) -> Vec<Effect> {
        self.advance_to(before(settled))
    }

    /// Time passes, unless the moment in hand may not be over yet.
    fn advance_to(&mut self, to: Timestamp) -> Vec<Effect> {
        if self.watch.time().is_some_and(|time| to < time) {
            return Vec::new();
        }
        self.advanced = Some(to);
        self.watch.advance(to)
    }

    /// The effects as changes, with the position up to which they are all.
    fn portion(&self, effects: &[Effect], at: Timestamp) -> Result<Portion, AppError> {
        let mut known: BTreeSet<ObjectId> = BTreeSet::new();
        let mut records = Vec::with_capacity(effects.len());
        for (index, effect) in effects.iter().enumerate() {
            let object = effect.incident().record_id();
            let is_known = known.contains(&object) || self.journal.head(&object)?.is_some();
            known.insert(object.clone());
            let verb = if is_known { Verb::Update } else { Verb::Create };
            records.push(Record::Change(self.change(effect, object, verb, index, at)));
        }
        let state = serde_json::to_vec(&Reached { version: REACHED_VERSION, advanced: self.advanced }).unwrap_or_default();
        Ok(Portion { records, cursors: vec![ConsumerCursor { consumer: CONSUMER.to_owned(), seq: self.position, state }] })
    }

    fn change(&self, effect: &Effect, object: ObjectId, verb: Verb, index: usize, at: Timestamp) -> Change {
        let incident = effect.incident();
        Change {
            seq: Seq(0),
            recorded_at: at,
            event_time: Some(match effect {
                Effect::Opened(_) => incident.opened_at,
                Effect::Changed(_) => incident.last_seen_at,
                Effect::Resolved(_) => incident.resolved_at.unwrap_or(incident.last_seen_at),
            }),
            verb,
            origin: Origin::Watch,
            gap: None,
            object,
            version: OWN_VERSION.into(),
            resource: INCIDENT_RESOURCE.into(),
            // Equal for one version only: the position it comes from, and which of its effects it is.
            resource_version: format!("{}.{index}", self.position).as_str().into(),
            generation: None,
            manager: Some(MANAGER.into()),
            regarding: None,
            body: Some(incident.body().into()),
        }
    }

    /// Deletes what was resolved long ago: the objects of a journal are carried on for ever, and incidents must not be.
    fn forget(&mut self, portion: &mut Portion, settled: Timestamp) -> Result<(), AppError> {
        self.tidied_at = settled;
        let all = recorded(&*self.journal, self.journal.watermark())?;
        for (index, incident) in all.into_iter().filter(|incident| is_forgotten(incident, settled)).take(EFFECTS_LIMIT).enumerate() {
            let object = incident.record_id();
            let effect = Effect::Resolved(Box::new(incident));
            let change = self.change(&effect, object, Verb::Delete, EFFECTS_LIMIT + index, settled);
            portion.records.push(Record::Change(Change { body: None, ..change }));
        }
        Ok(())
    }

    fn keep(&mut self, portion: &mut Portion, settled: Timestamp) {
        self.kept.1 = settled;
        let Some(state) = kept::pack(&self.watch.keep()) else { return };
        if state.len() > KEPT_BYTES_LIMIT {
            tracing::warn!(
                bytes = state.len(),
                "the state of the incidents is too large to be kept, a restart will fold more records again"
            );
            return;
        }
        self.kept.0 = self.position;
        portion.cursors.push(ConsumerCursor { consumer: KEEPER.to_owned(), seq: self.position, state });
    }
}

/// Whether an incident ended so long ago that nobody is told of it any more.
pub(crate) fn is_forgotten(incident: &IncidentRecord, at: Timestamp) -> bool {
    incident.resolved_at.is_some_and(|resolved| at.duration_since(resolved) >= FORGET_AFTER)
}

fn before(settled: Timestamp) -> Timestamp {
    settled.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MIN)
}

fn everything(after: Seq, last: Seq) -> ReadQuery {
    ReadQuery {
        range: SeqRange { first: Seq(after.0 + 1), last },
        filter: Filter { marks: true, ..Filter::changes() },
        after: None,
        order: Order::Ascending,
        limit: PAGE,
        detail: BodyDetail::Body,
    }
}

/// Gives every record after a position.
pub(crate) fn replay(journal: &dyn Journal, after: Seq, last: Seq, fold: &mut dyn FnMut(&Record)) -> Result<(), AppError> {
    let mut position = after;
    while position < last {
        let page = journal.read(&everything(position, last))?;
        for recorded in &page.records {
            fold(&recorded.record);
            position = recorded.record.seq();
        }
        if !page.more {
            break;
        }
    }
    Ok(())
}

/// Folds what was alive before the oldest record that is kept; gives the position just before that record.
pub(crate) fn fold_base(journal: &dyn Journal, watch: &mut Watch) -> Result<Seq, AppError> {
    let Some(oldest) = journal.oldest()? else { return Ok(Seq(0)) };
    let at = Seq(oldest.seq.0.saturating_sub(1));
    if at.0 > 0 {
        objects(journal, at, &Filter::changes(), &mut |change| drop(watch.fold(&Record::Change(change))))?;
    }
    Ok(at)
}

fn restore(journal: &dyn Journal, at: Seq, state: &[u8]) -> Result<Result<Watch, StateError>, AppError> {
    let begun = kept::unpack(state).and_then(|kept| Ok((kept.events_from(), WatchRestoring::new(kept)?)));
    let (events_from, mut restoring) = match begun {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    let Some(oldest) = journal.oldest()? else { return Ok(Ok(restoring.finish())) };
    // A journal tells which objects were alive, except Events of the days before.
    let first = journal.seq_at(events_from)?.max(oldest.seq);
    if first <= at {
        let mut query = everything(Seq(first.0 - 1), at);
        query.filter = Filter { kinds: vec!["Event".into()], ..Filter::changes() };
        loop {
            let page = journal.read(&query)?;
            query.after = page.records.last().map(|recorded| recorded.record.seq());
            for recorded in &page.records {
                if let Record::Change(change) = &recorded.record {
                    restoring.take(change);
                }
            }
            if !page.more {
                break;
            }
        }
    }
    objects(journal, at, &Filter::changes(), &mut |change| restoring.take(&change))?;
    Ok(Ok(restoring.finish()))
}

fn objects(journal: &dyn Journal, at: Seq, filter: &Filter, each: &mut dyn FnMut(Change)) -> Result<(), AppError> {
    let mut after = None;
    loop {
        let page = journal.objects(at, filter, after.as_ref(), PAGE, BodyDetail::Body)?;
        after = page.objects.last().map(|change| change.object.clone());
        page.objects.into_iter().for_each(&mut *each);
        if !page.more {
            return Ok(());
        }
    }
}

/// Every incident that is recorded at a position.
pub(crate) fn recorded(journal: &dyn Journal, at: Seq) -> Result<Vec<IncidentRecord>, AppError> {
    let filter = Filter { groups: vec![OWN_GROUP.into()], resources: vec![INCIDENT_RESOURCE.into()], ..Filter::changes() };
    let mut found = Vec::new();
    if journal.oldest()?.is_none() {
        return Ok(found);
    }
    objects(journal, at, &filter, &mut |change| match change.body.as_deref().map(IncidentRecord::from_body) {
        Some(Ok(incident)) => found.push(incident),
        Some(Err(error)) => tracing::warn!(%error, seq = change.seq.0, "a recorded incident cannot be read"),
        None => {}
    })?;
    Ok(found)
}
