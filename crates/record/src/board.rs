//! The live condition of every watch and of the writer, as plain data for whoever asks.
//!
//! Tells and counts; decides nothing. Invariant: a snapshot never waits for the network or the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use proreus_model::{ClusterId, ResourceType, ResourceVersion, Seq, WatchScope};

use crate::lag::LagHistogram;
use crate::watch_words::WatchCondition;

/// One watched resource type of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchStatus {
    /// What is watched.
    pub scope: WatchScope,
    /// Configured name of the cluster.
    pub alias: String,
    /// The type and version that is watched.
    pub resource_type: ResourceType,
    /// How it is.
    pub condition: WatchCondition,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
    /// Last version that was taken in.
    pub seen_version: Option<ResourceVersion>,
    /// Version up to which all is durable: nothing at or below it is on its way any more.
    pub durable_version: Option<ResourceVersion>,
    /// When the last event or bookmark came.
    pub heard_at: Option<Timestamp>,
    /// Living objects known.
    pub objects: u64,
    /// Counters since the start of the process.
    pub counters: WatchCounters,
}

/// Counters of a watch since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounters {
    /// Changes handed to the journal.
    pub recorded: u64,
    /// Updates that said nothing new.
    pub noise: u64,
    /// Sights of versions that were recorded already.
    pub repeated: u64,
    /// Versions replaced by a later one under back-pressure.
    pub coalesced: u64,
    /// Objects or lines that could not be recorded.
    pub refused: u64,
    /// Holes in the history.
    pub gaps: u64,
    /// Lists after the first.
    pub relists: u64,
    /// Streams opened again.
    pub reconnects: u64,
}

/// One configured cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterStatus {
    /// Configured name.
    pub alias: String,
    /// Its identity, once it was reached.
    pub cluster: Option<ClusterId>,
    /// What the server says of its version.
    pub server_version: Option<String>,
    /// Whether its types are known and watched.
    pub is_connected: bool,
    /// Since when.
    pub since: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// API groups of which discovery says nothing certain at the moment.
    pub uncertain_groups: Vec<String>,
    /// Configured types that the cluster does not serve.
    pub missing_types: Vec<String>,
}

/// The one writer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriterStatus {
    /// Records and positions waiting.
    pub queue_entries: u64,
    /// Their bytes.
    pub queue_bytes: u64,
    /// Appends that are durable.
    pub appends: u64,
    /// Records in them.
    pub records: u64,
    /// Sum of their durations in microseconds.
    pub append_micros_total: u64,
    /// The longest of them.
    pub append_micros_max: u64,
    /// Time from observation to durability of the last batch's oldest record, in milliseconds.
    pub lag_millis: u64,
    /// From the arrival of each watched change to its durability.
    pub lag: LagHistogram,
    /// Everything at or below is durable.
    pub watermark: Seq,
    /// Since when and why nothing is written at the moment, such as a full disk.
    pub paused: Option<(Timestamp, String)>,
    /// Why recording has ended.
    pub failed: Option<String>,
}

/// A picture of the board.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoardSnapshot {
    /// The configured clusters, by alias.
    pub clusters: Vec<ClusterStatus>,
    /// The watches, by scope.
    pub watches: Vec<WatchStatus>,
    /// The writer.
    pub writer: WriterStatus,
}

impl BoardSnapshot {
    /// Whether every cluster is connected and every watch that is not refused is synced.
    pub fn is_synced(&self) -> bool {
        self.clusters.iter().all(|cluster| cluster.is_connected)
            && self.watches.iter().all(|watch| matches!(watch.condition, WatchCondition::Synced | WatchCondition::Stopped))
    }
}

/// Where watches, clusters and the writer tell how they are.
#[derive(Debug, Default)]
pub struct Board {
    clusters: Mutex<BTreeMap<String, ClusterStatus>>,
    watches: Mutex<BTreeMap<WatchScope, Arc<WatchCell>>>,
    writer: Mutex<WriterStatus>,
}

/// One watch's place on the board.
#[derive(Debug)]
pub(crate) struct WatchCell(Mutex<WatchStatus>);

impl WatchCell {
    pub(crate) fn update(&self, change: impl FnOnce(&mut WatchStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut WatchCounters)) {
        self.update(|status| change(&mut status.counters));
    }
}

impl Board {
    /// A picture of everything.
    pub fn snapshot(&self) -> BoardSnapshot {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        BoardSnapshot {
            clusters: self.clusters.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect(),
            watches: watches.values().map(|cell| cell.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect(),
            writer: self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// The place of a watch, made if need be. Counters go on where a former watch of the scope left them.
    pub(crate) fn watch(&self, scope: &WatchScope, alias: &str, resource_type: &ResourceType, now: Timestamp) -> Arc<WatchCell> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = watches.entry(scope.clone()).or_insert_with(|| {
            Arc::new(WatchCell(Mutex::new(WatchStatus {
                scope: scope.clone(),
                alias: alias.to_owned(),
                resource_type: resource_type.clone(),
                condition: WatchCondition::Listing,
                since: now,
                reason: "starting".to_owned(),
                seen_version: None,
                durable_version: None,
                heard_at: None,
                objects: 0,
                counters: WatchCounters::default(),
            })))
        });
        cell.update(|status| {
            status.resource_type = resource_type.clone();
            alias.clone_into(&mut status.alias);
        });
        cell.clone()
    }

    /// Tells that a watch ended on purpose.
    pub(crate) fn tell_stopped(&self, scope: &WatchScope, reason: &str, now: Timestamp) {
        if let Some(cell) = self.watches.lock().unwrap_or_else(PoisonError::into_inner).get(scope) {
            cell.update(|status| {
                status.condition = WatchCondition::Stopped;
                status.since = now;
                reason.clone_into(&mut status.reason);
            });
        }
    }

    /// Changes what is told of a cluster.
    pub(crate) fn cluster(&self, alias: &str, now: Timestamp, change: impl FnOnce(&mut ClusterStatus)) {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let status = clusters.entry(alias.to_owned()).or_insert_with(|| ClusterStatus {
            alias: alias.to_owned(),
            cluster: None,
            server_version: None,
            is_connected: false,
            since: now,
            reason: "starting".to_owned(),
            uncertain_groups: Vec::new(),
            missing_types: Vec::new(),
        });
        let was_connected = status.is_connected;
        change(status);
        if status.is_connected != was_connected {
            status.since = now;
        }
    }

    /// Changes what is told of the writer.
    pub(crate) fn writer(&self, change: impl FnOnce(&mut WriterStatus)) {
        change(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
