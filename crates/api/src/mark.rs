//! A mark on the wire: what is true of the watching itself.

use jiff::Timestamp;
use proreus_app::questions::MarksAnswer;
use proreus_model as model;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What became true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum MarkKind {
    /// A watch of the scope began.
    WatchStarted,
    /// What is stored of the scope equals the cluster.
    Synced,
    /// The scope is no longer followed.
    Stale,
    /// Changes of the scope may be missing before this mark.
    Gap,
    /// The scope is not watched any more, on purpose.
    Stopped,
    /// The configuration in force changed.
    ConfigChanged,
    /// The wall clock went back by more than a second.
    ClockStepped,
    /// An object of the scope could not be recorded.
    Refused,
}

impl From<model::MarkKind> for MarkKind {
    fn from(kind: model::MarkKind) -> Self {
        match kind {
            model::MarkKind::WatchStarted => Self::WatchStarted,
            model::MarkKind::Synced => Self::Synced,
            model::MarkKind::Stale => Self::Stale,
            model::MarkKind::Gap => Self::Gap,
            model::MarkKind::Stopped => Self::Stopped,
            model::MarkKind::ConfigChanged => Self::ConfigChanged,
            model::MarkKind::ClockStepped => Self::ClockStepped,
            model::MarkKind::Refused => Self::Refused,
        }
    }
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Position in the journal, in the same sequence as the changes.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What became true.
    pub kind: MarkKind,
    /// Of which cluster, `""` for all.
    pub cluster: String,
    /// Of which API group; meaningful beside a resource only.
    pub group: String,
    /// Of which resource type (lower-case plural), `""` for all.
    pub resource: String,
    /// One sentence for people.
    pub reason: String,
    /// Facts for programs, `null` when there are none.
    #[serde(default)]
    pub detail: Value,
}

impl From<model::Mark> for Mark {
    fn from(mark: model::Mark) -> Self {
        Self {
            seq: mark.seq.0,
            recorded_at: mark.recorded_at,
            kind: mark.kind.into(),
            cluster: mark.scope.cluster.to_string(),
            group: mark.scope.group.to_string(),
            resource: mark.scope.resource.to_string(),
            reason: mark.reason,
            detail: mark.detail,
        }
    }
}

/// A page of marks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MarkPage {
    /// The marks, in the order asked for.
    pub items: Vec<Mark>,
    /// Pass it back as `cursor` for the next page; `null` when nothing more matches now.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// Where this page ends; see the page of changes.
    pub end_cursor: String,
}

impl From<MarksAnswer> for MarkPage {
    fn from(answer: MarksAnswer) -> Self {
        let end_cursor = answer.cursor.to_string();
        Self { items: answer.items.into_iter().map(Mark::from).collect(), next_cursor: answer.more.then(|| end_cursor.clone()), end_cursor }
    }
}
