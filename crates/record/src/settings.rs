//! What the recorder may be told. Plain values; defaults are what production runs with.

use std::time::Duration;

use crate::noise::NoisePolicy;
use crate::queue::QUEUE_BYTES;
use crate::selection::Selection;

/// Settings of the recorder. `selection` and `noise` may change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderSettings {
    /// What is watched.
    pub selection: Selection,
    /// Which updates say nothing new.
    pub noise: NoisePolicy,
    /// How long the server is asked to keep a watch open. A stream that outlives it is dead and is opened again, so this bounds how long
    /// a stalled connection goes unnoticed.
    pub watch_timeout: Duration,
    /// How often the served types are asked for, besides when a definition changes.
    pub discovery_interval: Duration,
    /// Whether streaming lists are tried first.
    pub streaming_lists: bool,
    /// Resource types that are listed at a time, over all clusters; bounds the memory of initial lists.
    pub concurrent_lists: usize,
    /// Bytes that may wait for the journal.
    pub queue_bytes: usize,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            noise: NoisePolicy::default(),
            // Half of what client-go asks for: a stalled stream is found in under three minutes, a reopened one costs one request.
            watch_timeout: Duration::from_secs(150),
            discovery_interval: Duration::from_secs(60),
            streaming_lists: true,
            concurrent_lists: 3,
            queue_bytes: QUEUE_BYTES,
        }
    }
}
