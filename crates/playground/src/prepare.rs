//! What the API server itself writes into objects on their way in, and what it keeps from being written. Runs after the writer's fields
//! were noted, so nothing of this counts as the writer's.

use serde_json::{Value, json};

use crate::cluster::{Cluster, Target, Writer};
use crate::tree::{self, put_default};

/// The status that new objects of a type have.
fn first_status(kind: &str) -> Value {
    match kind {
        "Namespace" => json!({"phase": "Active"}),
        "Service" | "Ingress" => json!({"loadBalancer": {}}),
        "ReplicaSet" | "ReplicationController" => json!({"replicas": 0}),
        "StatefulSet" => json!({"replicas": 0, "availableReplicas": 0}),
        "DaemonSet" => json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0}),
        "HorizontalPodAutoscaler" => json!({"currentMetrics": null, "desiredReplicas": 0}),
        "PodDisruptionBudget" => json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}),
        "PersistentVolumeClaim" | "PersistentVolume" => json!({"phase": "Pending"}),
        "CustomResourceDefinition" => json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": []}),
        "VolumeAttachment" => json!({"attached": false}),
        _ => json!({}),
    }
}

/// Prepares a new object: no status from outside, and what its type gets at birth.
pub(crate) fn for_create(cluster: &mut Cluster, target: &Target, value: &mut Value, _writer: &Writer) {
    let custom = target.def.is_custom();
    // A node's kubelet registers it together with its status.
    if target.def.traits.status && (custom || target.def.kind != "Node") {
        tree::take(value, &["status"]);
        if !custom {
            tree::put(value, &["status"], first_status(&target.def.kind));
        }
    }
    if custom {
        return;
    }
    match target.def.kind.as_str() {
        "Namespace" => tree::put(value, &["spec", "finalizers"], json!(["kubernetes"])),
        "Pod" => pod(cluster, value),
        "Service" => service(cluster, value),
        "Job" => job(value),
        "PersistentVolumeClaim" => tree::list_mut(value, &["metadata", "finalizers"]).push("kubernetes.io/pvc-protection".into()),
        "PersistentVolume" => tree::list_mut(value, &["metadata", "finalizers"]).push("kubernetes.io/pv-protection".into()),
        "Node" => node(value),
        "CustomResourceDefinition" => {
            let storage = tree::items(value, "/spec/versions").iter().find(|version| tree::flag(version, "/storage"));
            let storage = storage.map(|version| tree::text(version, "/name").to_owned()).unwrap_or_default();
            tree::put(value, &["status", "storedVersions"], json!([storage]));
        }
        _ => {}
    }
}

/// What admission gives to pods: a service account with its token, tolerations, a priority; and the quality of service that follows.
fn pod(cluster: &mut Cluster, value: &mut Value) {
    tree::put(value, &["status"], json!({"phase": "Pending"}));
    let qos = quality(value);
    tree::put(value, &["status", "qosClass"], qos);
    put_default(value, &["spec", "priority"], 0);
    put_default(value, &["spec", "preemptionPolicy"], "PreemptLowerPriority");
    let tolerations = tree::list_mut(value, &["spec", "tolerations"]);
    for taint in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covers = |toleration: &Value| {
            let key = tree::text(toleration, "/key");
            (key == taint || key.is_empty()) && matches!(tree::text(toleration, "/effect"), "" | "NoExecute")
        };
        if !tolerations.iter().any(covers) {
            tolerations.push(json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    if cluster.admits_service_accounts {
        service_account(cluster, value);
    }
}

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn service_account(cluster: &mut Cluster, value: &mut Value) {
    put_default(value, &["spec", "serviceAccountName"], "default");
    let account = tree::text(value, "/spec/serviceAccountName").to_owned();
    tree::put(value, &["spec", "serviceAccount"], account);
    if value.pointer("/spec/automountServiceAccountToken").and_then(Value::as_bool) == Some(false) {
        return;
    }
    let name = format!("kube-api-access-{}", cluster.ids.suffix(5));
    let volume = json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}});
    tree::list_mut(value, &["spec", "volumes"]).push(volume);
    for field in ["initContainers", "containers"] {
        for container in value.pointer_mut(&format!("/spec/{field}")).and_then(Value::as_array_mut).into_iter().flatten() {
            let mounts = tree::list_mut(container, &["volumeMounts"]);
            if !mounts.iter().any(|mount| tree::text(mount, "/mountPath") == TOKEN_PATH) {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": TOKEN_PATH}));
            }
        }
    }
}

