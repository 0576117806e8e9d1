//! Stateful sets and daemon sets, in the measure that a scenario needs: named pods in order, and one pod a node.

use serde_json::{Value, json};

use super::podstatus::{is_active, is_ready};
use super::replicasets::{create_pod, delete_pod};
use super::{Step, events::status_of};
use crate::store::key_of;
use crate::{ids, tree};

const MANAGER: &str = "kube-controller-manager";

/// Looks at one stateful set: pod N comes when the ones before it are ready, and goes first.
pub(super) fn stateful(step: &mut Step<'_>, key: &str) {
    let Some(set) = step.get("apps", "statefulsets", key) else { return };
    let wanted = tree::number(set.value(), "/spec/replicas").unwrap_or(1);
    let revision = revision(set.value());
    if !set.is_terminating() {
        for ordinal in 0..wanted {
            let name = format!("{}-{ordinal}", set.name());
            let pod = step.get("", "pods", &key_of(set.namespace(), &name));
            match pod {
                None => {
                    let mut owner = set.value().clone();
                    tree::put(&mut owner, &["spec", "template", "metadata", "labels", "statefulset.kubernetes.io/pod-name"], name.clone());
                    tree::put(&mut owner, &["spec", "template", "metadata", "labels", "apps.kubernetes.io/pod-index"], ordinal.to_string());
                    tree::put(&mut owner, &["spec", "template", "metadata", "labels", "controller-revision-hash"], revision.clone());
                    create_pod(step, &owner, "apps/v1", "StatefulSet", "statefulset-controller", Some(name));
                    break;
                }
                Some(pod) if is_old(pod.value(), &revision) && !pod.is_terminating() => {
                    delete_pod(step, set.value(), &pod, "statefulset-controller");
                    break;
                }
                Some(pod) if !is_ready(pod.value()) || pod.is_terminating() => break,
                Some(_) => {}
            }
        }
        let beyond = step.owned(set.uid(), "", "pods").into_iter().filter(|pod| is_active(pod)).max_by_key(|pod| ordinal(pod.name()));
        if let Some(pod) = beyond.filter(|pod| ordinal(pod.name()) >= wanted) {
            delete_pod(step, set.value(), &pod, "statefulset-controller");
        }
    }
    let pods = step.owned(set.uid(), "", "pods");
    let ready = pods.iter().filter(|pod| is_ready(pod.value())).count();
    let current = pods.iter().filter(|pod| !is_old(pod.value(), &revision)).count();
    let mut status = json!({
        "observedGeneration": tree::number(set.value(), "/metadata/generation"),
        "replicas": pods.len(), "availableReplicas": ready, "updatedReplicas": current, "currentReplicas": current,
        "currentRevision": format!("{}-{revision}", set.name()), "updateRevision": format!("{}-{revision}", set.name()), "collisionCount": 0,
    });
    if ready > 0 {
        status["readyReplicas"] = ready.into();
    }
    step.change(status_of("apps", "statefulsets", key), MANAGER, |value| tree::put(value, &["status"], status));
}

fn ordinal(name: &str) -> i64 {
    name.rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or(-1)
}

fn revision(set: &Value) -> String {
    ids::safe_hash(set.pointer("/spec/template").unwrap_or(&Value::Null).to_string().as_bytes())
}

fn is_old(pod: &Value, revision: &str) -> bool {
    tree::text(pod, "/metadata/labels/controller-revision-hash") != revision
}

/// Looks at one daemon set: a pod on every node.
pub(super) fn daemon(step: &mut Step<'_>, key: &str) {
    let Some(set) = step.get("apps", "daemonsets", key) else { return };
    let revision = revision(set.value());
    let nodes: Vec<String> = step.cluster.objects("", "nodes", "").map(|node| node.name().to_owned()).collect();
    let pods = step.owned(set.uid(), "", "pods");
    let node_of = |pod: &Value| tree::text(pod, "/spec/nodeName").to_owned();
    if !set.is_terminating() {
        for node in &nodes {
            if pods.iter().any(|pod| node_of(pod.value()) == *node) {
                continue;
            }
            let mut owner = set.value().clone();
            tree::put(&mut owner, &["spec", "template", "metadata", "labels", "controller-revision-hash"], revision.clone());
            tree::put(&mut owner, &["spec", "template", "spec", "nodeName"], node.clone());
            let tolerations = tree::list_mut(&mut owner, &["spec", "template", "spec", "tolerations"]);
            for taint in ["not-ready", "unreachable"] {
                tolerations.push(json!({"key": format!("node.kubernetes.io/{taint}"), "operator": "Exists", "effect": "NoExecute"}));
            }
            create_pod(step, &owner, "apps/v1", "DaemonSet", "daemonset-controller", None);
        }
        // One pod of an older template at a time.
        let settled = pods.iter().all(|pod| is_ready(pod.value()) && !pod.is_terminating());
        if let Some(pod) = pods.iter().find(|pod| is_old(pod.value(), &revision)).filter(|_| settled) {
            delete_pod(step, set.value(), pod, "daemonset-controller");
        }
        for pod in pods.iter().filter(|pod| !nodes.contains(&node_of(pod.value())) && !pod.is_terminating()) {
            delete_pod(step, set.value(), pod, "daemonset-controller");
        }
    }
    let pods = step.owned(set.uid(), "", "pods");
    let ready = pods.iter().filter(|pod| is_ready(pod.value())).count();
    let unavailable = nodes.len().saturating_sub(ready);
    let mut status = json!({
        "observedGeneration": tree::number(set.value(), "/metadata/generation"),
        "currentNumberScheduled": pods.len(), "desiredNumberScheduled": nodes.len(), "numberMisscheduled": 0, "numberReady": ready,
        "updatedNumberScheduled": pods.iter().filter(|pod| !is_old(pod.value(), &revision)).count(),
    });
    if ready > 0 {
        status["numberAvailable"] = ready.into();
    }
    if unavailable > 0 {
        status["numberUnavailable"] = unavailable.into();
    }
    step.change(status_of("apps", "daemonsets", key), MANAGER, |value| tree::put(value, &["status"], status));
}
