//! One listener: a position in the log of a monitor, and a time at which it ends.
//!
//! It holds no updates: a listener that reads slowly reads the log later, and is told what fell out of it in the meantime. Dropping it frees
//! its slot. Not here: the transport, and asking the door again; `set_access` takes the answer.

use std::sync::Arc;
use std::time::Duration;

use proreus_model::Access;
use proreus_observe::phases::{ClusterMetadata, Phase, Progress, Severity, Source};
use tokio::sync::watch;
use tokio::time::Instant;

use super::judged::{MonitorUpdate, judge};
use super::position::Position;
use super::slots::Slot;
use super::{MonitorName, Monitors};
use crate::questions::Target;

/// What a listener is told.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorNotice {
    /// What is said, in the words of an update.
    pub update: MonitorUpdate,
    /// It is the subscription's own word, such as a warning before its end, and stands in no log.
    pub is_own: bool,
    /// Nothing comes after it.
    pub is_last: bool,
}

/// One listener.
pub struct Subscription {
    monitors: Arc<Monitors>,
    _slot: Slot,
    name: MonitorName,
    target: Option<Target>,
    /// `None` before the first update was given out: it begins with the newest.
    after: Option<Position>,
    deadline: Instant,
    warning: Option<Instant>,
    access: Access,
    changes: watch::Receiver<u64>,
    has_ended: bool,
}

impl Subscription {
    pub(super) fn new(
        monitors: Arc<Monitors>,
        slot: Slot,
        name: MonitorName,
        target: Option<Target>,
        after: Option<Position>,
        timeout: Duration,
        access: Access,
    ) -> Self {
        let changes = target.as_ref().and_then(|target| monitors.board.changes_of(target)).unwrap_or_else(|| monitors.board.changes());
        let deadline = Instant::now() + timeout;
        // Five minutes of an hour; of two minutes a fifth.
        let warning = deadline.checked_sub(monitors.limits().warning.min(timeout / 5));
        Self { monitors, _slot: slot, name, target, after, deadline, warning, access, changes, has_ended: false }
    }

    /// Whether the monitored object is known; false while it is awaited.
    pub fn exists(&self) -> bool {
        self.target.is_some()
    }

    /// What the caller may read from now on.
    pub fn set_access(&mut self, access: Access) {
        self.access = access;
    }

    /// The next thing to tell, waiting for it; `None` after the last one, and when the monitor may no longer be read. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<MonitorNotice> {
        loop {
            if self.has_ended {
                return None;
            }
            self.changes.mark_unchanged();
            if let Some(notice) = self.next_in_log() {
                return Some(notice);
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Some(self.timed_out());
            }
            if self.warning.is_some_and(|warning| now >= warning) {
                self.warning = None;
                return Some(self.near_the_end(now));
            }
            let until = self.warning.unwrap_or(self.deadline).min(self.deadline);
            // A closed channel is a monitor that was forgotten: only time remains.
            if let Ok(Err(_)) = tokio::time::timeout_at(until, self.changes.changed()).await {
                tokio::time::sleep_until(until).await;
            }
        }
    }

    fn next_in_log(&mut self) -> Option<MonitorNotice> {
        let target = match &self.target {
            Some(target) => target.clone(),
            None => self.appeared()?,
        };
        let board = &self.monitors.board;
        if !board.is_shown(&target, &self.access) {
            self.has_ended = true;
            return None;
        }
        let (position, progress) = match self.after {
            None => board.newest(&target)?,
            Some(after) => {
                let part = board.after(&target, Some(after), 1, &self.access)?;
                let first = part.items.into_iter().next()?;
                if part.missed > 0 {
                    return Some(self.missed(part.missed, first.0, first.1));
                }
                first
            }
        };
        self.after = Some(position);
        self.has_ended = progress.terminal;
        Some(MonitorNotice { update: self.judge(position, progress), is_own: false, is_last: self.has_ended })
    }

    /// The awaited monitor, once it is there.
    fn appeared(&mut self) -> Option<Target> {
        let target = self.monitors.target(&self.name, &self.access).ok()?;
        if let Some(changes) = self.monitors.board.changes_of(&target) {
            self.changes = changes;
            self.changes.mark_unchanged();
        }
        self.target = Some(target.clone());
        // Whoever waited for it sees it from its beginning.
        self.after = self.after.or(Some(Position::default()));
        Some(target)
    }

    /// Says how much fell out of the log, and goes on before the first that is left.
    fn missed(&mut self, count: u64, first: Position, mut progress: Progress) -> MonitorNotice {
        let before = Position { seq: first.seq, ordinal: first.ordinal.saturating_sub(1) };
        self.after = Some(before);
        progress.reason = "UpdatesMissed".to_owned();
        progress.message = format!("{count} updates fell out of the log before they were read; what follows is what is kept");
        (progress.severity, progress.source, progress.terminal) = (Severity::Warning, Source::System, false);
        (progress.related_object, progress.cause_class) = (None, None);
        MonitorNotice { update: self.judge(before, progress), is_own: true, is_last: false }
    }

    fn near_the_end(&self, now: Instant) -> MonitorNotice {
        let remaining = self.deadline.saturating_duration_since(now);
        let message = format!("Provisioning timeout approaching ({} remaining)", in_words(remaining));
        self.own_word("TimeoutApproaching", message, false)
    }

    fn timed_out(&mut self) -> MonitorNotice {
        self.has_ended = true;
        self.own_word("TimeoutExceeded", "Monitoring timeout exceeded, subscription terminated".to_owned(), true)
    }

    /// What the subscription itself has to say: on top of what was told last, and in no log.
    fn own_word(&self, reason: &str, message: String, is_last: bool) -> MonitorNotice {
        let newest = self.target.as_ref().and_then(|target| self.monitors.board.newest(target));
        let (position, told) = newest.unwrap_or_else(|| (Position::default(), self.nothing_told()));
        let progress = Progress {
            timestamp: self.monitors.inputs.clock.now(),
            reason: reason.to_owned(),
            message,
            source: Source::System,
            severity: Severity::Warning,
            terminal: is_last,
            related_object: None,
            cause_class: None,
            ..told
        };
        let position = self.after.unwrap_or(position);
        MonitorNotice { update: self.judge(position, progress), is_own: true, is_last }
    }

    fn nothing_told(&self) -> Progress {
        let target = self.target.clone();
        let cluster = target.map(|target| target.cluster).unwrap_or_default();
        Progress {
            number: 0,
            course: 0,
            timestamp: self.monitors.inputs.clock.now(),
            seq: proreus_model::Seq(0),
            cluster,
            namespace: self.name.namespace.as_str().into(),
            name: self.name.name.as_str().into(),
            phase: Phase::Unknown,
            state: Vec::new(),
            progress: 0,
            step: String::new(),
            message: String::new(),
            reason: String::new(),
            source: Source::System,
            severity: Severity::Info,
            terminal: false,
            related_object: None,
            cause_class: None,
            estimate: None,
            remaining_seconds: None,
            caveat: None,
            metadata: ClusterMetadata::default(),
            services: Vec::new(),
        }
    }

    fn judge(&self, position: Position, progress: Progress) -> MonitorUpdate {
        judge(self.monitors.cursor(position), progress, &self.monitors.board, &self.access)
    }
}

/// `5m0s`, `24s`: as the older service wrote it.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round().max(0.0);
    let (minutes, seconds) = ((seconds / 60.0).floor(), seconds % 60.0);
    if minutes > 0.0 { format!("{minutes}m{seconds}s") } else { format!("{seconds}s") }
}
