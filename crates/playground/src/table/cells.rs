//! The cells of built-in types.

use jiff::Timestamp;
use serde_json::Value;

use super::pods;
use crate::{time, tree};

/// How long ago a moment was.
pub(super) fn since(moment: &str, now: Timestamp) -> String {
    time::parse(moment).map_or_else(|| "<unknown>".to_owned(), |then| time::human(now.duration_since(then).as_secs()))
}

/// The age of an object.
pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    since(tree::text(object, "/metadata/creationTimestamp"), now).into()
}

fn text(object: &Value, pointer: &str) -> Value {
    tree::text(object, pointer).into()
}

fn or(object: &Value, pointer: &str, other: &str) -> Value {
    match tree::text(object, pointer) {
        "" => other.into(),
        found => found.into(),
    }
}

fn number(object: &Value, pointer: &str) -> Value {
    tree::number(object, pointer).unwrap_or(0).into()
}

fn digits(object: &Value, pointer: &str) -> Value {
    tree::number(object, pointer).unwrap_or(0).to_string().into()
}

fn count(object: &Value, pointer: &str) -> usize {
    match object.pointer(pointer) {
        Some(Value::Object(map)) => map.len(),
        Some(Value::Array(list)) => list.len(),
        _ => 0,
    }
}

/// Cells of one object; `known` says whether its kind has columns of its own.
pub(super) fn of(kind: &str, known: bool, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = || text(object, "/metadata/name");
    let age = || age(object, now);
    if !known {
        return vec![name(), text(object, "/metadata/creationTimestamp")];
    }
    match kind {
        "Pod" => pods::cells(object, now),
        "Deployment" | "ReplicaSet" | "ReplicationController" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" => {
            workload(kind, object, now)
        }
        "Node" => node(object, now),
        "Event" => event(object, now),
        "Service" => service(object, now),
        "HorizontalPodAutoscaler" => autoscaler(object, now),
        "Endpoints" => vec![name(), endpoints(object).into(), age()],
        "EndpointSlice" => endpoint_slice(object, now),
        "Ingress" => ingress(object, now),
        "Namespace" => vec![name(), text(object, "/status/phase"), age()],
        "ConfigMap" => vec![name(), (count(object, "/data") + count(object, "/binaryData")).into(), age()],
        "Secret" => vec![name(), text(object, "/type"), count(object, "/data").into(), age()],
        "Lease" => vec![name(), text(object, "/spec/holderIdentity"), age()],
        "PodDisruptionBudget" => {
            let bound = |pointer: &str| object.pointer(pointer).map_or_else(|| "N/A".to_owned(), plain);
            let allowed = number(object, "/status/disruptionsAllowed");
            vec![name(), bound("/spec/minAvailable").into(), bound("/spec/maxUnavailable").into(), allowed, age()]
        }
        "PersistentVolumeClaim" => claim(object, now),
        "NetworkPolicy" => vec![name(), labels(object.pointer("/spec/podSelector/matchLabels")).into(), age()],
        "RoleBinding" | "ClusterRoleBinding" => role_binding(object, now),
        "PriorityClass" => {
            let global = tree::flag(object, "/globalDefault").into();
            vec![name(), number(object, "/value"), global, age(), or(object, "/preemptionPolicy", "PreemptLowerPriority")]
        }
        "StorageClass" => {
            let expands = tree::flag(object, "/allowVolumeExpansion").to_string().into();
            vec![name(), text(object, "/provisioner"), text(object, "/reclaimPolicy"), text(object, "/volumeBindingMode"), expands, age()]
        }
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => vec![name(), count(object, "/webhooks").into(), age()],
        _ => vec![name(), age()],
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn labels(map: Option<&Value>) -> String {
    let pairs: Vec<String> =
        map.and_then(Value::as_object).into_iter().flatten().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> Value {
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "<none>".into() } else { parts.join(",").into() }
}

/// Containers, images and selector, which every workload shows when wide.
fn wide(object: &Value, template: &str) -> Vec<Value> {
    let containers = tree::items(object, &format!("{template}/containers"));
    let selector = object.pointer("/spec/selector");
    let selector = selector.map(|selector| selector.get("matchLabels").unwrap_or(selector));
    vec![
        join(containers.iter().map(|container| tree::text(container, "/name"))),
        join(containers.iter().map(|container| tree::text(container, "/image"))),
        labels(selector).into(),
    ]
}

fn workload(kind: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let status = |field: &str| number(object, &format!("/status/{field}"));
    let name = text(object, "/metadata/name");
    let age = age(object, now);
    let of = |have: &str, want: &str| -> Value { format!("{}/{}", number(object, have), number(object, want)).into() };
    let mut out = match kind {
        "Deployment" => vec![
            name,
            of("/status/readyReplicas", "/spec/replicas"),
            number(object, "/status/updatedReplicas"),
            number(object, "/status/availableReplicas"),
            age,
        ],
        "StatefulSet" => vec![name, of("/status/readyReplicas", "/spec/replicas"), age],
        "DaemonSet" => vec![
            name,
            status("desiredNumberScheduled"),
            status("currentNumberScheduled"),
            status("numberReady"),
            status("updatedNumberScheduled"),
            status("numberAvailable"),
            labels(object.pointer("/spec/template/spec/nodeSelector")).into(),
            age,
        ],
        "Job" => job(object, now),
        "CronJob" => {
            let last = match tree::text(object, "/status/lastScheduleTime") {
                "" => "<none>".to_owned(),
                moment => since(moment, now),
            };
            let suspended: Value = if tree::flag(object, "/spec/suspend") { "True".into() } else { "False".into() };
            let active = count(object, "/status/active").into();
            vec![name, text(object, "/spec/schedule"), or(object, "/spec/timeZone", "<none>"), suspended, active, last.into(), age]
        }
        _ => vec![name, number(object, "/spec/replicas"), status("replicas"), status("readyReplicas"), age],
    };
    let template = if kind == "CronJob" { "/spec/jobTemplate/spec/template/spec" } else { "/spec/template/spec" };
    let mut more = wide(object, template);
    if kind == "StatefulSet" {
        more.truncate(2);
    }
    out.extend(more);
    out
}

fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let holds = |kind: &str| {
        tree::items(object, "/status/conditions")
            .iter()
            .any(|condition| tree::text(condition, "/type") == kind && tree::text(condition, "/status") == "True")
    };
    let state = match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if !tree::text(object, "/metadata/deletionTimestamp").is_empty() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let duration = match (time::parse(tree::text(object, "/status/startTime")), time::parse(tree::text(object, "/status/completionTime"))) {
        (None, _) => String::new(),
        (Some(start), Some(end)) => time::human(end.duration_since(start).as_secs()),
        (Some(start), None) => time::human(now.duration_since(start).as_secs()),
    };
    let wanted = tree::number(object, "/spec/completions").map_or_else(|| "1".to_owned(), |wanted| wanted.to_string());
    let completions = format!("{}/{wanted}", number(object, "/status/succeeded"));
    vec![text(object, "/metadata/name"), state.into(), completions.into(), duration.into(), age(object, now)]
}

fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let ready = tree::items(object, "/status/conditions").iter().find(|condition| tree::text(condition, "/type") == "Ready");
    let mut state = match ready.map(|condition| tree::text(condition, "/status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if tree::flag(object, "/spec/unschedulable") {
        state.push_str(",SchedulingDisabled");
    }
    let roles: Vec<&str> =
        tree::texts(object, "/metadata/labels").filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/")).collect();
    let address = |kind: &str| {
        let found = tree::items(object, "/status/addresses").iter().find(|address| tree::text(address, "/type") == kind);
        found.map_or_else(|| Value::from("<none>"), |address| text(address, "/address"))
    };
    vec![
        text(object, "/metadata/name"),
        state.into(),
        join(roles.into_iter()),
        age(object, now),
        text(object, "/status/nodeInfo/kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        or(object, "/status/nodeInfo/osImage", "<unknown>"),
        or(object, "/status/nodeInfo/kernelVersion", "<unknown>"),
        or(object, "/status/nodeInfo/containerRuntimeVersion", "<unknown>"),
    ]
}

fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    // Both dialects come here; fields are looked for under either name.
    let pick = |core: &str, new: &str| match tree::text(object, core) {
        "" => tree::text(object, new).to_owned(),
        found => found.to_owned(),
    };
    let first = match pick("/firstTimestamp", "/deprecatedFirstTimestamp") {
        moment if moment.is_empty() => tree::text(object, "/eventTime").to_owned(),
        moment => moment,
    };
    let last = match pick("/lastTimestamp", "/deprecatedLastTimestamp") {
        moment if moment.is_empty() => first.clone(),
        moment => moment,
    };
    let last = match tree::text(object, "/series/lastObservedTime") {
        "" => last,
        moment => moment.to_owned(),
    };
    let times =
        tree::number(object, "/series/count").or(tree::number(object, "/count")).or(tree::number(object, "/deprecatedCount")).unwrap_or(1);
    let kind = pick("/involvedObject/kind", "/regarding/kind").to_lowercase();
    let about = format!("{kind}/{}", pick("/involvedObject/name", "/regarding/name"));
    let mut source = match pick("/source/component", "/deprecatedSource/component") {
        component if component.is_empty() => pick("/reportingComponent", "/reportingController"),
        component => component,
    };
    let host = match pick("/source/host", "/deprecatedSource/host") {
        host if host.is_empty() => tree::text(object, "/reportingInstance").to_owned(),
        host => host,
    };
    if !host.is_empty() {
        source.push_str(&format!(", {host}"));
    }
    vec![
        since(&last, now).into(),
        text(object, "/type"),
        text(object, "/reason"),
        about.into(),
        pick("/involvedObject/fieldPath", "/regarding/fieldPath").into(),
        source.into(),
        pick("/message", "/note").trim().into(),
        since(&first, now).into(),
        times.into(),
        text(object, "/metadata/name"),
    ]
}

fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let kind = tree::text(object, "/spec/type");
    let external = match kind {
        "LoadBalancer" => {
            let ingress = tree::items(object, "/status/loadBalancer/ingress").iter();
            let ips: Vec<&str> = ingress.map(|entry| tree::text(entry, "/ip")).collect();
            if ips.is_empty() { Value::from("<pending>") } else { join(ips.into_iter()) }
        }
        "ExternalName" => text(object, "/spec/externalName"),
        _ => join(tree::items(object, "/spec/externalIPs").iter().filter_map(Value::as_str)),
    };
    let port = |port: &Value| match tree::number(port, "/nodePort") {
        Some(node) => format!("{}:{node}/{}", number(port, "/port"), tree::text(port, "/protocol")),
        None => format!("{}/{}", number(port, "/port"), tree::text(port, "/protocol")),
    };
    let ports: Vec<String> = tree::items(object, "/spec/ports").iter().map(port).collect();
    vec![
        text(object, "/metadata/name"),
        kind.into(),
        or(object, "/spec/clusterIP", "<none>"),
        external,
        join(ports.iter().map(String::as_str)),
        age(object, now),
        labels(object.pointer("/spec/selector")).into(),
    ]
}

fn autoscaler(object: &Value, now: Timestamp) -> Vec<Value> {
    let reference = format!("{}/{}", tree::text(object, "/spec/scaleTargetRef/kind"), tree::text(object, "/spec/scaleTargetRef/name"));
    let targets: Vec<String> = tree::items(object, "/spec/metrics")
        .iter()
        .enumerate()
        .map(|(at, metric)| {
            let current = tree::number(object, &format!("/status/currentMetrics/{at}/resource/current/averageUtilization"));
            let current = current.map_or_else(|| "<unknown>".to_owned(), |current| format!("{current}%"));
            let goal = number(metric, "/resource/target/averageUtilization");
            format!("{}: {current}/{goal}%", tree::text(metric, "/resource/name"))
        })
        .collect();
    vec![
        text(object, "/metadata/name"),
        reference.into(),
        join(targets.iter().map(String::as_str)),
        digits(object, "/spec/minReplicas"),
        number(object, "/spec/maxReplicas"),
        number(object, "/status/currentReplicas"),
        age(object, now),
    ]
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in tree::items(object, "/subsets") {
        for address in tree::items(subset, "/addresses") {
            for port in tree::items(subset, "/ports") {
                all.push(format!("{}:{}", tree::text(address, "/ip"), number(port, "/port")));
            }
        }
    }
    shortened(&all)
}

