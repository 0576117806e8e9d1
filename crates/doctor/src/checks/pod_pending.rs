//! Pods that do not come to run although they have a node, or that nobody schedules at all.
//!
//! Pure. What has a check of its own (no node, image, configuration) is left to it.

use proreus_observe::{EventFacts, KindRef};

use super::reading::{self, last_warning, quoted, said};
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

const VOLUME_REASONS: &[&str] = &["FailedMount", "FailedAttachVolume", "FailedMapVolume"];
const SANDBOX_REASONS: &[&str] = &["FailedCreatePodSandBox", "FailedCreatePodSandbox", "NetworkNotReady"];

/// Waiting reasons that say nothing of a cause.
const SILENT: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// Waiting reasons that are the matter of other checks.
const TOLD_ELSEWHERE: [&str; 14] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "PostStartHookError",
    "PreCreateHookError",
    "PreStartHookError",
    "RegistryUnavailable",
    "RunContainerError",
    "SignatureValidationFailed",
];

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if reading::phase(subject)? != "Pending" || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let scheduled = pod.condition("PodScheduled")?;
    let is_bound = reading::node_of(pod)?.is_some_and(|node| !node.is_empty());
    if !is_bound && scheduled.is_none_or(|condition| !condition.is_true()) {
        return unscheduled(subject, scheduled.map(|condition| condition.reason));
    }
    let containers = reading::containers(pod)?;
    let mut waits_for_init = None;
    for container in &containers {
        match container.waiting()? {
            Some((reason, _)) if TOLD_ELSEWHERE.contains(&reason) => return Ok(Vec::new()),
            Some((reason, message)) if !SILENT.contains(&reason) => {
                let text = format!("container `{}` waits for a reason that is not known here: {reason}{}", container.name, said(message));
                let since = subject.since(reading::bound_since(pod)?);
                return Ok(vec![subject.finding("PodPending", text, since).part(container.name).on_node(reading::node_of(pod)?)]);
            }
            None if container.is_init && container.running_since()?.is_some() => waits_for_init = Some(container.name),
            _ => {}
        }
    }
    let since = subject.since(reading::bound_since(pod)?);
    if let Some(event) = last_warning(subject, VOLUME_REASONS) {
        let remedy = "the node cannot mount a volume: check that what it refers to exists (claim, Secret, ConfigMap), and that it is not attached elsewhere";
        return Ok(vec![told(subject, "VolumeMountFailed", &event, since, remedy)?]);
    }
    if let Some(event) = last_warning(subject, SANDBOX_REASONS) {
        let remedy = "the node cannot set up the pod's network: look at the network plugin's pod on this node and at its addresses";
        return Ok(vec![told(subject, "SandboxFailed", &event, since, remedy)?]);
    }
    let finding = match waits_for_init {
        Some(name) => {
            let text = format!("init container `{name}` is still running, so that the others do not start");
            let remedy = "read the init container's log: it may wait for something that does not come";
            subject.finding("PodPending", text, since).part(name).remedy(remedy).grace(subject.threshold("initSeconds"))
        }
        None => subject.finding("PodPending", "the pod has a node, and its containers are not created", since),
    };
    Ok(vec![finding.on_node(reading::node_of(pod)?)])
}

fn unscheduled(subject: &Subject<'_>, reason: Option<&str>) -> Verdict {
    match reason {
        // A check of its own tells what stands in the way.
        Some("Unschedulable") => Ok(Vec::new()),
        Some("SchedulingGated") => Err(Undecided::Skipped("its scheduling is gated on purpose".to_owned())),
        _ => {
            let name = subject.object.text("/spec/schedulerName")?.unwrap_or("default-scheduler");
            let text = format!("no scheduler has looked at the pod; it asks for `{name}`");
            let remedy = "check that a scheduler of this name runs, and that it is the leader";
            let since = subject.since(subject.object.created_at());
            Ok(vec![subject.finding("NotScheduled", text, since).remedy(remedy)])
        }
    }
}

fn told(
    subject: &Subject<'_>,
    reason: &'static str,
    event: &EventFacts<'_>,
    since: jiff::Timestamp,
    remedy: impl Into<std::borrow::Cow<'static, str>>,
) -> Result<Finding, Undecided> {
    let text = format!("the pod cannot be started: {}", quoted(event.message));
    let finding = subject.finding(reason, text, since).remedy(remedy).grace(TOLD_GRACE_SECONDS).shown_by([event.seq]);
    Ok(finding.on_node(reading::node_of(subject.object)?))
}
