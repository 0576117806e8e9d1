//! The stages of a certificate's end: worth knowing, soon, very soon, over.
//!
//! Pure. The stages are findings that begin in the future by themselves, so that nobody has to look at the clock again for them.

use jiff::Timestamp;

use super::joins::earlier;
use crate::check::{Severity, Subject};
use crate::finding::Finding;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// How long before its end a certificate is told of.
#[derive(Clone, Copy)]
pub(super) struct Stages {
    /// As information; none where something renews it.
    pub(super) info_days: Option<i64>,
    /// As a warning.
    pub(super) warning_days: i64,
    /// As critical.
    pub(super) critical_days: i64,
}

/// Findings for a certificate that ends at `end`, of which at most one holds at any moment. `expiring` and `expired` are their reasons.
pub(super) fn findings(
    subject: &Subject<'_>,
    what: &str,
    end: Timestamp,
    stages: Stages,
    (expiring, expired): (&'static str, &'static str),
) -> Vec<Finding> {
    let before = |days: i64| earlier(end, days.max(0).saturating_mul(DAY));
    let (warning, critical) = (before(stages.warning_days), before(stages.critical_days.min(stages.warning_days)));
    let text = format!("{what} ends at {end}");
    let stage = |severity, from, until| subject.finding(expiring, text.clone(), from).severity(severity).until(until);
    let mut found = Vec::new();
    if let Some(days) = stages.info_days.filter(|days| *days > stages.warning_days) {
        found.push(stage(Severity::Info, before(days), warning));
    }
    found.push(stage(Severity::Warning, warning, critical));
    found.push(stage(Severity::Critical, critical, end));
    found.push(subject.finding(expired, format!("{what} ended at {end}"), end).severity(Severity::Critical));
    found
}