fn shortened(all: &[String]) -> String {
    match all.len() {
        0 => "<none>".to_owned(),
        1..=3 => all.join(","),
        more => format!("{} + {} more...", all.get(..3).unwrap_or_default().join(","), more - 3),
    }
}

fn endpoint_slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = tree::items(object, "/ports").iter().map(|port| plain(&number(port, "/port"))).collect();
    let addresses: Vec<String> = tree::items(object, "/endpoints")
        .iter()
        .flat_map(|endpoint| tree::items(endpoint, "/addresses"))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let ports = if ports.is_empty() { "<unset>".to_owned() } else { shortened(&ports) };
    let addresses = if addresses.is_empty() { "<unset>".to_owned() } else { shortened(&addresses) };
    vec![text(object, "/metadata/name"), text(object, "/addressType"), ports.into(), addresses.into(), age(object, now)]
}

fn ingress(object: &Value, now: Timestamp) -> Vec<Value> {
    let hosts: Vec<&str> =
        tree::items(object, "/spec/rules").iter().map(|rule| tree::text(rule, "/host")).filter(|host| !host.is_empty()).collect();
    let hosts: Value = if hosts.is_empty() { "*".into() } else { hosts.join(",").into() };
    let addresses: Vec<&str> = tree::items(object, "/status/loadBalancer/ingress").iter().map(|entry| tree::text(entry, "/ip")).collect();
    let ports = if tree::items(object, "/spec/tls").is_empty() { "80" } else { "80, 443" };
    let class = or(object, "/spec/ingressClassName", "<none>");
    vec![text(object, "/metadata/name"), class, hosts, addresses.join(",").into(), ports.into(), age(object, now)]
}

fn claim(object: &Value, now: Timestamp) -> Vec<Value> {
    let modes: Vec<&str> = tree::items(object, "/status/accessModes")
        .iter()
        .filter_map(Value::as_str)
        .map(|mode| match mode {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            other => other,
        })
        .collect();
    vec![
        text(object, "/metadata/name"),
        text(object, "/status/phase"),
        text(object, "/spec/volumeName"),
        text(object, "/status/capacity/storage"),
        modes.join(",").into(),
        text(object, "/spec/storageClassName"),
        or(object, "/spec/volumeAttributesClassName", "<unset>"),
        age(object, now),
        text(object, "/spec/volumeMode"),
    ]
}

fn role_binding(object: &Value, now: Timestamp) -> Vec<Value> {
    let role = format!("{}/{}", tree::text(object, "/roleRef/kind"), tree::text(object, "/roleRef/name"));
    let subjects = |kind: &str| -> Value {
        let names: Vec<String> = tree::items(object, "/subjects")
            .iter()
            .filter(|subject| tree::text(subject, "/kind") == kind)
            .map(|subject| match tree::text(subject, "/namespace") {
                "" => tree::text(subject, "/name").to_owned(),
                namespace => format!("{namespace}/{}", tree::text(subject, "/name")),
            })
            .collect();
        names.join(", ").into()
    };
    vec![text(object, "/metadata/name"), role.into(), age(object, now), subjects("User"), subjects("Group"), subjects("ServiceAccount")]
}
