//! A change as a person is shown it: with its changed fields, and the object when asked for.

use proreus_model::{Change, FieldChange, Record, Recorded, Verb};
use proreus_observe::changed_fields;
use serde_json::Value;

/// A change with what it changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeView {
    /// The change; its `body` is empty here.
    pub change: Change,
    /// Fields that differ from the version before; empty for `create` and `delete`.
    pub changed: Vec<FieldChange>,
    /// The object at the change, when asked for. For a delete whose last state is not known: the version before.
    pub object: Option<Value>,
}

impl ChangeView {
    /// From a record with bodies; `None` for a mark.
    pub(super) fn from_recorded(recorded: Recorded, full: bool) -> Option<Self> {
        let Record::Change(mut change) = recorded.record else { return None };
        let body = change.body.take();
        let previous = recorded.previous;
        let changed = match (change.verb, &previous, &body) {
            (Verb::Update, Some(before), Some(after)) => changed_fields(&parse_body(before), &parse_body(after)),
            _ => Vec::new(),
        };
        let object = if full { body.or(previous).map(|bytes| parse_body(&bytes)) } else { None };
        Some(Self { change, changed, object })
    }
}

/// A stored body as JSON. What we stored was valid when we stored it; should it not be, `null` is shown rather than nothing at all.
pub fn parse_body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}
