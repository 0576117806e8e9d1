//! Operators of the Operator Lifecycle Manager that are not installed as asked.
//!
//! Pure.

use super::joins::{self, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "operator-install",
    title: "An operator could not be installed",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "read the message of the object: a requirement that is missing, a catalog that cannot be reached, an install plan that failed",
    kinds: &[kinds::CLUSTER_SERVICE_VERSION, kinds::INSTALL_PLAN, kinds::SUBSCRIPTION, kinds::CATALOG_SOURCE],
    reasons: &["OperatorFailed", "InstallPlanFailed", "SubscriptionUnhealthy", "CatalogUnreachable"],
    examine,
    ..Check::BASE
};

/// Looks at one object of OLM.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let object = subject.known()?;
    if joins::is_going(object)? {
        return Ok(Vec::new());
    }
    if object.map("/status")?.is_none() {
        return unknown("/status is not set");
    }
    if object.is_a(kinds::CATALOG_SOURCE) {
        return Ok(match object.text("/status/connectionState/lastObservedState")? {
            Some(state @ ("TRANSIENT_FAILURE" | "SHUTDOWN")) => {
                let text = format!("the catalog cannot be reached ({state})");
                vec![subject.finding("CatalogUnreachable", text, subject.since(object.time("/status/connectionState/lastConnect")?))]
            }
            _ => Vec::new(),
        });
    }
    if object.is_a(kinds::SUBSCRIPTION) {
        for of in ["ResolutionFailed", "CatalogSourcesUnhealthy", "InstallPlanFailed", "BundleUnpackFailed"] {
            if let Some(met) = object.condition(of)?.filter(|met| met.is_true()) {
                let text = format!("{of}{}", said(met.message));
                return Ok(vec![subject.finding("SubscriptionUnhealthy", text, subject.since(met.since)).part(of)]);
            }
        }
        return Ok(Vec::new());
    }
    let reason = if object.is_a(kinds::INSTALL_PLAN) { "InstallPlanFailed" } else { "OperatorFailed" };
    match object.text("/status/phase")? {
        None => unknown("/status/phase is not set"),
        Some("Failed") => {
            let text = format!("{} failed{}", joins::called(object), said(object.text("/status/message")?.unwrap_or_default()));
            let since = object.time("/status/lastTransitionTime")?;
            Ok(vec![subject.finding(reason, text, subject.since(since))])
        }
        Some(_) => Ok(Vec::new()),
    }
}
