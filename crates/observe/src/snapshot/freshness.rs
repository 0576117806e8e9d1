//! How far what is known of a kind can be trusted, from the marks of the recorder.
//!
//! Pure. A mark about a whole cluster holds for each of its kinds until a mark about the kind says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proreus_model::{ClusterId, Group, Mark, MarkKind, Resource, Seq, WatchScope};
use serde::{Deserialize, Serialize};

/// How far what is known of a kind can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Freshness {
    /// What is known equals the cluster.
    Fresh,
    /// Nobody looks any more; what is known was true at this time.
    Stale {
        /// Since when.
        since: Timestamp,
        /// Why, in the recorder's words.
        reason: String,
    },
    /// The kind was never watched: the cluster does not serve it, or it is excluded.
    NotRecorded {
        /// Why, in the recorder's words; empty when it never said anything.
        reason: String,
    },
    /// We may not look.
    Forbidden {
        /// Since when.
        since: Timestamp,
        /// What the API server said.
        reason: String,
    },
}

impl Freshness {
    /// Whether an object that is not there is really not there, as of `now`. What became stale at this very moment is still true at it.
    pub fn is_certain_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Fresh => true,
            Self::Stale { since, .. } => now <= *since,
            Self::NotRecorded { .. } | Self::Forbidden { .. } => false,
        }
    }
}

/// What the marks said last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Said>", into = "Vec<Said>")]
pub(super) struct Watching {
    scopes: BTreeMap<WatchScope, (Seq, Freshness)>,
}

/// One entry of it, as it is kept.
type Said = (WatchScope, Seq, Freshness);

impl From<Vec<Said>> for Watching {
    fn from(said: Vec<Said>) -> Self {
        Self { scopes: said.into_iter().map(|(scope, seq, freshness)| (scope, (seq, freshness))).collect() }
    }
}

impl From<Watching> for Vec<Said> {
    fn from(watching: Watching) -> Self {
        watching.scopes.into_iter().map(|(scope, (seq, freshness))| (scope, seq, freshness)).collect()
    }
}

impl Watching {
    pub(super) fn mark(&mut self, mark: &Mark) {
        let said = match mark.kind {
            MarkKind::Synced => Freshness::Fresh,
            MarkKind::Stale => Freshness::Stale { since: mark.recorded_at, reason: mark.reason.clone() },
            MarkKind::Stopped => stopped(mark),
            MarkKind::WatchStarted => return self.started(mark),
            // A gap says that something was missed before it and is told in the changes that follow it; what is known now is the truth.
            MarkKind::Gap | MarkKind::ConfigChanged | MarkKind::ClockStepped | MarkKind::Refused => return,
        };
        self.say(mark, said);
    }

    /// A watch that begins has not seen anything yet: what was known before is old until the watch has caught up.
    fn started(&mut self, mark: &Mark) {
        let is_whole_cluster = mark.scope.resource.is_empty();
        match self.scopes.get(&mark.scope).map(|(_, said)| said.clone()) {
            Some(Freshness::Stale { .. }) => {}
            _ if is_whole_cluster => {}
            _ => self.say(mark, Freshness::Stale { since: mark.recorded_at, reason: mark.reason.clone() }),
        }
    }

    fn say(&mut self, mark: &Mark, said: Freshness) {
        // How long it has been so is counted from the first word of it.
        let said = match (self.scopes.get(&mark.scope).map(|(_, said)| said), said) {
            (Some(Freshness::Stale { since, .. }), Freshness::Stale { reason, .. }) => Freshness::Stale { since: *since, reason },
            (Some(Freshness::Forbidden { since, .. }), Freshness::Forbidden { reason, .. }) => {
                Freshness::Forbidden { since: *since, reason }
            }
            (_, said) => said,
        };
        self.scopes.insert(mark.scope.clone(), (mark.seq, said));
    }

    pub(super) fn of(&self, cluster: &ClusterId, group: &Group, resource: &Resource) -> Freshness {
        let exact = WatchScope { cluster: cluster.clone(), group: group.clone(), resource: resource.clone() };
        let whole = WatchScope { cluster: cluster.clone(), ..WatchScope::default() };
        let said = [&exact, &whole].into_iter().filter_map(|scope| self.scopes.get(scope)).max_by_key(|(seq, _)| *seq);
        said.map_or(Freshness::NotRecorded { reason: String::new() }, |(_, said)| said.clone())
    }

    /// The types of a cluster that may not be read.
    pub(super) fn forbidden<'a>(&'a self, cluster: &'a ClusterId) -> impl Iterator<Item = (&'a WatchScope, &'a str)> {
        self.scopes.iter().filter(move |(scope, _)| scope.cluster == *cluster && !scope.resource.is_empty()).filter_map(
            |(scope, (_, said))| match said {
                Freshness::Forbidden { reason, .. } => Some((scope, reason.as_str())),
                Freshness::Fresh | Freshness::Stale { .. } | Freshness::NotRecorded { .. } => None,
            },
        )
    }

    pub(super) fn clusters(&self) -> BTreeSet<ClusterId> {
        self.scopes.keys().map(|scope| scope.cluster.clone()).filter(|cluster| !cluster.is_empty()).collect()
    }
}

/// Why a watch ended decides what its silence means.
fn stopped(mark: &Mark) -> Freshness {
    let reason = mark.reason.clone();
    if reason.contains("forbidden") {
        Freshness::Forbidden { since: mark.recorded_at, reason }
    } else if reason.contains("does not serve")
        || reason.contains("not served")
        || reason.contains("excluded")
        || reason.contains("definition went")
    {
        Freshness::NotRecorded { reason }
    } else {
        Freshness::Stale { since: mark.recorded_at, reason }
    }
}
