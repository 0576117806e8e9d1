//! Namespaces that were deleted and do not go.
//!
//! Pure. Their conditions say what is left: a type that cannot be listed, objects that cannot be deleted, finalizers.

use proreus_observe::KindRef;

use super::joins::unknown;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "namespace-terminating",
    title: "A namespace that was deleted does not go",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "let go what its conditions name; do not empty the namespace's own finalizers, which leaves its objects behind unseen",
    kinds: &[KindRef::NAMESPACE],
    reasons: &["NamespaceTerminating"],
    examine,
    ..Check::BASE
};

/// What a condition that is `True` means, worst first, and what to do.
const CAUSES: &[(&str, &str, &str)] = &[
    (
        "NamespaceDeletionDiscoveryFailure",
        "DiscoveryFailure",
        "an extension of the API does not answer, so that nobody knows what is in the namespace: mend or delete its APIService",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "DiscoveryFailure",
        "the API serves a group whose version cannot be read: mend or delete its APIService",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentFailure",
        "objects in it cannot be deleted: the message names them; often a webhook that does not answer refuses it",
    ),
    (
        "NamespaceFinalizersRemaining",
        "Finalizers",
        "the controllers behind the finalizers that the message names must let their objects go: see that they still run",
    ),
    ("NamespaceContentRemaining", "ContentRemaining", "see what is left of the kinds that the message names, and what holds it"),
];

/// Looks at one namespace.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let namespace = subject.known()?;
    let deleted_at = namespace.time("/metadata/deletionTimestamp")?;
    match (namespace.text("/status/phase")?, deleted_at) {
        (_, Some(_)) | (Some("Terminating"), None) => {}
        (Some("Active"), None) => return Ok(Vec::new()),
        (None, None) => return unknown("/status/phase is not set"),
        (Some(other), None) => return unknown(format!("its phase is `{other}`")),
    }
    let since = subject.since(deleted_at);
    for (of, class, remedy) in CAUSES {
        if let Some(met) = namespace.condition(of)?.filter(|met| met.is_true()) {
            let text = format!("the namespace was deleted and does not go{}", said(met.message));
            return Ok(vec![subject.finding("NamespaceTerminating", text, since).class(class).remedy(*remedy)]);
        }
    }
    Ok(vec![subject.finding("NamespaceTerminating", "the namespace was deleted and does not go", since)])
}
