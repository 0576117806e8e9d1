//! The recorder's board in the interfaces' words.

use std::sync::{Mutex, MutexGuard, PoisonError};

use proreus_model::{ClusterId, Group, Resource, WatchScope};
use proreus_record::{Appender, BoardSnapshot, ClusterStatus, RecordError, RecorderHandle, RecorderSettings, WatchCondition};

use crate::status::{Histogram, RecordingBoard, RecordingStatus, WatchState, WatchStatus};

/// A recorder that can be asked and ended.
pub struct Recording {
    handle: Mutex<Option<RecorderHandle>>,
    last: Mutex<BoardSnapshot>,
    appender: Appender,
}

impl Recording {
    pub(super) fn new(handle: RecorderHandle) -> Self {
        let appender = handle.appender();
        Self { handle: Mutex::new(Some(handle)), last: Mutex::new(BoardSnapshot::default()), appender }
    }

    /// The way in for records of Proreus itself: incidents, plans, deliveries, and how far whoever makes them has read.
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    fn handle(&self) -> MutexGuard<'_, Option<RecorderHandle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recorder's own picture; the last one after it has ended.
    pub fn snapshot(&self) -> BoardSnapshot {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = self.handle().as_ref() {
            *last = handle.board();
        }
        last.clone()
    }

    /// Configured names of the clusters that were reached, with what they stand for.
    pub(super) fn aliases(&self) -> Vec<(String, ClusterId)> {
        self.snapshot().clusters.into_iter().filter_map(|cluster| Some((cluster.alias, cluster.cluster?))).collect()
    }

    pub(super) async fn ended(&self) {
        let ended = self.handle().as_ref().map(RecorderHandle::ended_token);
        if let Some(ended) = ended {
            ended.cancelled().await;
        }
    }

    pub(super) async fn reconfigure(&self, settings: RecorderSettings) {
        // The handle is taken for the length of the call, so that no lock is held across an await; the board shows its last picture then.
        let taken = self.handle().take();
        if let Some(handle) = taken {
            handle.reconfigure(settings).await;
            *self.handle() = Some(handle);
        }
    }

    pub(super) async fn shutdown(&self) -> Result<(), RecordError> {
        self.snapshot();
        let taken = self.handle().take();
        match taken {
            Some(handle) => handle.shutdown().await,
            None => Ok(()),
        }
    }
}

impl RecordingBoard for Recording {
    fn status(&self) -> RecordingStatus {
        let snapshot = self.snapshot();
        let mut watches: Vec<WatchStatus> = snapshot.clusters.iter().map(connection).collect();
        watches.extend(snapshot.watches.iter().map(watch));
        watches.sort_by(|left, right| left.scope.cmp(&right.scope));
        let writer = snapshot.writer;
        RecordingStatus {
            watches,
            queue_records: writer.queue_entries,
            queue_bytes: writer.queue_bytes,
            appended: writer.records,
            append_errors: u64::from(writer.failed.is_some()),
            paused: writer.paused.map(|(_, reason)| reason).or(writer.failed),
            lag: Histogram { count: writer.lag.count(), sum: writer.lag.sum(), buckets: writer.lag.cumulative() },
        }
    }
}

/// The connection to a cluster as a watch of the whole of it.
fn connection(cluster: &ClusterStatus) -> WatchStatus {
    let state = if cluster.is_connected { WatchState::Synced } else { WatchState::Stale };
    WatchStatus {
        scope: WatchScope { cluster: cluster.cluster.clone().unwrap_or_default(), group: Group::default(), resource: Resource::default() },
        cluster_name: cluster.alias.clone(),
        state,
        since: cluster.since,
        reason: Some(cluster.reason.clone()).filter(|reason| !reason.is_empty()),
        resource_version: None,
        last_heard_at: None,
        recorded: 0,
        noise: 0,
        coalesced: 0,
        refused: 0,
        relists: 0,
        connects: 0,
    }
}

fn watch(of: &proreus_record::WatchStatus) -> WatchStatus {
    let counters = of.counters;
    WatchStatus {
        scope: of.scope.clone(),
        cluster_name: of.alias.clone(),
        state: match of.condition {
            WatchCondition::Listing => WatchState::Listing,
            WatchCondition::Synced => WatchState::Synced,
            WatchCondition::Stale => WatchState::Stale,
            WatchCondition::Stopped => WatchState::Stopped,
        },
        since: of.since,
        reason: Some(of.reason.clone()).filter(|reason| !reason.is_empty()),
        resource_version: of.durable_version.clone(),
        last_heard_at: of.heard_at,
        recorded: counters.recorded,
        noise: counters.noise,
        coalesced: counters.coalesced,
        refused: counters.refused,
        relists: counters.relists,
        connects: counters.reconnects + 1,
    }
}
