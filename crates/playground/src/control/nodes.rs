//! Nodes: the kubelets' heartbeats, and what the control plane does about a node that went silent.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::podstatus::{condition, is_finished};
use super::scheduler::tolerates;
use super::{Duty, Message, Place, Step, after, events::status_of};
use crate::remove::DeleteOptions;
use crate::store::{Object, key_of};
use crate::{time, tree};

/// How often a node renews its lease, as a kubelet does.
const LEASE_SECONDS: i64 = 10;
/// After how much silence a node is held to be lost, as by the node controller.
const GRACE_SECONDS: i64 = 40;
/// An unchanged node status is still reported this often.
const REPORT_SECONDS: i64 = 300;
const COMPONENT: &str = "node-controller";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// What a kubelet reports as long as all is well: condition, state, reason, message.
const CONDITIONS: &[(&str, &str, &str, &str)] = &[
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
];

/// Looks at one node: its taints, and the pods that have to leave it.
pub(super) fn step(step: &mut Step<'_>, name: &str) {
    let Some(node) = step.get("", "nodes", name) else { return };
    if condition(node.value(), "Ready").is_empty() {
        // A new node: its kubelet reports for the first time.
        heartbeat(step, name);
        return;
    }
    taint(step, name, &node);
    let Some(node) = step.get("", "nodes", name) else { return };
    evict(step, name, &node);
}

/// The kubelet's turn: renew the lease, report; or, when the node is lost, the control plane's watch over it.
pub(super) fn heartbeat(step: &mut Step<'_>, name: &str) {
    let Some(node) = step.get("", "nodes", name) else { return };
    if step.script.lost_nodes.contains(name) {
        watch_over(step, name, &node);
        return;
    }
    renew(step, name, &node);
    let reported = tree::items(node.value(), "/status/conditions")
        .iter()
        .filter_map(|condition| time::parse(tree::text(condition, "/lastHeartbeatTime")))
        .max();
    let is_ready = condition(node.value(), "Ready") == "True";
    if !is_ready || reported.is_none_or(|reported| after(reported, REPORT_SECONDS) <= step.now) {
        report(step, name, &node);
    }
    step.again_in(LEASE_SECONDS, Duty::Heartbeat, name);
}

fn renew(step: &mut Step<'_>, name: &str, node: &Object) {
    let now = time::micros(step.now);
    let key = key_of("kube-node-lease", name);
    if step.get("coordination.k8s.io", "leases", &key).is_none() {
        let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.uid()});
        let body = json!({
            "metadata": {"name": name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": GRACE_SECONDS, "renewTime": now},
        });
        let _ = step.create("coordination.k8s.io", "leases", "kube-node-lease", body, "kubelet");
        return;
    }
    let place = Place { group: "coordination.k8s.io", plural: "leases", key: &key, subresource: "" };
    step.change(place, "kubelet", |value| tree::put(value, &["spec", "renewTime"], now));
}

fn report(step: &mut Step<'_>, name: &str, node: &Object) {
    let was = condition(node.value(), "Ready").to_owned();
    let now = time::seconds(step.now);
    step.change(status_of("", "nodes", name), "kubelet", |value| {
        for (kind, state, reason, text) in CONDITIONS {
            put_condition(value, kind, state, reason, text, &now, true);
        }
    });
    if was != "True" {
        let event = |reason, text: String| Message { host: name, ..Message::normal("kubelet", reason, text) };
        let reason_text = format!("Node {name} status is now: NodeReady");
        if was.is_empty() {
            step.tell(node.value(), &event("Starting", "Starting kubelet.".to_owned()));
            let text = format!("Node {name} event: Registered Node {name} in Controller");
            step.tell(node.value(), &Message::normal(COMPONENT, "RegisteredNode", text));
        }
        step.tell(node.value(), &event("NodeReady", reason_text));
        wake_pods(step, name);
    }
}

fn put_condition(value: &mut Value, kind: &str, state: &str, reason: &str, text: &str, now: &str, heartbeat: bool) {
    let list = tree::list_mut(value, &["status", "conditions"]);
    let at = list.iter().position(|condition| tree::text(condition, "/type") == kind);
    let old = at.and_then(|at| list.get(at)).cloned().unwrap_or(Value::Null);
    let transition = if tree::text(&old, "/status") == state { tree::text(&old, "/lastTransitionTime") } else { now };
    let beat = if heartbeat || old.is_null() { now } else { tree::text(&old, "/lastHeartbeatTime") };
    let new = json!({
        "type": kind, "status": state, "reason": reason, "message": text, "lastHeartbeatTime": beat, "lastTransitionTime": transition,
    });
    match at.and_then(|at| list.get_mut(at)) {
        Some(place) => *place = new,
        None => list.push(new),
    }
}

fn pods_on(step: &Step<'_>, name: &str) -> Vec<String> {
    let pods = step.cluster.objects("", "pods", "").filter(|pod| tree::text(pod.value(), "/spec/nodeName") == name);
    pods.map(|pod| key_of(pod.namespace(), pod.name())).collect()
}

