//! What of an object is not held: large parts that say nothing of its health.
//!
//! Pure. The journal has the whole object; whoever compares versions reads them there.

use proreus_model::ObjectId;
use serde_json::Value;

/// Parts of a pod's container that no check reads; a container's state says what came of them.
const OF_CONTAINERS: &[&str] = &["volumeMounts", "livenessProbe", "readinessProbe", "lifecycle", "command", "args"];

/// The body without what is not held.
pub(super) fn kept(id: &ObjectId, mut body: Value) -> Value {
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "Pod") => pod(&mut body),
        // There are more Events than anything else, and most of an Event names it, which its identity does.
        ("" | "events.k8s.io", "Event") => {
            take(&mut body, "metadata", &["name", "namespace", "uid", "resourceVersion"]);
            for about in ["involvedObject", "regarding"] {
                take(&mut body, about, &["apiVersion", "kind", "namespace", "name", "resourceVersion"]);
            }
            for part in ["action", "apiVersion", "kind", "reportingInstance"] {
                body.as_object_mut().and_then(|event| event.remove(part));
            }
        }
        // Every image on the disk of the node, by several names each.
        ("", "Node") => take(&mut body, "status", &["images"]),
        // The schemas of a large operator are megabytes, and the API server says itself whether it takes them.
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            for version in body.pointer_mut("/spec/versions").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(version) = version.as_object_mut() {
                    version.remove("schema");
                }
            }
        }
        _ => {}
    }
    body
}

/// Takes parts of a map out of it.
fn take(body: &mut Value, within: &str, parts: &[&str]) {
    if let Some(map) = body.get_mut(within).and_then(Value::as_object_mut) {
        for part in parts {
            map.remove(*part);
        }
    }
}

fn pod(body: &mut Value) {
    take(body, "spec", &["tolerations", "affinity", "topologySpreadConstraints"]);
    let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            for part in OF_CONTAINERS {
                container.remove(*part);
            }
            // Of a variable counts where it comes from: an object that may be missing.
            if let Some(variables) = container.get_mut("env").and_then(Value::as_array_mut) {
                variables.retain(|variable| !variable.is_object() || variable.get("valueFrom").is_some());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(group: &str, kind: &str, body: Value) -> Value {
        let id = ObjectId {
            cluster: "c".into(),
            group: group.into(),
            kind: kind.into(),
            namespace: "".into(),
            name: "n".into(),
            uid: "u".into(),
        };
        super::kept(&id, body)
    }

    #[test]
    fn a_pod_keeps_what_says_something_of_its_health_and_other_kinds_keep_all() {
        let secret = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}});
        let whole = json!({"spec": {"tolerations": [{"operator": "Exists"}], "nodeName": "n", "containers": [
            {"name": "web", "image": "web:1", "args": ["-v"], "env": [{"name": "A", "value": "1"}, secret.clone()]}, "not a container"]}});
        let held =
            json!({"spec": {"nodeName": "n", "containers": [{"name": "web", "image": "web:1", "env": [secret]}, "not a container"]}});
        assert_eq!(kept("", "Pod", whole.clone()), held);
        assert_eq!(kept("apps", "Deployment", whole.clone()), whole);
        assert_eq!(kept("", "Pod", json!({"spec": 7})), json!({"spec": 7}));
    }

    #[test]
    fn the_images_of_a_node_and_the_schemas_of_a_type_are_not_held() {
        let node = json!({"status": {"images": [{"names": ["a"]}], "conditions": []}});
        assert_eq!(kept("", "Node", node), json!({"status": {"conditions": []}}));
        let definition = json!({"spec": {"versions": [{"name": "v1", "served": true, "schema": {"openAPIV3Schema": {}}}, 3]}});
        let held = json!({"spec": {"versions": [{"name": "v1", "served": true}, 3]}});
        assert_eq!(kept("apiextensions.k8s.io", "CustomResourceDefinition", definition), held);
    }

    #[test]
    fn of_an_event_is_held_what_it_says_and_of_what() {
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1", "uid": "u", "creationTimestamp": "t"}, "type": "Warning",
            "involvedObject": {"kind": "Pod", "name": "web", "uid": "p", "fieldPath": "spec.containers{web}"}, "message": "m", "reportingInstance": "i"});
        let held = json!({"metadata": {"creationTimestamp": "t"}, "type": "Warning", "involvedObject": {"uid": "p", "fieldPath": "spec.containers{web}"}, "message": "m"});
        assert_eq!(kept("", "Event", event), held);
    }
}
