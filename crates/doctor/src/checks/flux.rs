//! Objects of Flux that do not reach what they are to reach.
//!
//! Pure. Flux follows the kstatus rules: `Stalled` means that trying again is useless, `Reconciling` that it is under way.

use proreus_observe::Observed;

use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "flux",
    title: "An object of Flux is not ready",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "read its Ready condition: the source it cannot fetch, the manifest that is refused, the health check that does not pass",
    kinds: &[
        kinds::KUSTOMIZATION,
        kinds::HELM_RELEASE,
        kinds::GIT_REPOSITORY,
        kinds::OCI_REPOSITORY,
        kinds::HELM_REPOSITORY,
        kinds::HELM_CHART,
        kinds::BUCKET,
        kinds::IMAGE_REPOSITORY,
        kinds::IMAGE_UPDATE_AUTOMATION,
    ],
    reasons: &["FluxNotReady", "FluxStalled", "FluxReconcilingTooLong"],
    examine,
    ..Check::BASE
};

/// Grace of what Flux itself has given up.
const STALLED_GRACE_SECONDS: i64 = 60;
/// How long one attempt may take.
const RECONCILING_GRACE_SECONDS: i64 = 3_600;

/// Reasons that become classes.
const CLASSES: &[&str] = &[
    "ArtifactFailed",
    "AuthenticationFailed",
    "BuildFailed",
    "ChartNotReady",
    "ChartPullFailed",
    "DependencyNotReady",
    "FetchFailed",
    "GitOperationFailed",
    "HealthCheckFailed",
    "InstallFailed",
    "InvalidChartReference",
    "PruneFailed",
    "ReconciliationFailed",
    "RetriesExceeded",
    "RollbackFailed",
    "RollbackSucceeded",
    "SourceNotReady",
    "TestFailed",
    "UninstallFailed",
    "UpgradeFailed",
    "VerificationError",
];

/// Looks at one object of Flux.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let object = subject.known()?;
    if joins::is_going(object)? {
        return Ok(Vec::new());
    }
    if object.flag("/spec/suspend")?.unwrap_or(false) {
        return skipped("it is suspended");
    }
    if let Some(stalled) = object.condition("Stalled")?.filter(|stalled| stalled.is_true()) {
        if joins::is_outdated(object, &stalled)? {
            return unknown("its Stalled condition speaks of an older specification");
        }
        let text = format!("Flux has given it up ({}){}", stalled.reason, said(stalled.message));
        let mut finding = subject.finding("FluxStalled", text, subject.since(stalled.since)).grace(STALLED_GRACE_SECONDS);
        finding.class = joins::word_of(stalled.reason, CLASSES);
        return Ok(vec![finding]);
    }
    let Some(ready) = object.condition("Ready")? else { return without_condition(object) };
    // Flux takes the generation of the whole status forward only on Ready or Stalled: of what fails and is tried again, it stays old.
    if !joins::is_current(object, &ready)? {
        return unknown("its controller has not seen the newest specification yet");
    }
    if ready.is_true() {
        return Ok(Vec::new());
    }
    if !ready.is_false() {
        let text = format!("it has been reconciling for long{}", said(ready.message));
        let finding = subject.finding("FluxReconcilingTooLong", text, subject.since(ready.since));
        return Ok(vec![finding.grace(RECONCILING_GRACE_SECONDS)]);
    }
    let text = format!("it is not ready ({}){}", ready.reason, said(ready.message));
    let mut finding = subject.finding("FluxNotReady", text, subject.since(ready.since));
    finding.class = joins::word_of(ready.reason, CLASSES);
    if matches!(ready.reason, "DependencyNotReady" | "SourceNotReady" | "ChartNotReady") {
        finding = finding.consequence();
    }
    Ok(vec![finding])
}

/// A repository of charts in a registry has nothing to reconcile, and therefore no status.
fn without_condition(object: &Observed) -> Result<Vec<crate::Finding>, Undecided> {
    match object.text("/spec/type")? {
        Some("oci") if object.is_a(kinds::HELM_REPOSITORY) => Ok(Vec::new()),
        _ => unknown("it has no Ready condition"),
    }
}
