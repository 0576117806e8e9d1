//! Objects at a moment, and the difference between two versions, on the wire.

use proreus_app::questions::{DiffAnswer, ObjectAnswer, StateAnswer};
use proreus_model as model;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Change, FieldChange, Json};

/// One object at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ObjectAtTime {
    /// True when the object was gone by then; `object` is its last known state.
    pub deleted: bool,
    /// Its last change by then.
    pub change: Change,
    /// The redacted object.
    pub object: Json,
}

impl From<ObjectAnswer> for ObjectAtTime {
    fn from(answer: ObjectAnswer) -> Self {
        let mut change = answer.change;
        change.body = None;
        Self { deleted: change.verb == model::Verb::Delete, change: change.into(), object: Json::from_value(&answer.object) }
    }
}

/// A page of the objects alive at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatePage {
    /// The last change of each object by then, with the object when asked for; ordered by cluster, group, kind, namespace, name, uid.
    pub items: Vec<Change>,
    /// Pass it back as `cursor` for the next page of the same moment; `null` when there is none.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// The moment, as a cursor of changes: what was recorded up to it is in this state, what comes after it in the stream is not.
    pub at: String,
}

impl From<StateAnswer> for StatePage {
    fn from(answer: StateAnswer) -> Self {
        let next_cursor = answer.next().map(|next| next.to_string());
        let at = answer.at.to_string();
        Self { items: answer.items.into_iter().map(Change::from).collect(), next_cursor, at }
    }
}

/// The difference between two versions of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// The one change.
    pub from: Change,
    /// The other change.
    pub to: Change,
    /// Fields that differ, `before` as of `from` and `after` as of `to`.
    pub changed: Vec<FieldChange>,
}

impl From<DiffAnswer> for Diff {
    fn from(answer: DiffAnswer) -> Self {
        let changed = answer.changed.into_iter().map(FieldChange::from).collect();
        Self { from: answer.from.into(), to: answer.to.into(), changed }
    }
}
