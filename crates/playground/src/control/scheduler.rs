//! The scheduler: the least loaded node that a pod fits on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::podstatus::is_finished;
use super::{Message, Step, events::status_of};
use crate::selector::Selector;
use crate::store::Object;
use crate::{time, tree};

const COMPONENT: &str = "default-scheduler";

/// Looks at one pod.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(pod) = step.get("", "pods", key) else { return };
    let value = pod.value();
    if !tree::text(value, "/spec/nodeName").is_empty() || pod.is_terminating() || is_finished(value) {
        return;
    }
    if tree::text(value, "/spec/schedulerName") != COMPONENT && !tree::text(value, "/spec/schedulerName").is_empty() {
        return;
    }
    let mut load: BTreeMap<String, usize> = BTreeMap::new();
    for other in step.cluster.objects("", "pods", "").filter(|other| !is_finished(other.value())) {
        *load.entry(tree::text(other.value(), "/spec/nodeName").to_owned()).or_default() += 1;
    }
    let total = step.cluster.objects("", "nodes", "").count();
    let mut fitting: Vec<(usize, String)> = step
        .cluster
        .objects("", "nodes", "")
        .filter(|node| fits(value, node))
        .map(|node| (load.get(node.name()).copied().unwrap_or(0), node.name().to_owned()))
        .collect();
    fitting.sort();
    match fitting.into_iter().next() {
        Some((_, node)) => bind(step, key, &pod, &node),
        None => refuse(step, key, value, total),
    }
}

fn fits(pod: &Value, node: &Object) -> bool {
    let value = node.value();
    let selector = pod.pointer("/spec/nodeSelector").map(Selector::of_labels).unwrap_or_default();
    let ready = tree::items(value, "/status/conditions")
        .iter()
        .any(|condition| tree::text(condition, "/type") == "Ready" && tree::text(condition, "/status") == "True");
    let room = tree::text(value, "/status/allocatable/pods").parse().unwrap_or(110_usize) > 0;
    let taints = tree::items(value, "/spec/taints");
    let repelled = taints.iter().any(|taint| tree::text(taint, "/effect") != "PreferNoSchedule" && !tolerates(pod, taint));
    ready && room && !tree::flag(value, "/spec/unschedulable") && !repelled && selector.matches(value)
}

/// True when a pod puts up with a taint.
pub(super) fn tolerates(pod: &Value, taint: &Value) -> bool {
    tree::items(pod, "/spec/tolerations").iter().any(|toleration| {
        let (key, effect) = (tree::text(toleration, "/key"), tree::text(toleration, "/effect"));
        let exists = tree::text(toleration, "/operator") == "Exists";
        (effect.is_empty() || effect == tree::text(taint, "/effect"))
            && (key.is_empty() && exists || key == tree::text(taint, "/key"))
            && (exists || tree::text(toleration, "/value") == tree::text(taint, "/value"))
    })
}

fn bind(step: &mut Step<'_>, key: &str, pod: &Object, node: &str) {
    let mut value = pod.value().clone();
    tree::put(&mut value, &["spec", "nodeName"], node);
    set(&mut value, "True", "", "", &time::seconds(step.now));
    // Bindings carry no field manager, so this is committed as it is.
    step.cluster.store.commit(&crate::resource::table_name("", "pods"), key, Some(value));
    let text = format!("Successfully assigned {key} to {node}");
    step.tell(pod.value(), &Message { action: "Binding", ..Message::normal(COMPONENT, "Scheduled", text) });
}

fn refuse(step: &mut Step<'_>, key: &str, pod: &Value, total: usize) {
    let text = if total == 0 {
        "no nodes available to schedule pods".to_owned()
    } else {
        format!("0/{total} nodes are available: {total} node(s) didn't match Pod's node affinity/selector or had untolerated taint(s).")
    };
    let now = time::seconds(step.now);
    let told = text.clone();
    let changed = step.change(status_of("", "pods", key), "kube-scheduler", |value| set(value, "False", "Unschedulable", &text, &now));
    if changed {
        step.tell(pod, &Message { action: "Scheduling", ..Message::warning(COMPONENT, "FailedScheduling", told) });
    }
}

fn set(value: &mut Value, state: &str, reason: &str, text: &str, now: &str) {
    let list = tree::list_mut(value, &["status", "conditions"]);
    let same = |condition: &Value| {
        tree::text(condition, "/type") == "PodScheduled"
            && tree::text(condition, "/status") == state
            && tree::text(condition, "/message") == text
    };
    if list.iter().any(same) {
        return;
    }
    list.retain(|condition| tree::text(condition, "/type") != "PodScheduled");
    let mut condition = json!({"type": "PodScheduled", "status": state, "lastProbeTime": null, "lastTransitionTime": now});
    if !reason.is_empty() {
        condition["reason"] = reason.into();
        condition["message"] = text.into();
    }
    list.push(condition);
}
