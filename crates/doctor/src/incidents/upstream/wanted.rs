//! Which changes somebody wanted, and so can be what an incident comes from.
//!
//! Pure. Status is what became of a wish, and most metadata is the bookkeeping of tools: neither is a wish. Invariant: what is left out here
//! is never named, so only what cannot make anything go wrong is left out.

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, FieldChange, ObjectId, Origin, Verb};
use proreus_observe::document::Node;
use proreus_observe::{Observed, changed_fields};
use serde_json::{Map, Value};

/// Kinds of which every change is noted, their coming and going included.
const KINDS: [(&str, &str); 46] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
    ("", "Node"),
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "IngressClass"),
    ("policy", "PodDisruptionBudget"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("apiregistration.k8s.io", "APIService"),
    ("storage.k8s.io", "StorageClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("gateway.networking.k8s.io", "GRPCRoute"),
    ("gateway.networking.k8s.io", "TCPRoute"),
    ("gateway.networking.k8s.io", "TLSRoute"),
    ("gateway.networking.k8s.io", "UDPRoute"),
    ("cert-manager.io", "Issuer"),
    ("cert-manager.io", "ClusterIssuer"),
    ("cert-manager.io", "Certificate"),
    ("mcpruntime.org", "MCPServer"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("argoproj.io", "Application"),
    ("k0rdent.mirantis.com", "ClusterDeployment"),
    ("cluster.x-k8s.io", "Cluster"),
    ("cluster.x-k8s.io", "Machine"),
    ("cluster.x-k8s.io", "MachineDeployment"),
    ("cluster.x-k8s.io", "MachineHealthCheck"),
    ("controlplane.cluster.x-k8s.io", "KubeadmControlPlane"),
    ("operators.coreos.com", "Subscription"),
];

/// Metadata that is configuration: the kind, the map, and how the key begins. Everything else there is somebody's bookkeeping.
const CONFIGURING: [(&str, &str, &str); 12] = [
    ("Ingress", "metadata.annotations", "kubernetes.io/ingress.class"),
    ("Ingress", "metadata.annotations", "nginx.ingress.kubernetes.io/"),
    ("Ingress", "metadata.annotations", "traefik.ingress.kubernetes.io/"),
    ("Ingress", "metadata.annotations", "alb.ingress.kubernetes.io/"),
    ("Ingress", "metadata.annotations", "cert-manager.io/"),
    ("Service", "metadata.annotations", "service.beta.kubernetes.io/"),
    ("ServiceAccount", "metadata.annotations", "eks.amazonaws.com/"),
    ("ServiceAccount", "metadata.annotations", "iam.gke.io/"),
    ("ServiceAccount", "metadata.annotations", "azure.workload.identity/"),
    ("IngressClass", "metadata.annotations", "ingressclass.kubernetes.io/is-default-class"),
    ("StorageClass", "metadata.annotations", "storageclass.kubernetes.io/is-default-class"),
    ("Namespace", "metadata.labels", "pod-security.kubernetes.io/enforce"),
];

/// Fields of a specification that a controller fills in.
const FILLED_IN: [(&str, &str); 9] = [
    ("PersistentVolumeClaim", "spec.volumeName"),
    ("PersistentVolume", "spec.claimRef"),
    ("Node", "spec.podCIDR"),
    ("Node", "spec.providerID"),
    ("Machine", "spec.providerID"),
    ("Machine", "spec.bootstrap.dataSecretName"),
    ("Cluster", "spec.controlPlaneEndpoint"),
    ("Service", "spec.healthCheckNodePort"),
    ("ServiceAccount", "secrets"),
];

/// The authority that a webhook is trusted by: injectors renew it together with the certificate that it vouches for.
const AUTHORITY: &str = "caBundle";

/// The labels of the pods that a workload makes, and how many it makes.
const LABELS: &str = "spec.template.metadata.labels";
pub(super) const REPLICAS: &str = "spec.replicas";

/// Bytes of a selector or of labels that are kept; larger ones are nobody's.
const WHOM_BYTES: usize = 2_048;

/// The metadata of the pods that a workload makes.
const OF_TEMPLATES: [&str; 4] = [
    "spec.template.metadata.annotations",
    "spec.template.metadata.labels",
    "spec.jobTemplate.spec.template.metadata.annotations",
    "spec.jobTemplate.spec.template.metadata.labels",
];

/// Words in the names of such metadata, in lower case, by which tools make pods start anew or number what they wrote.
const STARTED_ANEW: [&str; 10] =
    ["restartedat", "restarted-at", "redeploy", "last-reloaded", "update-time", "timestamp", "rollme", "checksum", "hash", "revision"];

/// Keys of such metadata that do so whatever their names, or say from which release a pod is.
const OF_TOOLS: [&str; 3] = ["checksum/", "helm.sh/chart", "app.kubernetes.io/version"];

/// How the variables begin that Reloader writes into a container when what it reads has changed.
const RELOADED: &str = "STAKATER_";

/// By which an Argo rollout is restarted.
const RESTARTED: &str = "spec.restartAt";

/// Taints by which the control plane says how a node is; they follow what happened to it.
const OF_CONTROL_PLANE: [&str; 2] = ["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/"];

/// Watches tell of a new object within seconds, and a list after lost history within minutes; what is older by then was there before.
const LATE_SIGHT: SignedDuration = SignedDuration::from_mins(5);

/// What a change says of somebody's wish: the fields that are wanted otherwise, none when the object came or went. `None`: it says nothing.
pub(super) fn wanted(change: &Change, former: Option<&Observed>) -> Option<Vec<FieldChange>> {
    let object = &change.object;
    let is_named = KINDS.contains(&(object.group.as_str(), object.kind.as_str()));
    match (change.verb, former, &change.body) {
        (Verb::Update, Some(former), Some(body)) if is_named || is_reconciled(former) => {
            let now: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
            let fields = changed_fields(&before(object, former.body()), &after(object, now));
            let fields: Vec<FieldChange> = fields.into_iter().filter(|field| is_wanted(object, field)).collect();
            (!fields.is_empty()).then_some(fields)
        }
        (Verb::Create, _, _) => (is_named && !was_there(change)).then(Vec::new),
        (Verb::Delete, _, _) => is_named.then(Vec::new),
        (Verb::Update, _, _) => None,
    }
}

/// Whether a custom resource has a controller that says how it gets on, so that an incident may be about it or about what is made of it.
fn is_reconciled(object: &Observed) -> bool {
    is_custom(&object.id) && object.body().pointer("/status/conditions").and_then(Node::as_array).is_some()
}

fn is_custom(object: &ObjectId) -> bool {
    let group = object.group.as_str();
    group.contains('.') && (!group.ends_with(".k8s.io") || group.starts_with("gateway."))
}

/// Whether an object that we see for the first time was there before we saw it.
fn was_there(change: &Change) -> bool {
    if change.origin == Origin::Snapshot {
        return true;
    }
    let body: Value = change.body.as_ref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null);
    let created = body.pointer("/metadata/creationTimestamp").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    created.is_some_and(|created| change.recorded_at.duration_since(created) > LATE_SIGHT)
}

/// Whether a part of an object can say what somebody wants. What stands beside the specification of a custom resource is its controller's:
/// its status, the operation of an Argo CD application.
fn is_compared(object: &ObjectId, part: &str) -> bool {
    if is_custom(object) { part == "spec" } else { !matches!(part, "status" | "apiVersion") }
}

/// What is compared of an object as it was.
fn before(object: &ObjectId, body: Node<'_>) -> Value {
    let parts = body.as_object().unwrap_or_default();
    // A status is often the larger part, and is not read for nothing.
    let parts = parts.iter().filter(|(part, _)| is_compared(object, part)).map(|(part, value)| (part.to_owned(), value.to_value()));
    without_own_taints(object, parts.collect())
}

/// What is compared of an object as it is.
fn after(object: &ObjectId, body: Value) -> Value {
    let parts = if let Value::Object(parts) = body { parts } else { Map::new() };
    without_own_taints(object, parts.into_iter().filter(|(part, _)| is_compared(object, part)).collect())
}

/// Of a node, without the taints that follow what happened to it.
fn without_own_taints(object: &ObjectId, mut body: Map<String, Value>) -> Value {
    let spec = body.get_mut("spec").filter(|_| object.kind.as_str() == "Node").and_then(Value::as_object_mut);
    if let Some(spec) = spec
        && let Some(taints) = spec.get_mut("taints").and_then(Value::as_array_mut)
    {
        let key = |taint: &Value| taint.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        taints.retain(|taint| !OF_CONTROL_PLANE.iter().any(|own| key(taint).starts_with(own)));
        if taints.is_empty() {
            spec.remove("taints");
        }
    }
    Value::Object(body)
}

fn is_wanted(object: &ObjectId, field: &FieldChange) -> bool {
    let (kind, path) = (object.kind.as_str(), field.path.as_str());
    if path.starts_with("metadata") {
        return CONFIGURING
            .iter()
            .any(|(of, map, key)| *of == kind && keys_within(field, map).iter().any(|changed| changed.starts_with(key)));
    }
    let is_filled_in = FILLED_IN.iter().any(|(of, filled)| *of == kind && path.starts_with(filled));
    !is_filled_in && !path.ends_with(AUTHORITY)
}

/// Whether a field only makes pods start anew, or says from which release they are: of a template, what nothing reads but the tool that
/// wrote it.
pub(super) fn is_bookkeeping(field: &FieldChange) -> bool {
    let keys: Vec<&str> = OF_TEMPLATES.iter().flat_map(|map| keys_within(field, map)).collect();
    if !keys.is_empty() {
        return keys.iter().all(|key| is_of_tool(key));
    }
    let is_variable = |variable: &Value| variable.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with(RELOADED));
    let is_list =
        |value: &Option<Value>| value.as_ref().is_none_or(|value| value.as_array().is_some_and(|list| list.iter().all(is_variable)));
    let is_reloaded = field.path.contains(&format!(".env[name={RELOADED}"))
        || (field.path.ends_with(".env") && is_list(&field.before) && is_list(&field.after));
    is_reloaded || field.path == RESTARTED
}

