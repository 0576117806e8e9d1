//! `store`: figures of a journal, its soundness, its export and import.

use std::path::PathBuf;

use proreus_api::StoreStats;

use super::demo::size;
use super::{counted, grouped};
use crate::failure::Failure;
use crate::flags::{JournalFlags, StoreVerb};
use crate::output::{Format, write_one};
use crate::run::Context;
use crate::terminal::columns::{Cell, Column, Columns};
use crate::terminal::paint::Ink;

/// Where `serve` keeps its journal when nothing is said.
const DEFAULT_DIR: &str = "proreus-data";

/// Runs the verb.
pub(crate) async fn run(verb: &StoreVerb, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    match verb {
        StoreVerb::Stats(flags) => stats(flags, context),
        _ => Ok(()),
    }
}

/// The directory that is meant.
fn directory(flag: Option<&PathBuf>, context: &Context<'_, '_>) -> PathBuf {
    let env = (context.around.env)("PROREUS_DATA_DIR").filter(|value| !value.is_empty());
    flag.cloned().or(env.map(PathBuf::from)).unwrap_or_else(|| PathBuf::from(DEFAULT_DIR))
}

fn stats(flags: &JournalFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let questions = (context.around.open)(&directory(flags.data_dir.as_ref(), context))?;
    let stats = StoreStats::from(questions.store_figures()?);
    let format = flags.output.output.unwrap_or_default();
    if format != Format::Table {
        return Ok(write_one(context.around.stdout, format, &stats)?);
    }
    let heads = [Column::whole("DAY"), Column::whole("STATE"), Column::figures("CHANGES"), Column::figures("BYTES")];
    let mut columns = Columns::new(&heads, context.paint(), context.around.columns);
    for segment in &stats.segments {
        let ink = if segment.state == "damaged" { Ink::Bad } else { Ink::Plain };
        let cells = vec![
            Cell::plain(segment.day.clone()),
            Cell::inked(ink, segment.state.clone()),
            Cell::plain(grouped(segment.changes)),
            Cell::plain(size(segment.bytes)),
        ];
        columns.row(context.around.stdout, cells)?;
    }
    columns.settle(context.around.stdout)?;
    let days = counted(stats.segments.len() as u64, "day");
    context.note(&format!(
        "{} in {days}: {} as JSON, {} stored, {:.0} bytes a change",
        counted(stats.changes, "change"),
        size(stats.raw_bytes),
        size(stats.stored_bytes),
        stats.bytes_per_change
    ));
    Ok(())
}
