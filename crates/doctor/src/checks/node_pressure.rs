//! Nodes that run out of memory, disk or process ids.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "node-pressure",
    title: "A node runs out of memory, disk or process ids",
    severity: Severity::Warning,
    grace_seconds: 60,
    remediation: "free what it runs out of: the kubelet evicts pods until it is back below its threshold",
    kinds: &[KindRef::NODE],
    reasons: &["MemoryPressure", "DiskPressure", "PIDPressure"],
    examine,
    ..Check::BASE
};

/// Looks at one node.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let node = subject.known()?;
    if joins::is_going(node)? {
        return Ok(Vec::new());
    }
    if node.list("/status/conditions")?.is_empty() {
        return unknown("it has no conditions");
    }
    let mut found = Vec::new();
    for (of, remedy) in [
        ("MemoryPressure", "see which pods use more memory than they asked for; set limits, or give the node fewer of them"),
        ("DiskPressure", "free disk on the node: unused images, logs, and pods that write to their own file system without a limit"),
        ("PIDPressure", "see which pod starts so many processes, and limit it (podPidsLimit)"),
    ] {
        if let Some(met) = node.condition(of)?.filter(|met| met.is_true()) {
            let text = format!("the node is under {of}{}", said(met.message));
            found.push(subject.finding(of, text, subject.since(met.since)).part(of).remedy(remedy).on_node(Some(node.name())));
        }
    }
    Ok(found)
}
