//! Where a cluster is while it is being made, told from the journal: the fold of `observe::phases` over its records.
//!
//! A reader, not a watcher: it stands at a position and catches up with what was recorded since. Invariant: the same journal gives the same
//! updates, however often and in how many steps it is read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proreus_model::{Change, Filter, Group, Kind, Order, Record, Resource, ResourceType, Seq, SeqRange};
pub use proreus_observe::phases::{
    CauseClass, Outline, Phase, PhaseOptions, Progress, RootKind, Severity, Source as UpdateSource, StateWord, Target,
};
use proreus_observe::phases::{Effect, Lesson, Phases, step};
use proreus_store::{BodyDetail, ReadQuery};

use super::{MAX_PAGE_LIMIT, Questions};
use crate::AppError;
use crate::monitors::{Position, lessons};

/// Objects or records read at once: their bodies are held until they are folded.
const PORTION: usize = 200;

/// A reader of a journal that follows every cluster in it.
pub struct Monitoring {
    questions: Questions,
    phases: Phases,
    types: Vec<ResourceType>,
    /// Everything up to here is folded.
    after: Seq,
    /// Last record that says anything, and how many updates followed from it.
    position: Position,
    lessons: Vec<(Position, Lesson)>,
}

/// An update and where it stands in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its place: the same in every replay.
    pub position: Position,
    /// What it says.
    pub progress: Progress,
}

impl Questions {
    /// A reader at the beginning of what is kept, and the newest update of each cluster from before that.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn monitoring(&self, options: PhaseOptions) -> Result<(Monitoring, Vec<Told>), AppError> {
        let mut monitoring = Monitoring {
            questions: self.clone(),
            phases: Phases::new(options),
            types: Vec::new(),
            after: Seq(0),
            position: Position::default(),
            lessons: Vec::new(),
        };
        let kept = lessons::kept(self.journal().as_ref())?;
        let before = monitoring.begin(kept)?;
        Ok((monitoring, before))
    }
}

impl Monitoring {
    /// Folds what was recorded since the last time, and what is due by then: the journal's last record, or `now` where that is later.
    ///
    /// # Errors
    /// When the journal cannot be read. What was folded before is kept; what was told of it is lost, so start again from the beginning.
    pub fn catch_up(&mut self, now: Option<Timestamp>) -> Result<Vec<Told>, AppError> {
        let journal = self.questions.journal().clone();
        // The time first: read after the watermark it could be that of a record which is not folded yet, and time would run ahead of it.
        let passed = journal.last_recorded_at().max(now);
        let last = journal.watermark();
        let mut told = Vec::new();
        let range = SeqRange { first: Seq(self.after.0 + 1), last };
        if range.first <= range.last {
            self.types = journal.types()?;
            let mut marks = self.marks(range)?.into_iter().peekable();
            let mut query = self.query(range);
            loop {
                let page = journal.read(&query)?;
                query.after = page.records.last().map(|recorded| recorded.record.seq());
                for recorded in page.records {
                    while let Some(mark) = marks.next_if(|mark| mark.seq() < recorded.record.seq()) {
                        self.fold(&mark, &mut told);
                    }
                    self.fold(&recorded.record, &mut told);
                }
                if !page.more || query.after.is_none() {
                    break;
                }
            }
            for mark in marks {
                self.fold(&mark, &mut told);
            }
            self.after = last;
        }
        if let Some(passed) = passed {
            let effects = self.phases.advance(passed);
            self.place(effects, &mut told);
        }
        Ok(told)
    }

