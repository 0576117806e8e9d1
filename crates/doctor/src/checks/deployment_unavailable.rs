//! Deployments without the replicas that they must have at least.
//!
//! Pure.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::{KindRef, Observed};

use super::joins;
use super::pod_not_ready::first_start_allowance;
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

/// Between the wish for replicas and the condition that there are none: the controller answers at once, and times are whole seconds.
const WAKING: SignedDuration = SignedDuration::from_secs(30);

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
    let starts = starts(subject, deployment)?;
    let (severity, grace) = match count {
        0 if starts => (Severity::Critical, starting_grace_seconds(waiting_pods(subject))?),
        0 => (Severity::Critical, DOWN_GRACE_SECONDS),
        _ => (Severity::Warning, CHECK.grace_seconds),
    };
    let text = format!("{count} of {wanted} replicas available{}", said(available.message));
    let since = subject.since(available.since).max(nodes_back_at(subject).unwrap_or(Timestamp::MIN));
    Ok(vec![subject.finding("DeploymentUnavailable", text, since).severity(severity).grace(grace).consequence()])
}

/// Whether a deployment starts: for the first time, or woken from zero replicas. One that was available and goes down does not.
pub(super) fn starts(subject: &Subject<'_>, deployment: &Observed) -> Result<bool, Undecided> {
    Ok(is_first_rollout(deployment)? || is_woken(subject, deployment)?)
}

/// The grace of what starts: that of slow starts, or what the startup probes of its pods allow where that is longer.
pub(super) fn starting_grace_seconds<'a>(pods: impl Iterator<Item = &'a Observed>) -> Result<i64, Undecided> {
    let mut grace = CHECK.grace_seconds;
    for pod in pods {
        grace = grace.max(first_start_allowance(pod)?.as_secs());
    }
    Ok(grace)
}

/// Whether the deployment became unavailable because it was woken from zero replicas: a start like its first one.
fn is_woken(subject: &Subject<'_>, deployment: &Observed) -> Result<bool, Undecided> {
    let unavailable = deployment.condition("Available")?.and_then(|available| available.since);
    let woken = joins::began_at_of(subject, deployment, "awake").filter(|woken| !reading::is_so_from_birth(deployment, *woken));
    Ok(woken.zip(unavailable).is_some_and(|(woken, unavailable)| woken.duration_since(unavailable).abs() <= WAKING))
}

/// Its pods that are not ready and should be.
fn waiting_pods<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a Observed> {
    let view = subject.view;
    let pods = view.children(&subject.object.id.uid).flat_map(|set| view.children(&set.id.uid)).map(AsRef::as_ref);
    pods.filter(|pod: &&Observed| pod.is_a(KindRef::POD) && !joins::has_ended(pod) && !joins::is_ready(pod))
}

/// When the nodes of its pods that are not ready came back, the first of them; nothing where a pod has not this excuse.
fn nodes_back_at(subject: &Subject<'_>) -> Option<Timestamp> {
    waiting_pods(subject).map(|pod| joins::node_back_at(subject, pod)).min().flatten()
}

/// Whether the deployment is being rolled out and was never available: a slow start looks the same at first.
fn is_first_rollout(deployment: &Observed) -> Result<bool, Undecided> {
    let is_rolling = deployment
        .condition("Progressing")?
        .is_some_and(|progressing| progressing.is_true() && progressing.reason != "NewReplicaSetAvailable");
    let since = deployment.condition("Available")?.and_then(|available| available.since);
    let is_young = since.zip(deployment.created_at()).is_some_and(|(since, made)| since.duration_since(made).as_secs() <= 5);
    Ok(is_rolling && is_young)
}
