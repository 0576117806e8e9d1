//! Daemon sets that lack pods on nodes which could run them.
//!
//! Pure. Pods on nodes that do not report are the node's trouble and not counted.

use proreus_observe::KindRef;

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

/// Looks at one daemon set.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let set = reading::observed(subject)?;
    if set.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    let number = |path: &str| Ok::<_, crate::Undecided>(set.int(path)?.unwrap_or(0));
    let (wanted, ready) = (number("/status/desiredNumberScheduled")?, number("/status/numberReady")?);
    let lacking = (wanted - ready).max(number("/status/numberUnavailable")?);
    let excused = on_silent_nodes(subject);
    if lacking <= excused {
        return Ok(Vec::new());
    }
    let severity = if ready == 0 { Severity::Critical } else { Severity::Warning };
    let text = format!("{ready} of {wanted} nodes have a ready pod");
    let since = reading::fact_since(subject, "shortfall");
    Ok(vec![subject.finding("DaemonSetUnavailable", text, since).severity(severity).consequence()])
}

/// How many of the set's nodes do not report.
fn on_silent_nodes(subject: &Subject<'_>) -> i64 {
    let cluster = &subject.object.id.cluster;
    let is_silent = |name: &str| {
        let node = subject.view.named(cluster, KindRef::NODE, &"".into(), &name.into());
        node.is_some_and(|node| node.condition("Ready").ok().flatten().is_some_and(|ready| !ready.is_true()))
    };
    let pods = subject.view.children(&subject.object.id.uid).filter(|child| child.is_a(KindRef::POD));
    let nodes = pods.filter_map(|pod| reading::node_of(pod).ok().flatten());
    i64::try_from(nodes.filter(|node| is_silent(node)).count()).unwrap_or(i64::MAX)
}
