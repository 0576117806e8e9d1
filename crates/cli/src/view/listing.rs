//! The table of `changes`: one line a record.

use jiff::Timestamp;
use proreus_api::{Change, Mark, MarkKind, Verb};

use super::event::{EventWords, event_words};
use super::{Names, fields, origin_note, place, verb};
use crate::source::Entry;
use crate::terminal::columns::{Cell, Column};
use crate::terminal::fit::{Cut, clean};
use crate::terminal::paint::Ink;
use crate::terminal::times::{TimeStyle, of_day, show_in_column};

/// Narrower terminals do without the manager: what changed says more.
const MANAGER_FROM: usize = 120;
/// Narrower terminals cut kinds and names closer.
const ROOMY: usize = 80;
/// Cells of a manager's name: what is cut from `kubectl-client-side-apply` is not missed.
const MANAGER_MOST: usize = 18;
/// Cells of the last column where the output is no terminal: a line stays readable in a pager.
const WHAT_IN_PIPES: usize = 160;
/// Cells that the columns before the last one take at most.
const BEFORE_WHAT: (usize, usize) = (3, 5);

/// How a listing of changes is shown.
pub(crate) struct ListingStyle<'a> {
    /// What is now.
    pub(crate) now: Timestamp,
    /// How times look.
    pub(crate) time: TimeStyle,
    /// Cells of the terminal.
    pub(crate) room: Option<usize>,
    /// Names of clusters.
    pub(crate) names: &'a Names,
}

impl ListingStyle<'_> {
    fn has_manager(&self) -> bool {
        self.room.is_none_or(|room| room >= MANAGER_FROM)
    }

    /// The columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let mut columns = vec![Column::figures("SEQ"), Column::whole(if self.time == TimeStyle::Relative { "AGO" } else { "TIME" })];
        if self.names.several {
            columns.push(Column::shrinking("CLUSTER", 8, Cut::Middle));
        }
        let (kind, object) = if self.room.is_some_and(|room| room < ROOMY) { (6, 12) } else { (11, 16) };
        columns.extend([
            Column::whole("VERB"),
            Column::shrinking("KIND", kind, Cut::End),
            Column::shrinking("OBJECT", object, Cut::Middle),
        ]);
        if self.has_manager() {
            columns.push(Column::shrinking("MANAGER", 10, Cut::Middle).at_most(MANAGER_MOST));
        }
        columns.push(Column::shrinking("WHAT", 16, Cut::End));
        columns
    }

    /// The cells of a record.
    pub(crate) fn cells(&self, entry: &Entry) -> Vec<Cell> {
        match entry {
            Entry::Change(change) => self.change(change),
            Entry::Mark(mark) => self.mark(mark),
        }
    }

    fn change(&self, change: &Change) -> Vec<Cell> {
        let (word, ink) = verb(change.verb);
        let words = event_words(change);
        let (what_ink, what) = self.what(change, words.as_ref());
        // The name of an Event says nothing; what it is about does.
        let object = match &words {
            Some(words) if !words.name.is_empty() => place(&change.namespace, &words.name),
            _ => place(&change.namespace, &change.name),
        };
        let mut cells = self.head(change.seq, change.recorded_at, &change.cluster);
        cells.extend([Cell::inked(ink, word), Cell::inked(Ink::Kind, clean(&change.kind)), Cell::plain(object)]);
        if self.has_manager() {
            cells.push(Cell::inked(Ink::Faint, clean(change.manager.as_deref().unwrap_or("-"))));
        }
        cells.push(Cell::inked(what_ink, what));
        cells
    }

    fn mark(&self, mark: &Mark) -> Vec<Cell> {
        let ink = if is_bad(mark.kind) { Ink::Warning } else { Ink::Mark };
        let scope = if mark.resource.is_empty() { String::new() } else { place(&mark.group, &mark.resource) };
        let mut cells = self.head(mark.seq, mark.recorded_at, &mark.cluster);
        cells.extend([Cell::inked(ink, "mark"), Cell::inked(ink, mark_word(mark.kind)), Cell::plain(scope)]);
        if self.has_manager() {
            cells.push(Cell::default());
        }
        cells.push(Cell::inked(ink, clean(&mark.reason)));
        cells
    }

    fn head(&self, seq: u64, time: Timestamp, cluster: &str) -> Vec<Cell> {
        let mut cells = vec![Cell::inked(Ink::Faint, seq.to_string()), Cell::plain(show_in_column(time, self.now, self.time))];
        if self.names.several {
            cells.push(Cell::plain(self.names.cluster(cluster)));
        }
        cells
    }

    /// What there is to say about a change in one line.
    fn what(&self, change: &Change, words: Option<&EventWords>) -> (Ink, String) {
        if let Some(words) = words.filter(|_| change.verb != Verb::Delete) {
            let ink = if words.warning { Ink::Warning } else { Ink::Plain };
            return (ink, format!("{} {}: {}", words.kind, words.headline(), words.message));
        }
        let most = self.room.map_or(WHAT_IN_PIPES, |room| room - room * BEFORE_WHAT.0 / BEFORE_WHAT.1);
        let fields = fields::summary(&change.changed, most);
        let gap = change.gap.as_ref().map(|gap| format!("gap {}–{}", of_day(gap.from), of_day(gap.to)));
        match gap.or_else(|| origin_note(change).map(str::to_owned)) {
            None => (Ink::Plain, fields),
            Some(note) => {
                let ink = if matches!(change.origin, proreus_api::Origin::Snapshot) { Ink::Faint } else { Ink::Warning };
                (ink, if fields.is_empty() { note } else { format!("{note}; {fields}") })
            }
        }
    }
}

/// Marks that mean that something may be missing.
fn is_bad(kind: MarkKind) -> bool {
    match kind {
        MarkKind::Stale | MarkKind::Gap | MarkKind::ClockStepped | MarkKind::Refused => true,
        MarkKind::WatchStarted | MarkKind::Synced | MarkKind::Stopped | MarkKind::ConfigChanged => false,
    }
}

/// The wire text of a mark's kind.
fn mark_word(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::WatchStarted => "watchStarted",
        MarkKind::Synced => "synced",
        MarkKind::Stale => "stale",
        MarkKind::Gap => "gap",
        MarkKind::Stopped => "stopped",
        MarkKind::ConfigChanged => "configChanged",
        MarkKind::ClockStepped => "clockStepped",
        MarkKind::Refused => "refused",
    }
}
