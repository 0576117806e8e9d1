//! Whether a namespace would take another pod: a server-side dry run of one that the strictest pod security admits. Nothing is created.
//!
//! Pure. Whatever would refuse it would refuse the next pod of any workload there: a full quota, a webhook that does not answer, a missing
//! service account.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proreus_observe::KindRef;

use super::{ANSWER_WITHIN, Action, Outcome, Probe, Scene, is_not_allowed, object, status_message};
use crate::check::{Check, Mode, Severity, Undecided, Verdict};
use crate::finding::Finding;

/// Namespaces that are tried: a person waits, and each is a request.
const NAMESPACES_LIMIT: usize = 20;

/// The definition.
pub const CHECK: Check = Check {
    id: "pod-admission",
    title: "A namespace would refuse another pod",
    remediation: "read what refuses it: raise the quota, mend or remove the webhook, or create the service account that is missing",
    severity: Severity::Warning,
    kinds: &[KindRef::NAMESPACE],
    mode: Mode::Active,
    reasons: &["PodsRefused"],
    ..Check::BASE
};

/// What refuses, by what its refusal contains (lower case); narrow words first.
const CLASSES: [(&str, &[&str]); 6] = [
    ("Quota", &["exceeded quota", "failed quota", "forbidden: must specify"]),
    ("PodSecurity", &["violates podsecurity"]),
    ("WebhookDown", &["failed calling webhook"]),
    ("Webhook", &["admission webhook", "denied the request", "validatingadmissionpolicy"]),
    ("LimitRange", &["minimum ", "maximum ", "limit to request ratio"]),
    ("ServiceAccount", &["service account", "serviceaccount"]),
];

pub(super) fn plan(scene: &Scene<'_>) -> Vec<Probe> {
    let workloads = [KindRef::DEPLOYMENT, KindRef::STATEFUL_SET, KindRef::DAEMON_SET, KindRef::CRON_JOB];
    let found = workloads.iter().flat_map(|kind| scene.view.of_kind(scene.cluster, *kind)).map(|object| object.id.namespace.as_str());
    let mut namespaces: BTreeSet<&str> = found.filter(|namespace| !namespace.starts_with("kube-")).collect();
    namespaces.extend(scene.settings.namespaces.iter().map(String::as_str));
    let wanted = namespaces.into_iter().filter(|namespace| scene.is_wanted(namespace)).take(NAMESPACES_LIMIT);
    wanted
        .map(|namespace| Probe {
            check: CHECK.id,
            about: object(scene.cluster, KindRef::NAMESPACE, "", namespace),
            says: format!("rehearse a pod in {namespace} (server-side dry run, nothing is created)"),
            action: Action::Rehearse { path: format!("/api/v1/namespaces/{namespace}/pods"), object: scene.pod(namespace) },
            within: ANSWER_WITHIN,
        })
        .collect()
}

pub(super) fn judge(probe: &Probe, outcome: &Outcome, now: Timestamp) -> Verdict {
    let namespace = &probe.about.name;
    match outcome {
        Outcome::Answered { status: 200..=299, .. } => Ok(Vec::new()),
        Outcome::Answered { status, body } => {
            let message = status_message(body).unwrap_or_else(|| format!("HTTP {status}"));
            if is_not_allowed(*status, &message) {
                return Err(Undecided::Skipped(format!("pods may not be created in {namespace}: {message}")));
            }
            if *status == 404 {
                return Err(Undecided::Skipped(format!("there is no namespace {namespace}")));
            }
            let lower = message.to_ascii_lowercase();
            let class = CLASSES.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word))).map_or("Other", |(class, _)| class);
            let severity = if class == "WebhookDown" { Severity::Critical } else { Severity::Warning };
            let text = format!("another pod in {namespace} would be refused ({class}): {message}");
            let finding = Finding::of_probe(&CHECK, probe, "PodsRefused", text, now);
            Ok(vec![finding.class(class).severity(severity)])
        }
        Outcome::Silent { reason } => Err(Undecided::Unknown(format!("a pod in {namespace} could not be rehearsed: {reason}"))),
        Outcome::Seen { .. } | Outcome::NotDone { .. } => Err(Undecided::Unknown("no answer to judge".to_owned())),
    }
}
