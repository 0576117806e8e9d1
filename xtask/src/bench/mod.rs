//! `cargo xtask bench`: everything that is measured, in one report.
//!
//! A trace of the real control plane (taken once, then cached), the journal's rows on it, and the rows of a recording process that watches
//! the real API server. Invariant: nothing is written into the checkout unless `--write` names the file.

mod arrivals;
mod detection;
mod memory;
mod page;
mod recording;
mod trace;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use proreus_bench::{JournalOptions, Report, measure_journal};

use crate::bench_binaries;

// The size that the targets are stated for; half an hour and more by itself.
const FULL_CHANGES: u64 = 10_000_000;

/// What `bench` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these sections.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Section::Recording, Section::Detection, Section::Journal])]
    sections: Vec<Section>,
    /// The large journal holds ten million changes, whatever --changes says. Takes hours on two cores.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    trace: trace::Options,
    #[command(flatten)]
    recording: recording::Options,
    #[command(flatten)]
    detection: detection::Options,
    #[command(flatten)]
    journal: JournalOptions,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Also put the figures between the two marks of this page.
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// A recording process beside a real API server: how late, how much memory.
    Recording,
    /// The doctor that watches a real API server: from a fault to its incident.
    Detection,
    /// The journal alone, on a trace of the real control plane: bytes, rates, times.
    Journal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Measures and reports. A missed target is no error: the report says it.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(page) = &args.write {
        // Half an hour of measuring is not to end with a page that has no place for it.
        page::check(page)?;
    }
    bench_binaries::build_missing()?;
    let wants = |section| args.sections.contains(&section);
    let runtime = tokio::runtime::Runtime::new().context("failed to start a runtime")?;
    let trace = match wants(Section::Journal) {
        true => Some(runtime.block_on(trace::find_or_take(&args.trace))?),
        false => None,
    };
    let mut report = Report::begin();
    if wants(Section::Recording) {
        runtime.block_on(recording::measure(&args.recording, &mut report))?;
    }
    if wants(Section::Detection) {
        runtime.block_on(detection::measure(&args.detection, args.recording.proreus.as_ref(), &mut report))?;
    }
    if let Some(trace) = trace {
        let mut options = args.journal.clone();
        if args.full {
            options.changes = FULL_CHANGES;
        }
        measure_journal(&trace, &options, &mut report)?;
    }
    report.finish();
    if let Some(page) = &args.write {
        page::write(page, &report.markdown())?;
    }
    let text = match args.output {
        Output::Table => report.table(),
        Output::Json => serde_json::to_string_pretty(&report)?,
    };
    writeln!(std::io::stdout().lock(), "{text}").context("failed to print the report")
}
