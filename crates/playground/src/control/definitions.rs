//! Custom resource definitions: accepts names, serves and withdraws types, removes instances of a definition that goes.

use serde_json::{Value, json};

use super::{Step, events::status_of};
use crate::remove::{DEFINITION_CLEANUP, DeleteOptions};
use crate::store::key_of;
use crate::{custom, time, tree};

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";

/// Looks at one definition.
pub(super) fn step(step: &mut Step<'_>, name: &str) {
    let Some(object) = step.get(GROUP, PLURAL, name) else {
        // Names are <plural>.<group>, which is checked when a definition is created.
        if let Some((plural, group)) = name.split_once('.') {
            step.cluster.registry.remove(group, plural);
        }
        return;
    };
    let definition = object.value();
    let (group, plural) = (tree::text(definition, "/spec/group").to_owned(), tree::text(definition, "/spec/names/plural").to_owned());
    if object.is_terminating() {
        return withdraw(step, name, &group, &plural);
    }
    match custom::served_type(definition) {
        Some(def) => step.cluster.registry.put(def),
        None => step.cluster.registry.remove(&group, &plural),
    }
    let now = time::seconds(step.now);
    step.change(status_of(GROUP, PLURAL, name), "kube-apiserver", |value| accept(value, &now));
}

fn accept(value: &mut Value, now: &str) {
    let names = value.pointer("/spec/names").cloned().unwrap_or_else(|| json!({}));
    tree::put(value, &["status", "acceptedNames"], names);
    let storage: Vec<Value> = tree::items(value, "/spec/versions")
        .iter()
        .filter(|version| tree::flag(version, "/storage"))
        .map(|version| tree::text(version, "/name").into())
        .collect();
    let stored = tree::list_mut(value, &["status", "storedVersions"]);
    for version in storage {
        if !stored.contains(&version) {
            stored.push(version);
        }
    }
    let conditions = tree::list_mut(value, &["status", "conditions"]);
    for (kind, reason, message) in [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ] {
        if !conditions.iter().any(|condition| tree::text(condition, "/type") == kind) {
            conditions.push(json!({"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}));
        }
    }
}

fn withdraw(step: &mut Step<'_>, name: &str, group: &str, plural: &str) {
    let table = crate::resource::table_name(group, plural);
    let keys: Vec<String> = step
        .cluster
        .store
        .scan(&table, "")
        .filter(|object| !object.is_terminating())
        .map(|object| key_of(object.namespace(), object.name()))
        .collect();
    for key in keys {
        step.delete(group, plural, &key, &DeleteOptions::default());
    }
    if step.cluster.store.len(&table) > 0 {
        // Instances with finalizers hold the definition; look again when the last may have gone.
        step.again_in(1, super::Duty::Definition, name);
        return;
    }
    step.cluster.registry.remove(group, plural);
    step.change(super::Place { group: GROUP, plural: PLURAL, key: name, subresource: "" }, "kube-apiserver", |value| {
        let list = tree::list_mut(value, &["metadata", "finalizers"]);
        list.retain(|finalizer| finalizer != DEFINITION_CLEANUP);
        if list.is_empty() {
            tree::take(value, &["metadata", "finalizers"]);
        }
    });
}
