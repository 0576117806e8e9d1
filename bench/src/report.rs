//! The report: rows of figure, baseline, ratio and target.
//!
//! Invariant: a ratio is computed here from the two figures beside it and from nothing else.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::JournalArguments;
use crate::timing::Percentiles;
use crate::trace::Trace;

/// Everything measured in one run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Whether the trace was invented; then nothing here is a result.
    generated_trace: bool,
    trace_changes: usize,
    trace_raw_bytes: u64,
    changes: u64,
    small_changes: u64,
    days: u32,
    /// Processors that the run could use.
    processors: usize,
    /// What waited for them in the minute before, other programs included: above their number, times here are too long.
    load_before: Option<f64>,
    load_after: Option<f64>,
    rows: Vec<Row>,
}

/// One figure.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Baseline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
}

/// What a figure is compared with.
#[derive(Serialize)]
pub(crate) struct Baseline {
    pub(crate) what: String,
    pub(crate) value: f64,
    /// The figure over this.
    pub(crate) ratio: f64,
}

/// What a figure or its ratio should be.
#[derive(Serialize)]
pub(crate) struct Target {
    pub(crate) text: String,
    pub(crate) met: bool,
}

impl Row {
    pub(crate) fn new(figure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { figure: figure.into(), value, unit, baseline: None, target: None }
    }

    pub(crate) fn against(mut self, what: impl Into<String>, value: f64) -> Self {
        self.baseline = Some(Baseline { what: what.into(), value, ratio: self.value / value });
        self
    }

    /// Sets a limit for the ratio, or for the value where there is no baseline.
    pub(crate) fn at_most(mut self, limit: f64) -> Self {
        let judged = self.baseline.as_ref().map_or(self.value, |baseline| baseline.ratio);
        let unit = if self.baseline.is_some() { "×" } else { self.unit };
        self.target = Some(Target { text: format!("≤ {}", limit_text(limit, unit)), met: judged <= limit });
        self
    }

    pub(crate) fn at_least(mut self, limit: f64) -> Self {
        let judged = self.baseline.as_ref().map_or(self.value, |baseline| baseline.ratio);
        let unit = if self.baseline.is_some() { "×" } else { self.unit };
        self.target = Some(Target { text: format!("≥ {}", limit_text(limit, unit)), met: judged >= limit });
        self
    }
}

impl Report {
    pub(crate) fn new(trace: &Trace, arguments: &JournalArguments) -> Self {
        Self {
            generated_trace: trace.is_generated,
            trace_changes: trace.changes.len(),
            trace_raw_bytes: trace.raw_bytes(),
            changes: arguments.changes,
            small_changes: arguments.small,
            days: arguments.days,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load(),
            load_after: None,
            rows: Vec::new(),
        }
    }

    /// Notes how busy the machine was at the end.
    pub(crate) fn finish(&mut self) {
        self.load_after = load();
    }

    pub(crate) fn push(&mut self, row: Row) {
        crate::tell(&format!("{}: {} {}", row.figure, number(row.value), row.unit));
        self.rows.push(row);
    }

    /// Adds p50 and p99 of a series; the limit, where there is one, is for p99.
    pub(crate) fn push_times(&mut self, figure: &str, times: Percentiles, limit_micros: Option<f64>) {
        self.push(Row::new(format!("{figure}, p50 of {}", times.count), times.p50_micros, "µs"));
        let row = Row::new(format!("{figure}, p99 of {}", times.count), times.p99_micros, "µs");
        self.push(match limit_micros {
            Some(limit) => row.at_most(limit),
            None => row,
        });
    }

    /// The report for people.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["figure", "value", "baseline", "ratio", "target", ""]);
        for row in &self.rows {
            let baseline = row.baseline.as_ref();
            table.add_row([
                row.figure.clone(),
                format!("{} {}", number(row.value), row.unit),
                baseline.map_or(String::new(), |baseline| format!("{}: {}", baseline.what, number(baseline.value))),
                baseline.map_or(String::new(), |baseline| ratio(baseline.ratio)),
                row.target.as_ref().map_or(String::new(), |target| target.text.clone()),
                row.target.as_ref().map_or("", |target| if target.met { "met" } else { "missed" }).to_owned(),
            ]);
        }
        let kind = if self.generated_trace { "INVENTED TRACE: for development only, these are no results\n" } else { "" };
        format!(
            "{kind}trace of {} changes, {} bytes canonical; journals of {} and {} changes over {} days\n{} processors, load {} before and {} \
             after\n{table}",
            self.trace_changes,
            self.trace_raw_bytes,
            self.small_changes,
            self.changes,
            self.days,
            self.processors,
            self.load_before.map_or("unknown".to_owned(), number),
            self.load_after.map_or("unknown".to_owned(), number),
        )
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
        assert_eq!(Row::new("state", 201.0, "µs").at_most(200.0).target.map(|target| target.met), Some(false));
        assert_eq!(Row::new("rate", 9.0, "/s").against("one thread", 10.0).at_least(1.0).target.map(|target| target.met), Some(false));
    }
}
