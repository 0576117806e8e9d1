//! What the API server fills in where a client said nothing, type by type. Runs on new objects and on every later version.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::resource::ResourceDef;
use crate::tree::{self, put_default};

/// Fills in the defaults of a type.
pub(crate) fn apply(def: &ResourceDef, version: &str, value: &mut Value) {
    if let Some(custom) = def.custom.get(version) {
        crate::structural::shape(custom.schema.as_ref(), value);
        return;
    }
    always(def, value);
    match def.kind.as_str() {
        "Pod" => pod(value),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController" => workload(&def.kind, value),
        "Job" => job(value),
        "CronJob" => cron_job(value),
        "Service" => service(value),
        "Secret" => secret(value),
        "Namespace" => {
            let name = tree::text(value, "/metadata/name").to_owned();
            put_default(value, &["metadata", "labels", "kubernetes.io/metadata.name"], name);
        }
        "PersistentVolumeClaim" => put_default(value, &["spec", "volumeMode"], "Filesystem"),
        "PersistentVolume" => {
            put_default(value, &["spec", "volumeMode"], "Filesystem");
            put_default(value, &["spec", "persistentVolumeReclaimPolicy"], "Retain");
        }
        "HorizontalPodAutoscaler" => put_default(value, &["spec", "minReplicas"], 1),
        "StorageClass" => {
            put_default(value, &["reclaimPolicy"], "Delete");
            put_default(value, &["volumeBindingMode"], "Immediate");
        }
        "NetworkPolicy" => network_policy(value),
        "RoleBinding" | "ClusterRoleBinding" => binding(value),
        "CustomResourceDefinition" => definition(value),
        _ => {}
    }
}

/// Times that every condition of a kind shows, `null` as long as nobody set them.
fn condition_times(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" | "Job" => &["lastProbeTime", "lastTransitionTime"],
        "Node" => &["lastHeartbeatTime", "lastTransitionTime"],
        "Deployment" => &["lastTransitionTime", "lastUpdateTime"],
        _ => &["lastTransitionTime"],
    }
}

fn put_null(value: &mut Value, path: &[&str]) {
    if tree::at(value, path).is_none() {
        tree::put(value, path, Value::Null);
    }
}

/// Fields that typed objects always show, set or not.
pub(crate) fn always(def: &ResourceDef, value: &mut Value) {
    for condition in value.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        for time in condition_times(&def.kind) {
            put_null(condition, &[time]);
        }
    }
    for status in value.pointer_mut("/status/containerStatuses").and_then(Value::as_array_mut).into_iter().flatten() {
        put_default(status, &["lastState"], json!({}));
        put_default(status, &["state"], json!({}));
        if status.pointer("/state/running").is_some() {
            put_null(status, &["state", "running", "startedAt"]);
        }
    }
    match def.kind.as_str() {
        "Event" => {
            for time in ["eventTime", "firstTimestamp", "lastTimestamp"] {
                put_null(value, &[time]);
            }
            put_default(value, &["reportingComponent"], "");
            put_default(value, &["reportingInstance"], "");
            put_default(value, &["source"], json!({}));
        }
        "Node" => {
            let capacity = value.pointer("/status/capacity").cloned();
            if let Some(capacity) = capacity {
                put_default(value, &["status", "allocatable"], capacity);
            }
            put_default(value, &["status", "daemonEndpoints", "kubeletEndpoint", "Port"], 0);
            for field in [
                "architecture",
                "bootID",
                "containerRuntimeVersion",
                "kernelVersion",
                "kubeProxyVersion",
                "kubeletVersion",
                "machineID",
                "operatingSystem",
                "osImage",
                "systemUUID",
            ] {
                put_default(value, &["status", "nodeInfo", field], "");
            }
        }
        "EndpointSlice" => {
            for port in value.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                put_default(port, &["name"], "");
                put_default(port, &["protocol"], "TCP");
            }
        }
        _ => {}
    }
}

