//! The watching as it stands now: plain data for `/readyz`, `/api/v1/watches` and metrics.

use std::time::Duration;

use jiff::Timestamp;
use proreus_model::{ResourceVersion, WatchScope};

/// How one watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl WatchState {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Synced => "synced",
            Self::Stale => "stale",
            Self::Stopped => "stopped",
        }
    }
}

/// One watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchStatus {
    /// What it watches; an empty resource stands for the connection to the cluster itself.
    pub scope: WatchScope,
    /// Configured name of the cluster.
    pub cluster_name: String,
    /// How it stands.
    pub state: WatchState,
    /// Since when.
    pub since: Timestamp,
    /// Why, where it is not synced.
    pub reason: Option<String>,
    /// Last version that is durable.
    pub resource_version: Option<ResourceVersion>,
    /// When the server last said anything, bookmarks included.
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

impl WatchStatus {
    /// Leaves what is true of the watch itself: how it stands and since when. Counts and reasons speak of the objects of every namespace.
    pub(crate) fn hide_what_names_others(&mut self) {
        (self.reason, self.resource_version, self.last_heard_at) = (None, None, None);
        (self.recorded, self.noise, self.coalesced, self.refused, self.relists, self.connects) = (0, 0, 0, 0, 0, 0);
    }
}

/// The recording side in figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordingStatus {
    /// The watches, by cluster, group and resource.
    pub watches: Vec<WatchStatus>,
    /// Records waiting to be written.
    pub queue_records: u64,
    /// Bytes waiting to be written.
    pub queue_bytes: u64,
    /// Records durable in this process's life.
    pub appended: u64,
    /// Appends that failed.
    pub append_errors: u64,
    /// Why recording pauses, while it does (such as a full disk).
    pub paused: Option<String>,
    /// From the arrival of an event to its durability: count, sum and upper bounds with cumulative counts.
    pub lag: Histogram,
}

/// A cumulative histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Observations.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
    /// Upper bound and number of observations at or below it.
    pub buckets: Vec<(Duration, u64)>,
}

/// Something that records, as the interfaces see it.
pub trait RecordingBoard: Send + Sync {
    /// How the recording stands.
    fn status(&self) -> RecordingStatus;
}

/// The board of a process that only answers.
pub struct NoRecording;

impl RecordingBoard for NoRecording {
    fn status(&self) -> RecordingStatus {
        RecordingStatus::default()
    }
}
