//! Checking a scenario file: the brains that run in production fold its records, and what they say is compared with what it expects.
//!
//! Pure: the file's text comes in, the verdict and the text as it would have to be go out. Nothing is watched, stored or sent.

use jiff::Timestamp;
use proreus_doctor::incidents::{IncidentSettings, Watch};
use proreus_doctor::{DoctorSettings, SettingsError, examine};
use proreus_model::{Record, Uid};
use proreus_observe::Snapshot;
use proreus_observe::phases::{Effect, PhaseOptions, Phases, step};
use proreus_record::Redactor;
use proreus_scenario::{Player, Reader, Scenario, ScenarioError, Section, Verdict, judge, rewrite};
use serde::Deserialize;
use serde_json::Value;

/// Why a scenario could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioCheckError {
    /// The file is no scenario, or a step in it cannot be played.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Its `config` cannot be meant.
    #[error("document 1, config: {problem}")]
    Config {
        /// Where, and what may stand there.
        problem: String,
    },
    /// Its `config` names checks that do not exist.
    #[error("document 1, config.{0}")]
    Settings(#[from] SettingsError),
}

impl ScenarioCheckError {
    /// What the person can do next.
    pub fn hint(&self) -> &'static str {
        "docs/reference/scenario-format.md says what may stand where"
    }
}

/// The `config` of a scenario.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ScenarioConfig {
    doctor: DoctorSettings,
    incidents: IncidentSettings,
    monitor: PhaseOptions,
}

/// What came of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedScenario {
    /// What came out, and what differs.
    pub verdict: Verdict,
    /// The file's text with what came out in the place of what was expected.
    pub rewritten: String,
}

/// Plays the scenario in `text` before everything that can be tested by one.
///
/// # Errors
/// A text that is no scenario, a config that cannot be meant, a step that cannot be played.
pub fn check(text: &str) -> Result<CheckedScenario, ScenarioCheckError> {
    let mut scenario = Scenario::parse(text)?;
    for step in scenario.steps.iter_mut().filter(|step| step.action == "apply") {
        record_safely(&Redactor::rehearsal(), &mut step.value);
    }
    let config = read_config(&scenario.config)?;
    config.doctor.validate()?;
    let mut incidents = IncidentsReader { watch: Watch::new(config.doctor.clone(), config.incidents) };
    let mut doctor = DoctorReader { view: Snapshot::new(), settings: config.doctor };
    let mut monitor = MonitorReader { phases: Phases::new(config.monitor), updates: Vec::new() };
    let verdict = judge(&scenario, &mut [&mut doctor, &mut incidents, &mut monitor])?;
    let rewritten = rewrite(text, &scenario, &verdict);
    Ok(CheckedScenario { verdict, rewritten })
}

/// Takes the secrets out of what is applied, as a recorder does: checks see the safe facts of a secret, and never a secret.
fn record_safely(redactor: &Redactor, applied: &mut Value) {
    match applied {
        Value::Array(list) => list.iter_mut().for_each(|entry| record_safely(redactor, entry)),
        Value::Object(map) if map.get("items").is_some_and(Value::is_array) => {
            map.get_mut("items").into_iter().for_each(|items| record_safely(redactor, items));
        }
        Value::Object(map) if map.get("kind").and_then(Value::as_str) == Some("Secret") => {
            // What is no object for a recorder either stays as it is, for the checks to stumble over.
            let redacted = redactor.redacted(&Player::cluster(), &Uid::default(), applied.to_string().as_bytes());
            if let Some(body) = redacted.ok().and_then(|body| serde_json::from_slice(&body).ok()) {
                *applied = body;
            }
        }
        Value::Object(_) | Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn read_config(config: &Value) -> Result<ScenarioConfig, ScenarioCheckError> {
    if config.is_null() {
        return Ok(ScenarioConfig::default());
    }
    serde_path_to_error::deserialize(config)
        .map_err(|error| ScenarioCheckError::Config { problem: format!("{}: {}", error.path(), error.inner()) })
}

/// Answers `findings`.
struct DoctorReader {
    view: Snapshot,
    settings: DoctorSettings,
}

impl Reader for DoctorReader {
    fn section(&self) -> Section {
        Section::Findings
    }

    fn fold(&mut self, record: &Record) {
        self.view.apply(record);
    }

    fn advance(&mut self, _now: Timestamp) {}

    fn answer(&mut self, now: Timestamp) -> Vec<Value> {
        let report = examine(&self.view, &self.settings, now, |_| true);
        report.findings.iter().map(|finding| serde_json::to_value(finding).unwrap_or(Value::Null)).collect()
    }
}

/// Answers `incidents`.
struct IncidentsReader {
    watch: Watch,
}

impl Reader for IncidentsReader {
    fn section(&self) -> Section {
        Section::Incidents
    }

    fn fold(&mut self, record: &Record) {
        self.watch.fold(record);
    }

    fn advance(&mut self, now: Timestamp) {
        self.watch.advance(now);
    }

    fn answer(&mut self, now: Timestamp) -> Vec<Value> {
        self.watch.advance(now);
        self.watch.incidents().into_iter().map(|incident| serde_json::to_value(incident).unwrap_or(Value::Null)).collect()
    }
}

/// Answers `updates`: what the monitors of every cluster in the scenario told, in the order in which they told it.
struct MonitorReader {
    phases: Phases,
    updates: Vec<Value>,
}

impl MonitorReader {
    fn keep(&mut self, effects: Vec<Effect>) {
        self.updates.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Update(update) => serde_json::to_value(update).ok(),
            Effect::Learned(_) => None,
        }));
    }
}

impl Reader for MonitorReader {
    fn section(&self) -> Section {
        Section::Updates
    }

    fn fold(&mut self, record: &Record) {
        let (effects, _) = step(&mut self.phases, record, record.recorded_at());
        self.keep(effects);
    }

    fn advance(&mut self, now: Timestamp) {
        let effects = self.phases.advance(now);
        self.keep(effects);
    }

    fn answer(&mut self, _now: Timestamp) -> Vec<Value> {
        self.updates.clone()
    }
}
