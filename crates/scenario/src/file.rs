//! A scenario file as text, and what it says.
//!
//! Pure. Liberal in what it takes, precise in what it refuses: an error names the document, the place in it, what was found and what may
//! stand there.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::time;

/// Start of scenarios that name none: a Monday morning.
const DEFAULT_START: &str = "2026-03-02T09:00:00Z";
/// Steps in one file; a longer story belongs in two.
const STEPS_LIMIT: usize = 10_000;
/// Longest file: a scenario is written and read by people.
const BYTES_LIMIT: usize = 16 * 1024 * 1024;

const HEAD_KEYS: [&str; 6] = ["guarantee", "config", "start", "seed", "steps", "expect"];
const STEP_KEYS: [&str; 4] = ["at", "note", "manager", "serverSide"];
/// In the order in which the actions of one document are played.
const ACTIONS: [&str; 7] = ["playground", "apply", "patch", "delete", "event", "mark", "tick"];
const EXPECT_KEYS: [&str; 2] = ["at", "note"];

/// A file that is no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ScenarioError {
    /// Which document, and where in it.
    pub place: String,
    /// What was found, and what may stand there.
    pub problem: String,
}

pub(crate) fn wrong(place: &str, problem: impl Into<String>) -> ScenarioError {
    ScenarioError { place: place.to_owned(), problem: problem.into() }
}

/// What an expectation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// What the doctor finds at the moment.
    Findings,
    /// The incidents opened by then, open and resolved.
    Incidents,
    /// The updates a monitor sent by then, in order.
    Updates,
    /// The requests that policies made by then, in order.
    Requests,
}

impl Section {
    /// Every section, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Findings, Self::Incidents, Self::Updates, Self::Requests];

