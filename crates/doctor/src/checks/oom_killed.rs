//! Containers that were killed because they needed more memory than they may have.
//!
//! Pure. Only the reason says so: exit code 137 alone is any SIGKILL.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::KindRef;
use proreus_observe::field::{self, Read};

use super::reading::{self, Container, End, Role, Terminated};
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
    let phase = pod.text("/status/phase")?.unwrap_or_default();
    if phase == "Succeeded" || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let remember = SignedDuration::from_secs(subject.threshold("rememberSeconds"));
    let mut found = Vec::new();
    for container in reading::containers(pod)? {
        let Some(end) = killed(&container)? else { continue };
        let since = subject.since(end.finished_at);
        let is_critical = kills_in_an_hour(subject, &container, &end) >= subject.threshold("criticalKillsPerHour");
        let severity = if is_critical { Severity::Critical } else { Severity::Warning };
        let limit = match limit_of(subject, &container)? {
            Some(limit) => format!("its limit of {limit}"),
            None => "what the node had left: it has no limit".to_owned(),
        };
        let text = format!("container `{}` needed more memory than {limit}", container.name);
        let mut finding = subject.finding("OOMKilled", text, since).severity(container.at_most(severity)).part(container.name);
        // While a container waits for its next run, nothing is over; one that gets none is remembered from its end.
        let gets_no_other = phase == "Failed" || container.role == Role::Ephemeral;
        let from = if gets_no_other { Some(since) } else { container.running_since()? };
        if let Some(over) = from.and_then(|from| from.checked_add(remember).ok()) {
            finding = finding.until(over);
        }
        found.push(finding.on_node(reading::node_of(pod)?));
    }
    Ok(found)
}

/// The end for want of memory that a container shows. A run that ended well is the last word on whether there is enough.
fn killed<'a>(container: &Container<'a>) -> Read<Option<Terminated<'a>>> {
    let is_kill = |end: &Terminated<'_>| end.reason == "OOMKilled";
    match container.terminated(End::Present)? {
        Some(now) if now.exit_code == Some(0) => Ok(None),
        Some(now) if is_kill(&now) => Ok(Some(now)),
        _ => Ok(container.terminated(End::Last)?.filter(is_kill)),
    }
}

/// The kills that were seen, for a restart may have any cause; of several restarts at once only the last says why.
fn kills_in_an_hour(subject: &Subject<'_>, container: &Container<'_>, last: &Terminated<'_>) -> i64 {
    let from = subject.now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    let trail = subject.view.trail(&subject.object.id.uid);
    let restarts = trail.into_iter().flat_map(|trail| trail.restarts_since(container.name, from));
    let followed: Vec<Timestamp> = restarts.filter(|restart| restart.is_out_of_memory).map(|restart| restart.at).collect();
    // The last kill counts before it is followed by a restart.
    let is_new = last.finished_at.is_some_and(|end| end >= from && followed.iter().all(|at| *at < end));
    i64::try_from(followed.len()).unwrap_or(i64::MAX).saturating_add(i64::from(is_new))
}

fn limit_of<'a>(subject: &Subject<'a>, container: &Container<'a>) -> Result<Option<&'a str>, Undecided> {
    let Some(entry) = container.specification(subject.object)? else { return Ok(None) };
    Ok(field::text(entry, "/resources/limits/memory")?)
}
