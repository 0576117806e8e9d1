//! `proreus-bench`: figures of the journal on a trace of real watch lines, each beside a baseline taken in the same run.
//!
//! Not a test: nothing passes or fails by a time measured here. A report without a real trace says so on its first line. Invariant:
//! every ratio in a report has both its figures in that report.

mod canonical;
mod copies;
mod generate;
mod ingest;
mod journal_under_test;
mod questions;
mod report;
mod sizes;
mod timing;
mod trace;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

/// Measures the journal.
#[derive(Parser)]
#[command(name = "proreus-bench", about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The journal rows of the report.
    Journal(JournalArguments),
    /// Writes an invented trace, to try this program with. Reports made from one are marked and prove nothing.
    Generate {
        /// Lines to write.
        #[arg(long, default_value_t = 20_000)]
        changes: usize,
        /// The same seed gives the same trace.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where to write; compressed when it ends in `.zst`.
        file: PathBuf,
    },
}

/// What to measure, and how large.
#[derive(clap::Args)]
struct JournalArguments {
    /// Watch lines `{ts, type, resource, object}`, plain or zstd.
    #[arg(long)]
    trace: PathBuf,
    /// Changes in the large journal: the trace repeated with fresh uids, names and owners.
    #[arg(long, default_value_t = 1_000_000)]
    changes: u64,
    /// Changes in the small journal that the large one is compared with.
    #[arg(long, default_value_t = 100_000)]
    small: u64,
    /// Days that each of the two journals spans; all but the last are closed and rewritten.
    #[arg(long, default_value_t = 3)]
    days: u32,
    /// Questions of each kind.
    #[arg(long, default_value_t = 2_000)]
    questions: usize,
    /// Level of the solid archive that stored bytes are compared with.
    #[arg(long, default_value_t = 19)]
    solid_level: i32,
    /// Where to build journals; a temporary directory below it is removed at the end.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Sizes, Part::Ingest, Part::Questions])]
    parts: Vec<Part>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Stored bytes a change.
    Sizes,
    /// Durable appends.
    Ingest,
    /// States, pages, reopening.
    Questions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Journal(arguments) => measure(&arguments),
        Command::Generate { changes, seed, file } => generate::write(&file, changes, seed).context("failed to write the trace"),
    }
}

fn measure(arguments: &JournalArguments) -> Result<()> {
    let trace = trace::Trace::read(&arguments.trace)?;
    let parent = arguments.directory.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new().prefix("proreus-bench-").tempdir_in(&parent);
    let scratch = scratch.with_context(|| format!("failed to make a directory in `{}`", parent.display()))?;
    let mut report = report::Report::new(&trace, arguments);
    let wants = |part| arguments.parts.contains(&part);
    if wants(Part::Sizes) {
        sizes::measure(&trace, arguments.solid_level, scratch.path(), &mut report)?;
    }
    if wants(Part::Ingest) {
        ingest::measure(&trace, scratch.path(), &mut report)?;
    }
    if wants(Part::Questions) {
        questions::measure(&trace, arguments, scratch.path(), &mut report)?;
    }
    report.finish();
    let text = match arguments.output {
        Output::Table => report.table(),
        Output::Json => serde_json::to_string_pretty(&report)?,
    };
    writeln!(std::io::stdout().lock(), "{text}").context("failed to print the report")
}

/// Tells on stderr what is being done: a large run takes many minutes.
fn tell(what: &str) {
    // A closed stderr takes nothing from the report.
    let _ = writeln!(std::io::stderr().lock(), "bench: {what}");
}
