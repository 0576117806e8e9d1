//! `store`: figures of a journal, its soundness, its export and import.

use std::path::PathBuf;

use proreus_api::StoreStats;
use proreus_app::storekeeping::{self, Verification};

use super::{carrying, counted, grouped, size};
use crate::failure::Failure;
use crate::flags::{JournalFlags, StoreVerb};
use crate::output::{Format, write_one};
use crate::progress::Progress;
use crate::run::Context;
use crate::terminal::columns::{Cell, Column, Columns};
use crate::terminal::fit::{Cut, clean};
use crate::terminal::paint::Ink;

/// Where `serve` keeps its journal when nothing is said.
const DEFAULT_DIR: &str = "proreus-data";

/// Runs the verb.
pub(crate) fn run(verb: &StoreVerb, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    match verb {
        StoreVerb::Stats(flags) => stats(flags, context),
        StoreVerb::Verify(flags) => verify(flags, context),
        StoreVerb::Export(flags) => carrying::export(flags, context),
        StoreVerb::Import(flags) => carrying::import(flags, context),
    }
}

/// The directory that is meant.
pub(super) fn directory(flag: Option<&PathBuf>, context: &Context<'_, '_>) -> PathBuf {
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

fn verify(flags: &JournalFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let dir = directory(flags.data_dir.as_ref(), context);
    let mut progress = Progress::new("verifying", "records", context);
    let stderr = &mut *context.around.stderr;
    let found = storekeeping::verify(&dir, &mut |done, total| progress.at(done, total, stderr))?;
    drop(progress);
    match flags.output.output.unwrap_or_default() {
        Format::Table => show_verification(&found, context)?,
        format => write_one(context.around.stdout, format, &found)?,
    }
    context.around.stdout.flush()?;
    let damaged = found.segments.iter().filter(|segment| !segment.damage.is_empty()).count() as u64;
    match found.sound {
        true => {
            context.note(&format!("{} in {} are sound", counted(found.records, "record"), counted(found.segments.len() as u64, "day")));
            Ok(())
        }
        false => Err(Failure::BadNews {
            problem: format!("{damaged} of {} damaged", counted(found.segments.len() as u64, "day")),
            hint: "the other days are served; restore a damaged one from an export or a backup".to_owned(),
        }),
    }
}

fn show_verification(found: &Verification, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let heads = [Column::whole("DAY"), Column::whole("STATE"), Column::figures("RECORDS"), Column::shrinking("FOUND", 20, Cut::End)];
    let mut columns = Columns::new(&heads, context.paint(), context.around.columns);
    for segment in &found.segments {
        let sound = segment.damage.is_empty();
        let said = if sound { vec!["sound".to_owned()] } else { segment.damage.iter().map(|text| clean(text)).collect() };
        for (index, text) in said.into_iter().enumerate() {
            // Further findings of a day stand below the first.
            let of_day = |text: String| if index == 0 { text } else { String::new() };
            let cells = vec![
                Cell::plain(of_day(segment.day.clone())),
                Cell::plain(of_day(segment.state.clone())),
                Cell::plain(of_day(grouped(segment.records))),
                Cell::inked(if sound { Ink::Added } else { Ink::Bad }, text),
            ];
            columns.row(context.around.stdout, cells)?;
        }
    }
    Ok(columns.settle(context.around.stdout)?)
}
