//! Pods that run and are not ready.
//!
//! Pure. A container that waits for a known reason is left to the check of that reason; one with a startup probe gets the time the probe
//! allows. The `Ready` condition is false since the pod was made, so the grace runs from the start of what is not ready.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::field::{self, Condition};
use proreus_observe::{KindRef, Observed};

use super::reading::{self, Container, End, Role, is_told_elsewhere, last_warning, said, waiting_since};
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

/// Restarts of a container within one spell of not being ready after which its next run does not begin the spell anew: one restart may be
/// that of the node, more are a container that does not come to be ready.
const RESTARTS_FORGIVEN: i64 = 1;

/// How a run is said to have ended that went down with its node: while the node was away, nobody asked whether it was ready.
const LOST_ENDS: [&str; 2] = ["Unknown", "ContainerStatusUnknown"];

/// Time for the init containers that run again when a pod got a new sandbox, as after a reboot of its node: as much as a new pod has.
const INIT_GRACE: SignedDuration = SignedDuration::from_mins(15);

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
    let unready = unready(subject, &ready)?;
    let gates = closed_gates(subject)?;
    let is_shown = !unready.names.is_empty() || !gates.is_empty();
    if !is_shown && unready.is_explained {
        return Ok(Vec::new());
    }
    let mut began = unready.began;
    if unready.names.is_empty() {
        // A gate is asked for when the containers are ready; and what nothing explains holds since the node reports again.
        let containers_ready = pod.condition("ContainersReady")?.filter(|condition| condition.is_true());
        began = began.max(containers_ready.and_then(|condition| condition.since));
        began = began.max(if is_shown { None } else { node_ready_since(subject)? });
    }
    let probe = last_warning(subject, &["Unhealthy", "ProbeError"]);
    let mut words = Vec::new();
    if !unready.names.is_empty() {
        words.push(format!("container {} not ready", list(&unready.names)));
    }
    if !gates.is_empty() {
        words.push(format!("readiness gate {} not open", list(&gates)));
    }
    if !is_shown {
        words.push("the pod is not ready".to_owned());
    }
    let why = match (unready.waiting, probe) {
        (Some((reason, message)), _) => format!(", it waits for {reason}{}", said(message)),
        (None, _) if !is_shown => said(ready.message),
        (None, probe) => said(probe.map_or("", |event| event.message)),
    };
    let severity = if reading::is_owner_down(subject) { Severity::Critical } else { Severity::Warning };
    let grace = unready.allowance.as_secs().max(CHECK.grace_seconds);
    let since = subject.since(ready.since.max(began));
    let finding = subject.finding("PodNotReady", format!("{}{why}", words.join(", ")), since).severity(severity).grace(grace);
    Ok(vec![finding.on_node(reading::node_of(pod)?).shown_by(probe.map(|event| event.seq))])
}

/// The containers that are not ready, and what is known of that.
#[derive(Default)]
struct Unready<'a> {
    names: Vec<&'a str>,
    /// When the last of them began what it does now: nothing is ready before it is started.
    began: Option<Timestamp>,
    /// The longest time that a startup probe allows, or that is the init containers' before the others.
    allowance: SignedDuration,
    /// Reason and message of one that waits.
    waiting: Option<(&'a str, &'a str)>,
    /// Whether others are not ready of which another check tells, or which are done.
    is_explained: bool,
}

