//! Figures of the journal on a trace of real watch lines, each beside a baseline taken in the same run, and the report that holds them.
//!
//! Not a test: nothing passes or fails by a time measured here. Not here: taking the trace, and what is measured on a running service;
//! `cargo xtask bench` does both and adds its rows to the same report. Invariant: every ratio in a report has both its figures in that
//! report.

mod copies;
mod ingest;
mod journal_under_test;
mod questions;
mod report;
mod sizes;
mod timing;
mod trace;
mod watching;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;

pub use report::{Baseline, Report, Row, Target};
pub use timing::{Percentiles, percentiles};

/// What to measure of the journal, and how large.
#[derive(Clone, Debug, clap::Args)]
pub struct JournalOptions {
    /// Changes in the large journal: the trace repeated with fresh uids, names and owners.
    #[arg(long, default_value_t = 1_000_000)]
    pub changes: u64,
    /// Changes in the small journal that the large one is compared with.
    #[arg(long, default_value_t = 100_000)]
    pub small: u64,
    /// Days that each of the two journals spans; all but the last are closed and rewritten.
    #[arg(long, default_value_t = 3)]
    pub days: u32,
    /// Questions of each kind.
    #[arg(long, default_value_t = 2_000)]
    pub questions: usize,
    /// Level of the solid archive that stored bytes are compared with.
    #[arg(long, default_value_t = 19)]
    pub solid_level: i32,
    /// Where to build journals; a temporary directory below it is removed at the end.
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Objects of the made cluster that is watched.
    #[arg(long, default_value_t = 50_000)]
    pub watched_objects: usize,
    /// Only these parts of the journal's figures.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Sizes, Part::Ingest, Part::Questions, Part::Watching])]
    pub parts: Vec<Part>,
}

/// A part of the journal's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Stored bytes a change.
    Sizes,
    /// Durable appends.
    Ingest,
    /// States, pages, reopening.
    Questions,
    /// The doctor that watches.
    Watching,
}

/// Adds the journal's rows to a report: watch lines `{ts, type, resource, object}` of a file, plain or zstd, recorded as Proreus records.
///
/// # Errors
/// A trace that cannot be read or holds a line that is none, a directory that cannot be written, a journal that fails.
pub fn measure_journal(trace: &std::path::Path, options: &JournalOptions, report: &mut Report) -> Result<()> {
    let trace = trace::Trace::read(trace)?;
    let parent = options.directory.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new().prefix("proreus-bench-").tempdir_in(&parent);
    let scratch = scratch.with_context(|| format!("failed to make a directory in `{}`", parent.display()))?;
    report.note(trace.to_string());
    let wants = |part| options.parts.contains(&part);
    if wants(Part::Sizes) {
        sizes::measure(&trace, options.solid_level, scratch.path(), report)?;
    }
    if wants(Part::Ingest) {
        ingest::measure(&trace, scratch.path(), report)?;
    }
    if wants(Part::Questions) {
        report.note(format!("journals of {} and {} changes over {} days", options.small, options.changes, options.days));
        questions::measure(&trace, options, scratch.path(), report)?;
    }
    if wants(Part::Watching) {
        watching::measure(options.watched_objects, report)?;
    }
    Ok(())
}

/// Tells on stderr what is being done: a large run takes many minutes.
pub fn tell(what: &str) {
    // A closed stderr takes nothing from the report.
    let _ = writeln!(std::io::stderr().lock(), "bench: {what}");
}