fn pod(value: &mut Value) {
    if let Some(spec) = value.get_mut("spec") {
        put_default(spec, &["enableServiceLinks"], true);
        pod_spec(spec);
        for container in tree::list_mut(spec, &["containers"]) {
            // A limit without a request is a request too.
            let limits = container.pointer("/resources/limits").cloned();
            for (name, limit) in limits.as_ref().and_then(Value::as_object).into_iter().flatten() {
                put_default(container, &["resources", "requests", name], limit.clone());
            }
        }
    }
}

fn pod_spec(spec: &mut Value) {
    put_default(spec, &["restartPolicy"], "Always");
    put_default(spec, &["dnsPolicy"], "ClusterFirst");
    put_default(spec, &["schedulerName"], "default-scheduler");
    put_default(spec, &["terminationGracePeriodSeconds"], 30);
    put_default(spec, &["securityContext"], json!({}));
    let account = tree::text(spec, "/serviceAccountName").to_owned();
    if !account.is_empty() {
        put_default(spec, &["serviceAccount"], account);
    }
    for field in ["initContainers", "containers"] {
        if spec.get(field).is_some() {
            tree::list_mut(spec, &[field]).iter_mut().for_each(container);
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        volume_defaults(volume);
    }
}

fn container(value: &mut Value) {
    let image = tree::text(value, "/image");
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map_or("latest", |(_, tag)| tag);
    let policy = if tag == "latest" && !image.contains('@') { "Always" } else { "IfNotPresent" };
    put_default(value, &["imagePullPolicy"], policy);
    put_default(value, &["terminationMessagePath"], "/dev/termination-log");
    put_default(value, &["terminationMessagePolicy"], "File");
    put_default(value, &["resources"], json!({}));
    for port in value.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        put_default(port, &["protocol"], "TCP");
    }
    for env in value.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if env.pointer("/valueFrom/fieldRef").is_some() {
            put_default(env, &["valueFrom", "fieldRef", "apiVersion"], "v1");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = value.get_mut(probe) else { continue };
        put_default(probe, &["timeoutSeconds"], 1);
        put_default(probe, &["periodSeconds"], 10);
        put_default(probe, &["successThreshold"], 1);
        put_default(probe, &["failureThreshold"], 3);
        if probe.get("httpGet").is_some() {
            put_default(probe, &["httpGet", "scheme"], "HTTP");
            put_default(probe, &["httpGet", "path"], "/");
        }
    }
}

fn volume_defaults(volume: &mut Value) {
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if volume.get(source).is_some() {
            put_default(volume, &[source, "defaultMode"], 420);
        }
    }
    if volume.get("hostPath").is_some() {
        put_default(volume, &["hostPath", "type"], "");
    }
    for source in volume.pointer_mut("/projected/sources").and_then(Value::as_array_mut).into_iter().flatten() {
        if source.get("serviceAccountToken").is_some() {
            put_default(source, &["serviceAccountToken", "expirationSeconds"], 3600);
        }
    }
    if volume.as_object().is_some_and(|map| map.len() == 1) {
        put_default(volume, &["emptyDir"], json!({}));
    }
}

fn workload(kind: &str, value: &mut Value) {
    if kind != "DaemonSet" {
        put_default(value, &["spec", "replicas"], 1);
    }
    match kind {
        "Deployment" => {
            put_default(value, &["spec", "revisionHistoryLimit"], 10);
            put_default(value, &["spec", "progressDeadlineSeconds"], 600);
            put_default(value, &["spec", "strategy", "type"], "RollingUpdate");
            if tree::text(value, "/spec/strategy/type") == "RollingUpdate" {
                put_default(value, &["spec", "strategy", "rollingUpdate", "maxUnavailable"], "25%");
                put_default(value, &["spec", "strategy", "rollingUpdate", "maxSurge"], "25%");
            }
        }
        "StatefulSet" => {
            put_default(value, &["spec", "revisionHistoryLimit"], 10);
            put_default(value, &["spec", "podManagementPolicy"], "OrderedReady");
            put_default(value, &["spec", "updateStrategy", "type"], "RollingUpdate");
            put_default(value, &["spec", "updateStrategy", "rollingUpdate", "partition"], 0);
            put_default(value, &["spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"], "Retain");
            put_default(value, &["spec", "persistentVolumeClaimRetentionPolicy", "whenScaled"], "Retain");
        }
        "DaemonSet" => {
            put_default(value, &["metadata", "annotations", "deprecated.daemonset.template.generation"], "1");
            put_default(value, &["spec", "revisionHistoryLimit"], 10);
            put_default(value, &["spec", "updateStrategy", "type"], "RollingUpdate");
            put_default(value, &["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"], 1);
            put_default(value, &["spec", "updateStrategy", "rollingUpdate", "maxSurge"], 0);
        }
        _ => {}
    }
    template(value, &["spec", "template", "spec"]);
}

