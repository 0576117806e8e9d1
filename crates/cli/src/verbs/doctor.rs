//! `doctor`: what is wrong at a moment, grouped by what it is wrong with, worst first.

use jiff::Timestamp;
use proreus_app::doctor::{DoctorAnswer, DoctorQuestion};
use proreus_app::{Moment, Questions};
use proreus_doctor::{CheckTally, Finding, Severity, Unsettled, UnsettledState};
use proreus_model::{Access, Seq};
use serde::Serialize;

use super::{counted, grouped};
use crate::failure::Failure;
use crate::flags::{DoctorFlags, DoctorFormat, FailOn};
use crate::output::{Format, write_one};
use crate::run::Context;
use crate::terminal::paint::Ink;
use crate::terminal::times::{absolute, between};
use crate::view::diagnosis::{self, Page};

/// Columns where the output is no terminal.
const PLAIN_COLUMNS: usize = 110;

/// What programs read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    at: Timestamp,
    seq: Seq,
    objects: usize,
    findings: &'a [Finding],
    held: &'a [Finding],
    silenced: Vec<Silenced<'a>>,
    unsettled: &'a [Unsettled],
    checks: &'a std::collections::BTreeMap<&'static str, CheckTally>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Silenced<'a> {
    silenced_until: Timestamp,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Runs the verb.
pub(crate) fn run(flags: &DoctorFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let questions = (context.around.open)(&super::store::directory(flags.data_dir.as_ref(), context))?;
    let now = questions.journal().last_recorded_at().unwrap_or_else(|| context.around.clock.now());
    let question = DoctorQuestion {
        at: moment(flags.at.as_deref(), &questions, now)?,
        checks: flags.check.clone(),
        namespaces: flags.namespace.clone(),
        settings: match &flags.config {
            Some(path) => super::incidents::watch_settings(Some(path))?.doctor,
            None => proreus_doctor::DoctorSettings::default(),
        },
    };
    let answer = questions.doctor(&question, &Access::All)?;
    match flags.output.unwrap_or_default() {
        DoctorFormat::Table => show(&answer, flags, context)?,
        DoctorFormat::Json => write_one(context.around.stdout, Format::Json, &outcome(&answer))?,
        DoctorFormat::Junit => write!(context.around.stdout, "{}", diagnosis::junit(&answer))?,
    }
    context.around.stdout.flush()?;
    verdict(&answer, flags)
}

pub(crate) fn moment(at: Option<&str>, questions: &Questions, now: Timestamp) -> Result<Moment, Failure> {
    match at {
        None => Ok(Moment::Now),
        Some(text) => match text.parse() {
            Ok(seq) => Ok(Moment::After(Seq(seq))),
            Err(_) => Ok(questions.moment("at", text, now)?),
        },
    }
}

fn outcome(answer: &DoctorAnswer) -> Outcome<'_> {
    let report = &answer.report;
    let silenced = report.silenced.iter().map(|(finding, until)| Silenced { silenced_until: *until, finding });
    Outcome {
        at: answer.time,
        seq: answer.seq,
        objects: answer.objects,
        findings: &report.findings,
        held: &report.held,
        silenced: silenced.collect(),
        unsettled: &report.unsettled,
        checks: &report.tallies,
    }
}

fn show(answer: &DoctorAnswer, flags: &DoctorFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let report = &answer.report;
    let (paint, columns) = (context.paint(), context.around.columns.unwrap_or(PLAIN_COLUMNS));
    let mut page = Page { out: &mut *context.around.stdout, paint, columns, now: answer.time };
    page.findings(&report.findings)?;
    if flags.all {
        page.aside("Within its grace, not told yet", report.held.iter())?;
        page.aside("Silenced", report.silenced.iter().map(|(finding, _)| finding))?;
        page.unsettled(&report.unsettled)?;
    }
    context.around.stdout.flush()?;
    context.note(&summary(answer));
    let blind = blind(&report.unsettled);
    if !flags.all && (!report.held.is_empty() || blind > 0) {
        let held = counted(report.held.len() as u64, "finding");
        context.note(&format!("{held} within the grace, {} could not look; --all tells", counted(blind as u64, "check")));
    }
    Ok(())
}

fn summary(answer: &DoctorAnswer) -> String {
    let report = &answer.report;
    let count = |severity: Severity| report.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let parts: Vec<String> = [(Severity::Critical, "critical"), (Severity::Warning, "warning"), (Severity::Info, "info")]
        .into_iter()
        .filter(|(severity, _)| count(*severity) > 0)
        .map(|(severity, word)| format!("{} {word}", count(severity)))
        .collect();
    let found = if parts.is_empty() { "nothing is wrong".to_owned() } else { parts.join(", ") };
    let checks = counted(report.tallies.len() as u64, "check");
    format!("{found}: {checks} over {} objects at {} (#{})", grouped(answer.objects as u64), absolute(answer.time), answer.seq)
}

/// Checks that could not look at a kind at all.
fn blind(unsettled: &[Unsettled]) -> usize {
    let mut ids: Vec<&str> = unsettled.iter().filter(|one| one.object.is_none()).map(|one| one.check).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

fn verdict(answer: &DoctorAnswer, flags: &DoctorFlags) -> Result<(), Failure> {
    let report = &answer.report;
    let skipped: Vec<Unsettled> =
        report.unsettled.iter().filter(|one| one.object.is_none() && one.state == UnsettledState::Skipped).cloned().collect();
    if flags.strict && !skipped.is_empty() {
        return Err(Failure::Blind { count: blind(&skipped) });
    }
    let least = match flags.fail_on {
        FailOn::Info => Severity::Info,
        FailOn::Warning => Severity::Warning,
        FailOn::Critical => Severity::Critical,
        FailOn::Never => return Ok(()),
    };
    let bad: Vec<&Finding> = report.findings.iter().filter(|finding| finding.severity >= least).collect();
    match bad.iter().map(|finding| finding.since).min() {
        None => Ok(()),
        Some(oldest) => Err(Failure::BadNews {
            problem: format!(
                "{} of severity {least} or worse, the oldest for {}",
                counted(bad.len() as u64, "finding"),
                between(oldest, answer.time)
            ),
            hint: "`proreus explain CHECK` tells more about a check, `proreus history KIND/NAME` what happened to an object".to_owned(),
        }),
    }
}

/// The colour of a severity.
pub(crate) fn ink(severity: Severity) -> Ink {
    match severity {
        Severity::Critical => Ink::Bad,
        Severity::Warning => Ink::Warning,
        Severity::Info => Ink::Faint,
    }
}
