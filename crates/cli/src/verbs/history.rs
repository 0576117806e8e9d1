//! `history`: one object's changes with their fields, and the Events about it in between.

use proreus_api::Verb;

use super::counted;
use crate::failure::Failure;
use crate::flags::HistoryFlags;
use crate::output::{Format, Listing};
use crate::run::Context;
use crate::source::{Entry, HistoryAsk, ObjectAsk, Source};
use crate::terminal::times::absolute;
use crate::view::Names;
use crate::view::event::is_event;
use crate::view::fields::Extent;
use crate::view::timeline::Timeline;

/// Runs the verb.
pub(crate) async fn run(flags: &HistoryFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let format = flags.output.output.unwrap_or_default();
    let (kind, name) = kind_and_name(&flags.object, flags.name.as_deref())?;
    let source = Source::choose(&flags.source, context.around)?;
    let object =
        ObjectAsk { kind, name, namespace: flags.of.namespace.clone(), cluster: flags.of.cluster.clone(), uid: flags.of.uid.clone() };
    let full = flags.full || format == Format::Table;
    let ask = HistoryAsk { object, since: flags.range.since.clone(), until: flags.range.until.clone(), events: !flags.no_events, full };
    match format {
        Format::Table => print_timeline(flags, &source, &ask, context).await,
        format => print_listing(format, flags.range.limit, &source, &ask, context).await,
    }
}

/// `deploy/web`, or `deploy web`.
pub(crate) fn kind_and_name(object: &str, name: Option<&str>) -> Result<(String, String), Failure> {
    let parts = match (object.split_once('/'), name) {
        (Some((kind, name)), None) => Some((kind, name)),
        (None, Some(name)) => Some((object, name)),
        _ => None,
    };
    let parts = parts.filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'));
    parts.map(|(kind, name)| (kind.to_owned(), name.to_owned())).ok_or_else(|| Failure::Usage {
        problem: format!("`{}` names no object", [Some(object), name].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        hint: "write KIND/NAME, such as deploy/web, and the namespace with -n".to_owned(),
    })
}

async fn print_listing(
    format: Format,
    limit: Option<u64>,
    source: &Source,
    ask: &HistoryAsk,
    context: &mut Context<'_, '_>,
) -> Result<(), Failure> {
    let mut listing = Listing::new(format);
    let mut pages = Pages { source, ask, cursor: None, left: limit.unwrap_or(u64::MAX), ended: false };
    while let Some(entries) = pages.next().await? {
        for entry in entries {
            listing.item(context.around.stdout, &entry)?;
        }
    }
    Ok(listing.finish(context.around.stdout)?)
}

async fn print_timeline(flags: &HistoryFlags, source: &Source, ask: &HistoryAsk, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let names = Names::of(source.clusters().await?);
    // Of an Event's own history, the Event is the object.
    let of_events = source.is_event_word(&ask.object.kind);
    let extent = Extent { room: context.around.columns.filter(|_| !flags.full), all: flags.full };
    let mut timeline = Timeline::new(context.paint(), extent, source.now(), &names);
    let mut pages = Pages { source, ask, cursor: None, left: flags.range.limit.unwrap_or(u64::MAX), ended: false };
    let (mut own_count, mut events, mut gone) = (0_u64, 0_u64, None);
    while let Some(entries) = pages.next().await? {
        let first_own = entries.iter().find_map(|entry| match entry {
            Entry::Change(change) if of_events || !is_event(change) => Some(change),
            Entry::Change(_) | Entry::Mark(_) => None,
        });
        if let (0, 0, Some(change)) = (own_count, events, first_own) {
            timeline.title(context.around.stdout, change)?;
        }
        for entry in entries {
            let Entry::Change(change) = entry else { continue };
            let own = of_events || !is_event(&change);
            if own {
                own_count += 1;
                gone = (change.verb == Verb::Delete).then_some(change.recorded_at);
            } else {
                events += 1;
            }
            timeline.change(context.around.stdout, &change, own)?;
        }
    }
    context.around.stdout.flush()?;
    if own_count + events == 0 {
        context.note("nothing was recorded of it in that time");
        return Ok(());
    }
    let state = gone.map_or_else(String::new, |time| format!("; it is gone since {}", absolute(time)));
    context.note(&format!("{}, {}{state}", counted(own_count, "change"), counted(events, "Event")));
    Ok(())
}

/// The pages of a history, up to a limit.
struct Pages<'a> {
    source: &'a Source,
    ask: &'a HistoryAsk,
    cursor: Option<String>,
    left: u64,
    ended: bool,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, Failure> {
        if self.ended || self.left == 0 {
            return Ok(None);
        }
        let mut page = self.source.history(self.ask, self.cursor.as_deref(), self.left).await?;
        page.items.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= page.items.len() as u64;
        self.ended = !page.more;
        self.cursor = Some(page.end);
        Ok(Some(page.items))
    }
}
