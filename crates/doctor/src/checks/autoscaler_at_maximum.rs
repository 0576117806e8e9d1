//! Autoscalers that would scale further and may not.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "autoscaler-at-maximum",
    title: "An autoscaler is at its maximum and wants more",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "raise maxReplicas if the cluster has room, or find out why the load is so high",
    kinds: &[KindRef::HORIZONTAL_POD_AUTOSCALER],
    reasons: &["HpaAtMaximum"],
    examine,
    ..Check::BASE
};

/// Looks at one autoscaler.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let scaler = joins::scaler(subject)?;
    if joins::is_going(scaler)? {
        return Ok(Vec::new());
    }
    let Some(limited) = scaler.condition("ScalingLimited")? else { return Ok(Vec::new()) };
    let least = scaler.int("/spec/minReplicas")?.unwrap_or(1);
    let Some(most) = scaler.int("/spec/maxReplicas")? else { return unknown("/spec/maxReplicas is not set") };
    let is_below = scaler.int("/status/currentReplicas")?.is_none_or(|current| current < most);
    let is_limited = joins::holds(&limited, "ScalingLimited")? && limited.reason == "TooManyReplicas";
    // Where least and most are one number, somebody fixed it.
    if !is_limited || is_below || most == least {
        return Ok(Vec::new());
    }
    let trail = subject.view.trail(&scaler.id.uid).and_then(|trail| trail.fact("atMaximum")).filter(|fact| fact.value == "true");
    let since = limited.since.max(trail.map(|fact| fact.since));
    let text = format!("it has all {most} replicas that it may have, and wants more");
    Ok(vec![subject.finding("HpaAtMaximum", text, subject.since(since))])
}
