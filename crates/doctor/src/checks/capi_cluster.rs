//! Clusters of the Cluster API that failed, are stuck, or do not go.
//!
//! Pure.

use proreus_observe::Observed;

use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "capi-cluster",
    title: "A cluster of the Cluster API failed or is stuck",
    severity: Severity::Warning,
    grace_seconds: 3_600,
    remediation: "read its conditions, then those of its infrastructure and control plane: the provider's message stands at the bottom",
    kinds: &[kinds::CLUSTER],
    reasons: &["ClusterFailed", "ClusterStuck", "ClusterUnavailable", "ClusterDeletionStuck"],
    examine,
    ..Check::BASE
};

/// Grace of a cluster that was up.
const UNAVAILABLE_GRACE_SECONDS: i64 = 600;

/// Reasons of the older API for a control plane that is brought to another size or version: it takes as long as making one.
const CHANGING: [&str; 3] = ["RollingUpdateInProgress", "ScalingDown", "ScalingUp"];

/// Looks at one Cluster.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let cluster = subject.known()?;
    if let Some(since) = cluster.time("/metadata/deletionTimestamp")? {
        let why = cluster.condition("Deleting")?.map(|deleting| said(deleting.message)).unwrap_or_default();
        let text = format!("the cluster was deleted and does not go{why}");
        return Ok(vec![subject.finding("ClusterDeletionStuck", text, subject.since(Some(since)))]);
    }
    if is_paused(cluster)? {
        return skipped("it is paused");
    }
    let Some(phase) = cluster.text("/status/phase")? else { return unknown("/status/phase is not set") };
    let failure = failure(cluster)?;
    if phase == "Failed" || failure.is_some() {
        let text = format!("the cluster failed{}", said(failure.unwrap_or_default()));
        let finding = subject.finding("ClusterFailed", text, cluster.recorded_at).severity(Severity::Critical);
        return Ok(vec![finding.grace(0)]);
    }
    let available = match cluster.condition("Available")? {
        Some(available) => Some(available),
        None => cluster.condition("Ready")?,
    };
    match (phase, available) {
        ("Provisioned", Some(available)) if available.is_false() && !joins::is_outdated(cluster, &available)? => {
            let text = format!("the cluster is not available ({}){}", available.reason, said(available.message));
            let grace = if CHANGING.contains(&available.reason) { CHECK.grace_seconds } else { UNAVAILABLE_GRACE_SECONDS };
            Ok(vec![subject.finding("ClusterUnavailable", text, subject.since(available.since)).grace(grace)])
        }
        ("Provisioned", _) => Ok(Vec::new()),
        ("Pending" | "Provisioning", available) => {
            let why = available.map(|available| said(available.message)).unwrap_or_default();
            let text = format!("the cluster is still {}{why}", phase.to_lowercase());
            Ok(vec![subject.finding("ClusterStuck", text, subject.since(cluster.created_at()))])
        }
        (other, _) => unknown(format!("its phase is `{other}`")),
    }
}

/// Whether nobody is to work on it.
pub(super) fn is_paused(object: &Observed) -> Result<bool, Undecided> {
    Ok(object.flag("/spec/paused")?.unwrap_or(false) || object.annotation("cluster.x-k8s.io/paused").is_some())
}

/// What the providers call final, in either place that the API versions give it.
pub(super) fn failure(object: &Observed) -> Result<Option<&str>, Undecided> {
    for place in ["/status/failureMessage", "/status/deprecated/v1beta1/failureMessage", "/status/failureReason"] {
        if let Some(text) = object.text(place)?.filter(|text| !text.is_empty()) {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
