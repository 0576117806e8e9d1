//! Trouble of a node's kernel that passes and comes back: processes killed for memory, hung tasks, errors of disk and memory.
//!
//! Pure. Only Events tell of it, and they name a node by its name in the place of a uid. What happened counts for an hour.

use proreus_model::Uid;
use proreus_observe::KindRef;

use super::joins::{self, later};
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "node-kernel",
    title: "The kernel of a node reports trouble",
    severity: Severity::Warning,
    remediation: "read the node's kernel log; drain and replace the machine if errors of disk or memory come back",
    kinds: &[KindRef::NODE],
    reasons: &["NodeOutOfMemory", "NodeKernelTrouble"],
    examine,
    ..Check::BASE
};

/// How long one occurrence is told.
const TOLD_SECONDS: i64 = 3_600;

/// Looks at one node.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    const TROUBLE: &[&str] = &["TaskHung", "KernelOops", "Ext4Error", "Ext4Warning", "IOError", "MemoryReadError", "UnregisterNetDevice"];
    let node = subject.known()?;
    if joins::is_going(node)? {
        return Ok(Vec::new());
    }
    let mut events = subject.view.events_of(&node.id.uid);
    events.extend(subject.view.events_of(&Uid::from(node.name())));
    let mut found: Vec<crate::Finding> = Vec::new();
    for event in events.into_iter().rev().filter(|event| event.is_warning()) {
        let (reason, remedy) = match event.reason {
            "SystemOOM" | "OOMKilling" => {
                ("NodeOutOfMemory", "the node itself ran out of memory: ask for memory where pods use it, and reserve some for the system")
            }
            other if TROUBLE.contains(&other) => ("NodeKernelTrouble", CHECK.remediation),
            _ => continue,
        };
        if found.iter().any(|told| told.part.as_deref() == Some(event.reason)) {
            continue;
        }
        let text = format!("{}{}", event.reason, said(event.message));
        let finding =
            subject.finding(reason, text, event.first_seen.unwrap_or(event.last_seen)).until(later(event.last_seen, TOLD_SECONDS));
        found.push(finding.part(event.reason).remedy(remedy).on_node(Some(node.name())).shown_by([event.seq]));
    }
    Ok(found)
}
