//! Applications of Argo CD that are degraded, cannot be synchronised, or drift.
//!
//! Pure. An application without automatic synchronisation may differ from its source for as long as its people like.

use proreus_observe::Observed;
use proreus_observe::field;

use super::joins::{self, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "argo-application",
    title: "An application of Argo CD is not as its source says, or not healthy",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "look at the application's resources: those that are not healthy, and the message of the last synchronisation",
    kinds: &[kinds::APPLICATION, kinds::APPLICATION_SET],
    reasons: &["ArgoError", "ArgoSyncFailed", "ArgoDegraded", "ArgoMissing", "ArgoOutOfSync"],
    examine,
    ..Check::BASE
};

/// Grace of an application that drifts although it is synchronised by itself.
const DRIFT_GRACE_SECONDS: i64 = 900;
/// Resources named in one message.
const NAMED_LIMIT: usize = 3;

/// Looks at one Application or ApplicationSet.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let object = subject.known()?;
    if joins::is_going(object)? {
        return Ok(Vec::new());
    }
    if object.map("/status")?.is_none() {
        return unknown("/status is not set");
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
    let operation = application.text("/status/operationState/phase")?;
    if let Some(phase @ ("Failed" | "Error")) = operation {
        let message = application.text("/status/operationState/message")?.unwrap_or_default();
        let since = application.time("/status/operationState/finishedAt")?;
        let text = format!("the last synchronisation ended as {phase}{}", said(message));
        return Ok(vec![subject.finding("ArgoSyncFailed", text, subject.since(since))]);
    }
    let health = application.text("/status/health/status")?;
    let since = application.time("/status/health/lastTransitionTime")?.or(application.time("/status/reconciledAt")?);
    if let Some(state @ ("Degraded" | "Missing")) = health {
        let reason = if state == "Degraded" { "ArgoDegraded" } else { "ArgoMissing" };
        let message = application.text("/status/health/message")?.unwrap_or_default();
        let text = format!("the application is {}{}{}", state.to_lowercase(), said(message), unhealthy(application)?);
        // Without a moment of its own, the last look of Argo would begin it anew.
        let since = application.time("/status/health/lastTransitionTime")?;
        return Ok(vec![subject.finding(reason, text, subject.since(since)).consequence()]);
    }
    let is_automated = application.map("/spec/syncPolicy/automated")?.is_some();
    match (application.text("/status/sync/status")?, is_automated) {
        (Some("OutOfSync"), true) => Ok(vec![drifted(subject, since)]),
        (Some("Synced" | "OutOfSync"), _) if health.is_some() => Ok(Vec::new()),
        (sync, _) => unknown(format!("sync is {}, health is {}", sync.unwrap_or("not set"), health.unwrap_or("not set"))),
    }
}

fn drifted(subject: &Subject<'_>, since: Option<jiff::Timestamp>) -> Finding {
    let text = "the application differs from its source, although it is synchronised by itself";
    let remedy = "see what changes its objects beside Argo CD, or which fields are to be ignored (ignoreDifferences)";
    subject.finding("ArgoOutOfSync", text, subject.since(since)).remedy(remedy).grace(DRIFT_GRACE_SECONDS)
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
