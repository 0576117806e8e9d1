//! Nodes that were cordoned and forgotten.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins;
use super::reading;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "node-cordoned",
    title: "A node has been cordoned for long",
    severity: Severity::Info,
    grace_seconds: 86_400,
    remediation: "kubectl uncordon it if the work on it is done; otherwise remove it from the cluster",
    kinds: &[KindRef::NODE],
    reasons: &["NodeCordoned"],
    examine,
    ..Check::BASE
};

/// Looks at one node.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let node = subject.known()?;
    if joins::is_going(node)? || !node.flag("/spec/unschedulable")?.unwrap_or(false) {
        return Ok(Vec::new());
    }
    let text = "the node takes no new pods: somebody cordoned it";
    let finding = subject.finding("NodeCordoned", text, reading::fact_since(subject, "unschedulable"));
    Ok(vec![finding.on_node(Some(node.name()))])
}
