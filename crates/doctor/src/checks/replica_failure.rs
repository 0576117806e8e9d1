//! Workloads whose pods are refused: by a quota, a webhook, a security policy, a missing service account.
//!
//! Pure. Deployments and replica sets say so in a condition; the others only in Events, which the API server forgets.

use jiff::SignedDuration;
use proreus_observe::KindRef;

use super::reading::{class_of, last_warning, quoted};
use crate::check::{Check, Severity, Subject, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "replica-failure",
    title: "A workload's pods cannot be created",
    severity: Severity::Critical,
    grace_seconds: 30,
    remediation: "the API server refuses the pods: the message says on whose word",
    kinds: &[KindRef::DEPLOYMENT, KindRef::REPLICA_SET, KindRef::STATEFUL_SET, KindRef::DAEMON_SET, KindRef::JOB],
    reasons: &["ReplicaFailure"],
    examine,
    ..Check::BASE
};

/// How long after an Event a refusal is taken to go on. A controller that fails again and again tries at least every 1000 s, which is where
/// the back-off of its work queue ends.
pub(super) const EVENT_HOLDS: SignedDuration = SignedDuration::from_mins(20);

/// A class of causes: its name and what to do.
struct Class {
    name: &'static str,
    remedy: &'static str,
}

/// In the order in which they are tried: what a webhook or a policy says is its own words, in which quotas and accounts may be spoken of.
const CLASSES: &[(Class, &[&str])] = &[
    (
        Class {
            name: "PodSecurity",
            remedy: "the pods break the namespace's Pod Security level: fix their security context, or use another level on purpose",
        },
        &["violates podsecurity", "podsecuritypolicy", "security context constraint"],
    ),
    (
        Class {
            name: "Policy",
            remedy: "a ValidatingAdmissionPolicy refuses the pods: read its words, and fix the template or its binding",
        },
        &["validatingadmissionpolicy"],
    ),
    (
        Class {
            name: "Webhook",
            remedy: "an admission webhook refuses the pods or does not answer: read its words; if it is down, bring it up",
        },
        &["admission webhook", "failed calling webhook", "denied the request"],
    ),
    (
        Class { name: "Quota", remedy: "the namespace's quota is used up: raise it, or lower what the pods ask for" },
        &["exceeded quota", "must specify limits", "must specify requests", "failed quota"],
    ),
    (
        Class { name: "LimitRange", remedy: "the pods ask for more or less than the namespace's LimitRange allows: adapt one of the two" },
        &["maximum cpu", "maximum memory", "minimum cpu", "minimum memory", "usage per container", "usage per pod"],
    ),
    (
        Class { name: "ServiceAccount", remedy: "create the service account in the namespace, or name another one in the pod template" },
        &["serviceaccount", "service account"],
    ),
    (
        Class { name: "PriorityClass", remedy: "create the PriorityClass, or name another one in the pod template" },
        &["priorityclass", "priority class"],
    ),
    (Class { name: "RuntimeClass", remedy: "create the RuntimeClass, or name another one in the pod template" }, &["runtimeclass"]),
    (Class { name: "Forbidden", remedy: "the controller may not create these pods: look at RBAC and admission policies" }, &["forbidden"]),
    (Class { name: "Invalid", remedy: "the pod template is not valid: correct what the message names" }, &["invalid"]),
];

/// Looks at one workload.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let workload = subject.known()?;
    if workload.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    // The replica set of a deployment says the same again.
    if workload.is_a(KindRef::REPLICA_SET) && workload.controller().is_some() {
        return Ok(Vec::new());
    }
    if let Some(failure) = workload.condition("ReplicaFailure")?.filter(|condition| condition.is_true()) {
        if is_of_the_end(failure.message) {
            return Ok(Vec::new());
        }
        let since = subject.since(failure.since);
        return Ok(vec![classed(subject.finding("ReplicaFailure", text(failure.message), since), failure.message)]);
    }
    let says_so_in_events = [KindRef::STATEFUL_SET, KindRef::DAEMON_SET, KindRef::JOB].iter().any(|kind| workload.is_a(*kind));
    if !says_so_in_events || is_satisfied(subject)? {
        return Ok(Vec::new());
    }
    let Some(event) = last_warning(subject, &["FailedCreate"]) else { return Ok(Vec::new()) };
    if is_of_the_end(event.message) {
        return Ok(Vec::new());
    }
    let finding = subject.finding("ReplicaFailure", text(event.message), event.first_seen.unwrap_or(event.last_seen));
    let finding = classed(finding, event.message).shown_by([event.seq]);
    Ok(vec![match event.last_seen.checked_add(EVENT_HOLDS) {
        Ok(over) => finding.until(over),
        Err(_) => finding,
    }])
}

/// Whether pods are refused only because their namespace is going: on purpose, and its own check tells when it does not go.
fn is_of_the_end(message: &str) -> bool {
    message.contains("because it is being terminated")
}

/// Whether the workload has what it wants by now, whatever was refused before.
fn is_satisfied(subject: &Subject<'_>) -> Result<bool, crate::Undecided> {
    let workload = subject.object;
    let number = |path: &str| Ok::<_, crate::Undecided>(workload.int(path)?.unwrap_or(0));
    Ok(match workload.id.kind.as_str() {
        "StatefulSet" => number("/status/replicas")? >= workload.int("/spec/replicas")?.unwrap_or(1),
        "DaemonSet" => number("/status/currentNumberScheduled")? >= number("/status/desiredNumberScheduled")?,
        _ => number("/status/active")? + number("/status/succeeded")? > 0,
    })
}

fn text(message: &str) -> String {
    format!("its pods cannot be created: {}", quoted(message))
}

fn classed(finding: Finding, message: &str) -> Finding {
    match class_of(message, CLASSES) {
        Some(class) => finding.class(class.name).remedy(class.remedy),
        None => finding,
    }
}
