//! Cron jobs whose last runs all failed.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins;
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
    if joins::is_going(cron)? {
        return Ok(Vec::new());
    }
    let mut success = cron.time("/status/lastSuccessfulTime")?;
    // Most cron jobs keep only the last job that failed: of those before it the trail knows.
    let trail = subject.view.trail(&cron.id.uid);
    let mut failing: Vec<_> = trail.into_iter().flat_map(|trail| trail.failed_runs()).map(|run| (run.at, run.seq)).collect();
    for job in subject.view.children(&cron.id.uid).filter(|child| child.is_a(KindRef::JOB)) {
        let ended = |of: &str| Ok::<_, crate::Undecided>(job.condition(of)?.filter(|condition| condition.is_true()));
        if let Some(failed) = ended("Failed")? {
            failing.push((failed.since.unwrap_or(job.recorded_at), job.seq));
        } else if let Some(complete) = ended("Complete")? {
            success = success.max(complete.since.or(Some(job.recorded_at)));
        }
    }
    failing.retain(|(end, _)| success.is_none_or(|success| *end > success));
    failing.sort_unstable();
    let wanted = usize::try_from(subject.threshold("runs")).unwrap_or(usize::MAX).max(1);
    // The run with which the number is reached is the beginning.
    let Some((since, _)) = failing.get(wanted - 1) else { return Ok(Vec::new()) };
    let text = format!("the last {wanted} runs or more failed");
    let finding = subject.finding("CronJobFailing", text, *since).consequence();
    Ok(vec![finding.shown_by(failing.iter().map(|(_, seq)| *seq))])
}
