//! What a check says of an object, and the report of all of them.
//!
//! Pure. The way through the objects is that of `rounds`. A check that panics becomes a finding about that check and the others go on. Invariant: an object is healthy only if its kind and
//! whatever the check needs besides were being watched at the moment.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{ClusterId, Kind, ObjectId};
use proreus_observe::{Freshness, KindRef, Observed, Snapshot};
use serde::Serialize;

use crate::check::{Check, Mode, Severity, Subject, Undecided, Verdict};
use crate::checks::{CHECKS, Readings};
use crate::finding::{Finding, Rank};
use crate::probes::Probe;
use crate::rounds;
use crate::settings::DoctorSettings;

/// What a check says of one object, with the freshness of what it looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// Nothing is wrong, and we would know.
    Healthy,
    /// Something is wrong, at least one thing; graces are not applied yet.
    Found(Vec<Finding>),
    /// Nobody can tell.
    Undecided(Undecided),
    /// Switched off for this object.
    Off,
}

/// Whether nobody can tell, or the check does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnsettledState {
    /// The evidence is missing or makes no sense.
    Unknown,
    /// Not run, with the reason.
    Skipped,
}

/// What could not be decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unsettled {
    /// Which check.
    pub check: &'static str,
    /// Unknown or skipped.
    pub state: UnsettledState,
    /// In which cluster.
    pub cluster: ClusterId,
    /// Of which kind.
    pub kind: Kind,
    /// Of which object; absent when it is the whole kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// Why.
    pub reason: String,
}

/// How one check went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckTally {
    /// Objects it looked at.
    pub examined: u64,
    /// Objects with nothing wrong.
    pub healthy: u64,
    /// Findings that are told.
    pub findings: u64,
    /// Objects for which nobody can tell.
    pub unknown: u64,
    /// Objects it does not apply to.
    pub skipped: u64,
}

impl CheckTally {
    /// Takes in how the check went elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.healthy += other.healthy;
        self.findings += other.findings;
        self.unknown += other.unknown;
        self.skipped += other.skipped;
    }
}

/// What a round came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// What is wrong for less than its grace.
    pub held: Vec<Finding>,
    /// What is wrong and silenced, with the end of the silence.
    pub silenced: Vec<(Finding, Timestamp)>,
    /// What could not be decided.
    pub unsettled: Vec<Unsettled>,
    /// How each check went.
    pub tallies: BTreeMap<&'static str, CheckTally>,
}

/// Runs every passive check for which `wanted` says so over what is known at `now`.
pub fn examine(view: &Snapshot, settings: &DoctorSettings, now: Timestamp, wanted: impl Fn(&Check) -> bool) -> Report {
    let checks = CHECKS.iter().copied().filter(|check| check.mode == Mode::Passive && wanted(check));
    rounds::run(Ground { view, settings, now }, &checks.collect::<Vec<_>>())
}

/// The order of a report.
pub(crate) fn worst_first(one: &Finding, other: &Finding) -> Ordering {
    let (worse, owner) = (other.severity.cmp(&one.severity), || one.owner.cmp(&other.owner));
    worse.then_with(owner).then_with(|| one.object.cmp(&other.object)).then_with(|| one.check.cmp(other.check))
}

impl Report {
    /// Leaves out what is about other objects; what is about a whole kind stays.
    pub fn keep(&mut self, wanted: impl Fn(&ObjectId) -> bool) {
        self.findings.retain(|finding| wanted(&finding.object));
        self.held.retain(|finding| wanted(&finding.object));
        self.silenced.retain(|(finding, _)| wanted(&finding.object));
        self.unsettled.retain(|unsettled| unsettled.object.as_ref().is_none_or(&wanted));
    }

    /// Takes in what a probe came to.
    pub fn probed(&mut self, probe: &Probe, verdict: Verdict) {
        let tally = self.tallies.entry(probe.check).or_default();
        tally.examined += 1;
        let (state, reason) = match verdict {
            Ok(findings) if findings.is_empty() => return tally.healthy += 1,
            Ok(mut findings) => {
                tally.findings += findings.len() as u64;
                self.findings.append(&mut findings);
                self.findings.sort_by(worst_first);
                return;
            }
            Err(Undecided::Unknown(reason)) => {
                tally.unknown += 1;
                (UnsettledState::Unknown, reason)
            }
            Err(Undecided::Skipped(reason)) => {
                tally.skipped += 1;
                (UnsettledState::Skipped, reason)
            }
        };
        let about = &probe.about;
        // What is not allowed is not allowed for the whole kind.
        let object = (state == UnsettledState::Unknown).then(|| about.clone());
        self.unsettled.push(Unsettled {
            check: probe.check,
            state,
            cluster: about.cluster.clone(),
            kind: about.kind.clone(),
            object,
            reason,
        });
    }

    /// Puts a finding where it belongs at `now`.
    pub(crate) fn file(&mut self, finding: Finding, silence: Option<Timestamp>, now: Timestamp) {
        match (finding.is_over(now), finding.is_due(now), silence) {
            (true, _, _) => {}
            // What will be wrong later is not wrong yet.
            (_, false, _) if finding.since > now => {}
            (_, false, _) => self.held.push(finding),
            (_, true, Some(until)) => self.silenced.push((finding, until)),
            (_, true, None) => {
                self.tallies.entry(finding.check).or_default().findings += 1;
                self.findings.push(finding);
            }
        }
    }
}

