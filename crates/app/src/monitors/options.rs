//! Bounds of the monitors, and what a subscriber asks for.

use std::time::Duration;

use super::MonitorCursor;

/// How long a subscription lasts when nothing is said: most provisionings are over in half an hour.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Shortest subscription: below a second nothing could be told.
pub const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest subscription: whoever waits longer asks again with a cursor, and nothing is lost.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its end a subscription is warned.
pub const TIMEOUT_WARNING: Duration = Duration::from_secs(5 * 60);
/// Longest wait for one answer: the door's own patience with a connection that says nothing.
pub const MAX_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Updates of one page when the caller names no limit: the whole course of a deployment.
pub const DEFAULT_LOG_LIMIT: usize = 50;
/// Most updates of one page.
pub const MAX_LOG_LIMIT: usize = 200;

/// How much is kept and how many may listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorLimits {
    /// Subscriptions of one client.
    pub per_client: usize,
    /// Subscriptions of all clients together.
    pub in_all: usize,
    /// How long a subscription lasts that names no timeout.
    pub timeout: Duration,
    /// How long before its end it is warned; never more than a fifth of the timeout.
    pub warning: Duration,
    /// Updates kept of one cluster, so that a cluster that flaps for days does not fill the memory.
    pub log: usize,
}

impl Default for MonitorLimits {
    fn default() -> Self {
        // An agent follows a handful of clusters; two thousand listeners cost some megabytes. Fourteen updates are the most of a course, so the
        // log holds some twenty courses of one cluster.
        Self { per_client: 10, in_all: 2_000, timeout: DEFAULT_TIMEOUT, warning: TIMEOUT_WARNING, log: 300 }
    }
}

/// What a subscriber asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// How long it lasts; `None` for the configured time.
    pub timeout: Option<Duration>,
    /// Whether to wait for a cluster that does not exist yet.
    pub await_existence: bool,
    /// Begin after this update; `None` begins with the newest there is.
    pub after: Option<MonitorCursor>,
}

/// Which monitor, in the caller's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorName {
    /// Id or configured name of the cluster that holds it; `None` while namespace and name fit one.
    pub cluster: Option<String>,
    /// Namespace of the ClusterDeployment, or of the Cluster that has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Who listens: a token's subject, else a session, else a connection. Counts against `per_client`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub String);
