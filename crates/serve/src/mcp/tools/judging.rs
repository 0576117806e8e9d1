//! What is wrong: the doctor at a time, incidents, and the catalogue of checks.

use futures::FutureExt;
use proreus_api::{Check, Incident};
use proreus_app::doctor::{DoctorQuestion, IncidentState, catalogue, check_named};
use proreus_app::questions::IncidentsQuestion;
use proreus_app::{AppError, Application, Moment};
use proreus_model::{Cursor, Order};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Entry;
use super::history::to_json;
use crate::mcp::answers::Answer;
use crate::mcp::asker::Asker;
use crate::mcp::refusal::{Refusal, read};
use crate::mcp::rpc::JsonObject;
use crate::mcp::{schema, words};

/// Findings that an incident shows in a list; `incident` shows all that are kept.
const LISTED_FINDINGS: usize = 3;
/// Stands between the moment and the place in a list that is made anew for every page.
const OFFSET_MARK: char = '~';

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "doctor",
        title: "What is wrong",
        description: "Examines what was recorded and says what is wrong, worst first, each finding with its object, since when, and what to do. Without a \
                      time: as of the last record. What cannot be decided counts as unknown, never as healthy.",
        input: schema::of::<DoctorArguments>,
        output: || schema::list_of_objects("findings"),
        run: |asker, arguments| doctor(asker, arguments).boxed(),
    },
    Entry {
        name: "incidents",
        title: "Incidents",
        description: "What went wrong over time: findings grouped by their cause, newest first, each with when it opened and resolved and what changed \
                      before it. Give state open for what is wrong now.",
        input: schema::of::<IncidentsArguments>,
        output: || schema::list_of::<Incident>("items"),
        run: |asker, arguments| incidents(asker, arguments).boxed(),
    },
    Entry {
        name: "incident",
        title: "One incident",
        description: "One incident by its id, with all of its findings that are kept, its cause and the changes that show it.",
        input: schema::of::<IncidentArguments>,
        output: schema::one_of::<Incident>,
        run: |asker, arguments| incident(asker, arguments).boxed(),
    },
    Entry {
        name: "checks",
        title: "Checks",
        description: "The checks of the doctor: what each looks for, how severe it is, how long something must be wrong, and what to do. Give a check's id or \
                      a reason, such as ImagePullBackOff, for one of them.",
        input: schema::of::<ChecksArguments>,
        output: || schema::list_of::<Check>("items"),
        run: |asker, arguments| check_list(asker, arguments).boxed(),
    },
];

/// Where a list that is made anew for every page goes on: at the same moment, behind so many.
struct Place {
    moment: Option<Cursor>,
    offset: usize,
}

impl Place {
    fn read(text: Option<&str>) -> Result<Self, Refusal> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Self { moment: None, offset: 0 }) };
        let bad = || Refusal::argument(format!("`cursor` is `{text}`"), "pass back a nextCursor of this tool as it is");
        let (moment, offset) = text.split_once(OFFSET_MARK).ok_or_else(bad)?;
        Ok(Self { moment: Some(moment.parse().map_err(|_| bad())?), offset: offset.parse().map_err(|_| bad())? })
    }

    /// The moment that is asked about: the one of the page before, unless a time was named.
    fn at(&self, app: &Application, at: Option<&str>, now: jiff::Timestamp) -> Result<Moment, AppError> {
        match (at.filter(|at| !at.is_empty()), &self.moment) {
            (Some(at), _) => app.questions.moment("at", at, now),
            (None, Some(moment)) => app.questions.moment_of(moment),
            (None, None) => Ok(Moment::Now),
        }
    }
}

fn cursor_of(moment: &str, offset: usize) -> String {
    format!("{moment}{OFFSET_MARK}{offset}")
}

/// A part of a list that is made anew for every page.
fn part(answer: Answer, name: &'static str, all: Vec<Value>, place: &Place, limit: usize, moment: String) -> Answer {
    let (total, offset) = (all.len(), place.offset);
    let items: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    let end = offset + items.len();
    let next = (end < total).then(|| cursor_of(&moment, end));
    answer.list(name, items, next, move |index| Some(cursor_of(&moment, offset + index + 1)))
}

/// When and what to examine.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DoctorArguments {
    /// When: RFC 3339, a date, how long ago such as `2h`, or a cursor.
    at: Option<String>,
    /// Only objects in these namespaces, separated by commas.
    namespace: Option<String>,
    /// Only these checks, by id, separated by commas.
    check: Option<String>,
    /// Only findings at least this severe: `info`, `warning`, `critical`.
    severity: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
    /// Findings of this page, 1 to 1000.
    limit: Option<u64>,
}

/// `info` < `warning` < `critical`.
fn least_severity(text: Option<&str>) -> Result<usize, Refusal> {
    match text {
        None | Some("" | "info") => Ok(0),
        Some("warning") => Ok(1),
        Some("critical") => Ok(2),
        Some(other) => Err(Refusal::argument(format!("`severity` is `{other}`"), "give info, warning or critical")),
    }
}

fn rank(severity: &str) -> usize {
    match severity {
        "critical" => 2,
        "warning" => 1,
        _ => 0,
    }
}

