//! What a specification refers to.
//!
//! Pure.

use std::collections::BTreeSet;

use proreus_model::{Namespace, ObjectId};
use proreus_observe::document::{Fields, Node, Shape};

/// What for a pod reads what it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To pull its images.
    Pulling,
    /// To run.
    Running,
    /// Either.
    Any,
}

/// How references to an object look.
pub(super) struct Reference<'a> {
    object: &'a ObjectId,
    /// The namespace of what refers.
    home: &'a Namespace,
    /// Keys under which `name` is its name.
    under: Vec<&'static str>,
    /// Keys that hold its name.
    direct: &'static [&'static str],
}

impl<'a> Reference<'a> {
    /// References to an object, from another in the namespace `home`.
    pub(super) fn to(object: &'a ObjectId, home: &'a Namespace, purpose: Purpose) -> Self {
        const PULLING: &str = "imagePullSecrets";
        let (under, direct): (&[&str], &[&str]) = match object.kind.as_str() {
            "ConfigMap" => (&["configMap", "configMapRef", "configMapKeyRef", "valuesFrom", "substituteFrom"], &[]),
            "Secret" if purpose == Purpose::Pulling => (&[PULLING], &[]),
            "Secret" => (
                &[
                    "secret",
                    "secretRef",
                    "secretKeyRef",
                    PULLING,
                    "certificateRefs",
                    "privateKeySecretRef",
                    "nodePublishSecretRef",
                    "valuesFrom",
                ],
                &["secretName"],
            ),
            "PersistentVolumeClaim" => (&[], &["claimName"]),
            "ServiceAccount" => (&[], &["serviceAccountName", "serviceAccount"]),
            "PersistentVolume" => (&[], &["volumeName"]),
            "IngressClass" => (&[], &["ingressClassName"]),
            "StorageClass" => (&[], &["storageClassName"]),
            "GatewayClass" => (&[], &["gatewayClassName"]),
            "Issuer" | "ClusterIssuer" => (&["issuerRef"], &[]),
            "Gateway" => (&["parentRefs"], &[]),
            "Service" => (&["service", "backendRefs"], &["serviceName"]),
            "Deployment" | "StatefulSet" => (&["scaleTargetRef"], &[]),
            "GitRepository" | "OCIRepository" | "HelmRepository" | "HelmChart" | "Bucket" => (&["sourceRef", "chartRef"], &[]),
            _ => (&[], &[]),
        };
        let under = under.iter().copied().filter(|key| purpose != Purpose::Running || *key != PULLING).collect();
        Self { object, home, under, direct }
    }

    fn is_at_home(&self) -> bool {
        self.object.namespace.is_empty() || self.object.namespace == *self.home
    }

    /// Whether a map under one of its keys means it.
    fn is_meant_by(&self, fields: Fields<'_>) -> bool {
        let text = |key: &str| fields.get(key).and_then(Node::as_str);
        let is_there = match text("namespace") {
            Some(namespace) if !self.object.namespace.is_empty() => namespace == self.object.namespace.as_str(),
            _ => self.is_at_home(),
        };
        text("name") == Some(self.object.name.as_str()) && is_there && text("kind").is_none_or(|kind| kind == self.object.kind.as_str())
    }
}

/// Whether a specification refers to an object: `name` under a key that speaks of the kind, or a key that holds the name itself. A
/// container, a port or a volume of the same name is no reference.
pub(super) fn refers(spec: Node<'_>, reference: &Reference<'_>) -> bool {
    stands(spec, reference, false)
}

fn stands(value: Node<'_>, reference: &Reference<'_>, is_under: bool) -> bool {
    match value.shape() {
        Shape::Fields(fields) => {
            let is_named = |(key, value): (&str, Node<'_>)| {
                let is_name = reference.direct.contains(&key) && value.as_str() == Some(reference.object.name.as_str());
                (is_name && reference.is_at_home()) || stands(value, reference, reference.under.contains(&key))
            };
            (is_under && reference.is_meant_by(fields)) || fields.iter().any(is_named)
        }
        // A list speaks of what its key speaks of.
        Shape::List(list) => list.iter().any(|entry| stands(entry, reference, is_under)),
        Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => false,
    }
}

