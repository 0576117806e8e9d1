//! The loop: catches up when something was recorded, and when time has passed.
//!
//! Invariant: it takes no input but the journal and the clock, so that stopping it anywhere loses nothing.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use proreus_model::Seq;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Monitors, Passing, lessons};
use crate::questions::Monitoring;

/// How often time is looked at while nothing is recorded: what is due is told at most this much late.
const TICK: Duration = Duration::from_millis(250);
/// Pause after a catch-up, so that a thousand writes a second are folded in some fifty portions and not one by one.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause after the journal failed, so that a broken disk does not fill the log.
const RETRY: Duration = Duration::from_secs(5);

impl Monitors {
    /// Follows the journal until the end.
    pub async fn follow(self: Arc<Self>, mut watermark: watch::Receiver<Seq>, ending: CancellationToken) {
        let (mut has_failed, mut kept) = (false, self.lessons_kept());
        while !ending.is_cancelled() {
            watermark.mark_unchanged();
            let this = Arc::clone(&self);
            let caught_up = crate::blocking(move || this.caught_up().map(drop)).await;
            kept = self.keep_lessons(kept).await;
            let pause = match caught_up {
                Ok(()) => PAUSE,
                Err(error) => {
                    if !std::mem::replace(&mut has_failed, true) {
                        tracing::error!(%error, "the monitors cannot follow the journal, retrying");
                    }
                    RETRY
                }
            };
            has_failed = has_failed && pause == RETRY;
            let next = async {
                tokio::time::sleep(pause).await;
                // A writer that is gone leaves time alone to pass.
                let changed = tokio::time::timeout(TICK, watermark.changed()).await;
                if matches!(changed, Ok(Err(_))) {
                    tokio::time::sleep(TICK).await;
                }
            };
            tokio::select! {
                () = ending.cancelled() => return,
                () = next => {}
            }
        }
    }

    /// How many lessons were kept by earlier processes.
    fn lessons_kept(&self) -> usize {
        lessons::kept(self.inputs.questions.journal().as_ref()).map_or(0, |kept| kept.len())
    }

    /// Keeps what was learned since. A failure costs nothing but a try: the records that taught it are still there.
    async fn keep_lessons(&self, kept: usize) -> usize {
        let Passing::Written(appender) = &self.inputs.passing else { return kept };
        let learned = {
            let fold = self.fold.lock().unwrap_or_else(PoisonError::into_inner);
            fold.as_ref().map(Monitoring::lessons).filter(|lessons| lessons.len() > kept).map(<[_]>::to_vec)
        };
        let Some(learned) = learned else { return kept };
        match appender.append(Vec::new(), vec![lessons::cursor(&learned)]).await {
            Ok(_) => learned.len(),
            Err(error) => {
                tracing::warn!(%error, "what finished deployments took could not be kept, trying again");
                kept
            }
        }
    }
}