/// Whether nothing reads this metadata of a pod but the tool that wrote it.
fn is_of_tool(key: &str) -> bool {
    // A word in the domain before the name says nothing of it.
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    OF_TOOLS.iter().any(|tool| key.starts_with(tool)) || STARTED_ANEW.iter().any(|word| name.contains(word))
}

/// What tells whom a change concerns that does not show any more once it happened, as the object was before: the pods that a policy
/// selected, the labels of the pods that a workload took away.
pub(super) fn whom(change: &Change, former: &Observed, fields: &[FieldChange]) -> Option<Value> {
    let touches = |path: &str| change.verb == Verb::Delete || fields.iter().any(|field| field.path.starts_with(path));
    let path = match (change.object.group.as_str(), change.object.kind.as_str()) {
        ("networking.k8s.io", "NetworkPolicy") if touches("spec.podSelector") => "/spec/podSelector",
        ("apps", _) if touches(LABELS) || touches(REPLICAS) => "/spec/template/metadata/labels",
        _ => return None,
    };
    former.body().pointer(path).map(Node::to_value).filter(|value| value.to_string().len() <= WHOM_BYTES)
}

/// The keys of a map that a field is about: one, or those of the whole map when it came or went at once. None when the field is elsewhere.
pub(super) fn keys_within<'a>(field: &'a FieldChange, map: &str) -> Vec<&'a str> {
    let Some(rest) = field.path.strip_prefix(map) else { return Vec::new() };
    if rest.is_empty() {
        let whole = [&field.before, &field.after].into_iter().flatten().filter_map(Value::as_object);
        return whole.flat_map(|map| map.keys().map(String::as_str)).collect();
    }
    let quoted = rest.strip_prefix("[\"").and_then(|rest| rest.split("\"]").next());
    let plain = || rest.strip_prefix('.').and_then(|rest| rest.split(['.', '[']).next());
    quoted.or_else(plain).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proreus_model::FieldOp;
    use serde_json::json;

    use super::*;

    fn field(path: &str, after: Value) -> FieldChange {
        FieldChange { path: path.to_owned(), op: FieldOp::Add, before: None, after: Some(after) }
    }

    fn object(group: &str, kind: &str) -> ObjectId {
        ObjectId {
            cluster: "c".into(),
            group: group.into(),
            kind: kind.into(),
            namespace: "shop".into(),
            name: "web".into(),
            uid: "u".into(),
        }
    }

    #[test]
    fn what_starts_pods_anew_is_told_from_what_they_are() {
        for path in [
            "spec.template.metadata.annotations[\"kubectl.kubernetes.io/restartedAt\"]",
            "spec.template.metadata.annotations[\"checksum/config\"]",
            "spec.template.metadata.labels[\"app.kubernetes.io/version\"]",
            "spec.template.spec.containers[name=web].env[name=STAKATER_WEB_CONFIGMAP].value",
            "spec.restartAt",
        ] {
            assert!(is_bookkeeping(&field(path, json!("x"))), "{path}");
        }
        for path in
            ["spec.template.metadata.annotations[\"sidecar.istio.io/inject\"]", "spec.template.metadata.labels.app", "spec.replicas"]
        {
            assert!(!is_bookkeeping(&field(path, json!("x"))), "{path}");
        }
        let annotations = "spec.template.metadata.annotations";
        assert!(is_bookkeeping(&field(annotations, json!({"checksum/config": "x"}))));
        assert!(!is_bookkeeping(&field(annotations, json!({"checksum/config": "x", "vault.hashicorp.com/role": "web"}))));
        let variables = "spec.template.spec.containers[name=web].env";
        assert!(is_bookkeeping(&field(variables, json!([{"name": "STAKATER_A", "value": "x"}]))));
        assert!(!is_bookkeeping(&field(variables, json!([{"name": "STAKATER_A"}, {"name": "DATABASE"}]))));
    }

    #[test]
    fn only_metadata_that_configures_is_wanted() {
        let is_wanted = |kind: &str, path: &str, after: Value| is_wanted(&object("", kind), &field(path, after));
        assert!(is_wanted("Ingress", "metadata.annotations[\"nginx.ingress.kubernetes.io/rewrite-target\"]", json!("/")));
        assert!(is_wanted("Namespace", "metadata.labels", json!({"pod-security.kubernetes.io/enforce": "restricted"})));
        assert!(!is_wanted("Ingress", "metadata.annotations[\"field.cattle.io/publicEndpoints\"]", json!("[]")));
        assert!(!is_wanted("Service", "metadata.annotations[\"nginx.ingress.kubernetes.io/rewrite-target\"]", json!("/")));
        assert!(!is_wanted("Node", "metadata.labels.a", json!("b")) && !is_wanted("Node", "spec.podCIDRs", json!([])));
        assert!(is_wanted("Node", "spec.unschedulable", json!(true)));
    }

    #[test]
    fn of_a_node_the_taints_of_others_are_compared_and_of_a_custom_resource_its_specification() {
        let tainted = |keys: &[&str]| json!({"spec": {"taints": keys.iter().map(|key| json!({"key": key})).collect::<Vec<_>>()}});
        let node = |keys: &[&str]| after(&object("", "Node"), tainted(keys));
        assert_eq!(node(&["node.kubernetes.io/unreachable", "gpu"]), tainted(&["gpu"]));
        assert_eq!(node(&["node.kubernetes.io/unreachable"]), json!({"spec": {}}));
        let application = json!({"spec": {"a": 1}, "operation": {}, "status": {}, "metadata": {}});
        assert_eq!(after(&object("argoproj.io", "Application"), application), json!({"spec": {"a": 1}}));
        assert_eq!(after(&object("", "ConfigMap"), json!("text")), json!({}));
    }
}
