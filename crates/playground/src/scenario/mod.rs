//! Scenario files: a script of what happens in a cluster, as YAML documents. `docs/reference/scenario-format.md` is their reference.
//!
//! Parsing only; `player` plays them. What is meant for other readers of the format (`config`, `mark`, `expect`) is kept unread.

mod apply;
mod player;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use player::{LivePlayground, Player, play_in_real_time};

use crate::server::PlaygroundError;
use crate::tree;

/// Start of scenarios that name none: a Monday morning.
const DEFAULT_START: &str = "2026-03-02T09:00:00Z";
/// Steps in one file; a longer story belongs in two.
const STEPS_LIMIT: usize = 10_000;

/// A parsed scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The sentence that the file opens with.
    pub guarantee: String,
    /// Moment of `at: +0s`.
    pub start: Timestamp,
    /// Seed for uids and generated names.
    pub seed: u64,
    pub(crate) steps: Vec<Step>,
}

/// One action at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Number in the file, from 1.
    pub(crate) number: usize,
    pub(crate) at: Timestamp,
    pub(crate) manager: Option<String>,
    pub(crate) server_side: bool,
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Apply(Value),
    Patch(Value),
    Delete(Value),
    Event(Value),
    Behaviour(Value),
    /// Nothing; time passes up to here.
    Tick,
}

/// In the order in which those of one document are played: how the world behaves comes before what is done in it.
const ACTIONS: &[&str] = &["playground", "apply", "patch", "delete", "event", "tick", "mark"];
const STEP_KEYS: &[&str] = &["at", "manager", "serverSide", "note"];
const HEAD_KEYS: &[&str] = &["guarantee", "config", "start", "seed"];

impl Scenario {
    /// Reads a scenario file.
    pub fn parse(text: &str) -> Result<Self, PlaygroundError> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| wrong(error.to_string()))?;
        let mut documents = documents.into_iter().filter(|document| !document.is_null());
        let head = documents.next().ok_or_else(|| wrong("the file is empty".to_owned()))?;
        let guarantee = tree::text(&head, "/guarantee").to_owned();
        if guarantee.is_empty() {
            return Err(wrong("the first document has no guarantee".to_owned()));
        }
        check_keys(&head, &[HEAD_KEYS], "the first document")?;
        let start = match tree::text(&head, "/start") {
            "" => DEFAULT_START,
            text => text,
        };
        let start: Timestamp = start.parse().map_err(|_| wrong(format!("start {start:?} is no RFC 3339 time")))?;
        let seed = head.get("seed").and_then(Value::as_u64).unwrap_or(1);
        let mut steps = Vec::new();
        let mut last = start;
        for (index, document) in documents.enumerate() {
            let number = index + 1;
            if document.get("expect").is_some() {
                continue;
            }
            last = read_step(number, &document, start, last, &mut steps)?;
            if steps.len() > STEPS_LIMIT {
                return Err(wrong(format!("there are more than {STEPS_LIMIT} steps")));
            }
        }
        Ok(Self { guarantee, start, seed, steps })
    }

    /// This story with the steps of another told beside its own, both from the same start; what falls together is played in the order of the two.
    #[must_use]
    pub fn beside(mut self, other: Self) -> Self {
        let apart = self.start.duration_since(other.start);
        let moved = other.steps.into_iter().map(|step| Step { at: step.at.checked_add(apart).unwrap_or(step.at), ..step });
        self.steps.extend(moved);
        // Stable: steps of one moment keep the order of their file.
        self.steps.sort_by_key(|step| step.at);
        self
    }

    /// Moment of the last step.
    pub fn end(&self) -> Timestamp {
        self.steps.last().map_or(self.start, |step| step.at)
    }
}

fn wrong(reason: String) -> PlaygroundError {
    PlaygroundError::Scenario { reason }
}

fn check_keys(document: &Value, allowed: &[&[&str]], place: &str) -> Result<(), PlaygroundError> {
    let Some(map) = document.as_object() else { return Err(wrong(format!("{place} is no mapping"))) };
    match map.keys().find(|key| !allowed.iter().any(|keys| keys.contains(&key.as_str()))) {
        Some(key) => Err(wrong(format!("{place} has the unknown key {key:?}"))),
        None => Ok(()),
    }
}

/// Reads one step document; one with several actions becomes several steps of one moment. Returns that moment.
fn read_step(
    number: usize,
    document: &Value,
    start: Timestamp,
    last: Timestamp,
    steps: &mut Vec<Step>,
) -> Result<Timestamp, PlaygroundError> {
    let place = format!("step {number}");
    check_keys(document, &[ACTIONS, STEP_KEYS], &place)?;
    let at = match document.get("at") {
        None => last,
        Some(at) => {
            let text = at.as_str().unwrap_or_default();
            let offset = text.strip_prefix('+').and_then(|text| text.parse::<SignedDuration>().ok());
            let offset = offset.ok_or_else(|| wrong(format!("{place}: at {at} is no offset from the start, such as +90s or +2m30s")))?;
            start.checked_add(offset).map_err(|_| wrong(format!("{place}: at {text} is out of range")))?
        }
    };
    if at < last {
        return Err(wrong(format!("{place}: it is before the step above it; steps are in order of time")));
    }
    let manager = document.get("manager").and_then(Value::as_str).map(str::to_owned);
    let server_side = tree::flag(document, "/serverSide");
    let mut found = false;
    for name in ACTIONS {
        let Some(value) = document.get(*name) else { continue };
        found = true;
        let several = match value {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        for value in several {
            let action = match *name {
                "apply" => Action::Apply(value),
                "patch" => Action::Patch(value),
                "delete" => Action::Delete(value),
                "event" => Action::Event(value),
                "playground" => Action::Behaviour(value),
                _ => Action::Tick,
            };
            steps.push(Step { number, at, manager: manager.clone(), server_side, action });
        }
    }
    if found { Ok(at) } else { Err(wrong(format!("{place}: it has no action; one of {} is needed", ACTIONS.join(", ")))) }
}
