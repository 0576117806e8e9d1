//! Where a cluster is while it is being made, told from the journal: the fold of `observe::phases` over its records.
//!
//! A reader, not a watcher: it stands at a position and catches up with what was recorded since. Invariant: the same journal gives the same
//! updates, however often and in how many steps it is read.

use jiff::Timestamp;
use proreus_model::{Change, Filter, Kind, Order, Record, Seq, SeqRange};
use proreus_observe::phases::{Effect, Phases, step};
pub use proreus_observe::phases::{Phase, PhaseOptions, Progress, Severity, StateWord, Target};
use proreus_store::{BodyDetail, ReadQuery};

use super::{MAX_PAGE_LIMIT, Questions};
use crate::AppError;

/// Objects or records read at once: their bodies are held until they are folded.
const PORTION: usize = 200;

/// A reader of a journal that follows every cluster in it.
pub struct Monitoring {
    questions: Questions,
    phases: Phases,
    after: Seq,
}

impl Questions {
    /// A reader at the beginning of what is kept.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn monitoring(&self, options: PhaseOptions) -> Result<Monitoring, AppError> {
        let mut monitoring = Monitoring { questions: self.clone(), phases: Phases::new(options), after: Seq(0) };
        monitoring.begin()?;
        Ok(monitoring)
    }
}

impl Monitoring {
    /// Folds what was recorded since the last time, and what is due by then: the journal's last record, or `now` where that is later.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn catch_up(&mut self, now: Option<Timestamp>) -> Result<Vec<Progress>, AppError> {
        let journal = self.questions.journal().clone();
        let last = journal.watermark();
        let mut effects = Vec::new();
        let range = SeqRange { first: Seq(self.after.0 + 1), last };
        if range.first <= range.last {
            let mut marks = self.marks(range)?.into_iter().peekable();
            let mut query = ReadQuery {
                range,
                filter: Filter { kinds: self.kinds()?, ..Filter::changes() },
                after: None,
                order: Order::Ascending,
                limit: PORTION,
                detail: BodyDetail::Body,
            };
            loop {
                let page = journal.read(&query)?;
                query.after = page.records.last().map(|recorded| recorded.record.seq());
                for recorded in page.records {
                    while let Some(mark) = marks.next_if(|mark| mark.seq() < recorded.record.seq()) {
                        effects.extend(self.fold(&mark));
                    }
                    effects.extend(self.fold(&recorded.record));
                }
                if !page.more || query.after.is_none() {
                    break;
                }
            }
            for mark in marks {
                effects.extend(self.fold(&mark));
            }
            self.after = last;
        }
        if let Some(now) = journal.last_recorded_at().max(now) {
            effects.extend(self.phases.advance(now));
        }
        Ok(effects.into_iter().filter_map(update).collect())
    }

    /// Every cluster that is or was followed.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.phases.targets()
    }

    /// What is known from before the oldest record: the objects that were alive then.
    fn begin(&mut self) -> Result<(), AppError> {
        let journal = self.questions.journal().clone();
        let Some(oldest) = journal.oldest()?.filter(|oldest| oldest.seq > Seq(1)) else { return Ok(()) };
        let at = Seq(oldest.seq.0 - 1);
        let filter = Filter { kinds: self.kinds()?, ..Filter::changes() };
        let mut found: Vec<Change> = Vec::new();
        loop {
            let after = found.last().map(|change| change.object.clone());
            let page = journal.objects(at, &filter, after.as_ref(), PORTION, BodyDetail::Body)?;
            found.extend(page.objects);
            if !page.more {
                break;
            }
        }
        found.sort_by_key(|change| change.seq);
        for change in found {
            // What was told then was told then; only what is known of it counts.
            let _ = self.fold(&Record::Change(change));
        }
        self.after = at;
        Ok(())
    }

    fn fold(&mut self, record: &Record) -> Vec<Effect> {
        step(&mut self.phases, record, record.recorded_at()).0
    }

    /// Kinds of this journal that say anything of a provisioning.
    fn kinds(&self) -> Result<Vec<Kind>, AppError> {
        let types = self.questions.journal().types()?;
        let mut kinds: Vec<Kind> =
            types.into_iter().filter(|known| Phases::concerns(known.group.as_str(), known.kind.as_str())).map(|known| known.kind).collect();
        // An empty list would mean every kind.
        kinds.push("ClusterDeployment".into());
        kinds.sort();
        kinds.dedup();
        Ok(kinds)
    }

    fn marks(&self, range: SeqRange) -> Result<Vec<Record>, AppError> {
        let journal = self.questions.journal();
        let mut query = ReadQuery {
            range,
            filter: Filter::marks(),
            after: None,
            order: Order::Ascending,
            limit: MAX_PAGE_LIMIT,
            detail: BodyDetail::None,
        };
        let mut found = Vec::new();
        loop {
            let page = journal.read(&query)?;
            query.after = page.records.last().map(|recorded| recorded.record.seq());
            found.extend(page.records.into_iter().map(|recorded| recorded.record));
            if !page.more || query.after.is_none() {
                return Ok(found);
            }
        }
    }
}

fn update(effect: Effect) -> Option<Progress> {
    match effect {
        Effect::Update(update) => Some(*update),
        Effect::Learned(_) => None,
    }
}
