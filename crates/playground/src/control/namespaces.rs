//! Namespaces: what each one gets at birth, and how one that is being deleted is emptied.

use serde_json::json;

use super::{Duty, Place, Step};
use crate::remove::DeleteOptions;
use crate::store::key_of;
use crate::tree;

/// Looks at one namespace.
pub(super) fn step(step: &mut Step<'_>, name: &str) {
    let Some(namespace) = step.get("", "namespaces", name) else { return };
    if namespace.is_terminating() {
        return empty(step, name);
    }
    let key = key_of(name, "default");
    if step.get("", "serviceaccounts", &key).is_none() {
        let body = json!({"metadata": {"name": "default", "namespace": name}});
        let _ = step.create("", "serviceaccounts", name, body, "kube-controller-manager");
    }
    if step.get("", "configmaps", &key_of(name, "kube-root-ca.crt")).is_none() {
        let about = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal \
            service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
        let body = json!({
            "metadata": {"name": "kube-root-ca.crt", "namespace": name, "annotations": {"kubernetes.io/description": about}},
            "data": {"ca.crt": include_str!("ca.crt")},
        });
        let _ = step.create("", "configmaps", name, body, "kube-controller-manager");
    }
}

fn empty(step: &mut Step<'_>, name: &str) {
    let types: Vec<(String, String, std::sync::Arc<str>)> = step
        .cluster
        .registry
        .stored()
        .filter(|def| def.namespaced)
        .map(|def| (def.group.clone(), def.plural.clone(), def.table.clone()))
        .collect();
    let mut left = 0;
    for (group, plural, table) in types {
        let keys: Vec<(String, bool)> =
            step.cluster.store.scan(&table, name).map(|object| (key_of(name, object.name()), object.is_terminating())).collect();
        for (key, terminating) in keys {
            if !terminating {
                step.delete(&group, &plural, &key, &DeleteOptions::default());
            }
            left += usize::from(step.get(&group, &plural, &key).is_some());
        }
    }
    if left > 0 {
        step.again_in(2, Duty::Namespace, name);
        return;
    }
    step.change(Place { group: "", plural: "namespaces", key: name, subresource: "finalize" }, "kube-controller-manager", |value| {
        tree::take(value, &["spec", "finalizers"]);
    });
}
