//! The logs of all monitors, for those who listen: written by whoever catches up, read without the fold.
//!
//! Invariant: positions of one log rise, and nothing is taken out of it but from its beginning.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use proreus_model::{Access, ClusterId, Group, Kind, Resource};
use tokio::sync::watch;

use super::judged::may_read_root;
use super::position::Position;
use crate::questions::{Monitoring, Progress, RootKind, Target, Told};

/// Positions remembered of what fell out of a log, so that a listener learns how much it missed: beyond it the count is a lower bound.
const DROPPED_LIMIT: usize = 4_096;

/// The logs.
pub(super) struct Board {
    state: RwLock<State>,
    /// Moves with every update of any monitor, and with every monitor that appears.
    changes: watch::Sender<u64>,
    log: usize,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<Target, Log>,
    resources: BTreeMap<(Group, Kind), Resource>,
}

struct Log {
    root: RootKind,
    updates: VecDeque<(Position, Progress)>,
    dropped: VecDeque<Position>,
    version: watch::Sender<u64>,
}

/// Part of a log.
pub(super) struct Part {
    pub(super) items: Vec<(Position, Progress)>,
    pub(super) more: bool,
    pub(super) missed: u64,
}

impl Board {
    pub(super) fn new(log: usize) -> Self {
        Self { state: RwLock::default(), changes: watch::Sender::new(0), log: log.max(1) }
    }

    /// Moves with every news.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Moves with every news of one monitor.
    pub(super) fn changes_of(&self, target: &Target) -> Option<watch::Receiver<u64>> {
        self.read().logs.get(target).map(|log| log.version.subscribe())
    }

    /// Takes in what was told, and what is monitored now.
    pub(super) fn tell(&self, monitoring: &Monitoring, told: Vec<Told>) {
        let is_news = !told.is_empty() || self.read().logs.len() != monitoring.targets().count();
        if !is_news {
            return;
        }
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.resources = monitoring.resources();
            let known = |target: &Target| monitoring.outline(target).map(|outline| outline.root);
            state.logs.retain(|target, _| known(target).is_some());
            for target in monitoring.targets() {
                if let Some(root) = known(target) {
                    let log = state.logs.entry(target.clone()).or_insert_with(|| Log::new(root));
                    log.root = root;
                }
            }
            for Told { position, progress } in told {
                let target = progress.target();
                if let Some(log) = state.logs.get_mut(&target) {
                    log.push(position, progress, self.log);
                }
            }
        }
        self.changes.send_modify(|version| *version += 1);
    }

    /// Position of a monitor's newest update.
    pub(super) fn last(&self, target: &Target) -> Option<Position> {
        self.read().logs.get(target)?.updates.back().map(|(position, _)| *position)
    }

    /// A monitor's newest update.
    pub(super) fn newest(&self, target: &Target) -> Option<(Position, Progress)> {
        self.read().logs.get(target)?.updates.back().cloned()
    }

    /// Whether a monitor may be seen.
    pub(super) fn is_shown(&self, target: &Target, access: &Access) -> bool {
        self.read().logs.get(target).is_some_and(|log| may_read_root(log.root, &target.cluster, &target.namespace, access))
    }

    /// The monitors of a name that may be seen.
    pub(super) fn named(&self, cluster: Option<&ClusterId>, namespace: &str, name: &str, access: &Access) -> Vec<Target> {
        let state = self.read();
        let of_name = state.logs.iter().filter(|(target, _)| {
            target.name.as_str() == name && target.namespace.as_str() == namespace && cluster.is_none_or(|of| target.cluster == *of)
        });
        of_name
            .filter(|(target, log)| may_read_root(log.root, &target.cluster, &target.namespace, access))
            .map(|(target, _)| target.clone())
            .collect()
    }

    /// A monitor's updates after a position; `None` for a monitor that is not there or may not be seen.
    pub(super) fn after(&self, target: &Target, after: Option<Position>, limit: usize, access: &Access) -> Option<Part> {
        let state = self.read();
        let log = state.logs.get(target).filter(|log| may_read_root(log.root, &target.cluster, &target.namespace, access))?;
        let first = log.updates.partition_point(|(position, _)| after.is_some_and(|after| *position <= after));
        let items: Vec<(Position, Progress)> = log.updates.iter().skip(first).take(limit).cloned().collect();
        let more = first + items.len() < log.updates.len();
        let missed = after.map_or(0, |after| log.dropped.iter().filter(|position| **position > after).count());
        Some(Part { items, more, missed: u64::try_from(missed).unwrap_or(u64::MAX) })
    }

    /// The resource type of a kind.
    pub(super) fn resource(&self, group: &Group, kind: &Kind) -> Option<Resource> {
        self.read().resources.get(&(group.clone(), kind.clone())).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn new(root: RootKind) -> Self {
        Self { root, updates: VecDeque::new(), dropped: VecDeque::new(), version: watch::Sender::new(0) }
    }

    fn push(&mut self, position: Position, progress: Progress, limit: usize) {
        let newest = self.updates.back().map(|(position, _)| *position).or(self.dropped.back().copied());
        if newest.is_some_and(|newest| position <= newest) {
            return;
        }
        self.updates.push_back((position, progress));
        while self.updates.len() > limit {
            if let Some((position, _)) = self.updates.pop_front() {
                self.dropped.push_back(position);
            }
        }
        while self.dropped.len() > DROPPED_LIMIT {
            self.dropped.pop_front();
        }
        self.version.send_modify(|version| *version += 1);
    }
}