async fn doctor(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: DoctorArguments = read(arguments)?;
    let (place, limit, least) = (Place::read(of.cursor.as_deref())?, words::limit(of.limit)?, least_severity(of.severity.as_deref())?);
    let (checks, namespaces) = (words::many("check", of.check.as_deref())?, words::many("namespace", of.namespace.as_deref())?);
    let (now, at) = (asker.shared.app.clock.now(), of.at);
    asker
        .ask(move |app, access| {
            let at = place.at(app, at.as_deref(), now)?;
            let answer = app.doctor(&DoctorQuestion { at, checks, namespaces, ..DoctorQuestion::default() }, access)?;
            let report = &answer.report;
            let told: Vec<&_> = report.findings.iter().filter(|finding| rank(finding.severity.as_str()) >= least).collect();
            let count = |word: &str| told.iter().filter(|finding| finding.severity.as_str() == word).count();
            let summary = format!(
                "At {}: {} critical, {} warning, {} info among {} objects; {} more wait for their grace; {} could not be decided.",
                answer.time,
                count("critical"),
                count("warning"),
                count("info"),
                answer.objects,
                report.held.len(),
                report.unsettled.len()
            );
            let unknown: Vec<Value> = report.unsettled.iter().take(UNSETTLED_LIMIT).map(to_json).collect();
            let moment = app.questions.cursor_at(answer.seq).to_string();
            let findings = told.into_iter().map(to_json).collect();
            let said = Answer::new(summary)
                .with("at", json!(answer.time.to_string()))
                .with("seq", json!(answer.seq.0))
                .with("unsettled", Value::Array(unknown));
            Ok(part(said, "findings", findings, &place, limit, moment))
        })
        .await
}

/// What could not be decided is told this often at most; the summary counts the rest.
const UNSETTLED_LIMIT: usize = 10;

/// Which incidents.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct IncidentsArguments {
    /// `open`, `resolved` or `all` (the default).
    state: Option<String>,
    /// Only of owners in these namespaces, separated by commas.
    namespace: Option<String>,
    /// Only incidents at least this severe: `info`, `warning`, `critical`.
    severity: Option<String>,
    /// As they were known when.
    at: Option<String>,
    /// Only what was open at or after this time.
    since: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
    /// Incidents of this page, 1 to 1000.
    limit: Option<u64>,
}

async fn incidents(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: IncidentsArguments = read(arguments)?;
    let (place, limit, least) = (Place::read(of.cursor.as_deref())?, words::limit(of.limit)?, least_severity(of.severity.as_deref())?);
    let states = match of.state.as_deref() {
        None | Some("" | "all") => Vec::new(),
        Some("open") => vec![IncidentState::Open],
        Some("resolved") => vec![IncidentState::Resolved],
        Some(other) => return Err(Refusal::argument(format!("`state` is `{other}`"), "give open, resolved or all")),
    };
    let namespaces = words::many("namespace", of.namespace.as_deref())?;
    let (now, at) = (asker.shared.app.clock.now(), of.at);
    let since = words::time("since", of.since.as_deref(), now)?;
    asker
        .ask(move |app, access| {
            let at = place.at(app, at.as_deref(), now)?;
            // Newest first: a model reads the first page.
            let question = IncidentsQuestion { at, namespaces, states, since, order: Order::Descending, ..IncidentsQuestion::default() };
            let answer = app.questions.incidents(&question, access)?;
            let (time, moment) = (answer.time, answer.at.to_string());
            let all = answer.items.into_iter().map(|view| brief(&Incident::from(view)));
            let found: Vec<Value> = all.filter(|incident| rank(incident["severity"].as_str().unwrap_or_default()) >= least).collect();
            let open = found.iter().filter(|incident| incident["state"] == "open").count();
            let summary = format!("{} incidents, {open} of them open at {time}.", found.len());
            Ok(part(Answer::new(summary), "items", found, &place, limit, moment))
        })
        .await
}

fn brief(incident: &impl serde::Serialize) -> Value {
    let mut value = to_json(incident);
    if let Some(findings) = value.get_mut("findings").and_then(Value::as_array_mut) {
        findings.truncate(LISTED_FINDINGS);
    }
    value
}

/// Which incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IncidentArguments {
    /// Its id, as `incidents` lists it.
    id: String,
}

async fn incident(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: IncidentArguments = read(arguments)?;
    asker
        .ask(move |app, access| {
            let found = to_json(&Incident::from(app.questions.incident(&of.id, Moment::Now, access)?));
            let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
            let summary = format!("{} {} of {} {}: {}", word("state"), word("severity"), word("kind"), word("name"), word("message"));
            Ok(Answer::one(summary, found))
        })
        .await
}

/// Which checks.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ChecksArguments {
    /// One check, by its id or by a reason that it gives.
    check: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
    /// Checks of this page, 1 to 1000.
    limit: Option<u64>,
}

async fn check_list(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: ChecksArguments = read(arguments)?;
    let (place, limit) = (Place::read(of.cursor.as_deref())?, words::limit(of.limit.or(Some(200)))?);
    let moment = asker.ask(|app, _| Ok(app.questions.cursor_at(app.questions.journal().watermark()).to_string())).await?;
    let found: Vec<Value> = match of.check.as_deref().filter(|word| !word.is_empty()) {
        Some(word) => vec![to_json(&Check::from(check_named(word).map_err(Refusal::from)?))],
        None => catalogue().iter().map(|check| to_json(&Check::from(*check))).collect(),
    };
    Ok(part(Answer::new(format!("{} checks.", found.len())), "items", found, &place, limit, moment))
}
