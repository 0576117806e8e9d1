//! Pods that run and are not ready.
//!
//! Pure. A container that waits for a known reason is left to the check of that reason; one with a startup probe gets the time the probe
//! allows.

use jiff::SignedDuration;
use proreus_observe::KindRef;
use proreus_observe::document::List;
use proreus_observe::field;

use super::reading::{self, last_warning, said};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "pod-not-ready",
    title: "A pod runs and is not ready",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "see what the readiness probe asks for (path, port, timeout), and what the container says about it in its log",
    kinds: &[KindRef::POD],
    reasons: &["PodNotReady"],
    examine,
    ..Check::BASE
};

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if reading::phase(subject)? != "Running" || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let Some(ready) = pod.condition("Ready")? else {
        return Err(Undecided::Unknown("it runs and has no Ready condition".to_owned()));
    };
    if !ready.is_false() {
        return match ready.is_true() {
            true => Ok(Vec::new()),
            // The node's own check tells that its kubelet is silent.
            false => Err(Undecided::Unknown("its node does not report, so that nobody knows whether it is ready".to_owned())),
        };
    }
    let mut unready = Vec::new();
    let mut allowance = SignedDuration::ZERO;
    for container in reading::containers(pod)? {
        // Waiting, crashed, or done: told by other checks, or no trouble at all.
        if container.is_init || container.running_since()?.is_none() && field::map(container.status, "/state/running")?.is_none() {
            continue;
        }
        if field::flag(container.status, "/ready")? == Some(false) {
            unready.push(container.name);
            if field::flag(container.status, "/started")? == Some(false) {
                allowance = allowance.max(startup_allowance(pod.list("/spec/containers")?, container.name)?);
            }
        }
    }
    let gates = closed_gates(subject)?;
    if unready.is_empty() && gates.is_empty() {
        return Ok(Vec::new());
    }
    let probe = last_warning(subject, &["Unhealthy", "ProbeError"]);
    let mut words = Vec::new();
    if !unready.is_empty() {
        words.push(format!("container {} not ready", list(&unready)));
    }
    if !gates.is_empty() {
        words.push(format!("readiness gate {} not open", list(&gates)));
    }
    let text = format!("{}{}", words.join(", "), said(probe.map_or("", |event| event.message)));
    let severity = if reading::is_owner_down(subject) { Severity::Critical } else { Severity::Warning };
    let grace = allowance.as_secs().max(CHECK.grace_seconds);
    let finding = subject.finding("PodNotReady", text, subject.since(ready.since)).severity(severity).grace(grace);
    Ok(vec![finding.on_node(reading::node_of(pod)?).shown_by(probe.map(|event| event.seq))])
}

/// How long the startup probe of a container lets it start.
fn startup_allowance(containers: List<'_>, name: &str) -> Result<SignedDuration, Undecided> {
    for entry in containers {
        if field::text(entry, "/name")? == Some(name) && field::map(entry, "/startupProbe")?.is_some() {
            let number =
                |key: &str, default: i64| Ok::<_, Undecided>(field::int(entry, &format!("/startupProbe/{key}"))?.unwrap_or(default));
            let seconds = number("periodSeconds", 10)?
                .saturating_mul(number("failureThreshold", 3)?)
                .saturating_add(number("initialDelaySeconds", 0)?);
            return Ok(SignedDuration::from_secs(seconds));
        }
    }
    Ok(SignedDuration::ZERO)
}

fn closed_gates<'a>(subject: &Subject<'a>) -> Result<Vec<&'a str>, Undecided> {
    let mut closed = Vec::new();
    for gate in subject.object.list("/spec/readinessGates")? {
        let Some(name) = field::text(gate, "/conditionType")? else { continue };
        if subject.object.condition(name)?.is_none_or(|condition| !condition.is_true()) {
            closed.push(name);
        }
    }
    Ok(closed)
}

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}
