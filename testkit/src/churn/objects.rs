//! What the churn writes: Kubernetes objects as JSON, of believable shape and size.
//!
//! Pure: names, numbers and times are given. Every secret value, and every last-applied
//! annotation, holds the canary, so that a test can look for it where it must not be.

use jiff::Timestamp;
use serde_json::{Value, json};

// A Tuesday noon; the churn's own times count up from here, so that a seed gives the same bytes.
const BEGINNING_SECONDS: i64 = 1_790_683_200;
/// The API group of the custom resources.
pub(super) const GROUP: &str = "churn.example";

/// The time of the churn's `step`: one second each.
pub(super) fn time(step: u64) -> String {
    let seconds = BEGINNING_SECONDS.saturating_add(i64::try_from(step).unwrap_or(i64::MAX));
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// The same with the fraction that `MicroTime` fields need.
pub(super) fn micro_time(step: u64) -> String {
    time(step).replace('Z', ".000000Z")
}

pub(super) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"churn": "yes"}}})
}

pub(super) fn node(name: &str, index: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": "here",
                "topology.kubernetes.io/zone": format!("here-{}", index % 3),
                "node.kubernetes.io/instance-type": "bench.large",
            },
            "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"providerID": format!("bench://here/{name}")},
    })
}

/// The status of a node that no KWOK looks after.
pub(super) fn ready_node_status(step: u64) -> Value {
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "as the bench says",
               "lastHeartbeatTime": time(step), "lastTransitionTime": time(step)})
    };
    json!({"status": {
        "conditions": [
            condition("Ready", "True", "KubeletReady"),
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ],
        "capacity": {"cpu": "64", "memory": "256Gi", "pods": "1000"},
        "allocatable": {"cpu": "63", "memory": "250Gi", "pods": "1000"},
    }})
}

/// A pod bound to `node`; its JSON as sent is at least `bytes` long.
pub(super) fn pod(name: &str, namespace: &str, node: &str, bytes: usize) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": "web", "app.kubernetes.io/instance": name,
                "app.kubernetes.io/component": "frontend", "app.kubernetes.io/part-of": namespace,
            },
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
        },
        "spec": pod_spec(name, node),
    });
    let missing = bytes.saturating_sub(pod.to_string().len());
    if missing > 0 {
        pod["metadata"]["annotations"]["churn.example/notes"] = filler(name, missing).into();
    }
    pod
}

fn pod_spec(name: &str, node: &str) -> Value {
    let tolerate = |key: &str| json!({"key": key, "operator": "Exists"});
    json!({
        "nodeName": node,
        "containers": [container("web", name), container("sidecar", name)],
        "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "settings", "configMap": {"name": "settings-0", "optional": true}}],
        "tolerations": [tolerate("node.kubernetes.io/not-ready"), tolerate("node.kubernetes.io/unreachable")],
    })
}

fn container(name: &str, pod: &str) -> Value {
    let env: Vec<Value> = ["DATABASE", "QUEUE", "CACHE", "SEARCH", "PAYMENT", "MAIL", "TRACES", "METRICS"]
        .iter()
        .map(|what| json!({"name": format!("{what}_ADDRESS"), "value": format!("{}.{pod}.svc.cluster.local:8443", what.to_lowercase())}))
        .collect();
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": 8080}, "periodSeconds": 10, "failureThreshold": 3});
    json!({
        "name": name,
        "image": format!("registry.example/shop/{name}:1.0.0"),
        "env": env,
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "livenessProbe": probe("/livez"), "readinessProbe": probe("/readyz"),
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "settings", "mountPath": "/etc/settings"}],
    })
}

/// Text of `bytes` characters that differs from one seed to the next and compresses as prose does.
pub(super) fn filler(seed: &str, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "anchor", "bow", "course", "deck", "east", "fleet", "gale", "helm", "island", "jetty", "keel", "lookout", "mast", "north", "oar",
        "port",
    ];
    let mut number = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut text = String::with_capacity(bytes + 8);
    while text.len() < bytes {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = usize::try_from(number >> 60).unwrap_or(0);
        text.push_str(WORDS.get(word).copied().unwrap_or("sea"));
        text.push(' ');
    }
    text.truncate(bytes);
    text
}

