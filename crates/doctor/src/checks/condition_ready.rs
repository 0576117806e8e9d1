//! Objects of any custom type whose own conditions say that they do not work.
//!
//! Pure. The rules are those of kstatus: a status about an older generation says nothing, `Reconciling` is work under way, `Stalled` is the
//! end of it. Not here: kinds that have checks of their own; others of the same groups are.

use proreus_observe::field::{self, Condition};
use proreus_observe::{KindRef, Node, Observed};

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

/// How long making something may take: a database in a cloud takes half an hour, a cluster longer.
const MAKING_GRACE_SECONDS: i64 = 3_600;

/// Conditions that are good when they are `True`, the one that explains most first.
const GOOD: [&str; 4] = ["Synced", "Ready", "Available", "Healthy"];
/// Conditions that are good when they are `True` in one group, and may be otherwise elsewhere.
const GOOD_IN: [(&str, &str); 3] = [("monitoring.coreos.com", "Reconciled"), (OLM, "Installed"), (OLM, "Serving")];
/// Conditions that are bad when they are `True`.
const BAD: [&str; 4] = ["Degraded", "Failed", "Failing", "NotReady"];
/// Reasons for which something is not ready on purpose.
const ON_PURPOSE: [&str; 9] =
    ["Completed", "Disabled", "Hibernated", "Inactive", "Paused", "ScaledToZero", "Stopped", "Succeeded", "Suspended"];
/// Phases in which something is not ready on purpose: its work is done, or nobody has asked for it yet.
const PHASES_ON_PURPOSE: [&str; 2] = ["Succeeded", "WaitForFirstConsumer"];
/// The newer Operator Lifecycle Manager: whether it still tries stands in a condition beside the one that is not met.
const OLM: &str = "olm.operatorframework.io";
/// Groups whose objects serve others that have a check, and are told with them.
const ELSEWHERE: [&str; 3] = ["bootstrap.cluster.x-k8s.io", "controlplane.cluster.x-k8s.io", "infrastructure.cluster.x-k8s.io"];
/// Kinds in between, told with the kind above or below them.
const BETWEEN: [KindRef; 1] = [kinds::MACHINE_SET];
/// Kinds that wait for whole clusters, and call that not ready.
const SLOW: [KindRef; 2] = [kinds::MULTI_CLUSTER_SERVICE, kinds::SERVICE_SET];

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
    if let Some(stalled) = object.condition("Stalled")?.filter(Condition::is_true) {
        if !joins::is_current(object, &stalled)? {
            return unknown("its Stalled condition speaks of an older specification");
        }
        let text = format!("its controller has given it up{}", words(&stalled));
        return Ok(vec![subject.finding("Stalled", text, subject.since(stalled.since)).part("Stalled").grace(60)]);
    }
    if is_at_work(object)? {
        return unknown("its controller is at work on it");
    }
    let group = object.id.group.as_str();
    let in_group = GOOD_IN.iter().filter(|(of, _)| *of == group).map(|(_, condition)| (*condition, "True"));
    let everywhere = GOOD.into_iter().map(|condition| (condition, "True"));
    let bad = BAD.into_iter().map(|condition| (condition, "False"));
    // What no condition says of itself, the status says of all of them.
    let mut is_seen = object.is_observed()?;
    let mut doubt = None;
    for (of, good) in in_group.chain(everywhere).chain(bad) {
        let Some(condition) = object.condition(of)? else { continue };
        let is_current = joins::is_current(object, &condition)?;
        is_seen |= is_current;
        match condition.status {
            status if status == good => {}
            "True" | "False" if is_current => return not_met(subject, of, &condition),
            "True" | "False" => doubt = Some(format!("its {of} condition speaks of an older specification")),
            other if good == "True" => doubt = Some(format!("its {of} condition is {other}")),
            _ => {}
        }
    }
    match doubt {
        Some(why) => unknown(why),
        None if is_seen => Ok(Vec::new()),
        None => unknown("its controller has not seen the newest specification yet"),
    }
}

