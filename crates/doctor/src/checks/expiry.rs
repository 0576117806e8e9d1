//! The stages of a certificate's end: worth knowing, soon, very soon, over.
//!
//! Pure. The stages are findings that begin in the future by themselves, so that nobody has to look at the clock again for them.

use jiff::Timestamp;

use super::joins::earlier;
use crate::check::{Severity, Subject};
use crate::finding::Finding;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// How many seconds before its end a certificate is told of.
#[derive(Clone, Copy)]
pub(super) struct Stages {
    /// As information; none where something renews it.
    info: Option<i64>,
    /// As a warning.
    pub(super) warning: i64,
    /// As critical.
    critical: i64,
}

impl Stages {
    /// Stages in days.
    pub(super) fn of_days(info: Option<i64>, warning: i64, critical: i64) -> Self {
        let seconds = |days: i64| days.max(0).saturating_mul(DAY);
        Self { info: info.map(seconds), warning: seconds(warning), critical: seconds(critical) }
    }

    /// The same for a certificate that lives no longer than from `begin` to `end`: what lives for hours is renewed within hours of its end,
    /// and all its life would be a warning. A share of less than a day is no stage at all.
    pub(super) fn for_life(self, begin: Timestamp, end: Timestamp) -> Self {
        let life = end.duration_since(begin).as_secs();
        let share = |parts: i64| if life / parts < DAY { 0 } else { life / parts };
        Self { info: self.info.map(|info| info.min(share(3))), warning: self.warning.min(share(4)), critical: self.critical.min(share(8)) }
    }
}

/// Findings for a certificate that ends at `end`, of which at most one holds at any moment. `expiring` and `expired` are their reasons.
pub(super) fn findings(
    subject: &Subject<'_>,
    what: &str,
    end: Timestamp,
    stages: Stages,
    (expiring, expired): (&'static str, &'static str),
) -> Vec<Finding> {
    let before = |seconds: i64| earlier(end, seconds);
    let (warning, critical) = (before(stages.warning), before(stages.critical.min(stages.warning)));
    let text = format!("{what} ends at {end}");
    let stage = |severity, from, until| subject.finding(expiring, text.clone(), from).severity(severity).until(until);
    let mut found = Vec::new();
    if let Some(seconds) = stages.info.filter(|seconds| *seconds > stages.warning) {
        found.push(stage(Severity::Info, before(seconds), warning));
    }
    found.push(stage(Severity::Warning, warning, critical));
    found.push(stage(Severity::Critical, critical, end));
    found.push(subject.finding(expired, format!("{what} ended at {end}"), end).severity(Severity::Critical));
    found
}
