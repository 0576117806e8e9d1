//! Deleting: preconditions, grace, finalizers, what a client gets back.
//!
//! What follows from a deletion (dependents, contents of a namespace, instances of a definition) is the garbage collector's business.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Target, Writer};
use crate::status::{ApiError, success};
use crate::store::Object;
use crate::{time, tree};

/// What a client asks for beside the deletion itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) propagation: Propagation,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They go after the owner did.
    #[default]
    Background,
    /// They go first.
    Foreground,
    /// They stay, without this owner.
    Orphan,
}

/// Finalizer of an owner that waits for its dependents to go.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an owner that waits for its dependents to be freed.
pub(crate) const ORPHAN: &str = "orphan";
/// Finalizer of a definition whose instances are still there.
pub(crate) const DEFINITION_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// Grace of pods that state none.
const POD_GRACE_SECONDS: i64 = 30;

/// What a deletion came to.
#[derive(Debug)]
pub(crate) enum Removal {
    /// Still there, on its way out.
    Pending(Arc<Object>),
    /// Gone; the last state.
    Gone(Arc<Object>),
}

/// True when nothing holds a terminating object any more.
pub(crate) fn is_free(value: &Value) -> bool {
    let held_by_namespace = tree::text(value, "/kind") == "Namespace" && !tree::items(value, "/spec/finalizers").is_empty();
    tree::items(value, "/metadata/finalizers").is_empty()
        && tree::number(value, "/metadata/deletionGracePeriodSeconds").unwrap_or(0) == 0
        && !held_by_namespace
}

fn grace(target: &Target, object: &Object, options: &DeleteOptions) -> i64 {
    let value = object.value();
    if target.def.kind != "Pod" || target.def.is_custom() {
        return 0;
    }
    let phase = tree::text(value, "/status/phase");
    if tree::text(value, "/spec/nodeName").is_empty() || phase == "Succeeded" || phase == "Failed" {
        return 0;
    }
    let own = tree::number(value, "/spec/terminationGracePeriodSeconds").unwrap_or(POD_GRACE_SECONDS);
    options.grace_seconds.unwrap_or(own).max(0)
}

fn finalizers(target: &Target, value: &Value, options: &DeleteOptions) -> Vec<Value> {
    let mut out: Vec<Value> = tree::items(value, "/metadata/finalizers").to_vec();
    let mut want = |name: &str, wanted: bool| {
        out.retain(|finalizer| finalizer != name);
        if wanted {
            out.push(name.into());
        }
    };
    want(FOREGROUND, options.propagation == Propagation::Foreground);
    want(ORPHAN, options.propagation == Propagation::Orphan);
    if target.def.kind == "CustomResourceDefinition" {
        want(DEFINITION_CLEANUP, true);
    }
    out
}

