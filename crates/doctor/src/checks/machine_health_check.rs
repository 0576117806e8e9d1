//! Health checks of machines that do not replace any more, because too many are unhealthy at once.
//!
//! Pure.

use super::joins;
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "machine-health-check",
    title: "Unhealthy machines are not replaced any more",
    severity: Severity::Critical,
    grace_seconds: 120,
    remediation: "too many machines are unhealthy at once, which points to one cause for all: mend that, or raise the limit knowingly",
    kinds: &[kinds::MACHINE_HEALTH_CHECK],
    reasons: &["RemediationNotAllowed"],
    examine,
    ..Check::BASE
};

/// Looks at one MachineHealthCheck.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let check = subject.known()?;
    if joins::is_going(check)? {
        return Ok(Vec::new());
    }
    let allowed = joins::condition(check, "RemediationAllowed")?;
    if !allowed.is_false() {
        return Ok(Vec::new());
    }
    let (expected, healthy) = (check.int("/status/expectedMachines")?.unwrap_or(0), check.int("/status/currentHealthy")?.unwrap_or(0));
    let text = format!("{healthy} of {expected} machines are healthy, and none is replaced{}", said(allowed.message));
    Ok(vec![subject.finding("RemediationNotAllowed", text, subject.since(allowed.since))])
}
