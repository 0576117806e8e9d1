//! Objects that were deleted and that a finalizer holds.
//!
//! Pure. Not here: kinds with a check of their own for this, and what is held because it is in use, as it should be.

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
    reasons: &["FinalizerStuck"],
    examine,
    ..Check::BASE
};

/// Finalizers that hold an object for as long as others use or own it.
const IN_USE: [&str; 5] =
    ["kubernetes.io/pvc-protection", "kubernetes.io/pv-protection", "foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking"];

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
    let holding: Vec<&str> = holding.into_iter().filter(|name| !IN_USE.contains(name)).collect();
    if holding.is_empty() || is_namespace_going(subject)? {
        return Ok(Vec::new());
    }
    let text = format!("the object was deleted, and {} holds it", holding.join(", "));
    Ok(vec![subject.finding("FinalizerStuck", text, subject.since(Some(since)))])
}

/// Whether its whole namespace is going, of which one finding is enough.
fn is_namespace_going(subject: &Subject<'_>) -> Result<bool, crate::Undecided> {
    let id = &subject.object.id;
    match subject.view.named(&id.cluster, KindRef::NAMESPACE, &"".into(), &id.namespace.as_str().into()) {
        Some(namespace) => Ok(joins::is_going(namespace)?),
        None => Ok(false),
    }
}