impl Cluster {
    /// Deletes an object, or begins to.
    pub(crate) fn delete(&mut self, target: &Target, options: &DeleteOptions, writer: &Writer) -> Result<Removal, ApiError> {
        let existing = self.find(target)?;
        if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != existing.uid()) {
            let why = format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
                existing.uid()
            );
            return Err(ApiError::conflict(target.about_kind(), &why));
        }
        if let Some(version) = options.resource_version.as_deref().filter(|version| *version != existing.revision().to_string()) {
            let why = format!(
                "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
                 The object might have been modified",
                existing.revision()
            );
            return Err(ApiError::conflict(target.about_kind(), &why));
        }
        let mut value = existing.value().clone();
        let grace = grace(target, &existing, options);
        if existing.is_terminating() {
            return Ok(self.delete_again(target, &existing, grace, options, writer));
        }
        let holders = finalizers(target, &value, options);
        let is_namespace = target.def.kind == "Namespace" && !target.def.is_custom();
        let is_pod = target.def.kind == "Pod" && !target.def.is_custom();
        let held_by_namespace = is_namespace && !tree::items(&value, "/spec/finalizers").is_empty();
        if !is_pod && grace == 0 && holders.is_empty() && !held_by_namespace {
            return Ok(self.delete_now(target, existing, writer));
        }
        if holders.is_empty() {
            tree::take(&mut value, &["metadata", "finalizers"]);
        } else {
            tree::put(&mut value, &["metadata", "finalizers"], holders);
        }
        let due = writer.now.checked_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(writer.now);
        tree::put(&mut value, &["metadata", "deletionTimestamp"], time::seconds(due));
        if !is_namespace {
            tree::put(&mut value, &["metadata", "deletionGracePeriodSeconds"], grace);
        }
        if let Some(generation) = tree::number(&value, "/metadata/generation") {
            tree::put(&mut value, &["metadata", "generation"], generation + 1);
        }
        if is_namespace {
            tree::put(&mut value, &["status", "phase"], "Terminating");
        }
        if target.def.kind == "CustomResourceDefinition" {
            mark_terminating(&mut value, &time::seconds(writer.now));
        }
        let held = !tree::items(&value, "/metadata/finalizers").is_empty();
        let marked = self.store_or_pretend(target, value, writer);
        // A pod without grace is marked and gone in the same breath.
        if is_pod && grace == 0 && !held {
            return Ok(self.delete_now(target, marked, writer));
        }
        Ok(Removal::Pending(marked))
    }

    /// A second request for a pod may shorten its grace; for anything else it changes nothing.
    fn delete_again(&mut self, target: &Target, existing: &Arc<Object>, grace: i64, options: &DeleteOptions, writer: &Writer) -> Removal {
        let left = tree::number(existing.value(), "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        let held = !tree::items(existing.value(), "/metadata/finalizers").is_empty();
        if options.grace_seconds.is_none() || grace >= left || target.def.kind != "Pod" {
            return Removal::Pending(existing.clone());
        }
        let mut value = existing.value().clone();
        let due = writer.now.checked_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(writer.now);
        tree::put(&mut value, &["metadata", "deletionTimestamp"], time::seconds(due));
        tree::put(&mut value, &["metadata", "deletionGracePeriodSeconds"], grace);
        let shortened = self.store_or_pretend(target, value, writer);
        if grace == 0 && !held { self.delete_now(target, shortened, writer) } else { Removal::Pending(shortened) }
    }

    fn delete_now(&mut self, target: &Target, existing: Arc<Object>, writer: &Writer) -> Removal {
        if writer.dry_run {
            return Removal::Gone(existing);
        }
        if target.def.kind == "Pod" && !target.def.is_custom() {
            self.logs.forget(&target.namespace, &target.name);
        }
        Removal::Gone(self.store.commit(&target.def.table, &target.key(), None).unwrap_or(existing))
    }

    fn store_or_pretend(&mut self, target: &Target, value: Value, writer: &Writer) -> Arc<Object> {
        let pretended = Arc::new(Object::new(value.clone(), self.store.revision()));
        if writer.dry_run {
            return pretended;
        }
        self.store.commit(&target.def.table, &target.key(), Some(value)).unwrap_or(pretended)
    }

    /// What a client is told about a deletion.
    pub(crate) fn told(&self, target: &Target, removal: &Removal) -> Value {
        match removal {
            Removal::Pending(object) => self.shown(object, target),
            Removal::Gone(object) if returns_deleted(target) => self.shown(object, target),
            Removal::Gone(object) => {
                let mut details = json!({"name": target.name, "kind": target.def.plural, "uid": object.uid()});
                if !target.def.group.is_empty() {
                    details["group"] = target.def.group.clone().into();
                }
                success(details)
            }
        }
    }
}

/// Types whose deletion answers with the object instead of a `Status`.
fn returns_deleted(target: &Target) -> bool {
    const KINDS: &[&str] = &[
        "CSIDriver",
        "StorageClass",
        "VolumeAttachment",
        "CSINode",
        "ResourceQuota",
        "PersistentVolume",
        "ServiceAccount",
        "PersistentVolumeClaim",
        "Namespace",
        "Pod",
        "Service",
        "PodTemplate",
    ];
    !target.def.is_custom() && KINDS.contains(&target.def.kind.as_str())
}

fn mark_terminating(definition: &mut Value, now: &str) {
    let condition = json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        "lastTransitionTime": now,
    });
    tree::list_mut(definition, &["status", "conditions"]).push(condition);
}
