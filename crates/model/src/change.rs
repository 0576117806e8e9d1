//! A change: one observed change of one object.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ApiVersion, Manager, ObjectId, Resource, ResourceVersion, Seq};

/// What happened to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// First sight of this uid.
    Create,
    /// A further version of a known uid.
    Update,
    /// The end of this uid.
    Delete,
}

impl Verb {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// How we came to know of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A watch told us.
    Watch,
    /// The first list of this kind in this journal: the object was there before us.
    Snapshot,
    /// A list after lost history: the object came, changed or went while nobody looked, versions between may be missing.
    Relist,
    /// Versions before this one were dropped by back-pressure; the latest was kept.
    Gap,
}

impl Origin {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Snapshot => "snapshot",
            Self::Relist => "relist",
            Self::Gap => "gap",
        }
    }
}

/// The time in which versions may be missing: last certain sight of the object to the sight that found it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Last moment at which the former state was known.
    pub from: Timestamp,
    /// Moment at which the new state was seen.
    pub to: Timestamp,
}

/// One observed change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Position in the journal; `Seq(0)` before the writer gave one.
    pub seq: Seq,
    /// max(clock, last recordedAt) at the writer.
    pub recorded_at: Timestamp,
    /// The object's own time for this change, where it has one (creation, deletion, newest managed field). Shown, never used for order.
    pub event_time: Option<Timestamp>,
    /// What happened.
    pub verb: Verb,
    /// How we know.
    pub origin: Origin,
    /// Set when versions before this one may be missing.
    pub gap: Option<Gap>,
    /// Which object.
    pub object: ObjectId,
    /// API version in which it was seen.
    pub version: ApiVersion,
    /// Lower-case plural of its type.
    pub resource: Resource,
    /// Its resourceVersion at this change.
    pub resource_version: ResourceVersion,
    /// `metadata.generation`, where the type has one.
    pub generation: Option<i64>,
    /// Newest field manager.
    pub manager: Option<Manager>,
    /// For Events of both APIs: the uid of the object they speak of.
    pub regarding: Option<crate::Uid>,
    /// Canonical redacted JSON of the object at this change. `None` when it was not asked for, and for a delete whose last state is not
    /// known beyond what the version before it says.
    pub body: Option<Arc<[u8]>>,
}

/// How a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldOp {
    /// Not there before.
    Add,
    /// There no more.
    Remove,
    /// Another value.
    Replace,
}

/// One changed field between two versions of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Path from the root, such as `spec.containers[name=web].image`.
    pub path: String,
    /// How it differs.
    pub op: FieldOp,
    /// Value before, absent for `add`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// Value after, absent for `remove`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
}