fn quality(pod: &Value) -> &'static str {
    let containers = tree::items(pod, "/spec/containers");
    let has = |container: &Value, side: &str, name: &str| container.pointer(&format!("/resources/{side}/{name}")).cloned();
    let any = containers.iter().any(|container| {
        ["requests", "limits"].iter().any(|side| ["cpu", "memory"].iter().any(|name| has(container, side, name).is_some()))
    });
    let guaranteed = containers.iter().all(|container| {
        ["cpu", "memory"]
            .iter()
            .all(|name| has(container, "limits", name).is_some() && has(container, "limits", name) == has(container, "requests", name))
    });
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn service(cluster: &mut Cluster, value: &mut Value) {
    if tree::text(value, "/spec/type") == "ExternalName" {
        return;
    }
    if tree::text(value, "/spec/clusterIP").is_empty() {
        let ip = cluster.service_ip();
        tree::put(value, &["spec", "clusterIP"], ip);
    }
    let ip = tree::text(value, "/spec/clusterIP").to_owned();
    put_default(value, &["spec", "clusterIPs"], json!([ip]));
    put_default(value, &["spec", "ipFamilies"], json!(["IPv4"]));
    put_default(value, &["spec", "ipFamilyPolicy"], "SingleStack");
    if matches!(tree::text(value, "/spec/type"), "NodePort" | "LoadBalancer") {
        let base = 30_000 + i64::try_from(cluster.ids.below(2_000)).unwrap_or(0);
        for (at, port) in (0_i64..).zip(tree::list_mut(value, &["spec", "ports"])) {
            put_default(port, &["nodePort"], base + at);
        }
    }
}

/// A new node is not ready until its conditions were seen to say so.
fn node(value: &mut Value) {
    let taints = tree::list_mut(value, &["spec", "taints"]);
    if !taints.iter().any(|taint| tree::text(taint, "/key") == "node.kubernetes.io/not-ready") {
        taints.push(json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}));
    }
}

fn job(value: &mut Value) {
    if tree::flag(value, "/spec/manualSelector") {
        return;
    }
    let uid = tree::text(value, "/metadata/uid").to_owned();
    let name = tree::text(value, "/metadata/name").to_owned();
    for (label, text) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ] {
        tree::put(value, &["spec", "template", "metadata", "labels", label], text.clone());
    }
    tree::put(value, &["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"], uid);
    let labels = value.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    put_default(value, &["metadata", "labels"], labels);
}

/// Fields of metadata that a client cannot change.
const FIXED: &[&str] =
    &["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink", "generateName"];

/// Prepares a further version: identity stays, and only the part that this endpoint writes changes.
pub(crate) fn for_update(target: &Target, before: &Value, value: &mut Value) {
    for field in FIXED {
        match before.pointer(&format!("/metadata/{field}")) {
            Some(kept) => tree::put(value, &["metadata", field], kept.clone()),
            None => {
                tree::take(value, &["metadata", field]);
            }
        }
    }
    if target.subresource == "status" {
        status_only(target, before, value);
    } else if target.subresource == "finalize" {
        let kept = value.pointer("/spec/finalizers").cloned();
        *value = before.clone();
        put_or_take(value, &["spec", "finalizers"], kept);
    } else if target.def.traits.status && target.subresource.is_empty() {
        put_or_take(value, &["status"], before.get("status").cloned());
    }
    if target.def.kind == "Service" && !target.def.is_custom() {
        // A client that applies its own manifest says nothing of what was allocated for it.
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let Some(kept) = before.pointer(&format!("/spec/{field}")) {
                put_default(value, &["spec", field], kept.clone());
            }
        }
    }
    if target.def.kind == "Job" && target.subresource.is_empty() && !target.def.is_custom() {
        for path in [["spec", "selector"], ["spec", "template"]] {
            put_or_take(value, &path, tree::at(before, &path).cloned());
        }
    }
}

fn status_only(target: &Target, before: &Value, value: &mut Value) {
    let status = value.get("status").cloned();
    let open = ["labels", "annotations", "finalizers"].map(|field| (field, value.pointer(&format!("/metadata/{field}")).cloned()));
    let managed = value.pointer("/metadata/managedFields").cloned();
    let version = value.pointer("/metadata/resourceVersion").cloned();
    *value = before.clone();
    put_or_take(value, &["status"], status);
    // The status endpoint of a custom resource leaves metadata alone; built-in ones let labels and the like through.
    if !target.def.is_custom() {
        for (field, content) in open {
            put_or_take(value, &["metadata", field], content);
        }
    }
    put_or_take(value, &["metadata", "managedFields"], managed);
    put_or_take(value, &["metadata", "resourceVersion"], version);
}

fn put_or_take(value: &mut Value, path: &[&str], new: Option<Value>) {
    match new {
        Some(new) => tree::put(value, path, new),
        None => {
            tree::take(value, path);
        }
    }
}
