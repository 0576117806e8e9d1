//! `diff`: which fields differ between two recorded changes of one object.

use crate::failure::Failure;
use crate::flags::DiffFlags;
use crate::output::{Format, write_one};
use crate::run::Context;
use crate::source::Source;
use crate::terminal::fit::clean;
use crate::terminal::paint::Ink;
use crate::terminal::times::{absolute, between};
use crate::view::fields::{Extent, field_lines};
use crate::view::{place, verb};

/// Runs the verb.
pub(crate) async fn run(flags: &DiffFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let source = Source::choose(&flags.source, context.around)?;
    let diff = source.diff(flags.from, flags.to).await?;
    let format = flags.output.output.unwrap_or_default();
    if format != Format::Table {
        return Ok(write_one(context.around.stdout, format, &diff)?);
    }
    let paint = context.paint();
    let out = &mut *context.around.stdout;
    let name = format!("{} {}", clean(&diff.to.kind), place(&diff.to.namespace, &diff.to.name));
    writeln!(out, "{}", paint.text(Ink::Strong, &name))?;
    for (sign, ink, change) in [("---", Ink::Removed, &diff.from), ("+++", Ink::Added, &diff.to)] {
        let by = change.manager.as_deref().map_or_else(String::new, |manager| format!(" by {}", clean(manager)));
        let line = format!("{sign} #{} {} {}{by}", change.seq, absolute(change.recorded_at), verb(change.verb).0);
        writeln!(out, "{}", paint.text(ink, &line))?;
    }
    let extent = Extent { room: context.around.columns.filter(|_| !flags.full), all: true };
    for line in field_lines(&diff.changed, paint, extent, 0) {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    let apart = between(diff.from.recorded_at.min(diff.to.recorded_at), diff.to.recorded_at.max(diff.from.recorded_at));
    let count = super::counted(diff.changed.len() as u64, "changed field");
    context.note(&format!("{count} between #{} and #{}, {apart} apart", diff.from.seq, diff.to.seq));
    Ok(())
}
