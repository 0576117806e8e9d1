//! How the process stands, on the wire: health, watches, clusters, the journal's figures.

use jiff::Timestamp;
use proreus_app::{self as app, status};
use proreus_model::ClusterId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `/health`, as the older service gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `healthy`: whoever answers lives.
    #[schema(example = "healthy")]
    pub status: String,
}

/// Answer of `/livez`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Liveness {
    /// Always `live`: whoever answers lives.
    #[schema(example = "live")]
    pub status: String,
}

/// Answer of `/readyz`: figures only, it names no object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether questions can be answered. An API server that is away does not change this: the history must stay reachable.
    pub ready: bool,
    /// Whether the journal answers.
    pub journal: JournalReadiness,
    /// Watches whose stored state equals the cluster.
    pub synced: usize,
    /// Watches whose first list is under way.
    pub listing: usize,
    /// Watches that are not followed at the moment.
    pub stale: usize,
    /// Why recording pauses, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub paused: Option<String>,
}

/// Whether the journal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JournalReadiness {
    /// It does.
    Ok,
    /// It does not; the log says why.
    Unavailable,
}

impl From<app::Readiness> for Readiness {
    fn from(of: app::Readiness) -> Self {
        // The reason may hold paths of this machine, and this endpoint is open to everybody.
        let journal = if of.ready { JournalReadiness::Ok } else { JournalReadiness::Unavailable };
        Self { ready: of.ready, journal, synced: of.synced, listing: of.listing, stale: of.stale, paused: of.paused }
    }
}

/// How one watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WatchState {
    /// The first list is under way.
    Listing,
    /// What is stored equals the cluster, up to the watch's lag.
    Synced,
    /// It is not followed at the moment; retries go on.
    Stale,
    /// It is not followed on purpose.
    Stopped,
}

impl From<status::WatchState> for WatchState {
    fn from(state: status::WatchState) -> Self {
        match state {
            status::WatchState::Listing => Self::Listing,
            status::WatchState::Synced => Self::Synced,
            status::WatchState::Stale => Self::Stale,
            status::WatchState::Stopped => Self::Stopped,
        }
    }
}

/// One watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchStatus {
    /// The cluster.
    pub cluster: String,
    /// Its configured name.
    pub cluster_name: String,
    /// API group, `""` for the core group.
    pub group: String,
    /// Lower-case plural; `""` for the connection to the cluster itself.
    pub resource: String,
    /// How it stands.
    pub state: WatchState,
    /// Since when.
    pub since: Timestamp,
    /// Why, where it is not synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Last version that is durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resource_version: Option<String>,
    /// When the API server last said anything, bookmarks included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_heard_at: Option<Timestamp>,
    /// Changes recorded by this process.
    pub recorded: u64,
    /// Updates dropped by the noise policy.
    pub noise: u64,
    /// Versions dropped by back-pressure.
    pub coalesced: u64,
    /// Objects that could not be recorded.
    pub refused: u64,
    /// Lists made after lost history.
    pub relists: u64,
    /// Connections made.
    pub connects: u64,
}

impl From<status::WatchStatus> for WatchStatus {
    fn from(of: status::WatchStatus) -> Self {
        Self {
            cluster: of.scope.cluster.to_string(),
            cluster_name: of.cluster_name,
            group: of.scope.group.to_string(),
            resource: of.scope.resource.to_string(),
            state: of.state.into(),
            since: of.since,
            reason: of.reason,
            resource_version: of.resource_version.map(|version| version.to_string()),
            last_heard_at: of.last_heard_at,
            recorded: of.recorded,
            noise: of.noise,
            coalesced: of.coalesced,
            refused: of.refused,
            relists: of.relists,
            connects: of.connects,
        }
    }
}

/// The watches; they fit one page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchPage {
    /// The watches, by cluster, group and resource.
    pub items: Vec<WatchStatus>,
    /// Always `null`.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// A cluster of which anything is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// Its identity: the uid of its `kube-system` namespace.
    pub id: String,
    /// Its configured name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
}

impl From<(ClusterId, Option<String>)> for Cluster {
    fn from((id, name): (ClusterId, Option<String>)) -> Self {
        Self { id: id.to_string(), name }
    }
}

/// The clusters; they fit one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPage {
    /// The clusters, oldest first.
    pub items: Vec<Cluster>,
    /// Always `null`.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// The journal in figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStats {
    /// Changes kept, marks not counted.
    pub changes: u64,
    /// Objects of which a change is kept, each counted once.
    pub objects: u64,
    /// Canonical redacted JSON of those changes as it would be uncompressed.
    pub raw_bytes: u64,
    /// All files with their indexes.
    pub stored_bytes: u64,
    /// Stored bytes for each change; 0 for an empty journal.
    pub bytes_per_change: f64,
    /// The days, oldest first.
    pub segments: Vec<StoreSegment>,
}

/// One day of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreSegment {
    /// UTC day, `YYYY-MM-DD`.
    pub day: String,
    /// `open`, `closed`, `compacted` or `damaged`.
    pub state: String,
    /// Changes in it.
    pub changes: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

impl From<app::questions::StoreFigures> for StoreStats {
    fn from(of: app::questions::StoreFigures) -> Self {
        let app::questions::StoreFigures { objects, sizes: of } = of;
        let segments = of.segments.into_iter().map(|segment| StoreSegment {
            day: segment.day,
            state: segment.state.as_str().to_owned(),
            changes: segment.changes,
            bytes: segment.stored_bytes,
        });
        Self {
            changes: of.changes,
            objects,
            raw_bytes: of.raw_bytes,
            stored_bytes: of.stored_bytes,
            bytes_per_change: if of.changes == 0 { 0.0 } else { of.stored_bytes as f64 / of.changes as f64 },
            segments: segments.collect(),
        }
    }
}
