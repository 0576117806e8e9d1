//! Jobs that run far longer than jobs do.
//!
//! Pure.

use jiff::{SignedDuration, Timestamp};
use proreus_observe::KindRef;

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

/// Looks at one job.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let job = subject.known()?;
    if job.flag("/spec/suspend")?.unwrap_or(false) {
        return Err(Undecided::Skipped("it is suspended on purpose".to_owned()));
    }
    for end in ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"] {
        if job.condition(end)?.is_some_and(|condition| condition.is_true()) {
            return Ok(Vec::new());
        }
    }
    let since = job.time("/status/startTime")?.or_else(|| job.created_at());
    let text = match (job.int("/status/active")?.unwrap_or(0), job.int("/spec/activeDeadlineSeconds")?) {
        (0, _) => "it is not done, and none of its pods runs".to_owned(),
        (active, Some(deadline)) => format!("it is not done, {active} of its pods run, and its deadline is {deadline}s"),
        (active, None) => format!("it is not done, {active} of its pods run, and it has no deadline"),
    };
    let allowed = SignedDuration::from_secs(subject.threshold("runSeconds"));
    let late = subject.since(since).checked_add(allowed).unwrap_or(Timestamp::MAX);
    Ok(vec![subject.finding("JobStuck", text, late)])
}
