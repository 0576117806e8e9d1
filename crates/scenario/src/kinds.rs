//! What is known of kinds without asking an API server: their plural and whether they live in namespaces.
//!
//! Pure. For kinds that are not listed, the plural is formed as English does it and a namespace is assumed, which is what nearly every
//! custom type has.

use serde_json::Value;

/// Kinds of the cluster scope.
const CLUSTER_SCOPED: [&str; 26] = [
    "APIService",
    "CertificateSigningRequest",
    "ClusterIssuer",
    "ClusterPolicy",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CSINode",
    "CustomResourceDefinition",
    "FlowSchema",
    "GatewayClass",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "NodePool",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeSnapshotClass",
];

/// The API version of kinds that people name without one.
const VERSIONS: [(&str, &str); 30] = [
    ("Pod", "v1"),
    ("Node", "v1"),
    ("Service", "v1"),
    ("Namespace", "v1"),
    ("Secret", "v1"),
    ("ConfigMap", "v1"),
    ("ServiceAccount", "v1"),
    ("PersistentVolume", "v1"),
    ("PersistentVolumeClaim", "v1"),
    ("ResourceQuota", "v1"),
    ("LimitRange", "v1"),
    ("Event", "v1"),
    ("Endpoints", "v1"),
    ("Deployment", "apps/v1"),
    ("ReplicaSet", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("Job", "batch/v1"),
    ("CronJob", "batch/v1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2"),
    ("PodDisruptionBudget", "policy/v1"),
    ("EndpointSlice", "discovery.k8s.io/v1"),
    ("Ingress", "networking.k8s.io/v1"),
    ("IngressClass", "networking.k8s.io/v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("StorageClass", "storage.k8s.io/v1"),
    ("Lease", "coordination.k8s.io/v1"),
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1"),
    ("APIService", "apiregistration.k8s.io/v1"),
    ("MCPServer", "mcpruntime.org/v1alpha1"),
];

/// The API version of a kind that is named without one.
pub(crate) fn usual_version(kind: &str) -> Option<&'static str> {
    VERSIONS.iter().find(|(name, _)| *name == kind).map(|(_, version)| *version)
}

/// Whether objects of the kind live outside namespaces.
pub(crate) fn is_cluster_scoped(kind: &str) -> bool {
    CLUSTER_SCOPED.contains(&kind)
}

/// Lower-case plural.
pub(crate) fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    let ends = |tails: &[&str]| tails.iter().any(|tail| lower.ends_with(tail));
    match () {
        () if lower == "endpoints" => lower,
        () if lower.ends_with('y') && !ends(&["ay", "ey", "oy", "uy"]) => format!("{}ies", lower.trim_end_matches('y')),
        () if ends(&["s", "x", "ch", "sh"]) => format!("{lower}es"),
        () => format!("{lower}s"),
    }
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The resource type that a word means: a kind, a plural, either with `.group` or `group/` around it.
pub(crate) fn scope_of(word: &str) -> (String, String) {
    let (group, name) = match word.rsplit_once('/') {
        Some((group, name)) => (Some(group.split('/').next().unwrap_or_default()), name),
        None => match word.split_once('.') {
            Some((name, group)) => (Some(group), name),
            None => (None, word),
        },
    };
    let known = VERSIONS.iter().find(|(kind, _)| *kind == name || plural(kind) == name.to_ascii_lowercase());
    let resource = match known {
        Some((kind, _)) => plural(kind),
        None if name.starts_with(|first: char| first.is_ascii_uppercase()) => plural(name),
        None => name.to_owned(),
    };
    let own = known.map_or("", |(_, version)| split_version(version).0);
    (group.filter(|group| *group != "v1").unwrap_or(own).to_owned(), resource)
}

/// Text at a JSON pointer, `""` where there is none.
pub(crate) fn word<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_plurals_as_the_api_does() {
        for (kind, expected) in [
            ("Pod", "pods"),
            ("Ingress", "ingresses"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("EndpointSlice", "endpointslices"),
        ] {
            assert_eq!(plural(kind), expected);
        }
    }

    #[test]
    fn finds_the_scope_that_a_word_means() {
        let check = |word: &str, group: &str, resource: &str| assert_eq!(scope_of(word), (group.to_owned(), resource.to_owned()), "{word}");
        check("pods", "", "pods");
        check("Pod", "", "pods");
        check("deployments", "apps", "deployments");
        check("apps/v1/Deployment", "apps", "deployments");
        check("deployments.apps", "apps", "deployments");
        check("widgets.example.org", "example.org", "widgets");
    }
}
