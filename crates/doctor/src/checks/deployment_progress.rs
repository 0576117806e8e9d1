//! Deployments whose rollout did not come to an end in time.
//!
//! Pure. Counting replicas alone misses it: the old replica set keeps them up.

use proreus_observe::KindRef;

use super::joins;
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "deployment-progress",
    title: "A rollout has not come to an end within its deadline",
    severity: Severity::Warning,
    grace_seconds: 0,
    remediation: "see why the new pods do not become ready; kubectl rollout undo brings the last version back meanwhile",
    kinds: &[KindRef::DEPLOYMENT],
    reasons: &["DeploymentProgressDeadline"],
    examine,
    ..Check::BASE
};

/// Reasons of a rollout that somebody stopped.
const PAUSED: [&str; 2] = ["DeploymentPaused", "DeploymentResumed"];

/// Looks at one deployment.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let deployment = reading::observed(subject)?;
    let Some(progressing) = deployment.condition("Progressing")? else { return Ok(Vec::new()) };
    let wanted = joins::wanted_replicas(deployment)?;
    // While a rollout is paused, and until one that is resumed moves, the condition is `Unknown` on purpose.
    if wanted == 0 || deployment.deletion_at().is_some() || PAUSED.contains(&progressing.reason) {
        return Ok(Vec::new());
    }
    if joins::holds(&progressing, "Progressing")? || progressing.reason != "ProgressDeadlineExceeded" {
        return Ok(Vec::new());
    }
    let is_down = deployment.condition("Available")?.is_some_and(|available| available.is_false());
    let severity = if is_down { Severity::Critical } else { Severity::Warning };
    let updated = deployment.int("/status/updatedReplicas")?.unwrap_or(0);
    let ready = deployment.int("/status/readyReplicas")?.unwrap_or(0);
    let text = format!(
        "the rollout stands still with {updated} of {wanted} replicas on the new version, {ready} ready{}",
        said(progressing.message)
    );
    Ok(vec![subject.finding("DeploymentProgressDeadline", text, subject.since(progressing.since)).severity(severity).consequence()])
}
