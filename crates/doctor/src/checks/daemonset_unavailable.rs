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
    // A pod is available only after it was ready for so long, and a rollout waits for that at every node.
    let settling = set.int("/spec/minReadySeconds")?.unwrap_or(0);
    let grace = CHECK.grace_seconds.saturating_add(settling.max(0));
    let finding = subject.finding("DaemonSetUnavailable", text, lacking_since(subject, lacking));
    Ok(vec![finding.severity(severity).grace(grace).consequence()])
}

/// How many of the set's nodes do not report.
fn on_silent_nodes(subject: &Subject<'_>) -> i64 {
    let is_silent = |node: &Observed| node.condition("Ready").ok().flatten().is_some_and(|ready| !ready.is_true());
    let nodes = pods(subject).filter_map(|pod| joins::node_of(subject, pod));
    i64::try_from(nodes.filter(|node| is_silent(node)).count()).unwrap_or(i64::MAX)
}

/// Since when so many pods have been lacking without an excuse: a rollout that moves on, or a node that is just back.
fn lacking_since(subject: &Subject<'_>, lacking: i64) -> Timestamp {
    let since = joins::true_since(subject, "shortfall").max(moved_at(subject).unwrap_or(Timestamp::MIN));
    // A pod that became ready after the set was last counted may be among those that lack.
    let may_lack = |pod: &&Arc<Observed>| {
        let is_ready = pod.condition("Ready").ok().flatten().is_some_and(|ready| ready.is_true());
        !is_ready || pod.seq > subject.object.seq
    };
    let mut returns: Vec<_> = pods(subject).filter(may_lack).filter_map(|pod| joins::node_back_at(subject, pod)).collect();
    returns.sort_unstable_by_key(|moment| Reverse(*moment));
    // As many as lack, those first whose node was back last; where fewer are known, others lack as well.
    let earliest = usize::try_from(lacking - 1).ok().and_then(|index| returns.get(index));
    earliest.map_or(since, |returned| since.max(*returned))
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