/// The template of the pods that a workload makes.
pub(super) fn template(body: Node<'_>) -> Option<Node<'_>> {
    let mut templates = ["/spec/template", "/spec/jobTemplate/spec/template"].iter().filter_map(|path| body.pointer(path));
    // The template of a machine is one of another kind.
    templates.find(|template| template.pointer("/spec/containers").and_then(Node::as_array).is_some())
}

/// The namespaces that references name, and what is named there.
pub(super) fn elsewhere<'a>(spec: Node<'a>, found: &mut BTreeSet<&'a str>) {
    match spec.shape() {
        Shape::Fields(fields) => {
            let text = |key: &str| fields.get(key).and_then(Node::as_str);
            found.extend(text("name").and_then(|_| text("namespace")));
            fields.iter().for_each(|(_, value)| elsewhere(value, found));
        }
        Shape::List(list) => list.iter().for_each(|entry| elsewhere(entry, found)),
        Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proreus_observe::Document;
    use serde_json::json;

    use super::*;

    fn refers_to(spec: Node<'_>, kind: &str, namespace: &str, name: &str, purpose: Purpose) -> bool {
        let object = ObjectId {
            cluster: "c".into(),
            group: "".into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            uid: "u".into(),
        };
        refers(spec, &Reference::to(&object, &"shop".into(), purpose))
    }

    #[test]
    fn a_reference_is_told_from_a_name_that_happens_to_be_the_same() {
        let spec = json!({
            "containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "settings"}}], "ports": [{"name": "http"}],
                            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}]}],
            "volumes": [{"name": "tls", "secret": {"secretName": "web-tls"}}, {"name": "all", "projected": {"sources": [{"configMap": {"name": "ca"}}]}}],
            "imagePullSecrets": [{"name": "pull"}],
            "serviceAccountName": "web",
        });
        let document = Document::of(&spec);
        let spec = document.root();
        for (kind, name) in [
            ("ConfigMap", "settings"),
            ("ConfigMap", "ca"),
            ("Secret", "token"),
            ("Secret", "web-tls"),
            ("Secret", "pull"),
            ("ServiceAccount", "web"),
        ] {
            assert!(refers_to(spec, kind, "shop", name, Purpose::Any), "{kind} {name}");
        }
        for (kind, name) in [("ConfigMap", "web"), ("Secret", "TOKEN"), ("Secret", "tls"), ("ConfigMap", "http"), ("Secret", "web")] {
            assert!(!refers_to(spec, kind, "shop", name, Purpose::Any), "{kind} {name}");
        }
    }

    #[test]
    fn what_pulls_is_told_from_what_runs() {
        let spec = json!({"imagePullSecrets": [{"name": "pull"}], "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}]});
        let document = Document::of(&spec);
        let refers = |name, purpose| refers_to(document.root(), "Secret", "shop", name, purpose);
        assert!(refers("pull", Purpose::Pulling) && !refers("tls", Purpose::Pulling));
        assert!(!refers("pull", Purpose::Running) && refers("tls", Purpose::Running));
    }

    #[test]
    fn a_reference_may_name_the_namespace_and_the_kind() {
        let spec = json!({
            "parentRefs": [{"name": "edge", "namespace": "infra"}],
            "rules": [{"backendRefs": [{"name": "web"}, {"name": "bucket", "kind": "Bucket"}]}],
            "issuerRef": {"name": "ca", "kind": "ClusterIssuer"},
        });
        let document = Document::of(&spec);
        let refers = |kind, namespace, name| refers_to(document.root(), kind, namespace, name, Purpose::Any);
        assert!(refers("Gateway", "infra", "edge") && !refers("Gateway", "shop", "edge"));
        assert!(refers("Service", "shop", "web") && !refers("Service", "other", "web") && !refers("Service", "shop", "bucket"));
        assert!(refers("ClusterIssuer", "", "ca") && !refers("Issuer", "shop", "ca"));
        let mut namespaces = BTreeSet::new();
        elsewhere(document.root(), &mut namespaces);
        assert_eq!(namespaces, BTreeSet::from(["infra"]));
    }
}
