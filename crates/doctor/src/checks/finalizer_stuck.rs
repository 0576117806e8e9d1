//! Objects that were deleted and that a finalizer holds.
//!
//! Pure. Not here: kinds with a check of their own for this, and what is held because it is in use, as it should be.

use std::sync::Arc;

use jiff::Timestamp;
use proreus_observe::{KindRef, Observed};

use super::joins;
use super::kinds;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "finalizer-stuck",
    title: "An object that was deleted is held by a finalizer",
    severity: Severity::Warning,
    grace_seconds: 900,
    remediation: "see that the controller behind the finalizer runs and what it says of the object; only when it is gone for good, take its finalizer away",
    kinds: &[KindRef::ANY],
    reasons: &["FinalizerStuck", "ClaimHeld"],
    examine,
    ..Check::BASE
};

/// Finalizers that hold an object for as long as others use or own it.
const IN_USE: [&str; 5] =
    ["kubernetes.io/pvc-protection", "kubernetes.io/pv-protection", "foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking"];

/// Grace of what is held because it is in use: whoever deleted it may mean it to go with its user.
const IN_USE_GRACE_SECONDS: i64 = 3_600;

/// Kinds whose deletion other checks follow, or may take hours.
fn is_followed_elsewhere(object: &Observed) -> bool {
    let own = [
        KindRef::POD,
        KindRef::NAMESPACE,
        kinds::CUSTOM_RESOURCE_DEFINITION,
        kinds::VOLUME_ATTACHMENT,
        kinds::CLUSTER,
        kinds::CLUSTER_DEPLOYMENT,
        kinds::MACHINE,
    ];
    own.iter().any(|kind| object.is_a(*kind)) || object.id.group.as_str().ends_with(".cluster.x-k8s.io")
}

/// Looks at one object of any kind.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    if is_followed_elsewhere(subject.object) {
        return Ok(Vec::new());
    }
    let object = subject.known()?;
    let Some(since) = object.time("/metadata/deletionTimestamp")? else { return Ok(Vec::new()) };
    let holding: Vec<&str> = object.list("/metadata/finalizers")?.iter().filter_map(|entry| entry.as_str()).collect();
    if is_namespace_going(subject)? {
        return Ok(Vec::new());
    }
    if object.is_a(KindRef::PERSISTENT_VOLUME_CLAIM) && holding == ["kubernetes.io/pvc-protection"] {
        return held_by_use(subject, since);
    }
    let holding: Vec<&str> = holding.into_iter().filter(|name| !IN_USE.contains(name)).collect();
    if holding.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!("the object was deleted, and {} holds it", holding.join(", "));
    Ok(vec![subject.finding("FinalizerStuck", text, subject.since(Some(since)))])
}

/// A claim that was deleted while a pod uses it goes with the pod; where that takes long, somebody waits for it in vain.
fn held_by_use(subject: &Subject<'_>, since: Timestamp) -> Verdict {
    let id = &subject.object.id;
    let uses = |pod: &&Arc<Observed>| {
        let is_over = matches!(pod.text("/status/phase"), Ok(Some("Succeeded" | "Failed")));
        let volumes = pod.list("/spec/volumes").unwrap_or_default();
        let claims = volumes.iter().filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str());
        !is_over && claims.into_iter().any(|name| name == id.name.as_str())
    };
    let user = subject.view.in_namespace(&id.cluster, KindRef::POD, &id.namespace).find(uses);
    if user.is_none() && !subject.view.freshness(&id.cluster, KindRef::POD).is_certain_at(subject.now) {
        return joins::unknown("whether a pod uses it cannot be told: pods are not watched");
    }
    let (text, severity, remedy) = match user {
        Some(pod) => (
            format!("the claim was deleted, and the pod `{}` still uses it", pod.name()),
            Severity::Info,
            "the claim goes when the last pod that mounts it is gone: delete or scale down what uses it",
        ),
        None => (
            "the claim was deleted, no pod uses it, and kubernetes.io/pvc-protection holds it".to_owned(),
            Severity::Warning,
            "the controller manager takes this finalizer away once nobody uses the claim: see that it runs and what it logs",
        ),
    };
    Ok(vec![subject.finding("ClaimHeld", text, subject.since(Some(since))).severity(severity).remedy(remedy).grace(IN_USE_GRACE_SECONDS)])
}

/// Whether its whole namespace is going, of which one finding is enough.
fn is_namespace_going(subject: &Subject<'_>) -> Result<bool, crate::Undecided> {
    let id = &subject.object.id;
    match subject.view.named(&id.cluster, KindRef::NAMESPACE, &"".into(), &id.namespace.as_str().into()) {
        Some(namespace) => Ok(joins::is_going(namespace)?),
        None => Ok(false),
    }
}
