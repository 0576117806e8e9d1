//! Operators of the Operator Lifecycle Manager that are not installed as asked.
//!
//! Pure. A copy of an operator in another namespace says what the one it was copied from says, and is not told again.

use proreus_observe::Observed;
use proreus_observe::field;

use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

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

/// How long an operator may wait for what it requires, and install itself.
const INSTALLING_GRACE_SECONDS: i64 = 900;
/// Requirements named in one message.
const NAMED_LIMIT: usize = 3;

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
    if object.is_a(kinds::CLUSTER_SERVICE_VERSION) {
        return of_version(subject, object);
    }
    match object.text("/status/phase")? {
        None => unknown("/status/phase is not set"),
        Some("Failed") => Ok(vec![failed(subject, "InstallPlanFailed")?]),
        Some(_) => Ok(Vec::new()),
    }
}

/// Looks at an operator itself.
fn of_version(subject: &Subject<'_>, version: &Observed) -> Verdict {
    if version.label("olm.copiedFrom").is_some() || version.text("/status/reason")? == Some("Copied") {
        return skipped("it is a copy, and told where it was installed");
    }
    match version.text("/status/phase")? {
        None | Some("") => unknown("/status/phase is not set"),
        Some("Succeeded" | "Replacing" | "Deleting") => Ok(Vec::new()),
        Some("Failed") => Ok(vec![failed(subject, "OperatorFailed")?]),
        Some(phase @ ("Pending" | "InstallReady" | "Installing")) => {
            let message = said(version.text("/status/message")?.unwrap_or_default());
            let text = format!("{} is still {phase}{message}{}", joins::called(version), lacking(version)?);
            let since = version.time("/status/lastTransitionTime")?;
            Ok(vec![subject.finding("OperatorFailed", text, subject.since(since)).grace(INSTALLING_GRACE_SECONDS)])
        }
        Some(other) => unknown(format!("its phase is `{other}`")),
    }
}

fn failed(subject: &Subject<'_>, reason: &'static str) -> Result<Finding, Undecided> {
    let object = subject.object;
    let text = format!("{} failed{}", joins::called(object), said(object.text("/status/message")?.unwrap_or_default()));
    Ok(subject.finding(reason, text, subject.since(object.time("/status/lastTransitionTime")?)))
}

/// What an operator requires and does not find.
fn lacking(version: &Observed) -> Result<String, Undecided> {
    let mut named = Vec::new();
    for requirement in version.list("/status/requirementStatus")? {
        if !matches!(field::text(requirement, "/status")?, None | Some("Present" | "DependentPresent")) {
            let kind = field::text(requirement, "/kind")?.unwrap_or_default();
            named.push(format!("{kind} `{}`", field::text(requirement, "/name")?.unwrap_or_default()));
        }
    }
    named.truncate(NAMED_LIMIT);
    Ok(if named.is_empty() { String::new() } else { format!("; it lacks {}", named.join(", ")) })
}
