//! Sets of machines that stay smaller than asked.
//!
//! Pure.

use super::capi_cluster::is_paused;
use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "machine-replicas",
    title: "A set of machines stays smaller than asked",
    severity: Severity::Warning,
    grace_seconds: 1_800,
    remediation: "look at its machines: those that are not running say why",
    kinds: &[kinds::MACHINE_DEPLOYMENT, kinds::KUBEADM_CONTROL_PLANE],
    reasons: &["MachinesMissing"],
    examine,
    ..Check::BASE
};

/// Looks at one MachineDeployment or control plane.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let set = subject.known()?;
    if joins::is_going(set)? {
        return Ok(Vec::new());
    }
    if is_paused(set)? {
        return skipped("it is paused");
    }
    if set.map("/status")?.is_none_or(|status| status.is_empty()) {
        return unknown("/status is not set");
    }
    let condition = match set.condition("Available")? {
        Some(available) => Some(available),
        None => set.condition("Ready")?,
    };
    // The generation of the whole status stays behind for as long as reconciling fails, which is when machines are missing.
    let is_current = set.is_observed()? || condition.is_some_and(|condition| joins::is_current(set, &condition).unwrap_or(false));
    if !is_current {
        return unknown("its controller has not seen the newest specification yet");
    }
    let (wanted, ready) = (set.int("/spec/replicas")?.unwrap_or(1), set.int("/status/readyReplicas")?.unwrap_or(0));
    if ready >= wanted {
        return Ok(Vec::new());
    }
    let unmet = condition.filter(|condition| !condition.is_true());
    let text = format!("{ready} of {wanted} machines are ready{}", unmet.map(|unmet| said(unmet.message)).unwrap_or_default());
    let severity = if ready == 0 { Severity::Critical } else { Severity::Warning };
    let since = subject.since(unmet.and_then(|unmet| unmet.since));
    Ok(vec![subject.finding("MachinesMissing", text, since).severity(severity).consequence()])
}
