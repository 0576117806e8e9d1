//! Extensions of the API that do not answer.
//!
//! Pure. One that fails makes discovery, garbage collection and the deletion of namespaces fail with it.

use super::joins::{self, skipped};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "api-service",
    title: "An extension of the API does not answer",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "bring the service behind the APIService back; if its program was removed, delete the APIService that it left behind",
    kinds: &[kinds::API_SERVICE],
    reasons: &["APIServiceUnavailable"],
    examine,
    ..Check::BASE
};

/// Looks at one APIService.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    const CLASSES: &[&str] = &[
        "EndpointsAccessError",
        "EndpointsNotFound",
        "FailedDiscoveryCheck",
        "MissingEndpoints",
        "ServiceAccessError",
        "ServiceNotFound",
        "ServicePortError",
    ];
    let api = subject.known()?;
    if joins::is_going(api)? {
        return Ok(Vec::new());
    }
    if api.map("/spec")?.is_some() && api.map("/spec/service")?.is_none() {
        return skipped("the API server serves it itself");
    }
    let available = joins::condition(api, "Available")?;
    if available.is_true() {
        return Ok(Vec::new());
    }
    let service = api.text("/spec/service/name")?.unwrap_or_default();
    let namespace = api.text("/spec/service/namespace")?.unwrap_or_default();
    let text = format!("the API server cannot use the Service `{namespace}/{service}` ({}){}", available.reason, said(available.message));
    let mut finding = subject.finding("APIServiceUnavailable", text, subject.since(available.since));
    finding.class = joins::word_of(available.reason, CLASSES);
    Ok(vec![finding])
}
