//! Pods that the kubelet put out because their node ran short.
//!
//! Pure. Their controllers make others elsewhere, so this is worth knowing and no more; what the node lacks is the point.

use jiff::SignedDuration;
use proreus_observe::KindRef;

use super::reading::{self, class_of, said};
use crate::check::{Check, Severity, Subject, Threshold, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "pod-evicted",
    title: "A pod was evicted because its node ran short",
    severity: Severity::Info,
    grace_seconds: 0,
    remediation: "see what the node ran short of, and which pods use more of it than they request",
    kinds: &[KindRef::POD],
    reasons: &["Evicted"],
    thresholds: &[Threshold { name: "rememberSeconds", default: 3600 }],
    examine,
    ..Check::BASE
};

const CLASSES: &[(&str, &[&str])] = &[
    ("EphemeralStorage", &["ephemeral-storage", "ephemeral local storage", "emptydir"]),
    ("Memory", &["memory"]),
    ("Disk", &["disk", "imagefs", "nodefs", "inodes"]),
    ("Pid", &["pid"]),
];

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if reading::phase(subject)? != "Failed" || pod.text("/status/reason")? != Some("Evicted") || pod.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    let message = pod.text("/status/message")?.unwrap_or_default();
    let target = pod.condition("DisruptionTarget")?.and_then(|condition| condition.since);
    let since = subject.since(target);
    let mut finding = subject.finding("Evicted", format!("the pod was evicted{}", said(message)), since).on_node(reading::node_of(pod)?);
    if let Some(class) = class_of(message, CLASSES) {
        finding = finding.class(class);
    }
    // The remains stay until somebody sweeps them, which says nothing of the node by then.
    if let Ok(over) = since.checked_add(SignedDuration::from_secs(subject.threshold("rememberSeconds"))) {
        finding = finding.until(over);
    }
    Ok(vec![finding])
}
