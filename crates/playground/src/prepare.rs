//! What the API server itself writes into objects on their way in, and what it keeps from being written.

use serde_json::{Value, json};

use crate::cluster::{Cluster, Target, Writer};
use crate::tree;

/// Prepares a new object: no status from outside, and what its type gets at birth.
pub(crate) fn for_create(_cluster: &mut Cluster, target: &Target, value: &mut Value, _writer: &Writer) {
    if target.def.traits.status {
        tree::take(value, &["status"]);
    }
    if target.def.is_custom() {
        return;
    }
    if target.def.kind == "Namespace" {
        tree::put(value, &["spec", "finalizers"], json!(["kubernetes"]));
        tree::put(value, &["status", "phase"], "Active");
        let name = target.name.clone();
        tree::put(value, &["metadata", "labels", "kubernetes.io/metadata.name"], name);
    }
}

/// Fields of metadata that a client cannot change.
const FIXED: &[&str] = &["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink", "generateName"];

/// Prepares a further version: identity stays, and only the part that this endpoint writes changes.
pub(crate) fn for_update(target: &Target, before: &Value, value: &mut Value) {
    for field in FIXED {
        match before.pointer(&format!("/metadata/{field}")) {
            Some(kept) => tree::put(value, &["metadata", field], kept.clone()),
            None => {
                tree::take(value, &["metadata", field]);
            }
        }
    }
    if target.subresource == "status" {
        let status = value.get("status").cloned();
        let labels = value.pointer("/metadata/labels").cloned();
        let annotations = value.pointer("/metadata/annotations").cloned();
        let finalizers = value.pointer("/metadata/finalizers").cloned();
        let managed = value.pointer("/metadata/managedFields").cloned();
        let custom = target.def.is_custom();
        *value = before.clone();
        put_or_take(value, &["status"], status);
        // The status endpoint of a custom resource leaves metadata alone; built-in ones let labels and the like through.
        if !custom {
            put_or_take(value, &["metadata", "labels"], labels);
            put_or_take(value, &["metadata", "annotations"], annotations);
            put_or_take(value, &["metadata", "finalizers"], finalizers);
        }
        put_or_take(value, &["metadata", "managedFields"], managed);
    } else if target.def.traits.status && target.subresource.is_empty() {
        put_or_take(value, &["status"], before.get("status").cloned());
    }
}

fn put_or_take(value: &mut Value, path: &[&str], new: Option<Value>) {
    match new {
        Some(new) => tree::put(value, path, new),
        None => {
            tree::take(value, path);
        }
    }
}
