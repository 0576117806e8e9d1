//! A mark: what is true of the watching itself. Without marks nobody could know what was stale last Tuesday.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ClusterId, Group, Resource, Seq};

/// What became true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MarkKind {
    /// A watch of the scope began (fresh or resumed; the detail says which).
    WatchStarted,
    /// What is stored of the scope equals the cluster as of this mark.
    Synced,
    /// The scope is no longer followed; what is stored of it may be old.
    Stale,
    /// Changes of the scope may be missing before this mark; the detail has the reason.
    Gap,
    /// The scope is not watched any more, on purpose (excluded, type removed, forbidden, shutdown).
    Stopped,
    /// The configuration in force changed.
    ConfigChanged,
    /// The wall clock went back by more than a second.
    ClockStepped,
    /// An object of the scope could not be recorded (too large, too deep, not valid); the detail has the count and the first reason.
    Refused,
}

impl MarkKind {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WatchStarted => "watchStarted",
            Self::Synced => "synced",
            Self::Stale => "stale",
            Self::Gap => "gap",
            Self::Stopped => "stopped",
            Self::ConfigChanged => "configChanged",
            Self::ClockStepped => "clockStepped",
            Self::Refused => "refused",
        }
    }
}

/// What a mark or a checkpoint is about: one resource type of one cluster, or less closely the whole cluster (`resource` empty), or the
/// whole journal (`cluster` empty too).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchScope {
    /// The cluster, `""` for all.
    pub cluster: ClusterId,
    /// The API group, meaningful with a resource only.
    pub group: Group,
    /// Lower-case plural, `""` for all.
    pub resource: Resource,
}

/// What is true of the watching itself, in the same sequence as the changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Position in the journal; `Seq(0)` before the writer gave one.
    pub seq: Seq,
    /// max(clock, last recordedAt) at the writer.
    pub recorded_at: Timestamp,
    /// What became true.
    pub kind: MarkKind,
    /// Of what.
    pub scope: WatchScope,
    /// One sentence for people: lower case, no full stop.
    pub reason: String,
    /// Facts for programs: an object of plain JSON, never cluster data; `null` when there are none.
    pub detail: serde_json::Value,
}
