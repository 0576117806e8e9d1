//! Applications of Argo CD that are degraded, cannot be synchronised, or drift, and rollouts of Argo Rollouts that did not come about.
//!
//! Pure. An application without automatic synchronisation may differ from its source, or not be there yet, for as long as its people like.
//! Since when one drifts is not in its status: that is followed.

use proreus_observe::Observed;
use proreus_observe::field;

use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "argo-application",
    title: "An application of Argo CD is not as its source says, or not healthy",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "look at the application's resources: those that are not healthy, and the message of the last synchronisation",
    kinds: &[kinds::APPLICATION, kinds::APPLICATION_SET, kinds::ROLLOUT],
    reasons: &["ArgoError", "ArgoSyncFailed", "ArgoDegraded", "ArgoMissing", "ArgoOutOfSync"],
    examine,
    ..Check::BASE
};

/// Grace of an application that drifts although it is synchronised by itself.
const DRIFT_GRACE_SECONDS: i64 = 900;
/// Resources named in one message.
const NAMED_LIMIT: usize = 3;

/// Looks at one Application, ApplicationSet or Rollout.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let object = subject.known()?;
    if joins::is_going(object)? {
        return Ok(Vec::new());
    }
    if object.map("/status")?.is_none() {
        return unknown("/status is not set");
    }
    if object.is_a(kinds::ROLLOUT) {
        return of_rollout(subject, object);
    }
    for entry in object.list("/status/conditions")? {
        let of = field::text(entry, "/type")?.unwrap_or_default();
        // Conditions of Applications have no status: they are there or not. Those of ApplicationSets have one.
        let is_met = field::text(entry, "/status")?.is_none_or(|status| status == "True");
        if is_met && (of.ends_with("Error") || of == "ErrorOccurred") {
            let text = format!("{of}{}", said(field::text(entry, "/message")?.unwrap_or_default()));
            let since = field::time(entry, "/lastTransitionTime")?;
            return Ok(vec![subject.finding("ArgoError", text, subject.since(since)).part(of)]);
        }
    }
    match object.is_a(kinds::APPLICATION) {
        true => of_application(subject, object),
        false => Ok(Vec::new()),
    }
}

fn of_application(subject: &Subject<'_>, application: &Observed) -> Verdict {
    let (sync, health) = (application.text("/status/sync/status")?, application.text("/status/health/status")?);
    let operation = application.text("/status/operationState/phase")?;
    if let Some(phase @ ("Failed" | "Error")) = operation
        && !is_past(application, sync, health)?
    {
        let message = application.text("/status/operationState/message")?.unwrap_or_default();
        let since = application.time("/status/operationState/finishedAt")?;
        let text = format!("the last synchronisation ended as {phase}{}", said(message));
        return Ok(vec![subject.finding("ArgoSyncFailed", text, subject.since(since))]);
    }
    let is_automated = is_automated(application)?;
    if let Some(state @ ("Degraded" | "Missing")) = health {
        if state == "Missing" && !is_automated && operation.is_none() {
            return skipped("nobody has synchronised it yet, and it is not synchronised by itself");
        }
        let reason = if state == "Degraded" { "ArgoDegraded" } else { "ArgoMissing" };
        let message = application.text("/status/health/message")?.unwrap_or_default();
        let text = format!("the application is {}{}{}", state.to_lowercase(), said(message), unhealthy(application)?);
        // Without a moment of its own, the last look of Argo would begin it anew.
        let since = application.time("/status/health/lastTransitionTime")?;
        return Ok(vec![subject.finding(reason, text, subject.since(since)).consequence()]);
    }
    match (sync, is_automated) {
        (Some("OutOfSync"), true) if operation == Some("Running") => unknown("a synchronisation is running"),
        (Some("OutOfSync"), true) => Ok(vec![drifted(subject)]),
        (Some("Synced" | "OutOfSync"), _) if health.is_some() => Ok(Vec::new()),
        (sync, _) => unknown(format!("sync is {}, health is {}", sync.unwrap_or("not set"), health.unwrap_or("not set"))),
    }
}

/// Whether Argo synchronises an application by itself. The rest of the policy may stay while that is switched off.
fn is_automated(application: &Observed) -> Result<bool, Undecided> {
    let policy = application.map("/spec/syncPolicy/automated")?;
    Ok(policy.is_some() && application.flag("/spec/syncPolicy/automated/enabled")?.unwrap_or(true))
}

/// Whether a synchronisation that failed is past: the application is now as its source says, and healthy. A hook that failed after the
/// present revision was applied is not past.
fn is_past(application: &Observed, sync: Option<&str>, health: Option<&str>) -> Result<bool, Undecided> {
    let tried = application.text("/status/operationState/syncResult/revision")?.filter(|revision| !revision.is_empty());
    let is_of_now = tried.is_some() && tried == application.text("/status/sync/revision")?;
    Ok(sync == Some("Synced") && health == Some("Healthy") && !is_of_now)
}

fn drifted(subject: &Subject<'_>) -> Finding {
    let text = "the application differs from its source, although it is synchronised by itself";
    let remedy = "see what changes its objects beside Argo CD, or which fields are to be ignored (ignoreDifferences)";
    // The moment of its health is another matter, and Argo looks at it anew every few minutes.
    subject.finding("ArgoOutOfSync", text, reading::fact_since(subject, "sync")).remedy(remedy).grace(DRIFT_GRACE_SECONDS)
}

/// A Rollout says by its phase whether it came about; its conditions are those of a Deployment, and less.
fn of_rollout(subject: &Subject<'_>, rollout: &Observed) -> Verdict {
    let generation = rollout.int("/metadata/generation")?.map(|generation| generation.to_string());
    // A text here, and in old versions a hash, which is never a generation.
    let observed = rollout.text("/status/observedGeneration")?;
    if generation.is_some_and(|generation| observed.is_some_and(|observed| observed.parse::<i64>().is_ok() && observed != generation)) {
        return unknown("its controller has not seen the newest specification yet");
    }
    if rollout.text("/status/phase")? != Some("Degraded") {
        return Ok(Vec::new());
    }
    let mut since = None;
    for (of, bad) in [("InvalidSpec", "True"), ("Progressing", "False"), ("Available", "False")] {
        since = since.or(rollout.condition(of)?.filter(|condition| condition.status == bad).and_then(|condition| condition.since));
    }
    let text = format!("the rollout is degraded{}", said(rollout.text("/status/message")?.unwrap_or_default()));
    let remedy = "read why it did not come about: the pods of its newest set, or the analysis that failed; then promote, retry or undo it";
    Ok(vec![subject.finding("ArgoDegraded", text, subject.since(since)).remedy(remedy)])
}

/// The resources of an application that are not healthy.
fn unhealthy(application: &Observed) -> Result<String, Undecided> {
    let mut named = Vec::new();
    for resource in application.list("/status/resources")? {
        if matches!(field::text(resource, "/health/status")?, Some("Degraded" | "Missing")) {
            let kind = field::text(resource, "/kind")?.unwrap_or_default();
            let name = field::text(resource, "/name")?.unwrap_or_default();
            named.push(format!("{kind} `{name}`{}", said(field::text(resource, "/health/message")?.unwrap_or_default())));
        }
    }
    named.truncate(NAMED_LIMIT);
    Ok(if named.is_empty() { String::new() } else { format!("; {}", named.join("; ")) })
}
