//! The judgement of one life: its records beside its versions.

use proreus_model::{Origin, Verb};
use serde_json::Value;

use super::coverage::Coverage;
use super::likeness;
use super::recorded::{Entries, Entry};
use super::truth::{Life, TrueVersion};
use super::{Case, Verdict, Violation};

/// A recorded life.
pub(super) struct Judged<'j> {
    pub(super) case: &'j Case<'j>,
    pub(super) coverage: &'j Coverage<'j>,
    pub(super) index: usize,
    pub(super) entries: &'j Entries,
}

/// A record and the place of its version.
#[derive(Clone, Copy)]
struct Placed {
    entry: Entry,
    place: usize,
}

impl Judged<'_> {
    pub(super) fn judge(&self, verdict: &mut Verdict) {
        let Some(life) = self.case.truth.lives().get(self.index) else { return };
        self.judge_order(life, verdict);
        let Some(placed) = self.place(life, verdict) else { return };
        let mut before: Option<Placed> = None;
        for at in &placed {
            self.judge_hole(life, before, *at, verdict);
            before = Some(*at);
        }
        if let Some(last) = before {
            self.judge_end(life, last, verdict);
        }
        self.judge_type_end(life, verdict);
    }

    fn wrong(&self, life: &Life, seq: u64, what: &str) -> Violation {
        Violation::Wrong { object: life.path.clone(), uid: life.uid.clone(), seq, what: what.to_owned() }
    }

    /// One create at the beginning, nothing behind a delete.
    fn judge_order(&self, life: &Life, verdict: &mut Verdict) {
        let mut has_ended = false;
        for (index, entry) in self.entries.changes.iter().enumerate() {
            let what = match entry.verb {
                _ if has_ended => "comes after the recorded end",
                Verb::Create if index > 0 => "creates the object a second time",
                Verb::Update | Verb::Delete if index == 0 => "is the first one and no create",
                Verb::Delete if life.is_event() => "deletes an Event",
                Verb::Create | Verb::Update | Verb::Delete => "",
            };
            has_ended |= entry.verb == Verb::Delete;
            if !what.is_empty() {
                verdict.violations.push(self.wrong(life, entry.seq, what));
            }
        }
    }

    /// The versions that the records are, `None` if they are not a subsequence of the true ones.
    fn place(&self, life: &Life, verdict: &mut Verdict) -> Option<Vec<Placed>> {
        let mut placed: Vec<Placed> = Vec::new();
        for entry in &self.entries.changes {
            let is_found_missing = entry.verb == Verb::Delete && entry.origin == Origin::Relist;
            let place = if is_found_missing {
                life.versions.iter().position(|version| version.deleted)
            } else {
                let wanted = TrueVersion { revision: entry.revision, deleted: entry.verb == Verb::Delete };
                life.versions.iter().position(|version| *version == wanted)
            };
            let Some(place) = place else {
                let what = if is_found_missing { "deletes an object that lives" } else { "is of a version that never was" };
                verdict.violations.push(self.wrong(life, entry.seq, &format!("{what} (revision {})", entry.revision)));
                return None;
            };
            if placed.last().is_some_and(|before| before.place >= place) {
                verdict.violations.push(self.wrong(life, entry.seq, "is older than the one before it, or the same again"));
                return None;
            }
            placed.push(Placed { entry: *entry, place });
        }
        Some(placed)
    }

    /// What is missing between two records, or before the first.
    fn judge_hole(&self, life: &Life, before: Option<Placed>, at: Placed, verdict: &mut Verdict) {
        let first = before.map_or(0, |before| before.place + 1);
        let all: Vec<usize> = (first..at.place).collect();
        if all.is_empty() {
            return;
        }
        let missing = self.without_noise(before, all, verdict);
        if missing.is_empty() {
            return;
        }
        let count = missing.len() as u64;
        let is_told = at.entry.has_gap || matches!(at.entry.origin, Origin::Relist | Origin::Gap);
        let after = before.map_or(0, |before| before.entry.seq);
        let is_snapshot = before.is_none() && at.entry.origin == Origin::Snapshot;
        if is_snapshot && !self.scope().is_some_and(|scope| self.coverage.was_listed_before(&scope, at.entry.seq)) {
            verdict.excuses.before_the_first_list += count;
        } else if is_told {
            verdict.excuses.holes_told_by_record += count;
        } else if self.coverage.is_marked(self.scope().as_ref(), after, at.entry.seq) {
            verdict.excuses.holes_told_by_mark += count;
        } else {
            let missing = revisions(life, &missing);
            let (object, uid) = (life.path.clone(), life.uid.clone());
            verdict.violations.push(Violation::Hole { object, uid, after, before: at.entry.seq, missing });
        }
    }

    /// Whether a type that went is told not to be followed any more.
    fn judge_type_end(&self, life: &Life, verdict: &mut Verdict) {
        let is_told = || self.scope().is_some_and(|scope| self.coverage.is_stopped(&scope));
        if self.coverage.has_ended(&self.entries.group, &self.entries.kind) && !is_told() {
            verdict.violations.push(Violation::TypeEndUnmarked { object: life.path.clone(), uid: life.uid.clone() });
        }
    }

    /// Whether the record ends where the object did.
    fn judge_end(&self, life: &Life, last: Placed, verdict: &mut Verdict) {
        let due = |place: &usize| life.versions.get(*place).is_some_and(|version| version.revision <= self.case.until);
        let tail: Vec<usize> = (last.place + 1..life.versions.len()).filter(due).collect();
        let end = tail.last().and_then(|place| life.versions.get(*place)).copied();
        let (object, uid, seq) = (life.path.clone(), life.uid.clone(), last.entry.seq);
        if let Some(end) = end.filter(|end| end.deleted && !life.is_event()) {
            verdict.violations.push(Violation::DeleteMissing { object, uid, seq, revision: end.revision });
            return;
        }
        let tail: Vec<usize> = tail.into_iter().filter(|place| life.versions.get(*place).is_some_and(|version| !version.deleted)).collect();
        let Some(newest) = tail.last().copied() else { return };
        let missing = self.without_noise(Some(last), tail, verdict);
        if missing.is_empty() {
            return;
        }
        // Back where it was, with something else in between that was lost in a gap; of an Event that expired nothing more can come.
        let is_back = self.is_noise(last.place, newest) || end.is_some_and(|end| end.deleted);
        if is_back && self.coverage.is_marked(self.scope().as_ref(), last.entry.seq, u64::MAX) {
            verdict.excuses.holes_told_by_mark += missing.len() as u64;
        } else if self.coverage.has_ended(&self.entries.group, &self.entries.kind) {
            verdict.excuses.ends_with_their_type += 1;
        } else {
            verdict.violations.push(Violation::NotArrived { object, uid, seq, missing: revisions(life, &missing) });
        }
    }

    /// Takes out the versions that say nothing new beside the record before them.
    fn without_noise(&self, before: Option<Placed>, places: Vec<usize>, verdict: &mut Verdict) -> Vec<usize> {
        let Some(before) = before else { return places };
        let (noise, missing): (Vec<usize>, Vec<usize>) = places.into_iter().partition(|place| self.is_noise(before.place, *place));
        verdict.excuses.noise += noise.len() as u64;
        missing
    }

    fn is_noise(&self, before: usize, after: usize) -> bool {
        let body = |place| self.case.truth.body(self.index, place).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        match (body(before), body(after)) {
            (Some(before), Some(after)) => likeness::says_nothing_new(&before, &after),
            _ => false,
        }
    }

    fn scope(&self) -> Option<(String, String)> {
        self.coverage.scope(&self.entries.group, &self.entries.kind)
    }
}

