//! TLS secrets whose certificate ends, has ended, or does not fit its key.
//!
//! Pure. Only the safe facts that were derived when the secret was recorded are read; neither certificate nor key is there any more. What
//! cert-manager renews is its Certificate's matter.

use proreus_observe::field::{self, Read};
use proreus_observe::{Node, Observed};

use super::expiry::{self, Stages};
use super::joins::{self, Sight, unknown};
use super::kinds;
use crate::check::{Check, Severity, Subject, Threshold, Undecided, Verdict};
use proreus_observe::KindRef;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "tls-secret",
    title: "A TLS secret holds a certificate that does not serve",
    severity: Severity::Warning,
    remediation: "put a new certificate with its key into the secret; whoever reads it may have to be restarted",
    kinds: &[KindRef::SECRET],
    reads: &[kinds::CERTIFICATE],
    reasons: &["TlsExpiring", "TlsExpired", "TlsNotYetValid", "TlsKeyMismatch", "TlsInvalid"],
    thresholds: &[
        Threshold { name: "infoDays", default: 30 },
        Threshold { name: "warningDays", default: 7 },
        Threshold { name: "criticalDays", default: 1 },
    ],
    examine,
    ..Check::BASE
};

/// By which cert-manager says which Certificate a secret belongs to.
const CERTIFICATE_NAME: &str = "cert-manager.io/certificate-name";

/// Looks at one Secret.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let secret = subject.known()?;
    if joins::is_going(secret)? {
        return Ok(Vec::new());
    }
    let is_tls = secret.text("/type")? == Some("kubernetes.io/tls");
    let Some(leaf) = leaf(secret)? else {
        return if is_tls { unknown("what its certificate says was not recorded") } else { Ok(Vec::new()) };
    };
    if field::flag(leaf, "/valid")? == Some(false) {
        let text = "what stands under `tls.crt` is no certificate";
        return Ok(vec![subject.finding("TlsInvalid", text, secret.recorded_at)]);
    }
    let mut found = Vec::new();
    if secret.flag("/safeFacts/keyMatches")? == Some(false) {
        let text = "the key under `tls.key` does not belong to the certificate under `tls.crt`";
        found.push(subject.finding("TlsKeyMismatch", text, secret.recorded_at).severity(Severity::Critical));
    }
    let Some(end) = field::time(leaf, "/notAfter")? else { return unknown("when its certificate ends was not recorded") };
    let begin = field::time(leaf, "/notBefore")?;
    if let Some(begin) = begin.filter(|begin| *begin > secret.recorded_at) {
        let text = format!("the certificate is valid from {begin} on, and not before");
        found.push(subject.finding("TlsNotYetValid", text, secret.recorded_at).until(begin));
    }
    if !is_renewed(subject, secret)? {
        let [info, warning, critical] = ["infoDays", "warningDays", "criticalDays"].map(|name| subject.threshold(name));
        let stages = Stages::of_days(Some(info), warning, critical);
        let stages = begin.map_or(stages, |begin| stages.for_life(begin, end));
        let owner = field::text(leaf, "/subject")?.unwrap_or_default();
        let what = if owner.is_empty() { "the certificate".to_owned() } else { format!("the certificate of {owner}") };
        found.extend(expiry::findings(subject, &what, end, stages, ("TlsExpiring", "TlsExpired")));
    }
    Ok(found)
}

/// What was recorded of the certificate that is served: the first under `tls.crt`.
pub(super) fn leaf(secret: &Observed) -> Read<Option<Node<'_>>> {
    let chain = field::at(secret.body(), "/safeFacts/certificates")?.and_then(|all| all.get("tls.crt"));
    Ok(chain.and_then(|chain| chain.as_array()?.first()))
}

/// Whether a Certificate of cert-manager renews it, and therefore answers for it.
fn is_renewed(subject: &Subject<'_>, secret: &Observed) -> Result<bool, Undecided> {
    let Some(name) = secret.annotation(CERTIFICATE_NAME) else { return Ok(false) };
    Ok(matches!(joins::look(subject, kinds::CERTIFICATE, secret.id.namespace.as_str(), name), Sight::There(_)))
}
