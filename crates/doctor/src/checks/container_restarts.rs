//! Containers that restart often without being caught in a loop.
//!
//! Pure.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::KindRef;

use super::{crash_loop, reading};
use crate::check::{Check, Severity, Subject, Threshold, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "container-restarts",
    title: "A container restarts often",
    severity: Severity::Info,
    grace_seconds: 0,
    remediation: "see how its last runs ended (liveness probe, memory, its own will), and what its log says (kubectl logs --previous)",
    kinds: &[KindRef::POD],
    reasons: &["HighRestartNoLoop"],
    thresholds: &[Threshold { name: "restartsPerHour", default: 5 }],
    examine,
    ..Check::BASE
};

const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if matches!(reading::phase(subject)?, "Succeeded" | "Failed") || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let containers = reading::containers(pod)?;
    let restarts: Vec<i64> = containers.iter().map(reading::Container::restarts).collect::<Result<_, _>>()?;
    if restarts.iter().all(|count| *count == 0) {
        return Ok(Vec::new());
    }
    // A loop is told as a loop.
    let as_loop = Subject { check: &crash_loop::CHECK, ..*subject };
    if crash_loop::examine(&as_loop)?.iter().any(|finding| !finding.is_over(subject.now)) {
        return Ok(Vec::new());
    }
    let from = subject.now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
    let wanted = subject.threshold("restartsPerHour");
    let trail = subject.view.trail(&pod.id.uid);
    let mut found = Vec::new();
    for container in containers {
        let seen: Vec<_> = trail.into_iter().flat_map(|trail| trail.restarts_since(container.name, from)).collect();
        let counted = reading::restarts_after(from, &container, &seen)?;
        if counted < wanted {
            let last = container.terminated(reading::End::Last)?.and_then(|end| end.finished_at);
            let is_late = last.is_some_and(|finished| finished >= from);
            let is_recorded =
                subject.view.past_start().is_some_and(|start| start <= from || pod.created_at().is_some_and(|made| start <= made));
            if container.restarts()? >= wanted && is_late && !is_recorded {
                return Err(Undecided::Unknown(format!(
                    "how often container `{}` restarted in the last hour is not recorded",
                    container.name
                )));
            }
            continue;
        }
        let text = format!("container `{}` restarted {wanted} times or more within an hour", container.name);
        // It holds until the restart with which the number is reached leaves the hour.
        let mut rest = counted;
        let reaching = seen.iter().find(|restart| {
            rest -= restart.steps;
            rest < wanted
        });
        let since = seen.last().map(|restart| restart.at);
        let mut finding = subject.finding("HighRestartNoLoop", text, subject.since(since)).part(container.name);
        if let Some(over) = reaching.and_then(|restart| restart.at.checked_add(WINDOW).ok()) {
            finding = finding.until(over);
        }
        found.push(finding.on_node(reading::node_of(pod)?).shown_by(seen.iter().map(|restart| restart.seq)));
    }
    Ok(found)
}
