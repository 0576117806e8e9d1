//! What is wrong at a moment, asked of a journal: the snapshot of the moment is folded from what was recorded, and the doctor looks at it.
//!
//! The same question about the same moment gives the same answer, whenever it is asked.

use jiff::{SignedDuration, Timestamp};
use proreus_doctor::{Check, DoctorSettings, Report, checks, examine};
use proreus_model::{Access, Filter, Order, Record, Seq, SeqRange};
use proreus_observe::Snapshot;
use proreus_store::{BodyDetail, ReadQuery};

pub use crate::questions::{IncidentsAnswer, IncidentsQuestion};
pub use crate::watching::WatchSettings;
use crate::{AppError, Application, Moment, Questions};
pub use proreus_doctor::Severity;
pub use proreus_doctor::incidents::IncidentState;

/// How far before the moment changes are replayed one by one, for checks that count within a window: an hour is the longest window of a
/// check, and a quarter for what began just before it. Further back the last state of each object is enough.
const LOOKBACK: SignedDuration = SignedDuration::from_mins(75);
/// Records or objects read at a time.
const PAGE: usize = 1_000;

/// What is asked of the doctor.
#[derive(Clone, Debug, Default)]
pub struct DoctorQuestion {
    /// When.
    pub at: Moment,
    /// Only these checks, by id; empty for all.
    pub checks: Vec<String>,
    /// Only objects in these namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// Graces, thresholds, silences.
    pub settings: DoctorSettings,
}

/// What the doctor says.
#[derive(Clone, Debug)]
pub struct DoctorAnswer {
    /// The moment that was judged.
    pub time: Timestamp,
    /// The last record before it.
    pub seq: Seq,
    /// How many objects were known.
    pub objects: usize,
    /// What came of the round.
    pub report: Report,
}

impl Questions {
    /// What is wrong at a moment.
    ///
    /// # Errors
    /// A check that does not exist, a moment that is no longer kept, a journal that cannot be read.
    pub fn doctor(&self, question: &DoctorQuestion, access: &Access) -> Result<DoctorAnswer, AppError> {
        for word in &question.checks {
            check_named(word)?;
        }
        let seq = self.seq_of(question.at)?;
        let (view, last) = self.snapshot(seq, access)?;
        // Graces run on after the last record when a time was asked for.
        let time = match question.at {
            Moment::At(time) => time,
            Moment::Now | Moment::After(_) => last,
        };
        question.answer(&view, seq, time)
    }

    /// What was believed just after `seq`, with the time of that record.
    fn snapshot(&self, seq: Seq, access: &Access) -> Result<(Snapshot, Timestamp), AppError> {
        let Some(oldest) = self.journal().oldest()? else { return Ok((Snapshot::new(), Timestamp::UNIX_EPOCH)) };
        let last = self.recorded_at(seq)?.unwrap_or(oldest.recorded_at);
        let mut view = Snapshot::recorded_since(oldest.recorded_at);
        let from = last.checked_sub(LOOKBACK).unwrap_or(Timestamp::MIN);
        let first = if from <= oldest.recorded_at { oldest.seq } else { self.journal().seq_at(from)?.max(oldest.seq) };
        if first > oldest.seq {
            let before = Seq(first.0 - 1);
            let marks = Filter { access: access.clone(), ..Filter::marks() };
            self.replay(SeqRange { first: oldest.seq, last: before }, marks, &mut |record| view.apply(record))?;
            self.base(before, access, &mut |record| view.apply(record))?;
        } else if oldest.seq.0 > 1 {
            // What retention took away is kept as the state just before the oldest record.
            self.base(Seq(oldest.seq.0 - 1), access, &mut |record| view.apply(record))?;
        }
        let everything = Filter { marks: true, access: access.clone(), ..Filter::changes() };
        self.replay(SeqRange { first, last: seq }, everything, &mut |record| view.apply(record))?;
        Ok((view, last))
    }

    /// Every object alive at a position.
    fn base(&self, at: Seq, access: &Access, fold: &mut dyn FnMut(&Record)) -> Result<(), AppError> {
        let filter = Filter { access: access.clone(), ..Filter::changes() };
        let mut after = None;
        loop {
            let page = self.journal().objects(at, &filter, after.as_ref(), PAGE, BodyDetail::Body)?;
            after = page.objects.last().map(|change| change.object.clone());
            for change in page.objects {
                fold(&Record::Change(change));
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    fn replay(&self, range: SeqRange, filter: Filter, fold: &mut dyn FnMut(&Record)) -> Result<(), AppError> {
        let mut query = ReadQuery { range, filter, after: None, order: Order::Ascending, limit: PAGE, detail: BodyDetail::Body };
        loop {
            let page = self.journal().read(&query)?;
            query.after = page.records.last().map(|recorded| recorded.record.seq());
            for recorded in page.records {
                fold(&recorded.record);
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// When the last record at or before a position was recorded.
    pub(crate) fn recorded_at(&self, seq: Seq) -> Result<Option<Timestamp>, AppError> {
        let query = ReadQuery {
            range: SeqRange { first: Seq(0), last: seq },
            filter: Filter { marks: true, ..Filter::changes() },
            after: None,
            order: Order::Descending,
            limit: 1,
            detail: BodyDetail::None,
        };
        Ok(self.journal().read(&query)?.records.first().map(|recorded| recorded.record.recorded_at()))
    }
}

impl Application {
    /// What is wrong at a moment, under the settings in force. About now, whoever may read everything is told from what the watch holds in
    /// memory.
    ///
    /// # Errors
    /// As for a journal.
    pub fn doctor(&self, question: &DoctorQuestion, access: &Access) -> Result<DoctorAnswer, AppError> {
        let Some(watching) = &self.watching else { return self.questions.doctor(question, access) };
        let question = DoctorQuestion { settings: watching.settings().doctor.clone(), ..question.clone() };
        let live = (question.at == Moment::Now && *access == Access::All).then(|| watching.view()).flatten();
        match live {
            Some((view, seq)) => question.answer(&view, seq, self.clock.now()),
            None => self.questions.doctor(&question, access),
        }
    }
}

impl DoctorQuestion {
    fn answer(&self, view: &Snapshot, seq: Seq, time: Timestamp) -> Result<DoctorAnswer, AppError> {
        let mut chosen = Vec::new();
        for word in &self.checks {
            chosen.push(check_named(word)?.id);
        }
        let wanted = |check: &Check| chosen.is_empty() || chosen.contains(&check.id);
        let mut report = examine(view, &self.settings, time, wanted);
        if !self.namespaces.is_empty() {
            report.keep(|object| self.namespaces.iter().any(|namespace| namespace == object.namespace.as_str()));
        }
        Ok(DoctorAnswer { time, seq, objects: view.len(), report })
    }
}

/// The catalogue of checks.
pub fn catalogue() -> &'static [&'static Check] {
    checks::CHECKS
}

/// The ids of the checks that words stand for; none for all.
pub(crate) fn checks_named(words: &[String]) -> Result<Vec<&'static str>, AppError> {
    words.iter().map(|word| check_named(word).map(|check| check.id)).collect()
}

/// The check of that id, or the one that gives that reason.
///
/// # Errors
/// When there is none.
pub fn check_named(word: &str) -> Result<&'static Check, AppError> {
    let by_reason = || checks::CHECKS.iter().copied().find(|check| check.reasons.iter().any(|reason| reason.eq_ignore_ascii_case(word)));
    checks::by_id(word)
        .or_else(by_reason)
        .ok_or_else(|| AppError::NotFound { what: format!("check `{word}`"), hint: "`proreus explain` lists every check".to_owned() })
}
