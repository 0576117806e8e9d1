//! Pods that should have gone and are still there.
//!
//! Pure. The deletion timestamp of a pod is the end of its grace period, not its beginning.

use proreus_observe::KindRef;

use super::reading;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "pod-terminating",
    title: "A pod that was deleted does not go",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "find out what holds it: its finalizers, its node, or a volume that does not detach; delete it by force only if its node is gone for good",
    kinds: &[KindRef::POD],
    reasons: &["TerminatingStuck"],
    examine,
    ..Check::BASE
};

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    let Some(due) = pod.time("/metadata/deletionTimestamp")? else { return Ok(Vec::new()) };
    let finalizers: Vec<&str> = pod.list("/metadata/finalizers")?.iter().filter_map(|entry| entry.as_str()).collect();
    let node = reading::node_of(pod)?.filter(|node| !node.is_empty());
    let node_is_down = node.is_some_and(|name| is_down(subject, name));
    let (class, why, remedy) = match () {
        () if !finalizers.is_empty() => (
            "Finalizers",
            format!("it is held by {}", finalizers.join(", ")),
            "the controller behind the finalizer has to let it go: see that it runs, and what it says",
        ),
        () if node_is_down => (
            "NodeNotReady",
            format!("its node `{}` does not report", node.unwrap_or_default()),
            "bring the node back; if it is gone for good, delete the Node object, and the pod goes with it",
        ),
        () => (
            "Runtime",
            "its containers do not end".to_owned(),
            "look at the kubelet and the runtime of its node, and at volumes that do not unmount",
        ),
    };
    let finding = subject.finding("TerminatingStuck", format!("the pod should have gone: {why}"), due).class(class).remedy(remedy);
    Ok(vec![finding.on_node(node)])
}

fn is_down(subject: &Subject<'_>, name: &str) -> bool {
    let node = subject.view.named(&subject.object.id.cluster, KindRef::NODE, &"".into(), &name.into());
    match node {
        Some(node) => node.condition("Ready").ok().flatten().is_some_and(|ready| !ready.is_true()),
        None => subject.view.freshness(&subject.object.id.cluster, KindRef::NODE).is_certain_at(subject.now),
    }
}
