//! Nodes that are not ready: their kubelet says so, or says nothing any more.
//!
//! Pure. A node that was cordoned first is being worked on, one that has just joined is being set up, and one that an autoscaler marked is
//! on its way out.

use proreus_observe::KindRef;
use proreus_observe::Observed;
use proreus_observe::field;

use super::joins::{self, skipped, unknown};
use super::reading::{is_so_from_birth, said, was_seen_to_change};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "node-not-ready",
    title: "A node is not ready",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "see whether the machine runs and reaches the API server, then the logs of its kubelet and container runtime",
    kinds: &[KindRef::NODE],
    reasons: &["NodeNotReady"],
    examine,
    ..Check::BASE
};

/// Grace of a node that joins: its network comes up after its kubelet.
const JOINING_GRACE_SECONDS: i64 = 300;
/// What a kubelet says of what a new node waits for: the network plugin, the driver registration, its own first look at the runtime.
const JOINING_WORDS: [&str; 5] = ["cni", "network", "csinode", "csi ", "may not have completed yet"];
/// Grace of a node that was cordoned before, or that says itself that it shuts down: maintenance with a reboot.
const MAINTENANCE_GRACE_SECONDS: i64 = 900;
/// Taints with which autoscalers mark a node that they are about to remove.
const REMOVAL_TAINTS: [&str; 3] = ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption"];

/// Looks at one node.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let node = subject.known()?;
    if joins::is_going(node)? {
        return Ok(Vec::new());
    }
    let Some(ready) = node.condition("Ready")? else { return unknown("it has no Ready condition") };
    let (class, why, remedy) = match ready.status {
        "True" => return Ok(Vec::new()),
        "False" => {
            let remedy = "its kubelet says why: the container runtime, the network plugin, or the disk";
            ("Kubelet", format!("its kubelet says ({}){}", ready.reason, said(ready.message)), remedy)
        }
        _ => ("Silent", "its kubelet does not report any more".to_owned(), CHECK.remediation),
    };
    if is_being_removed(node)? {
        return skipped("an autoscaler is removing it");
    }
    let since = subject.since(ready.since);
    // A node that was never ready is not ready since it joined; one that reported before and is silent has joined.
    let lower = ready.message.to_ascii_lowercase();
    let waits = ready.reason == "NodeStatusNeverUpdated" || JOINING_WORDS.iter().any(|word| lower.contains(word));
    let is_joining = waits && is_so_from_birth(node, since) && !was_seen_to_change(subject, "ready");
    let grace = match () {
        () if node.flag("/spec/unschedulable")?.unwrap_or(false) => MAINTENANCE_GRACE_SECONDS,
        () if ready.message.contains("shutting down") => MAINTENANCE_GRACE_SECONDS,
        () if is_joining => JOINING_GRACE_SECONDS,
        () => CHECK.grace_seconds,
    };
    let finding = subject.finding("NodeNotReady", format!("the node is not ready: {why}"), since);
    Ok(vec![finding.class(class).remedy(remedy).grace(grace).on_node(Some(node.name()))])
}

fn is_being_removed(node: &Observed) -> Result<bool, Undecided> {
    for taint in node.list("/spec/taints")? {
        if field::text(taint, "/key")?.is_some_and(|key| REMOVAL_TAINTS.contains(&key)) {
            return Ok(true);
        }
    }
    Ok(false)
}
