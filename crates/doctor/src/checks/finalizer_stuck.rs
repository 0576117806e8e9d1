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

/// Finalizers that hold an object for as long as others use it. The rest begins only after that.
const IN_USE: [&str; 2] = ["kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"];
/// Finalizers of Kubernetes itself, which hold an object for as long as it owns others.
const OF_OWNERS: [&str; 3] = ["foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking"];
/// The finalizer of Flux, which takes away all that an object has brought; that may be whole clusters.
const OF_FLUX: &str = "finalizers.fluxcd.io";
/// Grace of that.
const FLUX_GRACE_SECONDS: i64 = 3_600;

/// Kinds whose deletion other checks follow, or may take hours.
fn is_followed_elsewhere(object: &Observed) -> bool {
    let own = [KindRef::POD, KindRef::NAMESPACE, kinds::CUSTOM_RESOURCE_DEFINITION, kinds::VOLUME_ATTACHMENT, kinds::CLUSTER_DEPLOYMENT];
    let group = object.id.group.as_str();
    own.iter().any(|kind| object.is_a(*kind)) || group == kinds::CLUSTER.group || group.ends_with(".cluster.x-k8s.io")
}

/// Looks at one object of any kind.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    if is_followed_elsewhere(subject.object) {
        return Ok(Vec::new());
    }
    let object = subject.known()?;
    let Some(since) = object.time("/metadata/deletionTimestamp")? else { return Ok(Vec::new()) };
    let holding: Vec<&str> = object.list("/metadata/finalizers")?.iter().filter_map(|entry| entry.as_str()).collect();
    if holding.iter().any(|name| IN_USE.contains(name)) {
        return Ok(Vec::new());
    }
    let holding: Vec<&str> = holding.into_iter().filter(|name| !OF_OWNERS.contains(name)).collect();
    if holding.is_empty() || is_namespace_going(subject)? {
        return Ok(Vec::new());
    }
    let text = format!("the object was deleted, and {} holds it", holding.join(", "));
    let grace = if holding.contains(&OF_FLUX) { FLUX_GRACE_SECONDS } else { CHECK.grace_seconds };
    Ok(vec![subject.finding("FinalizerStuck", text, subject.since(Some(since))).grace(grace)])
}

/// Whether its whole namespace is going, of which one finding is enough.
fn is_namespace_going(subject: &Subject<'_>) -> Result<bool, crate::Undecided> {
    let id = &subject.object.id;
    match subject.view.named(&id.cluster, KindRef::NAMESPACE, &"".into(), &id.namespace.as_str().into()) {
        Some(namespace) => Ok(joins::is_going(namespace)?),
        None => Ok(false),
    }
}