/// A condition that is not as it should be: a finding, unless it is so on purpose.
fn not_met<'a>(subject: &Subject<'a>, of: &str, condition: &Condition<'a>) -> Verdict {
    let object = subject.object;
    if condition.is_false()
        && let Some(why) = purpose(object, condition)?
    {
        return skipped(format!("it is not {of} on purpose: {why}"));
    }
    let mut told = *condition;
    if object.id.group.as_str() == OLM
        && let Some(progress) = object.condition("Progressing")?
    {
        if !matches!(progress.reason, "Retrying" | "Blocked") {
            return unknown(format!("its {of} condition is {}, and it makes progress ({})", condition.status, progress.reason));
        }
        // What it tries again says why; the condition itself says only that it has not come about.
        told.message = progress.message;
    }
    let text = format!("its condition {of} is {}{}", condition.status, words(&told));
    let finding = subject.finding("ConditionNotMet", text, subject.since(condition.since)).part(of);
    Ok(vec![if takes_long(object, condition) { finding.grace(MAKING_GRACE_SECONDS) } else { finding }])
}

/// Whether what is not ready is something that takes long to make.
fn takes_long(object: &Observed, condition: &Condition<'_>) -> bool {
    condition.reason == "Creating" || object.id.group.as_str().ends_with("cluster.x-k8s.io") || SLOW.iter().any(|kind| object.is_a(*kind))
}

/// Why something is not ready on purpose, if it is.
fn purpose<'a>(object: &'a Observed, condition: &Condition<'a>) -> Result<Option<&'a str>, Undecided> {
    let is_meant = match condition.reason {
        // A virtual machine that is to run and has no instance is a trouble.
        "VMINotExists" => {
            let runs = word_at(object, "/spec/runStrategy")? == Some("Always");
            !runs && field::at(object.body(), "/spec/running")?.and_then(Node::as_bool) != Some(true)
        }
        reason => ON_PURPOSE.contains(&reason),
    };
    if is_meant {
        return Ok(Some(condition.reason));
    }
    Ok(word_at(object, "/status/phase")?.filter(|phase| PHASES_ON_PURPOSE.contains(phase)))
}

/// Whether the controller is at work, and has not failed at it: kstatus has a word for what failed and is tried again.
fn is_at_work(object: &Observed) -> Result<bool, Undecided> {
    let Some(reconciling) = object.condition("Reconciling")?.filter(Condition::is_true) else { return Ok(false) };
    let has_failed = object.condition("Ready")?.is_some_and(|ready| ready.is_false());
    Ok(!(reconciling.reason == "ProgressingWithRetry" && has_failed))
}

fn words(condition: &Condition<'_>) -> String {
    let reason = if condition.reason.is_empty() { String::new() } else { format!(" ({})", condition.reason) };
    format!("{reason}{}", said(condition.message))
}

/// Custom types only, without a check of their own: those of Kubernetes itself are known each by its own rules.
fn is_for_us(object: &Observed) -> bool {
    let group = object.id.group.as_str();
    if !group.contains('.') || (group.ends_with(".k8s.io") && !group.ends_with(".x-k8s.io")) || ELSEWHERE.contains(&group) {
        return false;
    }
    let checked = super::CHECKS.iter().flat_map(|check| check.kinds);
    !checked.chain(&BETWEEN).any(|kind| object.is_a(*kind))
}

/// A text where there is one; another type may have anything there.
fn word_at<'a>(object: &'a Observed, place: &str) -> Result<Option<&'a str>, Undecided> {
    Ok(field::at(object.body(), place)?.and_then(Node::as_str))
}

fn is_paused(object: &Observed) -> Result<bool, Undecided> {
    for place in ["/spec/paused", "/spec/suspend", "/spec/suspended"] {
        if field::at(object.body(), place)?.and_then(Node::as_bool) == Some(true) {
            return Ok(true);
        }
    }
    // Of several revisions of a package of Crossplane, the older ones lie idle.
    let is_idle = word_at(object, "/spec/desiredState")? == Some("Inactive");
    let paused = ["crossplane.io/paused", "reconcile.external-secrets.io/paused", "autoscaling.keda.sh/paused"];
    // Of this one, its being there counts.
    let is_held = object.annotation("cluster.x-k8s.io/paused").is_some();
    Ok(is_idle || is_held || paused.iter().any(|key| object.annotation(key) == Some("true")))
}
