//! The report: rows of figure, baseline, ratio and target.
//!
//! Invariant: a ratio is computed here from the two figures beside it and from nothing else.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::timing::Percentiles;

/// Everything measured in one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was measured on: one sentence each.
    notes: Vec<String>,
    /// Processors that the run could use.
    processors: usize,
    /// What waited for them in the minute before, other programs included: above their number, times here are too long.
    load_before: Option<f64>,
    load_after: Option<f64>,
    rows: Vec<Row>,
}

/// One figure.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// What it is compared with.
    pub baseline: Option<Baseline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// What it should be.
    pub target: Option<Target>,
}

/// What a figure is compared with.
#[derive(Debug, Serialize)]
pub struct Baseline {
    /// What was measured.
    pub what: String,
    /// How much, in the figure's unit.
    pub value: f64,
    /// The figure over this.
    pub ratio: f64,
}

/// What a figure or its ratio should be.
#[derive(Debug, Serialize)]
pub struct Target {
    /// As people read it.
    pub text: String,
    /// Whether it is so.
    pub met: bool,
}

impl Row {
    /// A figure alone.
    #[must_use]
    pub fn new(figure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { figure: figure.into(), value, unit, baseline: None, target: None }
    }

    /// Sets the baseline, in the unit of the figure.
    #[must_use]
    pub fn against(mut self, what: impl Into<String>, value: f64) -> Self {
        self.baseline = Some(Baseline { what: what.into(), value, ratio: self.value / value });
        self
    }

    /// Sets a limit for the ratio, or for the value where there is no baseline.
    #[must_use]
    pub fn at_most(mut self, limit: f64) -> Self {
        let judged = self.baseline.as_ref().map_or(self.value, |baseline| baseline.ratio);
        let unit = if self.baseline.is_some() { "×" } else { self.unit };
        self.target = Some(Target { text: format!("≤ {}", limit_text(limit, unit)), met: judged <= limit });
        self
    }

    /// Sets the least of the ratio, or of the value where there is no baseline.
    #[must_use]
    pub fn at_least(mut self, limit: f64) -> Self {
        let judged = self.baseline.as_ref().map_or(self.value, |baseline| baseline.ratio);
        let unit = if self.baseline.is_some() { "×" } else { self.unit };
        self.target = Some(Target { text: format!("≥ {}", limit_text(limit, unit)), met: judged >= limit });
        self
    }
}

impl Report {
    /// An empty report, begun now.
    #[must_use]
    pub fn begin() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { notes: Vec::new(), processors, load_before: load(), load_after: None, rows: Vec::new() }
    }

    /// Says what was measured on.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Notes how busy the machine was at the end.
    pub fn finish(&mut self) {
        self.load_after = load();
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        crate::tell(&format!("{}: {} {}", row.figure, number(row.value), row.unit));
        self.rows.push(row);
    }

    /// Adds p50 and p99 of a series; the limit, where there is one, is for p99.
    pub fn push_times(&mut self, figure: &str, times: Percentiles, limit_micros: Option<f64>) {
        self.push(Row::new(format!("{figure}, p50 of {}", times.count), times.p50_micros, "µs"));
        let row = Row::new(format!("{figure}, p99 of {}", times.count), times.p99_micros, "µs");
        self.push(match limit_micros {
            Some(limit) => row.at_most(limit),
            None => row,
        });
    }

    /// The report for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(HEADINGS);
        for row in &self.rows {
            table.add_row(row.cells());
        }
        format!("{}\n{table}", self.conditions().join("\n"))
    }

    /// The report for a page of the documentation.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = self.conditions().iter().map(|line| format!("* {line}\n")).collect::<String>();
        text.push_str(&format!("\n| {} |\n|{}\n", HEADINGS.join(" | "), "---|".repeat(HEADINGS.len())));
        for row in &self.rows {
            text.push_str(&format!("| {} |\n", row.cells().join(" | ")));
        }
        text
    }

    /// What was measured on, and how busy the machine was.
    fn conditions(&self) -> Vec<String> {
        let told = |load: Option<f64>| load.map_or("unknown".to_owned(), number);
        let (before, after) = (told(self.load_before), told(self.load_after));
        let machine = format!("{} processors; load average {before} before the run and {after} after it", self.processors);
        self.notes.iter().cloned().chain([machine]).collect()
    }
}

const HEADINGS: [&str; 6] = ["figure", "value", "baseline", "ratio", "target", ""];

impl Row {
    fn cells(&self) -> [String; HEADINGS.len()] {
        let baseline = self.baseline.as_ref();
        [
            self.figure.clone(),
            format!("{} {}", number(self.value), self.unit),
            baseline.map_or(String::new(), |baseline| format!("{}: {}", baseline.what, number(baseline.value))),
            baseline.map_or(String::new(), |baseline| ratio(baseline.ratio)),
            self.target.as_ref().map_or(String::new(), |target| target.text.clone()),
            self.target.as_ref().map_or("", |target| if target.met { "met" } else { "missed" }).to_owned(),
        ]
    }
}

/// The load average of the last minute.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn limit_text(limit: f64, unit: &str) -> String {
    if unit == "×" { ratio(limit) } else { format!("{} {unit}", number(limit)) }
}

/// Three digits that matter, never an exponent.
fn number(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 || magnitude == 0.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn ratio(ratio: f64) -> String {
    if ratio > 0.0 && ratio < 0.5 { format!("1/{}", number(1.0 / ratio)) } else { format!("{} ×", number(ratio)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_the_ratio_where_there_is_a_baseline() {
        let row = Row::new("stored", 100.0, "B").against("raw", 4_000.0).at_most(1.0 / 25.0);
        let (baseline, target) = (row.baseline.as_ref(), row.target.as_ref());
        assert_eq!(baseline.map(|baseline| ratio(baseline.ratio)).as_deref(), Some("1/40.0"));
        assert_eq!(target.map(|target| target.met), Some(true));
        assert_eq!(row.cells().join("|"), "stored|100 B|raw: 4000|1/40.0|≤ 1/25.0|met");
        assert_eq!(Row::new("state", 201.0, "µs").at_most(200.0).target.map(|target| target.met), Some(false));
        assert_eq!(Row::new("rate", 9.0, "/s").against("one thread", 10.0).at_least(1.0).target.map(|target| target.met), Some(false));
    }
}
