//! The round of the doctor: every check over every object it is for.
//!
//! Pure. It goes from object to object and asks every check about each: an object is read while it is at hand, which at fifty thousand of
//! them is faster than going from check to check. What is told stays in the order of the catalogue.

use jiff::Timestamp;
use proreus_model::{ClusterId, ObjectId};
use proreus_observe::{Freshness, KindRef, Observed, Snapshot};

use crate::check::{Check, Undecided};
use crate::checks::Readings;
use crate::examination::{
    CheckTally, Ground, Judgement, Report, Unsettled, UnsettledState, last_seen, out_of_reach, stale_since, within_reach, worst_first,
};

/// Objects of a kind named in a report for which one check could not decide; further ones are counted.
const UNSETTLED_NAMED_LIMIT: usize = 100;

/// Runs these checks over what is known at `now`.
pub(crate) fn run(ground: Ground<'_>, checks: &[&'static Check]) -> Report {
    let view = ground.view;
    let clusters = view.clusters();
    let mut rounds = Vec::new();
    for check in checks {
        for cluster in &clusters {
            rounds.extend(check.kinds.iter().map(|kind| Round::begin(ground, check, cluster, *kind)));
        }
    }
    let mut report = Report::default();
    through_objects(view, &mut rounds, |round, object, readings| round.look(object, readings, &mut report));
    for check in checks {
        report.tallies.entry(check.id).or_default();
    }
    for round in rounds {
        round.end(&mut report);
    }
    report.findings.sort_by(worst_first);
    report.held.sort_by(worst_first);
    report.silenced.sort_by(|(one, _), (other, _)| worst_first(one, other));
    report
}

/// Gives every object to the rounds it is for, in their order.
fn through_objects(view: &Snapshot, rounds: &mut [Round<'_>], mut look: impl FnMut(&mut Round<'_>, &Observed, &Readings)) {
    let mut here: Option<&ObjectId> = None;
    let mut chosen: Vec<usize> = Vec::new();
    for object in view.all() {
        let id = &object.id;
        if here.is_none_or(|here| here.kind != id.kind || here.group != id.group || here.cluster != id.cluster) {
            chosen = rounds.iter().enumerate().filter(|(_, round)| round.is_for(object)).map(|(place, _)| place).collect();
            here = Some(id);
        }
        let readings = Readings::default();
        for place in &chosen {
            if let Some(round) = rounds.get_mut(*place) {
                look(round, object, &readings);
            }
        }
    }
}

/// A check on its way through the objects of one kind.
struct Round<'a> {
    ground: Ground<'a>,
    check: &'static Check,
    cluster: &'a ClusterId,
    kind: KindRef,
    is_within_reach: bool,
    /// Since when nobody looks at the kind, where nobody does.
    stale: Option<Timestamp>,
    tally: CheckTally,
    /// Objects named in `unsettled`.
    named: usize,
    unsettled: Vec<Unsettled>,
}

impl<'a> Round<'a> {
    fn begin(ground: Ground<'a>, check: &'static Check, cluster: &'a ClusterId, kind: KindRef) -> Self {
        let Ground { view, now, .. } = ground;
        let undecided = out_of_reach(view, cluster, check, kind, now);
        let mut round = Self {
            ground,
            check,
            cluster,
            kind,
            is_within_reach: undecided.is_none(),
            stale: stale_since(view, cluster, kind, now),
            tally: CheckTally::default(),
            named: 0,
            unsettled: Vec::new(),
        };
        match undecided {
            Some(undecided) => round.unsettled(None, undecided),
            None if kind == KindRef::ANY => round.out_of_sight(),
            None => {}
        }
        round
    }

    fn is_for(&self, object: &Observed) -> bool {
        self.is_within_reach && *self.cluster == object.id.cluster && (self.kind == KindRef::ANY || object.is_a(self.kind))
    }

    fn look(&mut self, object: &Observed, readings: &Readings, report: &mut Report) {
        let Ground { settings, now, .. } = self.ground;
        self.tally.examined += 1;
        match within_reach(self.ground, self.check, self.stale, object, readings) {
            Judgement::Off => {}
            Judgement::Healthy => self.tally.healthy += 1,
            Judgement::Undecided(undecided) => {
                match undecided {
                    Undecided::Unknown(_) => self.tally.unknown += 1,
                    Undecided::Skipped(_) => self.tally.skipped += 1,
                }
                if self.named < UNSETTLED_NAMED_LIMIT {
                    self.named += 1;
                    self.unsettled(Some(object.id.clone()), undecided);
                }
            }
            Judgement::Found(findings) => {
                let silence = settings.silenced_until(self.check, object, now);
                for finding in findings {
                    report.file(finding, silence, now);
                }
            }
        }
    }

    fn end(mut self, report: &mut Report) {
        // None is known, and nobody looks: whether there is one cannot be told.
        if let (true, 0, Some(since), Freshness::Stale { reason, .. }) =
            (self.is_within_reach, self.tally.examined, self.stale, self.ground.view.freshness(self.cluster, self.kind))
        {
            let words = last_seen(self.kind, since, &reason);
            self.unsettled(None, Undecided::Unknown(words));
        }
        report.tallies.entry(self.check.id).or_default().add(self.tally);
        report.unsettled.append(&mut self.unsettled);
    }

    /// Says of a check of every kind which kinds it does not see.
    fn out_of_sight(&mut self) {
        for (scope, reason) in self.ground.view.forbidden(self.cluster) {
            self.unsettled.push(Unsettled {
                check: self.check.id,
                state: UnsettledState::Skipped,
                cluster: self.cluster.clone(),
                kind: scope.resource.as_str().into(),
                object: None,
                reason: format!("{} may not be read: {reason}", scope.resource),
            });
        }
    }

    fn unsettled(&mut self, object: Option<ObjectId>, undecided: Undecided) {
        let (state, reason) = match undecided {
            Undecided::Unknown(reason) => (UnsettledState::Unknown, reason),
            Undecided::Skipped(reason) => (UnsettledState::Skipped, reason),
        };
        let (check, cluster, kind) = (self.check.id, self.cluster.clone(), self.kind.kind.into());
        self.unsettled.push(Unsettled { check, state, cluster, kind, object, reason });
    }
}
