//! `explain`: the catalogue of checks, from the very definitions that run.

use proreus_app::doctor::{catalogue, check_named};
use proreus_doctor::{Check, Mode};

use super::counted;
use super::doctor::ink;
use crate::failure::Failure;
use crate::flags::ExplainFlags;
use crate::output::{Format, Listing, write_one};
use crate::run::Context;
use crate::terminal::columns::{Cell, Column, Columns};
use crate::terminal::fit::{Cut, wrap};
use crate::terminal::paint::Ink;

/// Columns where the output is no terminal.
const PLAIN_COLUMNS: usize = 110;

/// Runs the verb.
pub(crate) fn run(flags: &ExplainFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let format = flags.output.output.unwrap_or_default();
    match (&flags.check, format) {
        (Some(word), Format::Table) => one(check_named(word)?, context),
        (Some(word), format) => Ok(write_one(context.around.stdout, format, check_named(word)?)?),
        (None, Format::Table) => table(context),
        (None, format) => {
            let mut listing = Listing::new(format);
            for check in catalogue() {
                listing.item(context.around.stdout, check)?;
            }
            Ok(listing.finish(context.around.stdout)?)
        }
    }
}

fn table(context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let heads = [
        Column::whole("CHECK"),
        Column::whole("SEVERITY"),
        Column::figures("GRACE"),
        Column::shrinking("KINDS", 12, Cut::End).at_most(30),
        Column::shrinking("WHAT IT FINDS", 20, Cut::End),
    ];
    let mut columns = Columns::new(&heads, context.paint(), context.around.columns);
    for check in catalogue() {
        let cells = vec![
            Cell::inked(Ink::Strong, check.id),
            Cell::inked(ink(check.severity.into()), check.severity.as_str()),
            Cell::plain(seconds(check.grace_seconds)),
            Cell::inked(Ink::Kind, kinds(check)),
            Cell::plain(check.title),
        ];
        columns.row(context.around.stdout, cells)?;
    }
    columns.settle(context.around.stdout)?;
    context.note(&format!("{}; `proreus explain CHECK` tells more of one", counted(catalogue().len() as u64, "check")));
    Ok(())
}

fn one(check: &Check, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let (paint, room) = (context.paint(), context.around.columns.unwrap_or(PLAIN_COLUMNS));
    let thresholds: Vec<String> =
        check.thresholds.iter().map(|threshold| format!("{} (default {})", threshold.name, threshold.default)).collect();
    let needs: Vec<&str> = check.needs.iter().map(|kind| kind.kind).collect();
    let fields = [
        ("severity", check.severity.as_str().to_owned()),
        ("grace", format!("{}, unless a finding says otherwise", seconds(check.grace_seconds))),
        ("mode", mode(check).to_owned()),
        ("kinds", kinds(check)),
        ("needs", needs.join(", ")),
        ("reasons", check.reasons.join(", ")),
        ("thresholds", thresholds.join(", ")),
        ("what to do", check.remediation.to_owned()),
    ];
    let out = &mut *context.around.stdout;
    writeln!(out, "{}: {}", paint.text(Ink::Strong, check.id), check.title)?;
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        for (index, line) in wrap(value, room.saturating_sub(14).max(20)).iter().enumerate() {
            let name = if index == 0 { *name } else { "" };
            writeln!(out, "  {}{line}", paint.text(Ink::Faint, &format!("{name:<12}")))?;
        }
    }
    Ok(())
}

/// Said only of what does something.
fn mode(check: &Check) -> &'static str {
    match check.mode {
        Mode::Passive => "",
        Mode::Active => "active: it does something in the cluster, and runs only in `doctor --active`",
    }
}

fn kinds(check: &Check) -> String {
    let names: Vec<&str> = check.kinds.iter().map(|kind| if kind.kind == "*" { "every kind" } else { kind.kind }).collect();
    names.join(", ")
}

fn seconds(seconds: i64) -> String {
    match seconds {
        0 => "none".to_owned(),
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