/// Why a check cannot say anything about a whole kind.
pub(crate) fn out_of_reach(view: &Snapshot, cluster: &ClusterId, check: &Check, kind: KindRef, now: Timestamp) -> Option<Undecided> {
    let own = (kind != KindRef::ANY).then_some(&kind).into_iter();
    own.chain(check.needs).find_map(|kind| {
        let words = |what: &str, reason: &str| match reason.is_empty() {
            true => format!("{} {what}", kind.resource),
            false => format!("{} {what}: {reason}", kind.resource),
        };
        match view.freshness(cluster, *kind) {
            Freshness::NotRecorded { reason } => Some(Undecided::Skipped(words("are not recorded", &reason))),
            Freshness::Forbidden { reason, .. } => Some(Undecided::Skipped(words("may not be read", &reason))),
            // What was found among them still stands; what was not is no news.
            Freshness::Stale { since, reason } if check.needs.contains(kind) && since < now => {
                Some(Undecided::Unknown(last_seen(*kind, since, &reason)))
            }
            Freshness::Stale { .. } | Freshness::Fresh => None,
        }
    })
}

/// Since when nobody looks at a kind, and why.
pub(crate) fn last_seen(kind: KindRef, since: Timestamp, reason: &str) -> String {
    match reason.is_empty() {
        true => format!("{} were last seen {since}", kind.resource),
        false => format!("{} were last seen {since}: {reason}", kind.resource),
    }
}

/// Runs one check over one object; graces and silences are not applied.
pub fn examine_object(
    view: &Snapshot,
    settings: &DoctorSettings,
    now: Timestamp,
    check: &Check,
    kind: KindRef,
    object: &Observed,
) -> Judgement {
    match out_of_reach(view, &object.id.cluster, check, kind, now) {
        Some(undecided) => Judgement::Undecided(undecided),
        None => {
            let ground = Ground { view, settings, now };
            within_reach(ground, check, stale_since(view, &object.id.cluster, kind, now), object, &Readings::default())
        }
    }
}

/// Since when nobody looks at a kind any more, where nobody does.
pub(crate) fn stale_since(view: &Snapshot, cluster: &ClusterId, kind: KindRef, now: Timestamp) -> Option<Timestamp> {
    match view.freshness(cluster, kind) {
        Freshness::Stale { since, .. } if since < now => Some(since),
        _ => None,
    }
}

/// What is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// What is known.
    pub(crate) view: &'a Snapshot,
    /// Graces, thresholds, silences.
    pub(crate) settings: &'a DoctorSettings,
    /// The moment.
    pub(crate) now: Timestamp,
}

/// Runs a check that has all it needs over one object.
pub(crate) fn within_reach(
    Ground { view, settings, now }: Ground<'_>,
    check: &Check,
    stale: Option<Timestamp>,
    object: &Observed,
    readings: &Readings,
) -> Judgement {
    let own = settings.of(check, object);
    if own.enabled == Some(false) {
        return Judgement::Off;
    }
    let subject = Subject { check, object, view, settings: &own, now, readings };
    let verdict = catch_unwind(AssertUnwindSafe(|| (check.examine)(&subject))).unwrap_or_else(|_| Ok(vec![failed(&subject)]));
    let verdict = verdict.map(|findings| findings.into_iter().map(|finding| on_silent_node(view, finding)).collect());
    judge(verdict, stale, &own.severity, own.grace_seconds, now)
}

/// A consequence for a workload with pods on a node that does not report happens on that node, as far as anybody can tell.
fn on_silent_node(view: &Snapshot, finding: Finding) -> Finding {
    if finding.rank != Rank::Consequence || finding.node.is_some() {
        return finding;
    }
    let children = view.children(&finding.owner.uid);
    let pods = children.flat_map(|child| std::iter::once(child).chain(view.children(&child.id.uid)));
    let nodes = pods.filter(|object| object.is_a(KindRef::POD)).filter_map(|pod| pod.text("/spec/nodeName").ok().flatten());
    let silent = nodes.filter(|name| {
        let node = view.named(&finding.object.cluster, KindRef::NODE, &"".into(), &(*name).into());
        node.is_some_and(|node| node.condition("Ready").ok().flatten().is_some_and(|ready| !ready.is_true()))
    });
    let node = silent.min().map(str::to_owned);
    finding.on_node(node.as_deref())
}

fn judge(verdict: Verdict, stale: Option<Timestamp>, severity: &Option<Severity>, grace_seconds: Option<u32>, now: Timestamp) -> Judgement {
    let mut findings = match verdict {
        Err(undecided) => return Judgement::Undecided(undecided),
        Ok(findings) => findings,
    };
    findings.retain(|finding| !finding.is_over(now));
    if findings.is_empty() {
        return match stale {
            None => Judgement::Healthy,
            Some(since) => Judgement::Undecided(Undecided::Unknown(format!("last seen {since}"))),
        };
    }
    for finding in &mut findings {
        finding.is_stale = stale.is_some();
        if let Some(severity) = severity {
            finding.severity = *severity;
        }
        if let Some(seconds) = grace_seconds {
            finding.grace = SignedDuration::from_secs(seconds.into());
        }
    }
    Judgement::Found(findings)
}

/// What is told when a check failed on an object.
fn failed(subject: &Subject<'_>) -> Finding {
    let message = format!("the check `{}` failed on this object, so that nothing is known of it", subject.check.id);
    let remedy = "this is a defect of Proreus: report it with the object, and switch the check off meanwhile";
    subject.finding("CheckFailed", message, subject.object.recorded_at).severity(Severity::Info).remedy(remedy).grace(0)
}
