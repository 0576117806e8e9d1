//! Nodes that nobody has finished setting up: a taint of the start has stayed.
//!
//! Pure. Taints that follow from conditions are told with the conditions.

use proreus_observe::KindRef;
use proreus_observe::field;

use super::joins;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "node-startup-taint",
    title: "A node keeps a taint of its start",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "see that the component which removes the taint runs on the node: the cloud controller, or the network plugin's agent",
    kinds: &[KindRef::NODE],
    reasons: &["NodeNotInitialized"],
    examine,
    ..Check::BASE
};

/// Taints that are there from the start until somebody takes them away.
const OF_START: [&str; 5] = [
    "node.cloudprovider.kubernetes.io/uninitialized",
    "node.cilium.io/agent-not-ready",
    "node.cluster.x-k8s.io/uninitialized",
    "karpenter.sh/unregistered",
    "ebs.csi.aws.com/agent-not-ready",
];

/// Looks at one node.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let node = subject.known()?;
    if joins::is_going(node)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for taint in node.list("/spec/taints")? {
        let Some(key) = field::text(taint, "/key")?.filter(|key| OF_START.contains(key)) else { continue };
        let since = field::time(taint, "/timeAdded")?.or_else(|| node.created_at());
        let text = format!("the node still has the taint {key}, so that pods are kept away from it");
        found.push(subject.finding("NodeNotInitialized", text, subject.since(since)).part(key).on_node(Some(node.name())));
    }
    Ok(found)
}
