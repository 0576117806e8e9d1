//! Deployments that have enough replicas to be called available, and for long fewer than they want.
//!
//! Pure.

use jiff::Timestamp;
use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "deployment-degraded",
    title: "A deployment lacks replicas for long, although enough are available",
    severity: Severity::Warning,
    grace_seconds: 900,
    remediation: "look at the pods that are not ready: their own findings say why",
    kinds: &[KindRef::DEPLOYMENT],
    reasons: &["DeploymentDegraded"],
    examine,
    ..Check::BASE
};

/// Looks at one deployment.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let deployment = reading::observed(subject)?;
    let wanted = joins::wanted_replicas(deployment)?;
    let ready = deployment.int("/status/readyReplicas")?.unwrap_or(0);
    let is_paused = deployment.flag("/spec/paused")?.unwrap_or(false);
    // A rollout over its deadline has a check of its own.
    let is_stuck = deployment.condition("Progressing")?.is_some_and(|progressing| progressing.is_false());
    if wanted == 0 || ready >= wanted || is_paused || is_stuck || deployment.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    let Some(available) = deployment.condition("Available")? else { return unknown("it has no Available condition") };
    // Too few to be called available: that is told by a check of its own.
    if !joins::holds(&available, "Available")? {
        return Ok(Vec::new());
    }
    let text = format!("{ready} of {wanted} replicas ready");
    let since = joins::true_since(subject, "shortfall").max(moved_at(subject)?.unwrap_or(Timestamp::MIN));
    Ok(vec![subject.finding("DeploymentDegraded", text, since).consequence()])
}

/// When a rollout that is going on last replaced a replica: a large one takes long, and as long as it moves on nothing is wrong.
fn moved_at(subject: &Subject<'_>) -> Result<Option<Timestamp>, Undecided> {
    let progressing = subject.object.condition("Progressing")?;
    // Outside of a rollout it is an autoscaler that moves the number.
    if progressing.is_none_or(|progressing| progressing.reason == "NewReplicaSetAvailable") {
        return Ok(None);
    }
    let trail = subject.view.trail(&subject.object.id.uid);
    Ok(trail.and_then(|trail| trail.fact("updatedReplicas")).map(|fact| fact.since))
}
