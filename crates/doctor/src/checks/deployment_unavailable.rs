//! Deployments without the replicas that they must have at least.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins;
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "deployment-unavailable",
    title: "A deployment has fewer replicas available than it must have",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "look at its pods: their own findings say why they are not available",
    kinds: &[KindRef::DEPLOYMENT],
    reasons: &["DeploymentUnavailable"],
    examine,
    ..Check::BASE
};

/// Grace when no replica at all is left: people notice this at once.
const DOWN_GRACE_SECONDS: i64 = 120;

/// Looks at one deployment.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let deployment = reading::observed(subject)?;
    let wanted = joins::wanted_replicas(deployment)?;
    if wanted == 0 || deployment.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    let Some(available) = deployment.condition("Available")? else {
        return match deployment.int("/status/availableReplicas")? {
            Some(count) if count >= wanted => Ok(Vec::new()),
            _ => Err(Undecided::Unknown("it has no Available condition".to_owned())),
        };
    };
    if joins::holds(&available, "Available")? {
        return Ok(Vec::new());
    }
    let count = deployment.int("/status/availableReplicas")?.unwrap_or(0);
    let is_paused = deployment.flag("/spec/paused")?.unwrap_or(false);
    if is_paused && count > 0 {
        return Err(Undecided::Skipped("its rollout is paused on purpose".to_owned()));
    }
    let is_first = is_first_rollout(subject)?;
    let (severity, grace) = match count {
        0 if is_first => (Severity::Critical, CHECK.grace_seconds),
        0 => (Severity::Critical, DOWN_GRACE_SECONDS),
        _ => (Severity::Warning, CHECK.grace_seconds),
    };
    let text = format!("{count} of {wanted} replicas available{}", said(available.message));
    let since = subject.since(available.since);
    Ok(vec![subject.finding("DeploymentUnavailable", text, since).severity(severity).grace(grace).consequence()])
}

/// Whether the deployment is being rolled out and was never available: a slow start looks the same at first.
fn is_first_rollout(subject: &Subject<'_>) -> Result<bool, Undecided> {
    let deployment = subject.object;
    let is_rolling = deployment
        .condition("Progressing")?
        .is_some_and(|progressing| progressing.is_true() && progressing.reason != "NewReplicaSetAvailable");
    let since = deployment.condition("Available")?.and_then(|available| available.since);
    let is_young = since.zip(deployment.created_at()).is_some_and(|(since, made)| since.duration_since(made).as_secs() <= 5);
    Ok(is_rolling && is_young)
}
