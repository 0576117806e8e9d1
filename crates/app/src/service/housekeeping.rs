//! What a journal needs besides appends: bases and rewritten days in idle time, retention, room on a full disk.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::SignedDuration;
use proreus_model::Clock;
use proreus_store::{Journal, RetentionPolicy, SqliteJournal};
use tokio_util::sync::CancellationToken;

use super::board::Recording;
use crate::config::Settings;

/// Between two looks: a small portion of background work each, so that appends never wait long.
const TICK: Duration = Duration::from_millis(500);
/// Longest stretch of background work at a time: appends wait at most for one small step of it.
const TEND_BUDGET: Duration = Duration::from_millis(100);
/// Between two stretches while there is more to do: room for the appends that waited.
const BREATH: Duration = Duration::from_millis(20);
/// Ticks between two passes of retention, while nothing presses.
const RETENTION_TICKS: u64 = 120;

/// Keeps one journal.
pub(super) struct Keeper {
    journal: Arc<SqliteJournal>,
    clock: Arc<dyn Clock>,
    policy: Arc<ArcSwap<RetentionPolicy>>,
}

/// The retention that settings ask for.
pub(super) fn policy_of(settings: &Settings) -> RetentionPolicy {
    RetentionPolicy {
        max_age: Some(SignedDuration::from_hours(24 * i64::from(settings.retention_days))),
        max_bytes: settings.max_disk_bytes,
    }
}

impl Keeper {
    pub(super) fn new(journal: Arc<SqliteJournal>, clock: Arc<dyn Clock>, settings: &Settings) -> Self {
        Self { journal, clock, policy: Arc::new(ArcSwap::from_pointee(policy_of(settings))) }
    }

    /// The policy in force, for whoever follows the configuration.
    pub(super) fn retention(&self) -> Arc<ArcSwap<RetentionPolicy>> {
        self.policy.clone()
    }

    /// Works on a thread of its own until told to end. Called within a tokio runtime, whose timer paces the work.
    pub(super) fn start(self, recording: Arc<Recording>, ending: CancellationToken) -> std::thread::JoinHandle<()> {
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            let mut tick: u64 = 0;
            while !ending.is_cancelled() {
                let pressed = recording.snapshot().writer.paused.is_some();
                if tick.is_multiple_of(RETENTION_TICKS) || pressed {
                    self.retain();
                }
                let more = self.tend();
                tick += 1;
                // Either the pause is over or the end has come.
                let _ = runtime.block_on(async { tokio::time::timeout(if more { BREATH } else { TICK }, ending.cancelled()).await });
            }
        })
    }

    /// Whether there is more to do at once.
    fn tend(&self) -> bool {
        match self.journal.tend(TEND_BUDGET) {
            Ok(tended) => tended.more,
            Err(error) => {
                tracing::error!(%error, "background work on the journal failed; the next pass tries again");
                false
            }
        }
    }

    fn retain(&self) {
        match self.journal.retain(&self.policy.load(), self.clock.now()) {
            Ok(done) if done.removed.is_empty() => {}
            Ok(done) => tracing::info!(days = ?done.removed, bytes = done.freed_bytes, "old days were removed"),
            Err(error) => tracing::error!(%error, "old days could not be removed; the next pass tries again"),
        }
    }
}
