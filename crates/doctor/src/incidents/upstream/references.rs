//! What a specification refers to.
//!
//! Pure.

use proreus_observe::document::{Node, Shape};

/// The specification of the pods that a workload makes.
pub(super) fn pod_spec(body: Node<'_>) -> Option<Node<'_>> {
    ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"].iter().find_map(|path| body.pointer(path)).or_else(|| body.get("spec"))
}

/// Whether a specification refers to an object of this kind and name: `name` under a key that speaks of the kind, or a key that holds the
/// name itself. A container, a port or a volume of the same name is no reference.
pub(super) fn refers(spec: Node<'_>, kind: &str, name: &str) -> bool {
    let (under, direct): (&[&str], &[&str]) = match kind {
        "ConfigMap" => (&["configMap", "configMapRef", "configMapKeyRef"], &[]),
        "Secret" => (
            &["secret", "secretRef", "secretKeyRef", "imagePullSecrets", "certificateRefs", "privateKeySecretRef", "nodePublishSecretRef"],
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
        _ => return false,
    };
    stands(spec, under, direct, name, false)
}

fn stands(value: Node<'_>, under: &[&str], direct: &[&str], name: &str, is_under: bool) -> bool {
    match value.shape() {
        Shape::Fields(fields) => fields.iter().any(|(key, value)| {
            let is_reference = direct.contains(&key) || (is_under && key == "name");
            (is_reference && value.as_str() == Some(name)) || stands(value, under, direct, name, under.contains(&key))
        }),
        // A list speaks of what its key speaks of.
        Shape::List(list) => list.iter().any(|entry| stands(entry, under, direct, name, is_under)),
        Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proreus_observe::Document;
    use serde_json::json;

    use super::*;

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
            assert!(refers(spec, kind, name), "{kind} {name}");
        }
        for (kind, name) in [("ConfigMap", "web"), ("Secret", "TOKEN"), ("Secret", "tls"), ("ConfigMap", "http"), ("Secret", "web")] {
            assert!(!refers(spec, kind, name), "{kind} {name}");
        }
    }
}
