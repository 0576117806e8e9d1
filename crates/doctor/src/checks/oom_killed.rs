//! Containers that were killed because they needed more memory than they may have.
//!
//! Pure. Only the reason says so: exit code 137 alone is any SIGKILL.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::KindRef;
use proreus_observe::field;

use super::reading::{self, Container};
use crate::check::{Check, Severity, Subject, Threshold, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "oom-killed",
    title: "A container was killed for want of memory",
    severity: Severity::Warning,
    grace_seconds: 0,
    remediation: "compare the container's memory limit with what it uses; raise the limit, cap the heap of its runtime, or find the leak",
    kinds: &[KindRef::POD],
    reasons: &["OOMKilled"],
    thresholds: &[Threshold { name: "rememberSeconds", default: 600 }, Threshold { name: "criticalKillsPerHour", default: 3 }],
    examine,
    ..Check::BASE
};

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for container in reading::containers(pod)? {
        for end in reading::End::ALL {
            let Some(end) = container.terminated(end)?.filter(|end| end.reason == "OOMKilled") else { continue };
            let since = subject.since(end.finished_at);
            let kills = kills_in_an_hour(subject, &container);
            let severity = if kills >= subject.threshold("criticalKillsPerHour") { Severity::Critical } else { Severity::Warning };
            let limit = match limit_of(subject, &container)? {
                Some(limit) => format!("its limit of {limit}"),
                None => "what the node had left: it has no limit".to_owned(),
            };
            let text = format!("container `{}` needed more memory than {limit}", container.name);
            let mut finding = subject.finding("OOMKilled", text, since).severity(severity).part(container.name);
            finding = finding.on_node(reading::node_of(pod)?);
            // While the container waits for its next run, nothing is over.
            let remember = SignedDuration::from_secs(subject.threshold("rememberSeconds"));
            if let Some(running) = container.running_since()?
                && let Ok(over) = running.checked_add(remember)
            {
                finding = finding.until(over);
            }
            found.push(finding);
            break;
        }
    }
    Ok(found)
}

fn kills_in_an_hour(subject: &Subject<'_>, container: &Container<'_>) -> i64 {
    let from = subject.now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    let trail = subject.view.trail(&subject.object.id.uid);
    trail.into_iter().flat_map(|trail| trail.restarts_since(container.name, from)).map(|restart| restart.steps).sum()
}

fn limit_of<'a>(subject: &Subject<'a>, container: &Container<'_>) -> Result<Option<&'a str>, Undecided> {
    let list = if container.is_init { "/spec/initContainers" } else { "/spec/containers" };
    for entry in subject.object.list(list)? {
        if field::text(entry, "/name")? == Some(container.name) {
            return Ok(field::text(entry, "/resources/limits/memory")?);
        }
    }
    Ok(None)
}