/// Has the kubelet look at all its pods.
fn wake_pods(step: &mut Step<'_>, name: &str) {
    for key in pods_on(step, name) {
        step.again(step.now, Duty::Kubelet, &key);
    }
}

/// The control plane's view of a node whose lease is not renewed.
fn watch_over(step: &mut Step<'_>, name: &str, node: &Object) {
    let lease = step.get("coordination.k8s.io", "leases", &key_of("kube-node-lease", name));
    let renewed = lease.and_then(|lease| time::parse(tree::text(lease.value(), "/spec/renewTime"))).unwrap_or(step.now);
    let due = after(renewed, GRACE_SECONDS);
    if due > step.now {
        step.again(due, Duty::Heartbeat, name);
        return;
    }
    if condition(node.value(), "Ready") == "Unknown" {
        return;
    }
    let now = time::seconds(step.now);
    step.change(status_of("", "nodes", name), "kube-controller-manager", |value| {
        for (kind, ..) in CONDITIONS {
            put_condition(value, kind, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", &now, false);
        }
    });
    let text = format!("Node {name} status is now: NodeNotReady");
    step.tell(node.value(), &Message::normal(COMPONENT, "NodeNotReady", text));
    for key in pods_on(step, name) {
        let Some(pod) = step.get("", "pods", &key).filter(|pod| !is_finished(pod.value())) else { continue };
        step.change(status_of("", "pods", &key), "kube-controller-manager", |value| not_ready(value, &now));
        step.tell(pod.value(), &Message::warning(COMPONENT, "NodeNotReady", "Node is not ready".to_owned()));
    }
}

fn not_ready(pod: &mut Value, now: &str) {
    for condition in tree::list_mut(pod, &["status", "conditions"]) {
        if tree::text(condition, "/type") == "Ready" && tree::text(condition, "/status") == "True" {
            tree::put(condition, &["status"], "False");
            tree::put(condition, &["lastTransitionTime"], now);
        }
    }
}

/// Keeps the taints in step with the node's condition.
fn taint(step: &mut Step<'_>, name: &str, node: &Object) {
    let key = match condition(node.value(), "Ready") {
        "True" => None,
        "Unknown" => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    let now = time::seconds(step.now);
    step.change(Place { group: "", plural: "nodes", key: name, subresource: "" }, "kube-controller-manager", |value| {
        let had: Vec<Value> = tree::items(value, "/spec/taints").to_vec();
        let mut taints: Vec<Value> = had
            .iter()
            .filter(|taint| {
                let own = matches!(tree::text(taint, "/key"), UNREACHABLE | NOT_READY);
                !own || key == Some(tree::text(taint, "/key"))
            })
            .cloned()
            .collect();
        for effect in key.map_or(&[][..], |_| &["NoSchedule", "NoExecute"]) {
            let same = |taint: &Value| Some(tree::text(taint, "/key")) == key && tree::text(taint, "/effect") == *effect;
            if !taints.iter().any(same) {
                taints.push(json!({"key": key, "effect": effect, "timeAdded": now}));
            }
        }
        if taints.is_empty() {
            tree::take(value, &["spec", "taints"]);
        } else {
            tree::put(value, &["spec", "taints"], taints);
        }
    });
}

/// Deletes the pods that no longer put up with the node's taints.
fn evict(step: &mut Step<'_>, name: &str, node: &Object) {
    let taints: Vec<&Value> =
        tree::items(node.value(), "/spec/taints").iter().filter(|taint| tree::text(taint, "/effect") == "NoExecute").collect();
    if taints.is_empty() {
        return;
    }
    let mut next: Option<Timestamp> = None;
    for key in pods_on(step, name) {
        let Some(pod) = step.get("", "pods", &key).filter(|pod| !pod.is_terminating()) else { continue };
        let Some(due) = taints.iter().filter_map(|taint| leaves_at(pod.value(), taint, step.now)).min() else { continue };
        if due > step.now {
            next = Some(next.map_or(due, |next| next.min(due)));
            continue;
        }
        let text = format!("Marking for deletion Pod {key}");
        step.tell(pod.value(), &Message::normal("taint-eviction-controller", "TaintManagerEviction", text));
        step.delete("", "pods", &key, &DeleteOptions::default());
    }
    if let Some(next) = next {
        step.again(next, Duty::Node, name);
    }
}

/// When a pod has to leave because of a taint; `None` for never.
fn leaves_at(pod: &Value, taint: &Value, now: Timestamp) -> Option<Timestamp> {
    if !tolerates(pod, taint) {
        return Some(now);
    }
    let single = |toleration: &Value| json!({"spec": {"tolerations": [toleration]}});
    let tolerations = tree::items(pod, "/spec/tolerations").iter().filter(|toleration| tolerates(&single(toleration), taint));
    let seconds: Vec<Option<i64>> = tolerations.map(|toleration| tree::number(toleration, "/tolerationSeconds")).collect();
    let since = time::parse(tree::text(taint, "/timeAdded")).unwrap_or(now);
    seconds.into_iter().collect::<Option<Vec<i64>>>()?.into_iter().min().map(|seconds| after(since, seconds))
}