/// The status of a pod of [`pod`] after `restarts` restarts.
pub(super) fn pod_status(step: u64, restarts: u64) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": time(step)});
    let container = |name: &str| {
        let mut status = json!({
            "name": name, "image": format!("registry.example/shop/{name}:1.0.0"), "imageID": format!("sha256:{name}"),
            "ready": true, "started": true, "restartCount": restarts,
            "state": {"running": {"startedAt": time(step)}},
        });
        if restarts > 0 {
            status["lastState"] = json!({"terminated": {
                "exitCode": 137, "reason": "OOMKilled",
                "startedAt": time(step.saturating_sub(60)), "finishedAt": time(step),
            }});
        }
        status
    };
    json!({"status": {
        "phase": "Running",
        "conditions": [condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
        "containerStatuses": [container("web"), container("sidecar")],
    }})
}

pub(super) fn deployment(name: &str, namespace: &str, node: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": 2, "revisionHistoryLimit": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec(name, node)},
        },
    })
}

pub(super) fn config_map(name: &str, namespace: &str, version: u64, canary: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name, "namespace": namespace,
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":\"{canary}-{version}\"}}\n")},
        },
        "data": config_data(name, version),
    })
}

pub(super) fn config_data(name: &str, version: u64) -> Value {
    json!({
        "version": version.to_string(),
        "settings.yaml": format!("replicas: {}\nmotd: {}\n", version % 7, filler(&format!("{name}-{version}"), 400)),
    })
}

/// One of three types; each value begins with the canary, so its base64 does too.
pub(super) fn secret(name: &str, namespace: &str, index: usize, version: u64, canary: &str) -> Value {
    let kind = ["Opaque", "kubernetes.io/basic-auth", "kubernetes.io/dockerconfigjson"].get(index % 3);
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": {"name": name, "namespace": namespace},
        "stringData": secret_values(index, version, canary),
    })
}

pub(super) fn secret_values(index: usize, version: u64, canary: &str) -> Value {
    let value = format!("{canary}-{index}-{version}");
    match index % 3 {
        0 => json!({"password": value, "token": format!("{value}-token")}),
        1 => json!({"username": format!("{canary}-user"), "password": value}),
        _ => {
            json!({".dockerconfigjson": format!("{{\"auths\":{{\"registry.example\":{{\"auth\":\"{value}\"}}}}}}")})
        }
    }
}

pub(super) fn core_event(name: &str, namespace: &str, pod: &str, step: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod},
        "type": "Warning", "reason": "BackOff", "message": format!("Back-off restarting failed container web in pod {pod}"),
        "source": {"component": "kubelet", "host": "node-0000"},
        "reportingComponent": "kubelet", "reportingInstance": "node-0000",
        "firstTimestamp": time(step), "lastTimestamp": time(step), "count": 1,
    })
}

pub(super) fn new_event(name: &str, namespace: &str, pod: &str, step: u64) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod},
        "type": "Normal", "reason": "Scheduled", "action": "Binding", "note": format!("Successfully assigned {namespace}/{pod}"),
        "reportingController": "default-scheduler", "reportingInstance": "default-scheduler-bench",
        "eventTime": micro_time(step),
    })
}

/// A definition of kind `Thing<n>`, whose schema keeps whatever it is given in `spec`.
pub(super) fn definition(n: u64) -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things{n}.{GROUP}")},
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": {"plural": format!("things{n}"), "singular": format!("thing{n}"), "kind": format!("Thing{n}")},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
            }],
        },
    })
}

pub(super) fn custom_resource(n: u64, name: &str, namespace: &str, version: u64) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": format!("Thing{n}"),
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"version": version, "about": filler(name, 200)},
    })
}

#[cfg(test)]
mod tests {
    use super::{pod, secret_values, time};

    #[test]
    fn gives_a_pod_at_least_the_size_asked_for() {
        assert!(pod("web-1", "shop", "node-1", 4096).to_string().len() >= 4096);
        assert!(pod("web-1", "shop", "node-1", 20_000).to_string().len() >= 20_000);
    }

    #[test]
    fn puts_the_canary_into_every_secret() {
        for index in 0..3 {
            assert!(secret_values(index, 1, "canary-7").to_string().contains("canary-7"));
        }
    }

    #[test]
    fn counts_seconds_from_a_fixed_time() {
        assert_eq!(time(0), "2026-09-29T12:00:00Z");
        assert_eq!(time(61), "2026-09-29T12:01:01Z");
    }
}
