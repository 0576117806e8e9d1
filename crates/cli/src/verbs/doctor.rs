//! `doctor`: what is wrong at a moment, grouped by what it is wrong with, worst first; of a cluster itself, of a journal, or of a
//! running server.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proreus_api::{DoctorReport, IncidentFinding, IncidentSeverity, UnsettledFinding};
use proreus_app::doctor::{DoctorAnswer, DoctorQuestion, check_named};
use proreus_app::live::{self, Connection, LiveAnswer, LiveQuestion, Looked, ProbeOptions, Seen};
use proreus_app::{Moment, Questions};
use proreus_doctor::{CheckTally, Finding, Mode, Unsettled};
use proreus_model::{Access, Seq};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{counted, grouped};
use crate::failure::Failure;
use crate::flags::{DoctorFlags, DoctorFormat, FailOn};
use crate::output::{Format, write_one};
use crate::progress::Progress;
use crate::run::Context;
use crate::signals::Signals;
use crate::source::{DoctorAsk, Source};
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
    /// Position in the journal, where a journal was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
    /// The cluster, where it was asked itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Patient<'a>>,
    objects: usize,
    findings: &'a [Finding],
    held: &'a [Finding],
    silenced: Vec<Silenced<'a>>,
    unsettled: &'a [Unsettled],
    checks: &'a std::collections::BTreeMap<&'static str, CheckTally>,
}

/// The cluster that was asked itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Patient<'a> {
    context: &'a str,
    id: &'a str,
    server_version: &'a str,
    clock_ahead_seconds: i64,
}

/// Who was asked.
enum Asked {
    /// A journal.
    Journal,
    /// The cluster itself, by the name of its context.
    Cluster(String, Looked),
    /// A server.
    Server(String),
}

/// What was asked, and what it said.
struct Told {
    asked: Asked,
    /// For people. A server cuts long lists, and says how much there is.
    report: DoctorReport,
    /// When what is within its grace is told, where that is known.
    dues: Vec<Timestamp>,
    /// What was judged here.
    answer: Option<DoctorAnswer>,
}

impl Told {
    fn here(answer: DoctorAnswer, asked: Asked) -> Self {
        let dues = answer.report.held.iter().map(Finding::due).collect();
        Self { asked, report: DoctorReport::of(&answer, usize::MAX), dues, answer: Some(answer) }
    }