    /// Every cluster that is or was followed.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.phases.targets()
    }

    /// What is known of a monitor beside its progress.
    pub fn outline(&self, target: &Target) -> Option<Outline> {
        self.phases.outline(target)
    }

    /// How a cluster stands now: what an update would say.
    pub fn current(&self, target: &Target, now: Timestamp) -> Option<Progress> {
        self.phases.current(target, now)
    }

    /// When the fold wants to be asked again without a record.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.phases.next_due()
    }

    /// What finished deployments took, each with the place where that was learned.
    pub fn lessons(&self) -> &[(Position, Lesson)] {
        &self.lessons
    }

    /// Time of the journal's last record.
    pub fn last_recorded_at(&self) -> Option<Timestamp> {
        self.questions.journal().last_recorded_at()
    }

    /// The resource types of the kinds that are kept.
    pub fn resources(&self) -> BTreeMap<(Group, Kind), Resource> {
        self.types.iter().map(|of| ((of.group.clone(), of.kind.clone()), of.resource.clone())).collect()
    }

    /// What is known from before the oldest record: the objects that were alive then. Of what was told then only the newest counts, one for
    /// each cluster, so that whoever asks learns where it stands.
    fn begin(&mut self, kept: Vec<(Position, Lesson)>) -> Result<Vec<Told>, AppError> {
        let journal = self.questions.journal().clone();
        let Some(oldest) = journal.oldest()?.filter(|oldest| oldest.seq > Seq(1)) else { return Ok(Vec::new()) };
        let at = Seq(oldest.seq.0 - 1);
        self.types = journal.types()?;
        let filter = self.query(SeqRange { first: at, last: at }).filter;
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
        let mut told = Vec::new();
        for change in found {
            self.fold(&Record::Change(change), &mut told);
        }
        // Strictly before the first record that is kept: what is due at its very moment is told after the base, by everybody alike.
        let effects = self.phases.advance(oldest.recorded_at);
        self.place(effects, &mut told);
        let newest: BTreeMap<Target, Progress> = told.into_iter().map(|told| (told.progress.target(), told.progress)).collect();
        (self.after, self.position) = (at, Position { seq: at, ordinal: 0 });
        // What was learned from the records that are kept is learned again from them.
        self.lessons = kept.into_iter().filter(|(position, _)| position.seq <= at).collect();
        self.phases.remember(self.lessons.iter().map(|(_, lesson)| lesson.clone()));
        Ok(newest.into_values().map(|progress| Told { position: self.next_position(), progress }).collect())
    }

    fn fold(&mut self, record: &Record, told: &mut Vec<Told>) {
        // Objects of other groups that share a kind's name are read along; nothing may hang on whether they were.
        if let Record::Change(change) = record
            && !Phases::concerns(change.object.group.as_str(), change.object.kind.as_str())
        {
            return;
        }
        let now = record.recorded_at();
        let before = self.phases.advance(now);
        self.place(before, told);
        self.position = Position { seq: record.seq(), ordinal: 0 };
        let (effects, _) = step(&mut self.phases, record, now);
        self.place(effects, told);
    }

    fn place(&mut self, effects: Vec<Effect>, told: &mut Vec<Told>) {
        for effect in effects {
            match effect {
                Effect::Update(progress) => told.push(Told { position: self.next_position(), progress: *progress }),
                Effect::Learned(lesson) => self.lessons.push((self.position, lesson)),
            }
        }
    }

    fn next_position(&mut self) -> Position {
        self.position.ordinal += 1;
        self.position
    }

    fn query(&self, range: SeqRange) -> ReadQuery {
        ReadQuery {
            range,
            filter: Filter { kinds: self.kinds(), ..Filter::changes() },
            after: None,
            order: Order::Ascending,
            limit: PORTION,
            detail: BodyDetail::Body,
        }
    }

    /// Kinds of this journal that say anything of a provisioning.
    fn kinds(&self) -> Vec<Kind> {
        let concerning = self.types.iter().filter(|known| Phases::concerns(known.group.as_str(), known.kind.as_str()));
        let mut kinds: Vec<Kind> = concerning.map(|known| known.kind.clone()).collect();
        // An empty list would mean every kind.
        kinds.push("ClusterDeployment".into());
        kinds.sort();
        kinds.dedup();
        kinds
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
