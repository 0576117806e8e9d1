//! Daemon sets that lack pods on nodes which could run them.
//!
//! Pure. Pods on nodes that do not report are the node's trouble and not counted.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_observe::{KindRef, Observed};

use super::joins::{self, unknown};
use super::reading;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "daemonset-unavailable",
    title: "A daemon set's pods are not ready on nodes that could run them",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "look at its pods that are not ready: their own findings say why; a rollout that breaks can be undone (kubectl rollout undo)",
    kinds: &[KindRef::DAEMON_SET],
    reasons: &["DaemonSetUnavailable"],
    examine,
    ..Check::BASE
};

/// How long after a change of its specification a daemon set may be in a rollout: that of five hundred nodes at a minute each takes eight
/// hours. Later, nodes that come and go are no rollout.
const ROLLOUT: SignedDuration = SignedDuration::from_hours(12);

/// Looks at one daemon set.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let set = reading::observed(subject)?;
    if set.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    let (Some(wanted), Some(ready)) = (set.int("/status/desiredNumberScheduled")?, set.int("/status/numberReady")?) else {
        return unknown("its status does not count its pods");
    };
    let unavailable = set.int("/status/numberUnavailable")?.unwrap_or(0);
    let lacking = (wanted - ready).max(unavailable) - on_silent_nodes(subject);
    if lacking <= 0 {
        return Ok(Vec::new());
    }
    let severity = if ready == 0 { Severity::Critical } else { Severity::Warning };
    let text = match ready < wanted {
        true => format!("{ready} of {wanted} nodes have a ready pod"),
        false => format!("{} of {wanted} nodes have a pod that has been ready for long enough", wanted - unavailable),
    };
    let back = excused_until(subject, lacking, |pod| joins::node_back_at(subject, pod));
    let since = lacking_since(subject).max(back.unwrap_or(Timestamp::MIN));
    let drained = excused_until(subject, lacking, |pod| pod.deletion_at().max(joins::node_back_at(subject, pod)));
    // A pod is available only after it was ready for so long, and a rollout waits for that at every node.
    let settling = set.int("/spec/minReadySeconds")?.unwrap_or(0).max(0);
    let grace = CHECK.grace_seconds.saturating_add(settling).saturating_add(joins::seconds_between(since, drained));
    let finding = subject.finding("DaemonSetUnavailable", text, since);
    Ok(vec![finding.severity(severity).grace(grace).consequence()])
}

/// How many of the set's nodes do not report.
fn on_silent_nodes(subject: &Subject<'_>) -> i64 {
    let is_silent = |node: &Observed| node.condition("Ready").ok().flatten().is_some_and(|ready| !ready.is_true());
    let nodes = pods(subject).filter_map(|pod| joins::node_of(subject, pod));
    i64::try_from(nodes.filter(|node| is_silent(node)).count()).unwrap_or(i64::MAX)
}

/// Since when pods have been lacking while no rollout moved.
fn lacking_since(subject: &Subject<'_>) -> Timestamp {
    joins::true_since(subject, "shortfall").max(moved_at(subject).unwrap_or(Timestamp::MIN))
}

/// Until when so many lacking pods are excused: by a node that is just back, or because they go and have their grace period to do so.
fn excused_until(subject: &Subject<'_>, lacking: i64, excuse: impl Fn(&Observed) -> Option<Timestamp>) -> Option<Timestamp> {
    // A pod that became ready after the set was last counted may be among those that lack.
    let may_lack = |pod: &&Arc<Observed>| !joins::is_ready(pod) || pod.seq > subject.object.seq;
    let mut excuses: Vec<_> = pods(subject).filter(may_lack).filter_map(|pod| excuse(pod)).collect();
    excuses.sort_unstable_by_key(|moment| Reverse(*moment));
    // As many as lack, those first that are excused longest; where fewer are excused, others lack without.
    excuses.get(usize::try_from(lacking - 1).ok()?).copied()
}

/// When a rollout of the set last reached a node.
fn moved_at(subject: &Subject<'_>) -> Option<Timestamp> {
    let trail = subject.view.trail(&subject.object.id.uid)?;
    let (moved, changed) = (trail.fact("updatedNumberScheduled")?, trail.fact("generation")?);
    (moved.since.duration_since(changed.since) <= ROLLOUT).then_some(moved.since)
}

fn pods<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a Arc<Observed>> {
    subject.view.children(&subject.object.id.uid).filter(|child| child.is_a(KindRef::POD))
}
