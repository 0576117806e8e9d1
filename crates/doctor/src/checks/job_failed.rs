//! Jobs that failed for good.
//!
//! Pure. A failed run of a cron job is over when a later run succeeded.

use proreus_observe::field::Condition;
use proreus_observe::{KindRef, Observed};

use super::joins;
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "job-failed",
    title: "A job failed",
    severity: Severity::Warning,
    grace_seconds: 0,
    remediation: "read the log of its last pod; correct the cause, then delete the job and make it anew",
    kinds: &[KindRef::JOB],
    reasons: &["JobFailed"],
    examine,
    ..Check::BASE
};

/// Looks at one job.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let job = reading::observed(subject)?;
    let Some(failed) = failure(job)? else { return Ok(Vec::new()) };
    let since = subject.since(failed.since);
    if job.deletion_at().is_some() || is_made_good(subject, job, since)? {
        return Ok(Vec::new());
    }
    let (class, what) = match failed.reason {
        "BackoffLimitExceeded" => ("BackoffLimitExceeded", "its pods failed as often as it allows"),
        "DeadlineExceeded" => ("DeadlineExceeded", "it took longer than its deadline"),
        "PodFailurePolicy" => ("PodFailurePolicy", "a pod failed in a way that its policy does not forgive"),
        "FailedIndexes" | "MaxFailedIndexesExceeded" => ("FailedIndexes", "indexes of it failed"),
        _ => ("Other", "it failed"),
    };
    let remedy = match class {
        "DeadlineExceeded" => "see what it waited for or why it is slow; raise activeDeadlineSeconds if it may take so long",
        _ => CHECK.remediation,
    };
    let finding = subject.finding("JobFailed", format!("{what}{}", said(failed.message)), since);
    Ok(vec![finding.class(class).remedy(remedy)])
}

/// The condition that says that it failed; of one whose pods are still going, that this end is settled.
fn failure(job: &Observed) -> Result<Option<Condition<'_>>, Undecided> {
    for of in ["Failed", "FailureTarget"] {
        if let Some(condition) = job.condition(of)?
            && joins::holds(&condition, of)?
        {
            return Ok(Some(condition));
        }
    }
    Ok(None)
}

/// Whether a later run of the same cron job succeeded.
fn is_made_good(subject: &Subject<'_>, job: &Observed, failed: jiff::Timestamp) -> Result<bool, Undecided> {
    let Some(reference) = job.controller().filter(|owner| owner.kind.as_str() == KindRef::CRON_JOB.kind) else { return Ok(false) };
    let Some(owner) = subject.view.by_uid(&reference.uid) else {
        return match subject.view.freshness(&job.id.cluster, KindRef::CRON_JOB).is_certain_at(subject.now) {
            true => Ok(false),
            false => Err(Undecided::Unknown("its cron job is not known, nor whether a later run succeeded".to_owned())),
        };
    };
    if owner.time("/status/lastSuccessfulTime")?.is_some_and(|success| success > failed) {
        return Ok(true);
    }
    let siblings = subject.view.children(&owner.id.uid).filter(|child| child.is_a(KindRef::JOB));
    let succeeded = siblings.filter_map(|sibling| {
        let complete = sibling.condition("Complete").ok()??;
        complete.is_true().then_some(complete.since).flatten()
    });
    Ok(succeeded.max().is_some_and(|success| success > failed))
}
