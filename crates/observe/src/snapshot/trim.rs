//! What of an object is not held: large parts that say nothing of its health. There are many pods, and a parsed
//! one takes several times the memory of its text.
//!
//! Pure. The journal has the whole object; whoever compares versions reads them there.

use proreus_model::Kind;
use serde_json::Value;

/// Parts of a pod's container that no check reads; a container's state says what came of them.
const OF_CONTAINERS: &[&str] = &["volumeMounts", "livenessProbe", "readinessProbe", "lifecycle", "command", "args"];

/// The body without what is not held.
pub(super) fn kept(kind: &Kind, mut body: Value) -> Value {
    if kind.as_str() != "Pod" {
        return body;
    }
    let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut) else { return body };
    for part in ["tolerations", "affinity", "topologySpreadConstraints"] {
        spec.remove(part);
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            for part in OF_CONTAINERS {
                container.remove(*part);
            }
            // Of a variable counts where it comes from: an object that may be missing.
            if let Some(variables) = container.get_mut("env").and_then(Value::as_array_mut) {
                variables.retain(|variable| !variable.is_object() || variable.get("valueFrom").is_some());
                variables.shrink_to_fit();
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_keeps_what_says_something_of_its_health_and_other_kinds_keep_all() {
        let secret = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}});
        let whole = json!({"spec": {"tolerations": [{"operator": "Exists"}], "nodeName": "n", "containers": [
            {"name": "web", "image": "web:1", "args": ["-v"], "env": [{"name": "A", "value": "1"}, secret.clone()]}, "not a container"]}});
        let held =
            json!({"spec": {"nodeName": "n", "containers": [{"name": "web", "image": "web:1", "env": [secret]}, "not a container"]}});
        assert_eq!(kept(&"Pod".into(), whole.clone()), held);
        assert_eq!(kept(&"Deployment".into(), whole.clone()), whole);
        assert_eq!(kept(&"Pod".into(), json!({"spec": 7})), json!({"spec": 7}));
    }
}
