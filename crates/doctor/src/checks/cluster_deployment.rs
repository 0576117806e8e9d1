//! Cluster deployments of k0rdent that failed, are stuck, or do not go.
//!
//! Pure. `Ready=False` with the reason `Failed` is what k0rdent writes while it still works on it, so that only conditions about what a
//! person must correct count as failures, and everything else by how long it takes. Not here: the phases of a provisioning.

use proreus_observe::Observed;
use proreus_observe::field;

use super::joins::{self, Gathered, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "cluster-deployment",
    title: "A cluster deployment failed or is stuck",
    severity: Severity::Warning,
    grace_seconds: 3_600,
    remediation: "read its conditions from the top: template, credential, Helm release, then the objects of the Cluster API",
    kinds: &[kinds::CLUSTER_DEPLOYMENT],
    reasons: &["ClusterDeploymentFailed", "ClusterDeploymentStuck", "ClusterDeploymentDeletionStuck", "ClusterServiceFailed"],
    examine,
    ..Check::BASE
};

/// Grace of what a person must correct.
const FAILED_GRACE_SECONDS: i64 = 60;
/// Grace of a release that Helm could not install: it is tried again.
const RELEASE_GRACE_SECONDS: i64 = 300;
/// Grace of a service in the new cluster.
const SERVICE_GRACE_SECONDS: i64 = 600;

/// Conditions about what a person must correct, with their class.
const DEFINITE: &[(&str, &str, i64)] = &[
    ("TemplateReady", "Template", FAILED_GRACE_SECONDS),
    ("CredentialReady", "Credential", FAILED_GRACE_SECONDS),
    ("HelmChartReady", "HelmChart", FAILED_GRACE_SECONDS),
    ("DataSourceReady", "DataSource", FAILED_GRACE_SECONDS),
    ("ClusterAuthenticationReady", "Authentication", FAILED_GRACE_SECONDS),
    ("ClusterAuditPolicyReady", "AuditPolicy", FAILED_GRACE_SECONDS),
    ("HelmReleaseReady", "HelmRelease", RELEASE_GRACE_SECONDS),
    ("ServicesReferencesValidation", "Services", FAILED_GRACE_SECONDS),
    ("ServicesDependencyValidation", "Services", FAILED_GRACE_SECONDS),
];

/// Looks at one ClusterDeployment.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let deployment = subject.known()?;
    if let Some(since) = deployment.time("/metadata/deletionTimestamp")? {
        return going(subject, deployment, since);
    }
    if deployment.flag("/spec/dryRun")?.unwrap_or(false) {
        return skipped("it is a dry run");
    }
    if deployment.condition("Paused")?.is_some_and(|paused| paused.is_true()) {
        return skipped("it is paused");
    }
    if !deployment.is_observed()? {
        return unknown("its controller has not seen the newest specification yet");
    }
    for (of, class, grace) in DEFINITE {
        let Some(condition) = deployment.condition(of)?.filter(|condition| condition.is_false()) else { continue };
        if joins::is_outdated(deployment, &condition)? || matches!(condition.reason, "Progressing" | "DependencyNotReady") {
            continue;
        }
        let text = format!("{of} is False ({}){}", condition.reason, said(condition.message));
        let finding = subject.finding("ClusterDeploymentFailed", text, subject.since(condition.since)).severity(Severity::Critical);
        return Ok(vec![finding.class(class).grace(*grace)]);
    }
    let Some(ready) = deployment.condition("Ready")? else { return unknown("it has no Ready condition") };
    let mut gathered = Gathered::default();
    services(subject, &mut gathered)?;
    if !ready.is_true() && gathered.is_clean() {
        let summary = deployment.condition("CAPIClusterSummary")?.map_or(ready.message, |summary| summary.message);
        let text = format!("the cluster is not ready{}", said(summary));
        gathered.tell(subject.finding("ClusterDeploymentStuck", text, subject.since(ready.since)).consequence());
    }
    gathered.verdict()
}

fn going(subject: &Subject<'_>, deployment: &Observed, since: jiff::Timestamp) -> Verdict {
    let deleting = deployment.condition("Deleting")?;
    let why = deleting.map(|deleting| said(deleting.message)).unwrap_or_default();
    let text = format!("the cluster was deleted and does not go{why}");
    let mut finding = subject.finding("ClusterDeploymentDeletionStuck", text, subject.since(Some(since)));
    if deleting.is_some_and(|deleting| deleting.is_false() && deleting.reason == "Failed") {
        finding = finding.class("Failed").grace(RELEASE_GRACE_SECONDS);
    }
    Ok(vec![finding.remedy("see what is left of the cloud's machines and networks, and whether the credential still works")])
}

fn services(subject: &Subject<'_>, gathered: &mut Gathered) -> Result<(), Undecided> {
    for service in subject.object.list("/status/services")? {
        if field::text(service, "/state")? != Some("Failed") {
            continue;
        }
        let name = field::text(service, "/name")?.unwrap_or_default();
        let text = format!("the service `{name}` failed{}", said(field::text(service, "/failureMessage")?.unwrap_or_default()));
        let since = field::time(service, "/lastStateTransitionTime")?;
        gathered.tell(subject.finding("ClusterServiceFailed", text, subject.since(since)).part(name).grace(SERVICE_GRACE_SECONDS));
    }
    Ok(())
}
