//! Jobs that run far longer than jobs do.
//!
//! Pure.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::KindRef;

use super::joins;
use crate::check::{Check, Severity, Subject, Threshold, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "job-stuck",
    title: "A job has been running for very long",
    severity: Severity::Warning,
    grace_seconds: 0,
    remediation: "see what its pods do; set activeDeadlineSeconds so that it ends by itself, or a larger `runSeconds` for jobs that may take so long",
    kinds: &[KindRef::JOB],
    reasons: &["JobStuck"],
    thresholds: &[Threshold { name: "runSeconds", default: 12 * 3600 }],
    examine,
    ..Check::BASE
};

/// How long past its deadline a job may take to end: its pods get their grace periods first.
const DEADLINE_MARGIN_SECONDS: i64 = 600;

/// Looks at one job.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let job = subject.known()?;
    if joins::is_going(job)? {
        return Ok(Vec::new());
    }
    if job.flag("/spec/suspend")?.unwrap_or(false) {
        return Err(Undecided::Skipped("it is suspended on purpose".to_owned()));
    }
    for end in ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"] {
        if let Some(condition) = job.condition(end)?
            && joins::holds(&condition, end)?
        {
            return Ok(Vec::new());
        }
    }
    let started = subject.since(job.time("/status/startTime")?.or_else(|| job.created_at()));
    let deadline = job.int("/spec/activeDeadlineSeconds")?;
    // A job that says itself how long it may take is asked for no more.
    let allowed = deadline.map_or(subject.threshold("runSeconds"), |deadline| deadline.saturating_add(DEADLINE_MARGIN_SECONDS));
    let late = started.checked_add(SignedDuration::from_secs(allowed)).unwrap_or(Timestamp::MAX);
    let text = match (job.int("/status/active")?.unwrap_or(0), deadline) {
        (active, Some(deadline)) => format!("it is not done, {active} of its pods run, and nobody ended it at its deadline of {deadline}s"),
        (0, None) => "it is not done, and none of its pods runs".to_owned(),
        (active, None) => format!("it is not done, {active} of its pods run, and it has no deadline"),
    };
    let finding = subject.finding("JobStuck", text, late);
    Ok(vec![match deadline {
        Some(_) => {
            finding.remedy("see whether the controller manager works, which ends jobs at their deadline, and whether its pods can go")
        }
        None => finding,
    }])
}
