//! Cron jobs whose last runs all failed.
//!
//! Pure.

use proreus_observe::KindRef;

use crate::check::{Check, Severity, Subject, Threshold, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "cronjob-failing",
    title: "The last runs of a cron job all failed",
    severity: Severity::Critical,
    grace_seconds: 0,
    remediation: "read the log of the last run's pod; what worked before fails now, so look at what changed since the last success",
    kinds: &[KindRef::CRON_JOB],
    needs: &[KindRef::JOB],
    reasons: &["CronJobFailing"],
    thresholds: &[Threshold { name: "runs", default: 3 }],
    examine,
    ..Check::BASE
};

/// Looks at one cron job.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let cron = subject.known()?;
    let mut runs = Vec::new();
    for job in subject.view.children(&cron.id.uid).filter(|child| child.is_a(KindRef::JOB)) {
        let ended = |of: &str| Ok::<_, crate::Undecided>(job.condition(of)?.filter(|condition| condition.is_true()));
        let (failed, complete) = (ended("Failed")?, ended("Complete")?);
        if let Some(end) = failed.or(complete) {
            runs.push((end.since.unwrap_or(job.recorded_at), failed.is_some(), job.seq));
        }
    }
    runs.sort_unstable();
    let failing: Vec<_> = runs.iter().rev().take_while(|(_, has_failed, _)| *has_failed).collect();
    let wanted = usize::try_from(subject.threshold("runs")).unwrap_or(usize::MAX).max(1);
    // The run with which the number is reached is the beginning.
    let Some((since, _, _)) = failing.len().checked_sub(wanted).and_then(|index| failing.get(index)) else { return Ok(Vec::new()) };
    let text = format!("the last {wanted} runs or more failed");
    let finding = subject.finding("CronJobFailing", text, *since).consequence();
    Ok(vec![finding.shown_by(failing.iter().map(|(_, _, seq)| *seq))])
}
