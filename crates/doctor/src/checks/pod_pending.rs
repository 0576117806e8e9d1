//! Pods that do not come to run although they have a node, or that nobody schedules at all.
//!
//! Pure. What has a check of its own (no node, image, configuration) is left to it.

use jiff::Timestamp;
use proreus_observe::field::{self, Condition};
use proreus_observe::{EventFacts, KindRef};

use super::reading::{self, Container, End, Role, is_told_elsewhere, last_warning, quoted, said, waiting_since};
use crate::check::{Check, Severity, Subject, Threshold, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "pod-pending",
    title: "A pod does not come to run",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "read the pod's Events: volumes, network and init containers come before the first container",
    kinds: &[KindRef::POD],
    reasons: &["PodPending", "VolumeMountFailed", "SandboxFailed", "NotScheduled"],
    thresholds: &[Threshold { name: "initSeconds", default: 900 }],
    examine,
    ..Check::BASE
};

/// Grace when an Event says what fails: shorter, for there is nothing to wait for.
const TOLD_GRACE_SECONDS: i64 = 120;

/// Events of volumes that are not there.
const VOLUME_REASONS: [&str; 3] = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"];
/// The same and those of the network, of which the last is the one that counts: the network is set up when the volumes are there.
const FAILURE_REASONS: &[&str] =
    &["FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "FailedCreatePodSandbox", "NetworkNotReady"];

/// Waiting reasons that say nothing of a cause.
const SILENT: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// Events of a kubelet that has the volumes and the network of a pod: they come before its containers.
const CONTAINER_REASONS: [&str; 4] = ["Pulling", "Pulled", "Created", "Started"];
/// Conditions that say the same; the second is the name of older kubelets.
const SANDBOX_CONDITIONS: [&str; 2] = ["PodReadyToStartContainers", "PodHasNetwork"];

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if reading::phase(subject)? != "Pending" || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let scheduled = pod.condition("PodScheduled")?;
    let is_bound = reading::node_of(pod)?.is_some_and(|node| !node.is_empty());
    if !is_bound && scheduled.is_none_or(|condition| !condition.is_true()) {
        return unscheduled(subject, scheduled);
    }
    let containers = reading::containers(pod)?;
    let mut waits_for_init = None;
    let mut began = reading::bound_since(pod)?;
    for container in &containers {
        match container.waiting()? {
            Some((reason, _)) if is_told_elsewhere(reason) => return Ok(Vec::new()),
            Some((reason, message)) if !SILENT.contains(&reason) => {
                let text = format!("container `{}` waits for a reason that is not known here: {reason}{}", container.name, said(message));
                let since = subject.since(waiting_since(subject, container, &containers)?);
                return Ok(vec![subject.finding("PodPending", text, since).part(container.name).on_node(reading::node_of(pod)?)]);
            }
            None if holds_up(container)? => waits_for_init = Some(container),
            Some(_) => began = began.max(waiting_since(subject, container, &containers)?),
            None => {}
        }
    }
    if let Some(event) = last_warning(subject, FAILURE_REASONS)
        && !is_over(subject, &event, &containers)?
    {
        return Ok(vec![told(subject, &event, subject.since(reading::bound_since(pod)?))?]);
    }
    let finding = match waits_for_init {
        Some(container) => {
            let name = container.name;
            // Those before it had their time.
            let since = subject.since(reading::bound_since(pod)?.max(container.running_since()?));
            let text = format!("init container `{name}` is still running, so that the others do not start");
            let remedy = "read the init container's log: it may wait for something that does not come";
            subject.finding("PodPending", text, since).part(name).remedy(remedy).grace(subject.threshold("initSeconds"))
        }
        None => subject.finding("PodPending", "the pod has a node, and its containers are not created", subject.since(began)),
    };
    Ok(vec![finding.on_node(reading::node_of(pod)?)])
}

/// Whether a container that runs keeps the others from being started: one that runs to its end, or a sidecar before its startup probe held.
fn holds_up(container: &Container<'_>) -> Result<bool, Undecided> {
    let is_before = match container.role {
        Role::Init => true,
        Role::Sidecar => field::flag(container.status, "/started")? == Some(false),
        Role::Main | Role::Ephemeral => false,
    };
    Ok(is_before && container.running_since()?.is_some())
}

/// Whether the pod got over what an Event says failed: something was begun later that comes after volumes and network.
fn is_over(subject: &Subject<'_>, failure: &EventFacts<'_>, containers: &[Container<'_>]) -> Result<bool, Undecided> {
    let is_after = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment >= failure.last_seen);
    for name in SANDBOX_CONDITIONS {
        if subject.object.condition(name)?.is_some_and(|condition| condition.is_true() && is_after(condition.since)) {
            return Ok(true);
        }
    }
    for container in containers {
        let ended = container.terminated(End::Present)?.and_then(|end| end.started_at);
        // While one runs to its end, it is what the others wait for.
        if is_after(container.running_since()?) || is_after(ended) || container.role == Role::Init && holds_up(container)? {
            return Ok(true);
        }
    }
    let events = subject.view.events_of(&subject.object.id.uid);
    Ok(events
        .iter()
        .any(|event| CONTAINER_REASONS.contains(&event.reason) && (event.last_seen, event.seq) > (failure.last_seen, failure.seq)))
}

fn unscheduled(subject: &Subject<'_>, scheduled: Option<Condition<'_>>) -> Verdict {
    let Some(scheduled) = scheduled else {
        let name = subject.object.text("/spec/schedulerName")?.unwrap_or("default-scheduler");
        let text = format!("no scheduler has looked at the pod; it asks for `{name}`");
        let remedy = "check that a scheduler of this name runs, and that it is the leader";
        let since = subject.since(subject.object.created_at());
        return Ok(vec![subject.finding("NotScheduled", text, since).remedy(remedy)]);
    };
    if !scheduled.is_false() {
        return Err(Undecided::Unknown("whether it was scheduled is not told".to_owned()));
    }
    match scheduled.reason {
        // A check of its own tells what stands in the way.
        "Unschedulable" => Ok(Vec::new()),
        "SchedulingGated" => Err(Undecided::Skipped("its scheduling is gated on purpose".to_owned())),
        _ => {
            let text = format!("the scheduler has not bound the pod{}", said(scheduled.message));
            let remedy = "see what failed in the scheduler's words and log: a volume, an extension or a plugin of it may not answer";
            let finding = subject.finding("NotScheduled", text, reading::refused_since(subject, &scheduled));
            let is_error = scheduled.reason == "SchedulerError";
            Ok(vec![if is_error { finding.class("SchedulerError") } else { finding }.remedy(remedy)])
        }
    }
}

fn told(subject: &Subject<'_>, event: &EventFacts<'_>, since: Timestamp) -> Result<Finding, Undecided> {
    let (reason, remedy) = if VOLUME_REASONS.contains(&event.reason) {
        let remedy = "the node cannot mount a volume: check that what it refers to exists (claim, Secret, ConfigMap), and that it is not attached elsewhere";
        ("VolumeMountFailed", remedy)
    } else {
        let remedy = "the node cannot set up the pod's network: look at the network plugin's pod on this node and at its addresses";
        ("SandboxFailed", remedy)
    };
    let text = format!("the pod cannot be started: {}", quoted(event.message));
    let finding = subject.finding(reason, text, since).remedy(remedy).grace(TOLD_GRACE_SECONDS).shown_by([event.seq]);
    Ok(finding.on_node(reading::node_of(subject.object)?))
}
