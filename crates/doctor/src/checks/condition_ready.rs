//! Objects of any custom type whose own conditions say that they do not work.
//!
//! Pure. The rules are those of kstatus: a status about an older generation says nothing, `Reconciling` is work under way, `Stalled` is the
//! end of it. Not here: kinds that have checks of their own.

use proreus_observe::field::Condition;
use proreus_observe::{KindRef, Observed};

use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "condition-ready",
    title: "An object of a custom type says that it is not ready",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "read the condition's message, and the log of the controller that wrote it",
    kinds: &[KindRef::ANY],
    reasons: &["ConditionNotMet", "Stalled"],
    examine,
    ..Check::BASE
};

/// Conditions that are good when they are `True`, the one that explains most first.
const GOOD: [&str; 4] = ["Synced", "Ready", "Available", "Healthy"];
/// Conditions that are bad when they are `True`.
const BAD: [&str; 2] = ["Degraded", "Failed"];
/// Reasons for which something is not ready on purpose.
const ON_PURPOSE: [&str; 9] =
    ["Completed", "Disabled", "Hibernated", "Inactive", "Paused", "ScaledToZero", "Stopped", "Succeeded", "Suspended"];
/// Groups whose kinds have checks of their own, or whose conditions mean something else.
const ELSEWHERE: [&str; 8] = [
    "acme.cert-manager.io",
    "argoproj.io",
    "cert-manager.io",
    "gateway.networking.k8s.io",
    "k0rdent.mirantis.com",
    "operators.coreos.com",
    "toolkit.fluxcd.io",
    "cluster.x-k8s.io",
];

/// Looks at one object of any kind.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    if !is_for_us(subject.object) {
        return Ok(Vec::new());
    }
    let object = subject.known()?;
    if joins::is_going(object)? || object.map("/status")?.is_none_or(|status| !status.contains_key("conditions")) {
        return Ok(Vec::new());
    }
    if is_paused(object)? {
        return skipped("it is paused or suspended");
    }
    if !object.is_observed()? {
        return unknown("its controller has not seen the newest specification yet");
    }
    if let Some(stalled) = object.condition("Stalled")?.filter(|stalled| stalled.is_true()) {
        let text = format!("its controller has given it up{}", words(&stalled));
        return Ok(vec![subject.finding("Stalled", text, subject.since(stalled.since)).part("Stalled").grace(60)]);
    }
    if object.condition("Reconciling")?.is_some_and(|reconciling| reconciling.is_true()) {
        return unknown("its controller is at work on it");
    }
    let mut doubt = None;
    for of in GOOD {
        let Some(condition) = object.condition(of)? else { continue };
        match condition.status {
            "True" => {}
            _ if joins::is_outdated(object, &condition)? => doubt = Some(format!("its {of} condition speaks of an older specification")),
            "False" if ON_PURPOSE.contains(&condition.reason) => {
                return skipped(format!("it is not {of} on purpose: {}", condition.reason));
            }
            "False" => {
                let text = format!("its condition {of} is False{}", words(&condition));
                return Ok(vec![subject.finding("ConditionNotMet", text, subject.since(condition.since)).part(of)]);
            }
            other => doubt = Some(format!("its {of} condition is {other}")),
        }
    }
    for of in BAD {
        let Some(condition) = object.condition(of)?.filter(Condition::is_true) else { continue };
        if joins::is_outdated(object, &condition)? {
            doubt = Some(format!("its {of} condition speaks of an older specification"));
            continue;
        }
        let text = format!("its condition {of} is True{}", words(&condition));
        return Ok(vec![subject.finding("ConditionNotMet", text, subject.since(condition.since)).part(of)]);
    }
    doubt.map_or(Ok(Vec::new()), unknown)
}

fn words(condition: &Condition<'_>) -> String {
    let reason = if condition.reason.is_empty() { String::new() } else { format!(" ({})", condition.reason) };
    format!("{reason}{}", said(condition.message))
}

/// Custom types only: those of Kubernetes itself are known each by its own rules.
fn is_for_us(object: &Observed) -> bool {
    let group = object.id.group.as_str();
    let is_elsewhere = ELSEWHERE.iter().any(|known| group == *known || group.strip_suffix(known).is_some_and(|rest| rest.ends_with('.')));
    let is_builtin = !group.contains('.') || (group.ends_with(".k8s.io") && !group.ends_with(".x-k8s.io"));
    !is_builtin && !is_elsewhere && !object.is_a(kinds::MCP_SERVER)
}

fn is_paused(object: &Observed) -> Result<bool, Undecided> {
    for place in ["/spec/paused", "/spec/suspend", "/spec/suspended"] {
        if proreus_observe::field::at(object.body(), place)?.and_then(proreus_observe::Node::as_bool) == Some(true) {
            return Ok(true);
        }
    }
    Ok(["crossplane.io/paused", "reconcile.external-secrets.io/paused", "autoscaling.keda.sh/paused"]
        .iter()
        .any(|key| object.annotation(key) == Some("true")))
}
