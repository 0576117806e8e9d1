//! Releases of Helm that failed, or were left half-way.
//!
//! Pure. Helm keeps one Secret for each revision, whose labels say how it went; only the newest counts.

use proreus_observe::KindRef;
use proreus_observe::Observed;

use super::joins;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "helm-release",
    title: "A release of Helm failed or hangs",
    severity: Severity::Warning,
    grace_seconds: 60,
    remediation: "read `helm history`, then upgrade again or `helm rollback` to the last revision that was deployed",
    kinds: &[KindRef::SECRET],
    reads: &[KindRef::SECRET],
    reasons: &["HelmReleaseFailed", "HelmReleasePending"],
    examine,
    ..Check::BASE
};

/// How long an operation of Helm may take; its own default timeout is five minutes.
const PENDING_GRACE_SECONDS: i64 = 900;

/// Looks at one Secret.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let secret = subject.known()?;
    if secret.text("/type")? != Some("helm.sh/release.v1") || joins::is_going(secret)? {
        return Ok(Vec::new());
    }
    let (Some(name), Some(status), Some(revision)) = (secret.label("name"), secret.label("status"), revision(secret)) else {
        return joins::unknown("its labels do not name release, revision and status");
    };
    if !matches!(status, "failed" | "pending-install" | "pending-upgrade" | "pending-rollback" | "uninstalling") {
        return Ok(Vec::new());
    }
    let id = &secret.id;
    let of_release = |other: &&std::sync::Arc<Observed>| other.label("owner") == Some("helm") && other.label("name") == Some(name);
    let mut others = subject.view.in_namespace(&id.cluster, KindRef::SECRET, &id.namespace).filter(of_release);
    if others.any(|other| self::revision(other).is_some_and(|other| other > revision)) {
        return Ok(Vec::new());
    }
    let since = subject.since(secret.created_at());
    Ok(match status {
        "failed" => {
            let text = format!("revision {revision} of the release `{name}` failed");
            vec![subject.finding("HelmReleaseFailed", text, since).part(name)]
        }
        "pending-install" | "pending-upgrade" | "pending-rollback" | "uninstalling" => {
            let text = format!("revision {revision} of the release `{name}` has stayed {status}, and no other operation can begin");
            let remedy =
                "see whether a helm process still runs; if none does, `helm rollback` to the last deployed revision frees the release";
            vec![subject.finding("HelmReleasePending", text, since).part(name).remedy(remedy).grace(PENDING_GRACE_SECONDS)]
        }
        _ => Vec::new(),
    })
}

fn revision(secret: &Observed) -> Option<i64> {
    secret.label("version")?.parse().ok()
}
