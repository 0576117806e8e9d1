//! `proreus-bench`: the journal's rows alone, of a trace that is there.
//!
//! `make bench` makes the trace and measures the running service too.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use proreus_bench::{JournalOptions, Report, measure_journal};

/// Measures the journal on a recorded trace.
#[derive(Parser)]
#[command(name = "proreus-bench", about)]
struct Arguments {
    /// Watch lines `{ts, type, resource, object}`, plain or zstd.
    #[arg(long)]
    trace: PathBuf,
    #[command(flatten)]
    journal: JournalOptions,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut report = Report::begin();
    measure_journal(&arguments.trace, &arguments.journal, &mut report)?;
    report.finish();
    let text = match arguments.output {
        Output::Table => report.table(),
        Output::Json => serde_json::to_string_pretty(&report)?,
    };
    writeln!(std::io::stdout().lock(), "{text}").context("failed to print the report")
}
