//! What an endpoint is told, how often, and how hard we try.
//!
//! Pure.

use jiff::SignedDuration;

use super::notice::IncidentRecord;
use crate::check::Severity;

/// Which incidents an endpoint is told of. An empty list means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// From this severity on.
    pub min_severity: Severity,
    /// Of these checks.
    pub checks: Vec<String>,
    /// About objects in these namespaces; `""` is the cluster scope.
    pub namespaces: Vec<String>,
    /// In clusters of these names.
    pub clusters: Vec<String>,
}

impl Default for Selection {
    fn default() -> Self {
        // `info` is worth knowing and nobody is woken by it.
        Self { min_severity: Severity::Warning, checks: Vec::new(), namespaces: Vec::new(), clusters: Vec::new() }
    }
}

impl Selection {
    /// Whether an incident is among them.
    pub fn admits(&self, incident: &IncidentRecord, cluster_name: Option<&str>) -> bool {
        let has = |list: &[String], word: &str| list.is_empty() || list.iter().any(|entry| entry == word);
        let cluster = || {
            let by_id = self.clusters.iter().any(|entry| entry == incident.cluster.as_str());
            self.clusters.is_empty() || by_id || cluster_name.is_some_and(|name| self.clusters.iter().any(|entry| entry == name))
        };
        incident.severity >= self.min_severity
            && has(&self.checks, &incident.check)
            && has(&self.namespaces, &incident.namespace)
            && cluster()
    }
}

/// How hard we try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRules {
    /// Wait after the first failure; it doubles with each.
    pub first: SignedDuration,
    /// Longest wait.
    pub longest: SignedDuration,
    /// A notice that fails for so long is given up.
    pub give_up_after: SignedDuration,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self {
            first: SignedDuration::from_secs(1),
            // A receiver that comes back is noticed within five minutes, and one that is down all night is not hammered.
            longest: SignedDuration::from_mins(5),
            // A receiver that is away for a weekend's night is told; what is older than a day is no news.
            give_up_after: SignedDuration::from_hours(24),
        }
    }
}

/// What an endpoint is told, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRules {
    /// Which incidents.
    pub selection: Selection,
    /// Whether the end of one is told.
    pub send_resolved: bool,
    /// How often an open one is told again; `None` for never.
    pub repeat: Option<SignedDuration>,
    /// Whether repeats only keep alive what the receiver would forget. Such repeats are not counted, and come at once after a restart.
    pub keeps_alive: bool,
    /// Notices that go into one request at most.
    pub batch: usize,
    /// How hard we try.
    pub retry: RetryRules,
}

impl Default for EndpointRules {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            send_resolved: true,
            repeat: None,
            keeps_alive: false,
            batch: 1,
            retry: RetryRules::default(),
        }
    }
}
