//! Issuers of cert-manager that cannot issue.
//!
//! Pure.

use super::joins;
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "issuer",
    title: "An issuer of certificates is not ready",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "read the issuer's condition: the secret with its key, the address of its server, or the account it could not register",
    kinds: &[kinds::ISSUER, kinds::CLUSTER_ISSUER],
    reasons: &["IssuerNotReady"],
    examine,
    ..Check::BASE
};

/// Looks at one issuer.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    const CLASSES: &[&str] = &[
        "ErrGetKeyPair",
        "ErrInitIssuer",
        "ErrRegisterACMEAccount",
        "ErrUpdateACMEAccount",
        "ErrVerifyACMEAccount",
        "InvalidConfig",
        "VaultError",
    ];
    let issuer = subject.known()?;
    if joins::is_going(issuer)? {
        return Ok(Vec::new());
    }
    let ready = joins::condition(issuer, "Ready")?;
    if ready.is_true() {
        return Ok(Vec::new());
    }
    let text = format!("the issuer is not ready ({}){}", ready.reason, said(ready.message));
    let mut finding = subject.finding("IssuerNotReady", text, subject.since(ready.since));
    finding.class = joins::word_of(ready.reason, CLASSES);
    Ok(vec![finding])
}
