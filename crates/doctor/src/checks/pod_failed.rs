//! Pods that failed and that nobody will start again.
//!
//! Pure. A pod with a controller is its controller's business; an evicted one has a check of its own.

use proreus_observe::KindRef;

use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "pod-failed",
    title: "A pod without a controller failed, and nothing starts it again",
    severity: Severity::Warning,
    grace_seconds: 0,
    remediation: "read its log and its message, then delete it and make it anew; give it a controller if it should survive",
    kinds: &[KindRef::POD],
    reasons: &["PodFailed"],
    examine,
    ..Check::BASE
};

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if reading::phase(subject)? != "Failed" || reading::leaves(subject)? || pod.controller().is_some() {
        return Ok(Vec::new());
    }
    let reason = pod.text("/status/reason")?.unwrap_or_default();
    if reason == "Evicted" {
        return Ok(Vec::new());
    }
    let mut ends = Vec::new();
    for container in reading::containers(pod)? {
        if let Some(end) = container.terminated(reading::End::Present)?.filter(|end| end.exit_code != Some(0)) {
            let code = end.exit_code.map_or("an unknown exit code".to_owned(), |code| format!("exit code {code}"));
            ends.push((format!("container `{}` ended with {code}", container.name), end.finished_at));
        }
    }
    let message = pod.text("/status/message")?.unwrap_or_default();
    let detail = match (reason, ends.first()) {
        ("", Some((end, _))) => format!(": {end}"),
        ("", None) => said(message),
        (reason, _) => format!(" ({reason}){}", said(message)),
    };
    let since = ends.iter().filter_map(|(_, finished)| *finished).max();
    Ok(vec![subject.finding("PodFailed", format!("the pod failed{detail}"), subject.since(since)).on_node(reading::node_of(pod)?)])
}