fn revisions(life: &Life, places: &[usize]) -> Vec<u64> {
    places.iter().filter_map(|place| life.versions.get(*place)).map(|version| version.revision).collect()
}

/// The judgement of a life of which there is no record.
pub(super) fn judge_unrecorded(case: &Case<'_>, coverage: &Coverage<'_>, index: usize, verdict: &mut Verdict) {
    let Some(life) = case.truth.lives().get(index) else { return };
    if life.born() > case.until {
        return;
    }
    let excuses = &mut verdict.excuses;
    if Coverage::is_excluded(life) {
        excuses.lives_of_excluded_types += 1;
        return;
    }
    let scope = coverage.scope(&life.group, &life.kind);
    let has_ended = coverage.has_ended(&life.group, &life.kind);
    match scope {
        Some(scope) if coverage.fell_into_a_gap(&scope, life) => excuses.lives_within_gaps += 1,
        Some(scope) if has_ended && !coverage.was_listed(&scope) => excuses.lives_of_short_types += 1,
        // Created after the last word of a watch that was then stopped, with the type.
        Some(scope) if has_ended && coverage.is_stopped(&scope) => excuses.ends_with_their_type += 1,
        Some(_) | None => verdict.violations.push(Violation::NeverRecorded {
            object: life.path.clone(),
            uid: life.uid.clone(),
            revisions: (life.born(), life.last().revision),
        }),
    }
}
