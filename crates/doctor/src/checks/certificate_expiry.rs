//! Certificates of cert-manager near their end, or past the moment at which they should have been renewed.
//!
//! Pure.

use super::expiry::{self, DAY, Stages};
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
    let mut warning_days = subject.threshold("warningDays");
    let mut critical_days = subject.threshold("criticalDays");
    let renewal = certificate.time("/status/renewalTime")?;
    // A certificate that lives for hours is renewed within hours of its end, and all its life would be a warning.
    if let Some(begin) = certificate.time("/status/notBefore")? {
        let days = end.duration_since(begin).as_secs() / DAY;
        warning_days = warning_days.min(days / 4);
        critical_days = critical_days.min(days / 8);
    }
    let stages = Stages { info_days: None, warning_days, critical_days };
    let mut found = expiry::findings(subject, "the certificate", end, stages, ("CertificateExpiring", "CertificateExpired"));
    if let Some(renewal) = renewal.filter(|renewal| *renewal < end) {
        // From the first warning on, its end is the news, not the renewal.
        let until = joins::earlier(end, warning_days.saturating_mul(DAY));
        let from = joins::later(renewal, OVERDUE_SECONDS);
        if from < until {
            let text = format!("the certificate should have been renewed at {renewal}");
            found.push(subject.finding("CertificateRenewalOverdue", text, from).until(until));
        }
    }
    Ok(found)
}