fn template(value: &mut Value, path: &[&str]) {
    if let Some((_, way)) = path.split_last() {
        put_default(value, &[way, &["metadata"]].concat(), json!({}));
    }
    if let Some(spec) = tree::at_mut(value, path).filter(|spec| spec.is_object()) {
        pod_spec(spec);
    }
}

fn job(value: &mut Value) {
    put_default(value, &["spec", "backoffLimit"], 6);
    put_default(value, &["spec", "completionMode"], "NonIndexed");
    put_default(value, &["spec", "suspend"], false);
    put_default(value, &["spec", "podReplacementPolicy"], "TerminatingOrFailed");
    let neither = value.pointer("/spec/completions").is_none() && value.pointer("/spec/parallelism").is_none();
    if neither {
        put_default(value, &["spec", "completions"], 1);
    }
    put_default(value, &["spec", "parallelism"], 1);
    put_default(value, &["spec", "manualSelector"], false);
    template(value, &["spec", "template", "spec"]);
}

fn cron_job(value: &mut Value) {
    put_default(value, &["spec", "concurrencyPolicy"], "Allow");
    put_default(value, &["spec", "suspend"], false);
    put_default(value, &["spec", "successfulJobsHistoryLimit"], 3);
    put_default(value, &["spec", "failedJobsHistoryLimit"], 1);
    put_default(value, &["spec", "jobTemplate", "metadata"], json!({}));
    template(value, &["spec", "jobTemplate", "spec", "template", "spec"]);
}

fn service(value: &mut Value) {
    put_default(value, &["spec", "type"], "ClusterIP");
    put_default(value, &["spec", "sessionAffinity"], "None");
    let kind = tree::text(value, "/spec/type").to_owned();
    if kind != "ExternalName" {
        put_default(value, &["spec", "internalTrafficPolicy"], "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        put_default(value, &["spec", "externalTrafficPolicy"], "Cluster");
    }
    if kind == "LoadBalancer" {
        put_default(value, &["spec", "allocateLoadBalancerNodePorts"], true);
    }
    for port in value.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
        put_default(port, &["protocol"], "TCP");
        let number = port.get("port").cloned().unwrap_or(Value::Null);
        put_default(port, &["targetPort"], number);
    }
}

fn secret(value: &mut Value) {
    put_default(value, &["type"], "Opaque");
    let Some(plain) = tree::take(value, &["stringData"]) else { return };
    for (key, text) in plain.as_object().into_iter().flatten() {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        tree::put(value, &["data", key], encoded);
    }
}

fn network_policy(value: &mut Value) {
    let egress = value.pointer("/spec/egress").is_some();
    let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    put_default(value, &["spec", "policyTypes"], types);
}

fn binding(value: &mut Value) {
    put_default(value, &["roleRef", "apiGroup"], "rbac.authorization.k8s.io");
    for subject in value.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if matches!(tree::text(subject, "/kind"), "User" | "Group") {
            put_default(subject, &["apiGroup"], "rbac.authorization.k8s.io");
        }
    }
}

fn definition(value: &mut Value) {
    let kind = tree::text(value, "/spec/names/kind").to_owned();
    put_default(value, &["spec", "names", "listKind"], format!("{kind}List"));
    put_default(value, &["spec", "names", "singular"], kind.to_lowercase());
    put_default(value, &["spec", "conversion", "strategy"], "None");
}
