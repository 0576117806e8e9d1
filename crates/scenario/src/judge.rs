//! Plays a scenario before its readers and compares what they say with what was expected.
//!
//! Pure. Time passes for a reader as it does in production: what is due before a record is done before the record is folded.

use jiff::Timestamp;
use proreus_model::Record;
use serde_json::Value;

use crate::compare::differences;
use crate::file::{Expectation, Scenario, ScenarioError, Section};
use crate::player::Player;

/// Whoever is tested by a scenario: folds records, and tells what came out.
pub trait Reader {
    /// The section of an expectation that it answers.
    fn section(&self) -> Section;

    /// Takes in one record. What was due before its time is done first, by the reader itself.
    fn fold(&mut self, record: &Record);

    /// Time passes up to `now`, with no record.
    fn advance(&mut self, now: Timestamp);

    /// What came out by `now`, as the entries of its section.
    fn answer(&mut self, now: Timestamp) -> Vec<Value>;
}

/// One section at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Number of the document that expects it; 0 when nobody does and it is told for reading only.
    pub document: usize,
    /// When.
    pub at: Timestamp,
    /// What.
    pub section: Section,
    /// What was expected; `None` when nobody expects anything.
    pub expected: Option<Value>,
    /// What came out.
    pub actual: Vec<Value>,
    /// What differs, one line each.
    pub differences: Vec<String>,
}

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The sentence that the scenario proves.
    pub guarantee: String,
    /// Moment of `+0s`.
    pub start: Timestamp,
    /// Every expectation, in order of time; at the end what came out and nobody spoke of.
    pub parts: Vec<Part>,
}

impl Verdict {
    /// Whether everything came out as expected, and something was expected at all.
    pub fn holds(&self) -> bool {
        self.parts.iter().all(|part| part.differences.is_empty()) && self.parts.iter().any(|part| part.expected.is_some())
    }
}

/// Plays the scenario before the readers.
///
/// # Errors
/// A step that cannot be played.
pub fn judge(scenario: &Scenario, readers: &mut [&mut dyn Reader]) -> Result<Verdict, ScenarioError> {
    let mut player = Player::new(scenario);
    let end = scenario.end();
    let mut waiting: Vec<&Expectation> = scenario.expectations.iter().collect();
    waiting.sort_by_key(|expectation| expectation.at.unwrap_or(end));
    let mut waiting = waiting.into_iter().peekable();
    let mut parts = Vec::new();
    tell(readers, &player.begin());
    for (index, step) in scenario.steps.iter().enumerate() {
        while let Some(expectation) = waiting.next_if(|expectation| expectation.at.unwrap_or(end) < step.at) {
            ask(scenario, expectation, expectation.at.unwrap_or(end), readers, &mut parts);
        }
        let records = player.play(step)?;
        tell(readers, &records);
        // What happens at one moment is told together: its order within the moment decides nothing.
        if scenario.steps.get(index + 1).is_none_or(|next| next.at > step.at) {
            readers.iter_mut().for_each(|reader| reader.advance(step.at));
        }
    }
    for expectation in waiting {
        ask(scenario, expectation, expectation.at.unwrap_or(end), readers, &mut parts);
    }
    let spoken_of: Vec<Section> = parts.iter().map(|part: &Part| part.section).collect();
    for reader in readers.iter_mut().filter(|reader| !spoken_of.contains(&reader.section())) {
        reader.advance(end);
        let (section, actual) = (reader.section(), reader.answer(end));
        parts.push(Part { document: 0, at: end, section, expected: None, actual, differences: Vec::new() });
    }
    Ok(Verdict { guarantee: scenario.guarantee.clone(), start: scenario.start, parts })
}

fn tell(readers: &mut [&mut dyn Reader], records: &[Record]) {
    for record in records {
        readers.iter_mut().for_each(|reader| reader.fold(record));
    }
}

fn ask(scenario: &Scenario, expectation: &Expectation, at: Timestamp, readers: &mut [&mut dyn Reader], parts: &mut Vec<Part>) {
    for (section, expected) in &expectation.sections {
        let reader = readers.iter_mut().find(|reader| reader.section() == *section);
        let (actual, told) = match reader {
            Some(reader) => {
                reader.advance(at);
                let actual = reader.answer(at);
                let told = differences(*section, expected, &actual, scenario.start);
                (actual, told)
            }
            None => {
                (Vec::new(), vec![format!("{section}: nothing here answers this section; the file's `config` must name what is tested")])
            }
        };
        parts.push(Part {
            document: expectation.document,
            at,
            section: *section,
            expected: Some(expected.clone()),
            actual,
            differences: told,
        });
    }
}
