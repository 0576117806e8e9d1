//! Deployments whose rollout did not come to an end in time.
//!
//! Pure. Counting replicas alone misses it: the old replica set keeps them up.

use proreus_observe::KindRef;

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

/// Looks at one deployment.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let deployment = reading::observed(subject)?;
    let Some(progressing) = deployment.condition("Progressing")? else { return Ok(Vec::new()) };
    if !progressing.is_false() || progressing.reason != "ProgressDeadlineExceeded" || reading::wanted_replicas(deployment)? == 0 {
        return Ok(Vec::new());
    }
    let is_down = deployment.condition("Available")?.is_some_and(|available| available.is_false());
    let severity = if is_down { Severity::Critical } else { Severity::Warning };
    let (updated, wanted) = (deployment.int("/status/updatedReplicas")?.unwrap_or(0), reading::wanted_replicas(deployment)?);
    let ready = deployment.int("/status/readyReplicas")?.unwrap_or(0);
    let text = format!(
        "the rollout stands still with {updated} of {wanted} replicas on the new version, {ready} ready{}",
        said(progressing.message)
    );
    Ok(vec![subject.finding("DeploymentProgressDeadline", text, subject.since(progressing.since)).severity(severity).consequence()])
}
