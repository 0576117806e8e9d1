//! A change on the wire: the same object in CLI, REST, SSE and MCP.

use jiff::Timestamp;
use proreus_app::questions::{ChangeView, ChangesAnswer};
use proreus_model as model;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Json;

/// What happened to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// First sight of this uid.
    Create,
    /// A further version of a known uid.
    Update,
    /// The end of this uid.
    Delete,
}

impl From<model::Verb> for Verb {
    fn from(verb: model::Verb) -> Self {
        match verb {
            model::Verb::Create => Self::Create,
            model::Verb::Update => Self::Update,
            model::Verb::Delete => Self::Delete,
        }
    }
}

/// How we came to know of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A watch told us.
    Watch,
    /// The first list of this kind: the object was there before us.
    Snapshot,
    /// A list after lost history; versions between may be missing.
    Relist,
    /// Versions before this one were dropped by back-pressure.
    Gap,
}

impl From<model::Origin> for Origin {
    fn from(origin: model::Origin) -> Self {
        match origin {
            model::Origin::Watch => Self::Watch,
            model::Origin::Snapshot => Self::Snapshot,
            model::Origin::Relist => Self::Relist,
            model::Origin::Gap => Self::Gap,
        }
    }
}

/// The time in which versions may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// Last moment at which the former state was known.
    pub from: Timestamp,
    /// Moment at which the new state was seen.
    pub to: Timestamp,
}

/// How a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldOp {
    /// Not there before.
    Add,
    /// There no more.
    Remove,
    /// Another value.
    Replace,
}

/// One changed field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    /// Path from the root, such as `spec.containers[name=web].image`.
    pub path: String,
    /// How it differs.
    pub op: FieldOp,
    /// Value before, absent for `add`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    /// Value after, absent for `remove`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Value>,
}

/// A value that is there, be it `null`: serde alone would read `null` as absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl From<model::FieldChange> for FieldChange {
    fn from(field: model::FieldChange) -> Self {
        let op = match field.op {
            model::FieldOp::Add => FieldOp::Add,
            model::FieldOp::Remove => FieldOp::Remove,
            model::FieldOp::Replace => FieldOp::Replace,
        };
        Self { path: field.path, op, before: field.before, after: field.after }
    }
}

/// One observed change of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Position in the journal, below 2^53.
    pub seq: u64,
    /// When it was recorded; never falls along `seq`.
    pub recorded_at: Timestamp,
    /// The object's own time for this change, where it has one; never used for order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub event_time: Option<Timestamp>,
    /// The cluster, by the uid of its `kube-system` namespace.
    pub cluster: String,
    /// What happened.
    pub verb: Verb,
    /// How it became known.
    pub origin: Origin,
    /// Set when versions before this one may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub gap: Option<Gap>,
    /// API group, `""` for the core group.
    pub group: String,
    /// API version without the group.
    pub version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Lower-case plural, such as `deployments`.
    pub resource: String,
    /// Namespace, `""` when cluster-scoped.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Incarnation.
    pub uid: String,
    /// `metadata.resourceVersion` at this change; compare for equality only.
    pub resource_version: String,
    /// `metadata.generation`, where the type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub generation: Option<i64>,
    /// Newest field manager: what wrote last, not who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub manager: Option<String>,
    /// Fields that differ from the version before; empty for `create` and `delete`.
    pub changed: Vec<FieldChange>,
    /// The redacted object, when asked for; for a delete its last known state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Json>,
}

impl From<model::Change> for Change {
    /// Without changed fields; with the object when the body is there.
    fn from(change: model::Change) -> Self {
        let id = change.object;
        Self {
            seq: change.seq.0,
            recorded_at: change.recorded_at,
            event_time: change.event_time,
            cluster: id.cluster.to_string(),
            verb: change.verb.into(),
            origin: change.origin.into(),
            gap: change.gap.map(|gap| Gap { from: gap.from, to: gap.to }),
            group: id.group.to_string(),
            version: change.version.to_string(),
            kind: id.kind.to_string(),
            resource: change.resource.to_string(),
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            uid: id.uid.to_string(),
            resource_version: change.resource_version.to_string(),
            generation: change.generation,
            manager: change.manager.map(|manager| manager.to_string()),
            changed: Vec::new(),
            object: change.body.map(|body| Json::from_bytes(&body)),
        }
    }
}

impl From<ChangeView> for Change {
    fn from(view: ChangeView) -> Self {
        let object = view.object.map(|object| Json::from_bytes(&object));
        let changed = view.changed.into_iter().map(FieldChange::from).collect();
        Self { changed, object, ..Self::from(view.change) }
    }
}

/// A page of changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangePage {
    /// The changes, in the order asked for.
    pub items: Vec<Change>,
    /// Pass it back as `cursor` for the next page; `null` when nothing more matches now.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// Where this page ends. After the last page of an ascending listing, pass it back later, or to the stream, for what is recorded from
    /// then on.
    pub end_cursor: String,
}

impl From<ChangesAnswer> for ChangePage {
    fn from(answer: ChangesAnswer) -> Self {
        let end_cursor = answer.cursor.to_string();
        Self {
            items: answer.items.into_iter().map(Change::from).collect(),
            next_cursor: answer.more.then(|| end_cursor.clone()),
            end_cursor,
        }
    }
}