    /// Its key in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Incidents => "incidents",
            Self::Updates => "updates",
            Self::Requests => "requests",
        }
    }

    /// Whether its entries come in an order that matters.
    pub fn is_ordered(self) -> bool {
        match self {
            Self::Findings | Self::Incidents => false,
            Self::Updates | Self::Requests => true,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A scenario as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The sentence that the file opens with.
    pub guarantee: String,
    /// Settings of whoever is tested by it.
    pub config: Value,
    /// Moment of `+0s`.
    pub start: Timestamp,
    /// Number from which uids come.
    pub seed: u64,
    /// What happens, in order of time.
    pub steps: Vec<Step>,
    /// What must have come out, in order of the file.
    pub expectations: Vec<Expectation>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Number of its document in the file, from 1; the head is 1.
    pub document: usize,
    /// When.
    pub at: Timestamp,
    /// Field manager of what it writes.
    pub manager: Option<String>,
    /// Which key it stood under: `apply`, `patch`, `delete`, `event`, `mark`, `tick` or `playground`.
    pub action: &'static str,
    /// What stood there.
    pub value: Value,
}

/// What must have come out.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Number of its document in the file, from 1.
    pub document: usize,
    /// When; `None` is the end of the scenario.
    pub at: Option<Timestamp>,
    /// The expected text of each section that is named.
    pub sections: Vec<(Section, Value)>,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// The first thing in it that cannot be meant.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        if text.len() > BYTES_LIMIT {
            return Err(wrong("the file", format!("it has {} bytes, at most {BYTES_LIMIT} are read", text.len())));
        }
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| wrong("the file", error.to_string()))?;
        let mut documents = documents.into_iter().enumerate().filter(|(_, document)| !document.is_null());
        let (_, head) = documents.next().ok_or_else(|| wrong("the file", "it is empty; the first document needs `guarantee`"))?;
        let mut scenario = read_head(&head)?;
        let mut clock = scenario.start;
        let inside = head.get("steps").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        let Value::Array(inside) = inside else { return Err(wrong("document 1, steps", "it is no list of steps")) };
        let numbered = inside.into_iter().enumerate().map(|(index, step)| (1, format!("document 1, steps[{index}]"), step));
        let further = documents.map(|(index, document)| (index + 1, format!("document {}", index + 1), document));
        for (number, place, document) in numbered.chain(further) {
            clock = scenario.read(number, &place, &document, clock)?;
        }
        if let Some(expected) = head.get("expect") {
            scenario.expect(1, "document 1, expect", None, expected)?;
        }
        Ok(scenario)
    }

    /// Moment of the last step or expectation.
    pub fn end(&self) -> Timestamp {
        let steps = self.steps.iter().map(|step| step.at);
        steps.chain(self.expectations.iter().filter_map(|expectation| expectation.at)).max().unwrap_or(self.start)
    }

    /// Reads a document after the head; returns its moment.
    fn read(&mut self, number: usize, place: &str, document: &Value, clock: Timestamp) -> Result<Timestamp, ScenarioError> {
        let map = document.as_object().ok_or_else(|| wrong(place, format!("it is no mapping but {}", kind_of(document))))?;
        let allowed: Vec<&str> = ACTIONS.iter().chain(&STEP_KEYS).chain(&["expect"]).copied().collect();
        check_keys(map, &allowed, place)?;
        let moment = self.moment(map, place)?;
        let has_action = ACTIONS.iter().any(|action| map.contains_key(*action));
        let at = moment.unwrap_or(clock);
        if has_action && at < clock {
            return Err(wrong(
                &format!("{place}, at"),
                format!(
                    "{} is before the step above it, {}; steps are in order of time",
                    time::as_offset(at, self.start),
                    time::as_offset(clock, self.start)
                ),
            ));
        }
        let manager = map.get("manager").and_then(Value::as_str).map(str::to_owned);
        for action in ACTIONS {
            let Some(value) = map.get(action) else { continue };
            let several = match value {
                Value::Array(list) => list.clone(),
                one => vec![one.clone()],
            };
            for value in several {
                self.steps.push(Step { document: number, at, manager: manager.clone(), action, value });
            }
        }
        if self.steps.len() > STEPS_LIMIT {
            return Err(wrong(place, format!("there are more than {STEPS_LIMIT} steps; a longer story belongs in two files")));
        }
        match map.get("expect") {
            Some(expected) => {
                let of_step = if has_action { Some(at) } else { moment };
                self.expect(number, &format!("{place}, expect"), of_step, expected)?;
            }
            // A document with a time and nothing else lets time pass, as `tick` does.
            None if !has_action && moment.is_none() => {
                return Err(wrong(place, format!("it has no action; one of {}, expect is needed", ACTIONS.join(", "))));
            }
            None if !has_action => {
                self.steps.push(Step { document: number, at, manager: None, action: "tick", value: Value::Null });
            }
            None => {}
        }
        Ok(if has_action || map.get("expect").is_none() { at } else { clock })
    }

    fn expect(&mut self, document: usize, place: &str, at: Option<Timestamp>, expected: &Value) -> Result<(), ScenarioError> {
        if let Value::Array(list) = expected {
            for (index, entry) in list.iter().enumerate() {
                self.expect(document, &format!("{place}[{index}]"), at, entry)?;
            }
            return Ok(());
        }
        let map = expected.as_object().ok_or_else(|| wrong(place, format!("it is no mapping but {}", kind_of(expected))))?;
        let names = Section::ALL.map(Section::as_str);
        let allowed: Vec<&str> = names.iter().chain(&EXPECT_KEYS).copied().collect();
        check_keys(map, &allowed, place)?;
        let at = self.moment(map, place)?.or(at);
        let sections: Vec<(Section, Value)> =
            Section::ALL.iter().filter_map(|section| Some((*section, map.get(section.as_str())?.clone()))).collect();
        if sections.is_empty() {
            return Err(wrong(place, format!("it expects nothing; one of {} is needed", names.join(", "))));
        }
        self.expectations.push(Expectation { document, at, sections });
        Ok(())
    }

    fn moment(&self, map: &Map<String, Value>, place: &str) -> Result<Option<Timestamp>, ScenarioError> {
        let text = match map.get("at") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if matches!(text.as_str(), "end" | "the end") => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(seconds)) => seconds.to_string(),
            Some(other) => other.to_string(),
        };
        let moment = time::moment(&text, self.start);
        moment.map(Some).ok_or_else(|| wrong(&format!("{place}, at"), format!("`{text}` is no moment; write {}", time::FORMS)))
    }
}

fn read_head(head: &Value) -> Result<Scenario, ScenarioError> {
    let place = "document 1";
    let map = head.as_object().ok_or_else(|| wrong(place, format!("it is no mapping but {}", kind_of(head))))?;
    if !map.contains_key("guarantee") {
        let found: Vec<&str> = map.keys().map(String::as_str).collect();
        return Err(wrong(place, format!("it has no `guarantee`, the sentence that the scenario proves; found: {}", found.join(", "))));
    }
    check_keys(map, &HEAD_KEYS, place)?;
    let guarantee = match map.get("guarantee") {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
        other => return Err(wrong(&format!("{place}, guarantee"), format!("it is no sentence but {}", other.map_or("nothing", kind_of)))),
    };
    let start = match map.get("start") {
        None | Some(Value::Null) => DEFAULT_START.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let start =
        start.parse().map_err(|_| wrong(&format!("{place}, start"), format!("`{start}` is no RFC 3339 time such as {DEFAULT_START}")))?;
    let seed = match map.get("seed") {
        None | Some(Value::Null) => 1,
        Some(seed) => seed.as_u64().ok_or_else(|| wrong(&format!("{place}, seed"), format!("{seed} is no whole number from 0")))?,
    };
    let config = map.get("config").cloned().unwrap_or(Value::Null);
    Ok(Scenario { guarantee, config, start, seed, steps: Vec::new(), expectations: Vec::new() })
}

pub(crate) fn check_keys(map: &Map<String, Value>, allowed: &[&str], place: &str) -> Result<(), ScenarioError> {
    match map.keys().find(|key| !allowed.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(wrong(place, format!("`{key}` is no key here, allowed: {}", allowed.join(", ")))),
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
