//! A record as a person is shown it: a change with its changed fields, and the object when asked for; or a mark.

use std::sync::Arc;

use proreus_model::{Change, FieldChange, Mark, Record, Recorded, Seq, Verb};
use proreus_observe::changed_fields;
use serde_json::Value;

/// Bytes that a record takes besides its object and its fields: names, times and the frame of its JSON.
const RECORD_FRAME_BYTES: usize = 512;

/// A change with what it changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeView {
    /// The change; its `body` is empty here.
    pub change: Change,
    /// Fields that differ from the version before; empty for `create` and `delete`.
    pub changed: Vec<FieldChange>,
    /// JSON of the object at the change, when asked for; `parse_body` makes a tree of it. For a delete whose last state is not known: the
    /// version before. Bytes and not a tree, because a page holds many and a tree is several times as large.
    pub object: Option<Arc<[u8]>>,
}

/// One record of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordView {
    /// A change of an object.
    Change(Box<ChangeView>),
    /// A truth about the watching.
    Mark(Mark),
}

impl RecordView {
    /// From a record with bodies.
    pub(super) fn from_recorded(recorded: Recorded, full: bool) -> Self {
        match recorded.record {
            Record::Change(change) => Self::Change(Box::new(ChangeView::new(change, recorded.previous, full))),
            Record::Mark(mark) => Self::Mark(mark),
        }
    }

    /// Its position.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Change(view) => view.change.seq,
            Self::Mark(mark) => mark.seq,
        }
    }

    /// The change, when it is one.
    pub fn into_change(self) -> Option<ChangeView> {
        match self {
            Self::Change(view) => Some(*view),
            Self::Mark(_) => None,
        }
    }

    /// The mark, when it is one.
    pub fn into_mark(self) -> Option<Mark> {
        match self {
            Self::Change(_) => None,
            Self::Mark(mark) => Some(mark),
        }
    }

    /// About how many bytes it takes in an answer.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Change(view) => view.weight(),
            Self::Mark(mark) => RECORD_FRAME_BYTES + mark.reason.len() + value_weight(&mark.detail),
        }
    }
}

impl ChangeView {
    fn new(mut change: Change, previous: Option<Arc<[u8]>>, full: bool) -> Self {
        let body = change.body.take();
        let changed = match (change.verb, &previous, &body) {
            (Verb::Update, Some(before), Some(after)) => changed_fields(&parse_body(before), &parse_body(after)),
            _ => Vec::new(),
        };
        let object = if full { body.or(previous) } else { None };
        Self { change, changed, object }
    }

    /// Without changed fields: for answers that show states, not steps.
    pub(super) fn plain(mut change: Change, full: bool) -> Self {
        let body = change.body.take();
        Self { change, changed: Vec::new(), object: body.filter(|_| full) }
    }

    /// About how many bytes it takes in an answer.
    pub(super) fn weight(&self) -> usize {
        let fields = self.changed.iter().map(|field| field.path.len() + field_weight(&field.before) + field_weight(&field.after));
        RECORD_FRAME_BYTES + self.object.as_ref().map_or(0, |object| object.len()) + fields.sum::<usize>()
    }
}

fn field_weight(value: &Option<Value>) -> usize {
    value.as_ref().map_or(0, value_weight)
}

fn value_weight(value: &Value) -> usize {
    // Quotes, a comma and a colon at most.
    const AROUND: usize = 4;
    match value {
        Value::Null | Value::Bool(_) => AROUND,
        Value::Number(number) => number.as_str().len() + AROUND,
        Value::String(text) => text.len() + AROUND,
        Value::Array(items) => items.iter().map(value_weight).sum::<usize>() + AROUND,
        Value::Object(fields) => fields.iter().map(|(name, of)| name.len() + value_weight(of) + AROUND).sum::<usize>() + AROUND,
    }
}

/// A stored body as JSON. What we stored was valid when we stored it; should it not be, `null` is shown rather than nothing at all.
pub fn parse_body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}
