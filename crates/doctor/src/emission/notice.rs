//! What is told: one version of an incident as it was recorded, and why it is told.
//!
//! Pure. Reads what `incidents` recorded and nothing of the cluster's.

use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{Change, ClusterId, Seq, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::check::Severity;

/// By this name Proreus is known where it writes: as a field manager, a reporting controller, a source.
pub const REPORTER: &str = "proreus";

/// API group of what Proreus itself did.
const GROUP: &str = "proreus.dev";
/// Kind of a recorded incident.
const KIND: &str = "Incident";

/// Why a record cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of incident `{id}` at {seq} cannot be read: {problem}")]
pub struct Unreadable {
    /// Its name.
    pub id: String,
    /// Where it is.
    pub seq: Seq,
    /// What is missing.
    pub problem: &'static str,
}

/// One version of an incident, as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentRecord {
    /// Position of the record.
    pub seq: Seq,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Of the incident.
    pub id: String,
    /// Where it is.
    pub cluster: ClusterId,
    /// Namespace of the object it is about, `""` when cluster-scoped.
    pub namespace: String,
    /// Kind of that object.
    pub kind: String,
    /// Name of that object.
    pub name: String,
    /// Its incarnation.
    pub uid: String,
    /// Whether it goes on.
    pub is_open: bool,
    /// How bad it is.
    pub severity: Severity,
    /// Why, as a word.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remediation: String,
    /// The check that found it.
    pub check: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// How often it came back.
    pub flaps: u64,
    /// The incident in the words of the wire.
    pub wire: Map<String, Value>,
}

impl IncidentRecord {
    /// Whether a change is the record of an incident.
    pub fn is_one(change: &Change) -> bool {
        change.object.group.as_str() == GROUP && change.object.kind.as_str() == KIND
    }

    /// Reads the record of an incident; `None` for any other change, and for the end of a record.
    ///
    /// # Errors
    /// What is missing in it.
    pub fn read(change: &Change) -> Result<Option<Self>, Unreadable> {
        if !Self::is_one(change) || change.verb == Verb::Delete {
            return Ok(None);
        }
        let fail = |problem| Unreadable { id: change.object.name.to_string(), seq: change.seq, problem };
        let bytes = change.body.as_deref().ok_or_else(|| fail("it has no body"))?;
        let body: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| fail("it is no JSON object"))?;
        let wire = wire_of(body);
        let text = |key: &str| wire.get(key).and_then(Value::as_str).map(str::to_owned);
        let time = |key: &str| text(key).and_then(|text| text.parse::<Timestamp>().ok());
        let severity = text("severity").and_then(|text| severity_of(&text)).ok_or_else(|| fail("`severity` is missing"))?;
        Ok(Some(Self {
            seq: change.seq,
            recorded_at: change.recorded_at,
            id: text("id").unwrap_or_else(|| change.object.name.to_string()),
            cluster: change.object.cluster.clone(),
            namespace: text("namespace").unwrap_or_default(),
            kind: text("kind").ok_or_else(|| fail("`object.kind` is missing"))?,
            name: text("name").ok_or_else(|| fail("`object.name` is missing"))?,
            uid: text("uid").unwrap_or_default(),
            is_open: text("state").ok_or_else(|| fail("`state` is missing"))? != "resolved",
            severity,
            reason: text("reason").ok_or_else(|| fail("`reason` is missing"))?,
            message: text("message").unwrap_or_default(),
            remediation: text("remediation").unwrap_or_default(),
            check: text("check").unwrap_or_default(),
            opened_at: time("openedAt").ok_or_else(|| fail("`openedAt` is missing"))?,
            resolved_at: time("resolvedAt"),
            flaps: wire.get("flaps").and_then(Value::as_u64).unwrap_or(0),
            wire,
        }))
    }

    /// The parts whose change is worth telling again. The message is not among them: it counts findings, and would be told with each.
    pub(super) fn gist(&self) -> Gist {
        Gist { is_open: self.is_open, severity: self.severity, reason: self.reason.clone(), flaps: self.flaps }
    }

    /// When what this version tells of happened.
    pub fn happened_at(&self) -> Timestamp {
        match self.resolved_at {
            Some(resolved) if !self.is_open => resolved,
            _ => self.recorded_at,
        }
    }
}

fn severity_of(text: &str) -> Option<Severity> {
    [Severity::Info, Severity::Warning, Severity::Critical].into_iter().find(|severity| severity.as_str() == text)
}

/// The incident in the words of the wire, out of the object that was recorded: without what makes it an object, and with what it is about in
/// the place of `object`.
fn wire_of(mut body: Map<String, Value>) -> Map<String, Value> {
    for key in ["apiVersion", "kind", "metadata"] {
        body.remove(key);
    }
    if let Some(Value::Object(mut about)) = body.remove("object") {
        for key in ["cluster", "kind", "namespace", "name", "uid"] {
            let value = about.remove(key).unwrap_or_else(|| Value::String(String::new()));
            body.entry(key).or_insert(value);
        }
    }
    body
}

/// What was told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gist {
    pub(super) is_open: bool,
    pub(super) severity: Severity,
    pub(super) reason: String,
    pub(super) flaps: u64,
}

/// Why something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Occasion {
    /// It opened, or is told here for the first time.
    Opened,
    /// It was resolved and has come back.
    Reopened,
    /// Its severity or its reason changed.
    Changed,
    /// It still goes on.
    Repeated,
    /// It is over.
    Resolved,
}

impl Occasion {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "incident.opened",
            Self::Reopened => "incident.reopened",
            Self::Changed => "incident.changed",
            Self::Repeated => "incident.repeated",
            Self::Resolved => "incident.resolved",
        }
    }
}

/// One thing to tell one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The same whenever the same thing is told to the same receiver again: (journal, position, consumer), and the number of a repeat.
    pub key: String,
    /// Why it is told.
    pub occasion: Occasion,
    /// The incident.
    pub incident: Arc<IncidentRecord>,
    /// What the cluster is called in the configuration, where that was known when it was first told.
    pub cluster_name: Option<String>,
    /// How often the incident was told here as going on, and how often as resolved, this time included.
    pub told: u64,
    /// The severity with which it was told before, where that was another.
    pub formerly: Option<Severity>,
    /// When it was due.
    pub due: Timestamp,
}
