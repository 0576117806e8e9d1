//! Containers that end again and again.
//!
//! Pure. The status flips between running and waiting, so a loop is also seen between its back-offs: by the restarts that were recorded,
//! or by a run that ended badly after a short time. A container that has run for ten minutes is out of the loop, as for the kubelet.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::KindRef;

use super::reading::{self, Container, Role, Terminated};
use crate::check::{Check, Severity, Subject, Threshold, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "crash-loop",
    title: "A container ends again and again",
    severity: Severity::Warning,
    grace_seconds: 0,
    remediation: "read what the last run said (kubectl logs --previous), and what changed before the first crash",
    kinds: &[KindRef::POD],
    reasons: &["CrashLoopBackOff"],
    thresholds: &[
        Threshold { name: "restarts", default: 3 },
        Threshold { name: "windowSeconds", default: 600 },
        Threshold { name: "criticalRestarts", default: 10 },
    ],
    examine,
    ..Check::BASE
};

/// Grace of a first back-off: one failed start is no loop yet.
const FIRST_GRACE_SECONDS: i64 = 60;

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if matches!(reading::phase(subject)?, "Succeeded" | "Failed") || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for container in reading::containers(pod)? {
        if let Some(finding) = look(subject, &container)? {
            found.push(finding);
        }
    }
    Ok(found)
}

fn look(subject: &Subject<'_>, container: &Container<'_>) -> Result<Option<Finding>, Undecided> {
    let is_backing_off = container.waiting()?.is_some_and(|(reason, _)| reason == "CrashLoopBackOff");
    let last = match container.terminated(reading::End::Present)? {
        Some(now) => Some(now),
        None => container.terminated(reading::End::Last)?,
    };
    let window = SignedDuration::from_secs(subject.threshold("windowSeconds"));
    let from = subject.now.checked_sub(window).unwrap_or(Timestamp::MIN);
    let trail = subject.view.trail(&subject.object.id.uid);
    let seen: Vec<_> = trail.into_iter().flat_map(|trail| trail.restarts_since(container.name, from)).collect();
    let counted = reading::restarts_after(from, container, &seen)?;
    let restarts = container.restarts()?;
    let is_looping = is_backing_off || counted >= subject.threshold("restarts") && !ended_well(last.as_ref());
    if !is_looping && !is_quick_death(subject, container, last.as_ref(), restarts, window)? {
        return Ok(None);
    }
    let first = seen.first().map(|restart| restart.at).into_iter().chain(last.and_then(|last| last.finished_at)).min();
    let text = format!("container `{}` ends again and again{}", container.name, last.map(|last| words(&last)).unwrap_or_default());
    let is_critical = reading::is_owner_down(subject) || restarts >= subject.threshold("criticalRestarts");
    let severity = if is_critical { Severity::Critical } else { Severity::Warning };
    let mut finding = subject.finding("CrashLoopBackOff", text, subject.since(first)).severity(severity).part(container.name);
    finding = finding.on_node(reading::node_of(subject.object)?).shown_by(seen.iter().map(|restart| restart.seq));
    if let Some(last) = last {
        finding = finding.remedy(remedy(&last));
        // Out of memory is the cause, and told by a check of its own.
        if last.reason == "OOMKilled" {
            finding = finding.consequence();
        }
    }
    if is_backing_off && restarts < 2 && counted < 2 {
        finding = finding.grace(FIRST_GRACE_SECONDS);
    }
    if let Some(running) = container.running_since()?
        && let Ok(out_of_it) = running.checked_add(window)
    {
        finding = finding.until(out_of_it);
    }
    Ok(Some(finding))
}

fn ended_well(last: Option<&Terminated<'_>>) -> bool {
    last.is_some_and(|last| last.exit_code == Some(0))
}

/// Whether, without having seen the restarts, the object shows a loop: it ended badly of late, after a run shorter than the window, and not
/// for the first time. One long run that ends, as when a leader loses its lease, is no loop.
fn is_quick_death(
    subject: &Subject<'_>,
    container: &Container<'_>,
    last: Option<&Terminated<'_>>,
    restarts: i64,
    window: SignedDuration,
) -> Result<bool, Undecided> {
    let Some(last) = last.filter(|last| !ended_well(Some(last)) && restarts >= subject.threshold("restarts")) else { return Ok(false) };
    let Some(finished) = last.finished_at else { return Ok(false) };
    if subject.now.duration_since(finished) >= window {
        return Ok(false);
    }
    match last.started_at {
        Some(started) => Ok(finished.duration_since(started) < window && container.role != Role::Init),
        None => {
            let from = subject.now.checked_sub(window).unwrap_or(Timestamp::MIN);
            let is_recorded = subject.view.past_start().is_some_and(|start| start <= from);
            match is_recorded
                || subject.object.created_at().is_some_and(|created| subject.view.past_start().is_some_and(|start| start <= created))
            {
                true => Ok(false),
                false => Err(Undecided::Unknown(format!(
                    "container `{}` ended of late, and how often in {}s is not recorded",
                    container.name,
                    window.as_secs()
                ))),
            }
        }
    }
}

fn words(last: &Terminated<'_>) -> String {
    let code = last.exit_code.map(|code| format!(", last with exit code {code}{}", meaning(code, last.reason))).unwrap_or_default();
    let reason = if matches!(last.reason, "" | "Error" | "Completed") { String::new() } else { format!(" ({})", last.reason) };
    format!("{code}{reason}{}", reading::said(last.message))
}

/// What an exit code usually means. 137 is only SIGKILL: out of memory is told by the reason alone.
fn meaning(code: i64, reason: &str) -> &'static str {
    match code {
        0 => " (it ended as if done)",
        126 => " (the command is not executable)",
        127 => " (the command was not found)",
        128 => " (the command could not be started)",
        134 => " (SIGABRT)",
        137 if reason != "OOMKilled" => " (SIGKILL, as after a failed liveness probe)",
        139 => " (SIGSEGV)",
        143 => " (SIGTERM)",
        _ => "",
    }
}

fn remedy(last: &Terminated<'_>) -> String {
    let first = match last.exit_code {
        Some(0) => "the command ends although it should keep running: give the container a command that stays, or make it a Job",
        Some(126..=128) => "the command cannot be run: check command, args and the image's entry point",
        Some(137) if last.reason == "OOMKilled" => "it needs more memory than its limit: raise the limit or find the leak",
        Some(137 | 143) => "it is ended from outside: check the liveness and startup probes (path, port, timeout) and its Events",
        Some(139 | 134) => "the program crashes: read its last words (kubectl logs --previous) and what was deployed last",
        _ => "the program gives up: read its last words (kubectl logs --previous), and what changed before the first crash",
    };
    first.to_owned()
}
