//! Nodes whose network is not set up.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading::{is_so_from_birth, said, was_seen_to_change};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "node-network",
    title: "The network of a node is not set up",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "see the network plugin's pod on the node, and the routes that the cloud provider should have made",
    kinds: &[KindRef::NODE],
    reasons: &["NetworkUnavailable"],
    examine,
    ..Check::BASE
};

/// Grace of a node that joins: its routes come a while after it.
const JOINING_GRACE_SECONDS: i64 = 300;

/// Looks at one node.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let node = subject.known()?;
    if joins::is_going(node)? {
        return Ok(Vec::new());
    }
    if node.list("/status/conditions")?.is_empty() {
        return unknown("it has no conditions");
    }
    let Some(met) = node.condition("NetworkUnavailable")?.filter(|met| met.is_true()) else { return Ok(Vec::new()) };
    let since = subject.since(met.since);
    let is_joining = is_so_from_birth(node, since) && !was_seen_to_change(subject, "networkUnavailable");
    let grace = if is_joining { JOINING_GRACE_SECONDS } else { CHECK.grace_seconds };
    let text = format!("the node's network is not set up ({}){}", met.reason, said(met.message));
    Ok(vec![subject.finding("NetworkUnavailable", text, since).grace(grace).on_node(Some(node.name()))])
}
