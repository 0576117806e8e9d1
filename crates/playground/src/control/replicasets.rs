//! Replica sets: as many pods as they say, and a status that counts them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::deployments::owner_reference;
use super::podstatus::{is_active, is_ready};
use super::{Message, Step, events::status_of};
use crate::remove::DeleteOptions;
use crate::store::{Object, key_of};
use crate::tree;

const COMPONENT: &str = "replicaset-controller";
/// Pods made or removed in one look, as real controllers do it in bursts.
const BURST: i64 = 500;

/// Looks at one replica set.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(set) = step.get("apps", "replicasets", key) else { return };
    let wanted = tree::number(set.value(), "/spec/replicas").unwrap_or(1);
    let mut pods: Vec<Arc<Object>> = step.owned(set.uid(), "", "pods").into_iter().filter(|pod| is_active(pod)).collect();
    let have = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    if !set.is_terminating() {
        for _ in have..wanted.min(have + BURST) {
            if create_pod(step, set.value(), "apps/v1", "ReplicaSet", COMPONENT, None).is_none() {
                break;
            }
        }
        if have > wanted {
            pods.sort_by_key(|pod| rank(pod));
            for pod in pods.iter().take(usize::try_from(have - wanted).unwrap_or(0)) {
                delete_pod(step, set.value(), pod, COMPONENT);
            }
        }
    }
    write_status(step, key);
}

/// Pods that go first when there are too many: unassigned, not ready, youngest.
fn rank(pod: &Object) -> (bool, bool, std::cmp::Reverse<String>, String) {
    let value = pod.value();
    let created = tree::text(value, "/metadata/creationTimestamp").to_owned();
    (!tree::text(value, "/spec/nodeName").is_empty(), is_ready(value), std::cmp::Reverse(created), pod.name().to_owned())
}

/// Makes a pod of an owner's template; a refusal becomes an Event.
pub(super) fn create_pod(
    step: &mut Step<'_>,
    owner: &Value,
    api_version: &str,
    kind: &str,
    component: &'static str,
    name: Option<String>,
) -> Option<Arc<Object>> {
    let template = owner.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let mut body = json!({"metadata": template.get("metadata").cloned().unwrap_or_else(|| json!({})), "spec": template.get("spec")});
    match name {
        Some(name) => tree::put(&mut body, &["metadata", "name"], name),
        None => tree::put(&mut body, &["metadata", "generateName"], format!("{}-", tree::text(owner, "/metadata/name"))),
    }
    tree::take(&mut body, &["metadata", "creationTimestamp"]);
    if kind == "Job" {
        tree::put(&mut body, &["metadata", "finalizers"], json!([super::jobs::TRACKING]));
    }
    let namespace = tree::text(owner, "/metadata/namespace").to_owned();
    tree::put(&mut body, &["metadata", "namespace"], namespace.clone());
    tree::put(&mut body, &["metadata", "ownerReferences"], json!([owner_reference(owner, api_version, kind)]));
    match step.create("", "pods", &namespace, body, "kube-controller-manager") {
        Ok(pod) => {
            let text = format!("Created pod: {}", pod.name());
            step.tell(owner, &Message::normal(component, "SuccessfulCreate", text));
            Some(pod)
        }
        Err(refusal) => {
            let text = format!("Error creating: {}", refusal.message);
            step.tell(owner, &Message::warning(component, "FailedCreate", text));
            None
        }
    }
}

/// Removes a pod of an owner.
pub(super) fn delete_pod(step: &mut Step<'_>, owner: &Value, pod: &Object, component: &'static str) {
    step.delete("", "pods", &key_of(pod.namespace(), pod.name()), &DeleteOptions::default());
    let text = format!("Deleted pod: {}", pod.name());
    step.tell(owner, &Message::normal(component, "SuccessfulDelete", text));
}

fn write_status(step: &mut Step<'_>, key: &str) {
    let Some(set) = step.get("apps", "replicasets", key) else { return };
    let pods: Vec<Arc<Object>> = step.owned(set.uid(), "", "pods").into_iter().filter(|pod| is_active(pod)).collect();
    let ready = pods.iter().filter(|pod| is_ready(pod.value())).count();
    let mut status = json!({
        "replicas": pods.len(),
        "observedGeneration": tree::number(set.value(), "/metadata/generation").unwrap_or(1),
    });
    if !pods.is_empty() {
        status["fullyLabeledReplicas"] = pods.len().into();
    }
    if ready > 0 {
        status["readyReplicas"] = ready.into();
        status["availableReplicas"] = ready.into();
    }
    step.change(status_of("apps", "replicasets", key), "kube-controller-manager", |value| tree::put(value, &["status"], status));
}
