//! Cron jobs that were not started when they should have been, twice.
//!
//! Pure.

use jiff::Timestamp;
use proreus_observe::KindRef;

use super::joins;
use super::reading::{last_warning, quoted};
use super::schedule::Schedule;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "cronjob-missed",
    title: "A cron job was not started when it should have been",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "see whether an earlier run still goes on and forbids the next (concurrencyPolicy), and whether the controller manager works",
    kinds: &[KindRef::CRON_JOB],
    reasons: &["CronJobMissed", "CronJobSchedule"],
    examine,
    ..Check::BASE
};

/// Looks at one cron job.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let cron = subject.known()?;
    if joins::is_going(cron)? {
        return Ok(Vec::new());
    }
    if cron.flag("/spec/suspend")?.unwrap_or(false) {
        return Err(Undecided::Skipped("it is suspended on purpose".to_owned()));
    }
    let text = cron.text("/spec/schedule")?.ok_or_else(|| Undecided::Unknown("/spec/schedule is not set".to_owned()))?;
    if let Some(event) = last_warning(subject, &["UnparseableSchedule", "UnknownTimeZone", "InvalidSchedule"]) {
        let words = format!("its schedule cannot be understood: {}", quoted(event.message));
        let finding = subject.finding("CronJobSchedule", words, event.first_seen.unwrap_or(event.last_seen)).grace(0);
        return Ok(vec![finding.remedy("correct schedule or timeZone").shown_by([event.seq])]);
    }
    let schedule = Schedule::parse(text, cron.text("/spec/timeZone")?)
        .map_err(|problem| Undecided::Unknown(format!("schedule `{text}`: {problem}")))?;
    // A long run that forbids the next is the business of the job.
    let is_running = !cron.list("/status/active")?.is_empty();
    if is_running && cron.text("/spec/concurrencyPolicy")? == Some("Forbid") {
        return Ok(Vec::new());
    }
    let made = cron.created_at().ok_or_else(|| Undecided::Unknown("when it was made is not known".to_owned()))?;
    let last = cron.time("/status/lastScheduleTime")?;
    let (started, changed) = (last.unwrap_or(made), changed_at(subject));
    let missed = schedule.after(changed.map_or(started, |changed| changed.max(started))).and_then(|first| schedule.after(first));
    let Some(missed) = missed else { return Err(Undecided::Unknown(format!("schedule `{text}` names no time that comes"))) };
    let words = match last {
        _ if changed > Some(started) => {
            format!("it was not started since it was resumed or its schedule changed, and two times of `{text}` have passed")
        }
        Some(last) => format!("it was last started at {last}, and two times of `{text}` have passed since"),
        None => format!("it was never started, and two times of `{text}` have passed"),
    };
    Ok(vec![subject.finding("CronJobMissed", words, missed)])
}

/// When it was resumed, or its schedule changed, where that was seen: the times before are not made up for.
fn changed_at(subject: &Subject<'_>) -> Option<Timestamp> {
    let trail = subject.view.trail(&subject.object.id.uid)?;
    let facts = ["suspend", "schedule"].into_iter().filter_map(|name| trail.fact(name));
    facts.filter(|fact| fact.is_exact).map(|fact| fact.since).max()
}