    /// Where it was looked, in one word.
    fn place(&self) -> &str {
        match &self.asked {
            Asked::Journal => "journal",
            Asked::Cluster(alias, _) => alias,
            Asked::Server(url) => url,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Silenced<'a> {
    silenced_until: Timestamp,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Runs the verb.
pub(crate) async fn run(flags: &DoctorFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    refuse_idle_probes(flags)?;
    let told = match whom(flags, context) {
        Whom::Journal => recorded(flags, context)?,
        Whom::Server => served(flags, context).await?,
        Whom::Cluster => live(flags, context).await?,
    };
    match flags.output.unwrap_or_default() {
        DoctorFormat::Table => show(&told, flags, context)?,
        DoctorFormat::Json => print(&told, Format::Json, context)?,
        DoctorFormat::Yaml => print(&told, Format::Yaml, context)?,
        DoctorFormat::Junit => write!(context.around.stdout, "{}", diagnosis::junit(&told.report, told.place()))?,
    }
    context.around.stdout.flush()?;
    verdict(&told.report, flags)
}

fn print(told: &Told, format: Format, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    match &told.answer {
        Some(answer) => write_one(context.around.stdout, format, &outcome(answer, &told.asked))?,
        None => write_one(context.around.stdout, format, &told.report)?,
    }
    Ok(())
}

/// Whom to ask.
enum Whom {
    Journal,
    Server,
    Cluster,
}

/// Flags decide, then the environment: a journal is asked when one is named, a server when one is; a moment is asked of a journal where no
/// server is named; else the cluster itself.
fn whom(flags: &DoctorFlags, context: &Context<'_, '_>) -> Whom {
    let is_named_around = |name: &str| (context.around.env)(name).is_some_and(|value| !value.is_empty());
    let patient = &flags.patient;
    match () {
        () if patient.server.is_some() => Whom::Server,
        () if patient.data_dir.is_some() => Whom::Journal,
        () if patient.names_a_cluster() || flags.trying.active => Whom::Cluster,
        () if is_named_around("PROREUS_DATA_DIR") => Whom::Journal,
        // A server judges by its own settings: who brings some does not mean it.
        () if is_named_around("PROREUS_SERVER") && flags.config.is_none() => Whom::Server,
        () if flags.at.is_some() => Whom::Journal,
        () => Whom::Cluster,
    }
}

/// A server judges by its own settings, and cuts long lists.
async fn served(flags: &DoctorFlags, context: &mut Context<'_, '_>) -> Result<Told, Failure> {
    let server = Source::server(&flags.patient.source(), context.around)?;
    let ask = DoctorAsk { at: flags.at.clone(), checks: flags.check.clone(), namespaces: flags.namespace.clone() };
    let report = server.doctor(&ask).await?;
    let kept_back = report.count.saturating_sub(report.findings.len() as u64);
    if kept_back > 0 {
        context.note(&format!(
            "the server tells the worst {} findings and keeps back {kept_back}; narrow by --namespace or --check",
            report.findings.len()
        ));
    }
    Ok(Told { asked: Asked::Server(server.address().to_owned()), report, dues: Vec::new(), answer: None })
}

/// Whoever names an active check means it to be run.
fn refuse_idle_probes(flags: &DoctorFlags) -> Result<(), Failure> {
    if flags.trying.active {
        return Ok(());
    }
    for word in &flags.check {
        let check = check_named(word)?;
        if check.mode == Mode::Active {
            return Err(Failure::Usage {
                problem: format!("`{}` does something in the cluster", check.id),
                hint: format!("add --active to run it, or `proreus explain {}` to read what it does", check.id),
            });
        }
    }
    Ok(())
}

/// Graces, thresholds and silences as the named configuration has them.
fn settings(flags: &DoctorFlags) -> Result<proreus_doctor::DoctorSettings, Failure> {
    match &flags.config {
        Some(path) => Ok(super::incidents::watch_settings(Some(path))?.doctor),
        None => Ok(proreus_doctor::DoctorSettings::default()),
    }
}

fn recorded(flags: &DoctorFlags, context: &mut Context<'_, '_>) -> Result<Told, Failure> {
    let questions = (context.around.open)(&super::store::directory(flags.patient.data_dir.as_ref(), context))?;
    let now = questions.journal().last_recorded_at().unwrap_or_else(|| context.around.clock.now());
    let question = DoctorQuestion {
        at: moment(flags.at.as_deref(), &questions, now)?,
        checks: flags.check.clone(),
        namespaces: flags.namespace.clone(),
        settings: settings(flags)?,
    };
    Ok(Told::here(questions.doctor(&question, &Access::All)?, Asked::Journal))
}

async fn live(flags: &DoctorFlags, context: &mut Context<'_, '_>) -> Result<Told, Failure> {
    let source = live::cluster(&connection(flags, context)).await?;
    let question = LiveQuestion { checks: flags.check.clone(), namespaces: flags.namespace.clone(), settings: settings(flags)? };
    let mut progress = Progress::new("looking", "types", context);
    let clock = context.around.clock.clone();
    let stderr = &mut *context.around.stderr;
    let seen = live::see(&question, source, clock, |at| progress.at(at.listed as u64, at.types as u64, stderr)).await?;
    drop(progress);
    let mut answer = seen.examine(&question)?;
    if flags.trying.active {
        try_things(flags, &question, &seen, &mut answer, context).await?;
    }
    tell_doubts(&answer.looked, context);
    Ok(Told::here(answer.answer, Asked::Cluster(answer.alias, answer.looked)))
}

fn connection(flags: &DoctorFlags, context: &Context<'_, '_>) -> Connection {
    let patient = &flags.patient;
    let is_named_around = (context.around.env)("KUBECONFIG").is_some_and(|value| !value.is_empty());
    match () {
        () if patient.in_cluster => Connection::InCluster,
        () if patient.names_a_cluster() || is_named_around => {
            Connection::Kubeconfig { path: patient.kubeconfig.clone(), context: patient.context.clone() }
        }
        () => Connection::Default,
    }
}

/// Says what will be done, does it, and says what could not be cleared away. A signal ends it in good order.
async fn try_things(
    flags: &DoctorFlags,
    question: &LiveQuestion,
    seen: &Seen,
    answer: &mut LiveAnswer,
    context: &mut Context<'_, '_>,
) -> Result<(), Failure> {
    let options = ProbeOptions {
        namespace: flags.trying.probe_namespace.clone(),
        image: flags.trying.probe_image.clone(),
        within: SignedDuration::from_secs(flags.trying.probe_timeout_seconds.into()),
    };
    let plan = seen.plan(question, &options)?;
    for removed in seen.clear_leftovers().await {
        context.note(&format!("removed what an earlier run left: {removed}"));
    }
    context.note("this will be tried:");
    for line in plan.lines() {
        context.note(&format!("  {line}"));
    }
    let mut signals = Signals::take()?;
    let cancel = CancellationToken::new();
    let probing = seen.probe(plan, &cancel, |probe| tracing::debug!(check = probe.check, says = probe.says, "trying"), answer);
    tokio::pin!(probing);
    let (left, is_cut_short) = tokio::select! {
        left = &mut probing => (left, false),
        () = signals.next() => {
            cancel.cancel();
            (signals.while_ending(async { Ok(probing.await) }).await?, true)
        }
    };
    for one in left {
        context.note(&format!("could not be deleted: {one}; the next run removes it once it has expired"));
    }
    match is_cut_short {
        true => Err(Failure::Interrupted),
        false => Ok(()),
    }
}

/// What the person should know about the look itself.
fn tell_doubts(looked: &Looked, context: &mut Context<'_, '_>) {
    if !looked.clock_ahead.is_zero() {
        let (seconds, way) = (looked.clock_ahead.as_secs().abs(), if looked.clock_ahead.is_positive() { "behind" } else { "ahead of" });
        context.note(&format!("this machine's clock is {seconds} s {way} the cluster's, which is the one that counts here"));
    }
    if let Some(reason) = &looked.anonymous {
        context.note(&format!("the cluster does not tell who it is: {reason}"));
    }
    if looked.refused > 0 {
        context.note(&format!("{} could not be read and were left out", counted(looked.refused, "object")));
    }
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

fn outcome<'a>(answer: &'a DoctorAnswer, asked: &'a Asked) -> Outcome<'a> {
    let report = &answer.report;
    let silenced = report.silenced.iter().map(|(finding, until)| Silenced { silenced_until: *until, finding });
    let cluster = match asked {
        Asked::Journal | Asked::Server(_) => None,
        Asked::Cluster(alias, looked) => Some(Patient {
            context: alias,
            id: looked.cluster.as_str(),
            server_version: &looked.server_version,
            clock_ahead_seconds: looked.clock_ahead.as_secs(),
        }),
    };
    Outcome {
        at: answer.time,
        seq: cluster.is_none().then_some(answer.seq),
        cluster,
        objects: answer.objects,
        findings: &report.findings,
        held: &report.held,
        silenced: silenced.collect(),
        unsettled: &report.unsettled,
        checks: &report.tallies,
    }
}

fn show(told: &Told, flags: &DoctorFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let report = &told.report;
    let (paint, columns) = (context.paint(), context.around.columns.unwrap_or(PLAIN_COLUMNS));
    let mut page = Page { out: &mut *context.around.stdout, paint, columns, now: report.at };
    page.findings(&report.findings)?;
    if flags.all {
        let held = report.held.iter().enumerate().map(|(index, finding)| (finding, told.dues.get(index).map(|due| ("told", *due))));
        page.aside("Within its grace, not told yet", held)?;
        page.aside("Silenced", report.silenced.iter().map(|one| (&one.finding, one.silenced_until.map(|until| ("silence ends", until)))))?;
        page.unsettled(&report.unsettled)?;
    }
    context.around.stdout.flush()?;
    context.note(&summary(told));
    let blind = blind(&report.unsettled);
    if !flags.all && (!report.held.is_empty() || blind > 0) {
        let held = counted(report.held.len() as u64, "finding");
        context.note(&format!("{held} within the grace, {} could not look; --all tells", counted(blind as u64, "check")));
    }
    Ok(())
}

fn summary(told: &Told) -> String {
    let report = &told.report;
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let parts: Vec<String> = [IncidentSeverity::Critical, IncidentSeverity::Warning, IncidentSeverity::Info]
        .into_iter()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| format!("{} {}", count(severity), severity.as_str()))
        .collect();
    let mut found = if parts.is_empty() { "nothing is wrong".to_owned() } else { parts.join(", ") };
    if report.count > report.findings.len() as u64 {
        found.push_str(&format!(" of {} findings, the worst of which are told", grouped(report.count)));
    }
    let checks = counted(report.checks.len() as u64, "check");
    let place = match &told.asked {
        Asked::Cluster(alias, looked) => format!("in {alias} ({})", looked.server_version),
        Asked::Server(url) => format!("(#{} of {url})", report.seq),
        Asked::Journal => format!("(#{})", report.seq),
    };
    format!("{found}: {checks} over {} objects at {} {place}", grouped(report.objects), absolute(report.at))
}

/// Checks that could not look at a kind at all.
fn blind<'a>(unsettled: impl IntoIterator<Item = &'a UnsettledFinding>) -> usize {
    let ids: BTreeSet<&str> = unsettled.into_iter().filter(|one| one.name.is_none()).map(|one| one.check.as_str()).collect();
    ids.len()
}

fn verdict(report: &DoctorReport, flags: &DoctorFlags) -> Result<(), Failure> {
    let skipped = blind(report.unsettled.iter().filter(|one| one.state == "skipped"));
    if flags.strict && skipped > 0 {
        return Err(Failure::Blind { count: skipped });
    }
    let least = match flags.fail_on {
        FailOn::Info => IncidentSeverity::Info,
        FailOn::Warning => IncidentSeverity::Warning,
        FailOn::Critical => IncidentSeverity::Critical,
        FailOn::Never => return Ok(()),
    };
    let bad: Vec<&IncidentFinding> = report.findings.iter().filter(|finding| finding.severity >= least).collect();
    // The worst come first: where milder ones are told, none of the bad was cut.
    let is_cut = report.count > report.findings.len() as u64 && bad.len() == report.findings.len();
    match bad.iter().map(|finding| finding.since).min() {
        None => Ok(()),
        Some(oldest) => Err(Failure::BadNews {
            problem: format!(
                "{}{} of severity {} or worse, the oldest for {}",
                if is_cut { "at least " } else { "" },
                counted(bad.len() as u64, "finding"),
                least.as_str(),
                between(oldest, report.at)
            ),
            hint: "`proreus explain CHECK` tells more about a check, `proreus history KIND/NAME` what happened to an object".to_owned(),
        }),
    }
}

/// The colour of a severity.
pub(crate) fn ink(severity: IncidentSeverity) -> Ink {
    match severity {
        IncidentSeverity::Critical => Ink::Bad,
        IncidentSeverity::Warning => Ink::Warning,
        IncidentSeverity::Info => Ink::Faint,
    }
}