fn unready<'a>(subject: &Subject<'a>, ready: &Condition<'_>) -> Result<Unready<'a>, Undecided> {
    let mut unready = Unready::default();
    let all = reading::containers(subject.object)?;
    for container in &all {
        if container.role == Role::Init && container.running_since()?.is_some() {
            unready.allowance = unready.allowance.max(INIT_GRACE);
        }
        if matches!(container.role, Role::Init | Role::Ephemeral) || field::flag(container.status, "/ready")? == Some(true) {
            continue;
        }
        let waiting = container.waiting()?;
        if container.terminated(End::Present)?.is_some() || waiting.is_some_and(|(reason, _)| is_told_elsewhere(reason)) {
            unready.is_explained = true;
            continue;
        }
        unready.names.push(container.name);
        unready.waiting = unready.waiting.or(waiting.filter(|(reason, _)| !reason.is_empty()));
        let began = if waiting.is_some() { waiting_since(subject, container, &all)? } else { run_began(subject, container, ready.since)? };
        unready.began = unready.began.max(began);
        // Nothing probes a container that waits.
        if waiting.is_none() && field::flag(container.status, "/started")? == Some(false) {
            unready.allowance = unready.allowance.max(startup_allowance(subject.object, container)?);
        }
    }
    Ok(unready)
}

/// Since when a container had the chance to become ready: since it runs, unless the run before had its time and did not, or this is one of
/// several runs.
fn run_began(subject: &Subject<'_>, container: &Container<'_>, unready_since: Option<Timestamp>) -> Result<Option<Timestamp>, Undecided> {
    let trail = subject.view.trail(&subject.object.id.uid);
    let Some(from) = unready_since else { return Ok(container.running_since()?) };
    let restarts: i64 = trail.map_or(0, |trail| trail.restarts_since(container.name, from).map(|restart| restart.steps).sum());
    if restarts > RESTARTS_FORGIVEN {
        return Ok(None);
    }
    let last = container.terminated(End::Last)?;
    if let Some((start, end)) = last.and_then(|last| last.started_at.zip(last.finished_at))
        && end.duration_since(start.max(from)).as_secs() >= CHECK.grace_seconds
        && !last.is_some_and(|last| LOST_ENDS.contains(&last.reason))
    {
        return Ok(Some(start));
    }
    Ok(container.running_since()?)
}

/// Since when the node of the pod is ready, where the node is known.
fn node_ready_since(subject: &Subject<'_>) -> Result<Option<Timestamp>, Undecided> {
    let id = &subject.object.id;
    let Some(name) = reading::node_of(subject.object)? else { return Ok(None) };
    let Some(node) = subject.view.named(&id.cluster, KindRef::NODE, &"".into(), &name.into()) else { return Ok(None) };
    match node.condition("Ready")? {
        Some(ready) if ready.is_true() => Ok(ready.since),
        _ => Err(Undecided::Unknown("its node is not ready, and what it last said of the containers is old".to_owned())),
    }
}

/// How long the startup probe of a container lets it start.
fn startup_allowance(pod: &Observed, container: &Container<'_>) -> Result<SignedDuration, Undecided> {
    let Some(entry) = container.specification(pod)? else { return Ok(SignedDuration::ZERO) };
    if field::map(entry, "/startupProbe")?.is_none() {
        return Ok(SignedDuration::ZERO);
    }
    let number = |key: &str, default: i64| Ok::<_, Undecided>(field::int(entry, &format!("/startupProbe/{key}"))?.unwrap_or(default));
    let probing = number("periodSeconds", 10)?.saturating_mul(number("failureThreshold", 3)?);
    Ok(SignedDuration::from_secs(probing.saturating_add(number("initialDelaySeconds", 0)?)))
}

/// How long the startup probes of a pod that starts let it start: nothing where it waits for a trouble, or was restarted too often.
pub(super) fn first_start_allowance(pod: &Observed) -> Result<SignedDuration, Undecided> {
    let mut longest = SignedDuration::ZERO;
    for container in reading::containers(pod)? {
        if container.waiting()?.is_some_and(|(reason, _)| is_told_elsewhere(reason)) || container.restarts()? > RESTARTS_FORGIVEN {
            return Ok(SignedDuration::ZERO);
        }
        let is_probed = !matches!(container.role, Role::Init | Role::Ephemeral) && field::flag(container.status, "/started")? != Some(true);
        longest = longest.max(if is_probed { startup_allowance(pod, &container)? } else { SignedDuration::ZERO });
    }
    Ok(longest)
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
