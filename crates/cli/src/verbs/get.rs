//! `get`: objects as they were at a time, as a table, or one of them whole.

use jiff::Timestamp;
use proreus_app::questions::Selection;

use super::counted;
use super::history::kind_and_name;
use crate::failure::Failure;
use crate::flags::GetFlags;
use crate::output::{Format, Listing, write_one};
use crate::run::Context;
use crate::source::{ObjectAsk, Source, StateAsk};
use crate::terminal::columns::Columns;
use crate::terminal::times::absolute;
use crate::view::Names;
use crate::view::objects::ObjectsStyle;

/// The word for every kind.
const EVERY_KIND: &str = "all";

/// Runs the verb.
pub(crate) async fn run(flags: &GetFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let source = Source::choose(&flags.source, context.around)?;
    match flags.name.is_some() || flags.kind.contains('/') {
        true => one(flags, &source, context).await,
        false => list(flags, &source, context).await,
    }
}

/// One object, whole.
async fn one(flags: &GetFlags, source: &Source, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let (kind, name) = kind_and_name(&flags.kind, flags.name.as_deref())?;
    let ask = ObjectAsk { kind, name, namespace: flags.of.namespace.clone(), cluster: flags.of.cluster.clone(), uid: flags.of.uid.clone() };
    let answer = source.object(&ask, flags.at.as_deref()).await?;
    let change = &answer.change;
    if answer.deleted {
        return Err(Failure::App(proreus_app::AppError::NotFound {
            what: format!("{} `{}` was deleted at {} and so", change.kind, change.name, absolute(change.recorded_at)),
            hint: format!("ask for its state before that: --at {}", change.seq.saturating_sub(1)),
        }));
    }
    let format = match flags.output.output {
        None | Some(Format::Table) => Format::Yaml,
        Some(format) => format,
    };
    write_one(context.around.stdout, format, &answer.object.to_value())?;
    context.around.stdout.flush()?;
    context.note(&format!("as of change #{}, {}", change.seq, absolute(change.recorded_at)));
    Ok(())
}

/// Every object that matches.
async fn list(flags: &GetFlags, source: &Source, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let format = flags.output.output.unwrap_or_default();
    let kinds = if flags.kind == EVERY_KIND { Vec::new() } else { flags.kind.split(',').map(str::to_owned).collect() };
    let selection = Selection {
        kinds,
        clusters: flags.of.cluster.iter().cloned().collect(),
        namespaces: flags.of.namespace.iter().cloned().collect(),
        uids: flags.of.uid.iter().cloned().collect(),
        ..Selection::default()
    };
    // A table shows ages, and when an object was made stands in it.
    let ask = StateAsk { selection, at: flags.at.clone(), full: flags.full || format == Format::Table };
    let at = moment(flags.at.as_deref(), source);
    let names = if format == Format::Table { Names::of(source.clusters().await?) } else { Names::of(Vec::new()) };
    let style = ObjectsStyle { at, time: flags.time.time, names: &names };
    let mut columns = Columns::new(&style.columns(), context.paint(), context.around.columns);
    let mut listing = Listing::new(format);
    let (mut left, mut cursor, mut count) = (flags.limit.unwrap_or(u64::MAX), None, 0_u64);
    loop {
        let page = source.state(&ask, cursor.as_deref(), left).await?;
        for change in page.items.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            match format {
                Format::Table => columns.row(context.around.stdout, style.cells(change))?,
                _ => listing.item(context.around.stdout, change)?,
            }
            (left, count) = (left - 1, count + 1);
        }
        cursor = page.next;
        if cursor.is_none() || left == 0 {
            break;
        }
    }
    columns.settle(context.around.stdout)?;
    listing.finish(context.around.stdout)?;
    context.around.stdout.flush()?;
    match (format, count) {
        (Format::Table, 0) => context.note(&format!("nothing that matches was alive at {}", absolute(at))),
        (Format::Table, _) => context.note(&format!("{} as of {}", counted(count, "object"), absolute(at))),
        _ => {}
    }
    Ok(())
}

/// The moment as a time for ages; a position or a cursor has none that is known here.
fn moment(at: Option<&str>, source: &Source) -> Timestamp {
    let now = source.now();
    at.and_then(|text| proreus_app::parse_moment("at", text, now).ok()).unwrap_or(now)
}
