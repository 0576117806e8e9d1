//! Whether a pod comes to run: one is made, scheduled, pulled from its registry and started, and deleted again.
//!
//! Pure. The image is pulled even where a node has it, so that the way to the registry is a part of what is tried.

use jiff::Timestamp;
use proreus_observe::KindRef;
use serde_json::Value;

use super::{Action, Outcome, Probe, Scene, is_not_allowed, object, status_message};
use crate::check::{Check, Mode, Severity, Undecided, Verdict};
use crate::checks::image_pull_class;
use crate::finding::Finding;

/// The definition.
pub const CHECK: Check = Check {
    id: "pod-run",
    title: "A pod that was made to try it does not come to run",
    severity: Severity::Critical,
    remediation: "read how far it came: no node, no image, no network; name another image with --probe-image if only this one is not to be had",
    kinds: &[KindRef::POD],
    mode: Mode::Active,
    reasons: &["ProbePodNotRunning"],
    ..Check::BASE
};

pub(super) fn plan(scene: &Scene<'_>) -> Vec<Probe> {
    let (namespace, image) = (scene.home(), &scene.settings.image);
    let seconds = scene.settings.within.as_secs();
    vec![Probe {
        check: CHECK.id,
        about: object(scene.cluster, KindRef::POD, &namespace, &scene.own_name()),
        says: format!("create a pod of {image} in {namespace}, wait up to {seconds} s until it runs, and delete it"),
        action: Action::Run { path: format!("/api/v1/namespaces/{namespace}/pods"), object: scene.pod(&namespace) },
        within: scene.settings.within,
    }]
}

pub(super) fn judge(probe: &Probe, outcome: &Outcome, now: Timestamp) -> Verdict {
    let (class, told) = match outcome {
        Outcome::Seen { pod } => match trouble(pod, probe) {
            None => return Ok(Vec::new()),
            Some(trouble) => trouble,
        },
        Outcome::Answered { status, body } => {
            let message = status_message(body).unwrap_or_else(|| format!("HTTP {status}"));
            if is_not_allowed(*status, &message) {
                return Err(Undecided::Skipped(format!("the pod may not be created: {message}")));
            }
            ("Refused", format!("it was refused: {message}"))
        }
        Outcome::Silent { reason } => return Err(Undecided::Unknown(format!("the pod could not be followed: {reason}"))),
        Outcome::NotDone { reason } => return Err(Undecided::Skipped(reason.clone())),
    };
    let message = format!("the pod that was made to try it does not run ({class}): {told}");
    Ok(vec![Finding::of_probe(&CHECK, probe, "ProbePodNotRunning", message, now).class(class)])
}

/// How far a pod came that does not run; `None` when it does.
fn trouble(pod: &Value, probe: &Probe) -> Option<(&'static str, String)> {
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default();
    match text("/status/phase") {
        "Running" | "Succeeded" => return None,
        "Failed" => return Some(("Failed", format!("{} {}", text("/status/reason"), text("/status/message")).trim().to_owned())),
        _ => {}
    }
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of = |condition: &Value, key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(refused) = conditions.iter().find(|one| of(one, "type") == "PodScheduled" && of(one, "status") == "False") {
        return Some(("Unschedulable", of(refused, "message")));
    }
    let waiting = |key: &str| text(&format!("/status/containerStatuses/0/state/waiting/{key}")).to_owned();
    let image = match &probe.action {
        Action::Run { object, .. } => object.pointer("/spec/containers/0/image").and_then(Value::as_str).unwrap_or_default(),
        _ => "",
    };
    match waiting("reason").as_str() {
        "" if text("/spec/nodeName").is_empty() => Some(("NotScheduled", "no scheduler has looked at it".to_owned())),
        "" => Some(("NotStarted", format!("node {} has not reported on it", text("/spec/nodeName")))),
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
            Some((image_pull_class(&waiting("message"), image), format!("{image} cannot be pulled: {}", waiting("message"))))
        }
        other => Some(("NotStarted", format!("{other} {} on node {}", waiting("message"), text("/spec/nodeName")))),
    }
}
