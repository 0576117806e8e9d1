//! `changes`: every match, oldest first, page by page, and what comes after if that is wanted.

use std::io::{self, Write};

use jiff::Timestamp;
use proreus_api::Verb;
use proreus_app::questions::Selection;
use proreus_model as model;

use super::{counted, grouped};
use crate::failure::Failure;
use crate::flags::{ChangesFlags, OriginWord, SelectionFlags, VerbWord};
use crate::output::{Format, Listing};
use crate::run::Context;
use crate::source::{Entry, RecordsAsk, Source};
use crate::terminal::columns::Columns;
use crate::terminal::times::{TimeStyle, absolute};
use crate::view::Names;
use crate::view::listing::ListingStyle;

/// Writes records in the format asked for.
enum Printer<'a> {
    Table { columns: Columns, style: ListingStyle<'a> },
    Machine(Listing),
}

/// What was printed.
#[derive(Debug, Default)]
struct Tally {
    creates: u64,
    updates: u64,
    deletes: u64,
    marks: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Runs the verb.
pub(crate) async fn run(flags: &ChangesFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let format = flags.output.output.unwrap_or_default();
    let source = Source::choose(&flags.source, context.around)?;
    let ask = RecordsAsk {
        selection: selection(&flags.selection),
        since: flags.range.since.clone(),
        until: flags.range.until.clone(),
        marks: flags.marks,
        // A table shows what an Event says, and that stands in the object.
        full: flags.full || format == Format::Table,
    };
    let names = match format {
        Format::Table => Names::of(source.clusters().await?),
        Format::Json | Format::Jsonl | Format::Yaml => Names::of(Vec::new()),
    };
    let style = ListingStyle { now: source.now(), time: flags.time.time, room: context.around.columns, names: &names };
    let mut printer = match format {
        Format::Table => Printer::Table { columns: Columns::new(&style.columns(), context.paint(), context.around.columns), style },
        format => Printer::Machine(Listing::new(format)),
    };
    let mut tally = Tally::default();
    let end = print_kept(&source, &ask, flags.range.limit, &mut printer, &mut tally, context).await?;
    if flags.watch {
        follow(&source, &ask, &end, &mut printer, &mut tally, context).await?;
    }
    printer.finish(context.around.stdout)?;
    context.around.stdout.flush()?;
    if format == Format::Table {
        tell(&tally, flags.time.time, &source, context);
    }
    Ok(())
}

/// Prints what is kept; gives the cursor behind it.
async fn print_kept(
    source: &Source,
    ask: &RecordsAsk,
    limit: Option<u64>,
    printer: &mut Printer<'_>,
    tally: &mut Tally,
    context: &mut Context<'_, '_>,
) -> Result<String, Failure> {
    let mut left = limit.unwrap_or(u64::MAX);
    let mut cursor: Option<String> = None;
    loop {
        let page = source.records(ask, cursor.as_deref(), left).await?;
        let items = page.items.iter().take(usize::try_from(left).unwrap_or(usize::MAX));
        for entry in items {
            tally.count(entry);
            printer.entry(context.around.stdout, entry)?;
            left -= 1;
        }
        if !page.more || left == 0 {
            return Ok(page.end);
        }
        cursor = Some(page.end);
    }
}

/// Prints what is recorded from now on, until Ctrl-C or the end of the server.
async fn follow(
    source: &Source,
    ask: &RecordsAsk,
    end: &str,
    printer: &mut Printer<'_>,
    tally: &mut Tally,
    context: &mut Context<'_, '_>,
) -> Result<(), Failure> {
    printer.settle(context.around.stdout)?;
    context.around.stdout.flush()?;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut following = source.follow(ask, end).await?;
    loop {
        let came = tokio::select! {
            came = following.next() => came?,
            _ = &mut interrupt => return Ok(()),
        };
        let Some(entries) = came else {
            context.note("the server ended the stream");
            return Ok(());
        };
        printer.now(context.around.clock.now(), source);
        for entry in &entries {
            tally.count(entry);
            printer.entry(context.around.stdout, entry)?;
        }
        printer.settle(context.around.stdout)?;
        context.around.stdout.flush()?;
    }
}

impl Printer<'_> {
    fn entry(&mut self, out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
        match self {
            Self::Table { columns, style } => columns.row(out, style.cells(entry)),
            Self::Machine(listing) => listing.item(out, entry),
        }
    }

    fn settle(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Table { columns, .. } => columns.settle(out),
            Self::Machine(_) => Ok(()),
        }
    }

    /// A follower of a server lives in the present; that of files, in what was recorded.
    fn now(&mut self, clock: Timestamp, source: &Source) {
        if let (Self::Table { style, .. }, Source::Server(_)) = (self, source) {
            style.now = clock;
        }
    }

    fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Table { mut columns, .. } => columns.settle(out),
            Self::Machine(listing) => listing.finish(out),
        }
    }
}

impl Tally {
    fn count(&mut self, entry: &Entry) {
        match entry {
            Entry::Mark(_) => self.marks += 1,
            Entry::Change(change) => match change.verb {
                Verb::Create => self.creates += 1,
                Verb::Update => self.updates += 1,
                Verb::Delete => self.deletes += 1,
            },
        }
        self.first = self.first.or(Some(entry.recorded_at()));
        self.last = Some(entry.recorded_at());
    }
}

fn tell(tally: &Tally, time: TimeStyle, source: &Source, context: &mut Context<'_, '_>) {
    let changes = tally.creates + tally.updates + tally.deletes;
    let (Some(first), Some(last)) = (tally.first, tally.last) else {
        context.note("nothing that was recorded matches");
        return;
    };
    let mut parts = Vec::new();
    for (count, word) in [(tally.creates, "create"), (tally.updates, "update"), (tally.deletes, "delete")] {
        if count > 0 {
            parts.push(format!("{} {word}", grouped(count)));
        }
    }
    let marks = if tally.marks > 0 { format!(", {}", counted(tally.marks, "mark")) } else { String::new() };
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    context.note(&format!("{}{parts}{marks}, {} to {}", counted(changes, "change"), absolute(first), absolute(last)));
    if let (Source::Directory(_), TimeStyle::Relative) = (source, time) {
        context.note(&format!("times are seen from the last record, {}", absolute(source.now())));
    }
}

/// The words of the flags as the application takes them.
pub(crate) fn selection(flags: &SelectionFlags) -> Selection {
    let verb = |word: &VerbWord| match word {
        VerbWord::Create => model::Verb::Create,
        VerbWord::Update => model::Verb::Update,
        VerbWord::Delete => model::Verb::Delete,
    };
    let origin = |word: &OriginWord| match word {
        OriginWord::Watch => model::Origin::Watch,
        OriginWord::Snapshot => model::Origin::Snapshot,
        OriginWord::Relist => model::Origin::Relist,
        OriginWord::Gap => model::Origin::Gap,
    };
    Selection {
        clusters: flags.cluster.clone(),
        namespaces: flags.namespace.clone(),
        groups: Vec::new(),
        kinds: flags.kind.clone(),
        resources: flags.resource.clone(),
        names: flags.name.clone(),
        uids: flags.uid.clone(),
        verbs: flags.verb.iter().map(verb).collect(),
        origins: flags.origin.iter().map(origin).collect(),
        managers: flags.manager.clone(),
    }
}
