//! The table of `get`: one line an object, as it was at a time.

use jiff::Timestamp;
use proreus_api::Change;
use serde_json::Value;

use super::{Names, place, verb};
use crate::terminal::columns::{Cell, Column};
use crate::terminal::fit::{Cut, clean};
use crate::terminal::paint::Ink;
use crate::terminal::times::{TimeStyle, between, show};

/// How a listing of objects is shown.
pub(crate) struct ObjectsStyle<'a> {
    /// The moment that is shown; ages are as of it.
    pub(crate) at: Timestamp,
    /// How times look.
    pub(crate) time: TimeStyle,
    /// Names of clusters.
    pub(crate) names: &'a Names,
}

impl ObjectsStyle<'_> {
    /// The columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        if self.names.several {
            columns.push(Column::shrinking("CLUSTER", 8, Cut::Middle));
        }
        columns.extend([
            Column::shrinking("KIND", 11, Cut::End),
            Column::shrinking("OBJECT", 16, Cut::Middle),
            Column::whole("AGE"),
            Column::whole("LAST CHANGE"),
            Column::whole("VERB"),
            Column::shrinking("MANAGER", 8, Cut::Middle).at_most(24),
            Column::figures("SEQ"),
        ]);
        columns
    }

    /// The cells of an object's last change.
    pub(crate) fn cells(&self, change: &Change) -> Vec<Cell> {
        let mut cells = Vec::new();
        if self.names.several {
            cells.push(Cell::plain(self.names.cluster(&change.cluster)));
        }
        let (word, ink) = verb(change.verb);
        cells.extend([
            Cell::inked(Ink::Kind, clean(&change.kind)),
            Cell::plain(place(&change.namespace, &change.name)),
            Cell::plain(created(change).map_or_else(|| "-".to_owned(), |time| between(time, self.at))),
            Cell::plain(show(change.recorded_at, self.at, self.time)),
            Cell::inked(ink, word),
            Cell::inked(Ink::Faint, clean(change.manager.as_deref().unwrap_or("-"))),
            Cell::inked(Ink::Faint, change.seq.to_string()),
        ]);
        cells
    }
}

/// When the object was made, by its own word.
fn created(change: &Change) -> Option<Timestamp> {
    let object = change.object.as_ref()?.to_value();
    object.pointer("/metadata/creationTimestamp").and_then(Value::as_str)?.parse().ok()
}
