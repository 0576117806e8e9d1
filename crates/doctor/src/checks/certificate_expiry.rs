//! Certificates of cert-manager near their end, or past the moment at which they should have been renewed.
//!
//! Pure.

use super::expiry::{self, Stages};
use super::joins;
use super::kinds;
use crate::check::{Check, Severity, Subject, Threshold, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "certificate-expiry",
    title: "A certificate is about to end and was not renewed",
    severity: Severity::Warning,
    remediation: "see why it is not renewed: the certificate's condition, its newest request, the issuer; `cmctl renew` asks anew",
    kinds: &[kinds::CERTIFICATE],
    reasons: &["CertificateExpiring", "CertificateExpired", "CertificateRenewalOverdue"],
    thresholds: &[Threshold { name: "warningDays", default: 7 }, Threshold { name: "criticalDays", default: 1 }],
    examine,
    ..Check::BASE
};

/// How long after the announced moment a renewal may begin.
const OVERDUE_SECONDS: i64 = 3_600;

/// Looks at one Certificate.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let certificate = subject.known()?;
    if joins::is_going(certificate)? {
        return Ok(Vec::new());
    }
    let Some(end) = certificate.time("/status/notAfter")? else {
        return joins::skipped("no certificate was issued yet");
    };
    let mut stages = Stages::of_days(None, subject.threshold("warningDays"), subject.threshold("criticalDays"));
    let renewal = certificate.time("/status/renewalTime")?;
    if let Some(begin) = certificate.time("/status/notBefore")? {
        stages = stages.for_life(begin, end);
    }
    let mut found = expiry::findings(subject, "the certificate", end, stages, ("CertificateExpiring", "CertificateExpired"));
    if let Some(renewal) = renewal.filter(|renewal| *renewal < end) {
        // From the first warning on, its end is the news, not the renewal.
        let until = joins::earlier(end, stages.warning);
        let from = joins::later(renewal, OVERDUE_SECONDS);
        if from < until {
            let text = format!("the certificate should have been renewed at {renewal}");
            found.push(subject.finding("CertificateRenewalOverdue", text, from).until(until));
        }
    }
    Ok(found)
}
