//! Monitors as a live service: one fold over the journal for every cluster and every listener.
//!
//! A question catches up with the journal first, so its answer is as new as the journal is. A loop does the same when something was recorded
//! or is due, and wakes those who listen. A listener has no queue: it reads the log of its monitor at its own pace and is told what fell out
//! of it. Invariant: an update has one position, the same after a restart and for every reader of the journal.

mod board;
mod following;
mod judged;
pub(crate) mod lessons;
mod listing;
mod options;
mod position;
mod slots;
mod subscription;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proreus_model::{Access, Clock};
use proreus_record::Appender;
use tokio::time::Instant;

pub use judged::MonitorUpdate;
pub use listing::{MonitorsAnswer, MonitorsQuestion};
pub use options::{
    ClientKey, DEFAULT_LOG_LIMIT, DEFAULT_TIMEOUT, MAX_LOG_LIMIT, MAX_PATIENCE, MAX_TIMEOUT, MIN_TIMEOUT, MonitorLimits, MonitorName,
    SubscribeOptions, TIMEOUT_WARNING,
};
pub use position::{MonitorCursor, Position};
pub use slots::Slot;
pub use subscription::{MonitorNotice, Subscription};

use board::Board;
use slots::Slots;

use crate::AppError;
use crate::questions::{Monitoring, Outline, PhaseOptions, Progress, Questions, Target};

/// One monitor as it stands now.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorView {
    /// Where it is now: what an update would say.
    pub now: MonitorUpdate,
    /// Updates told so far.
    pub updates: u64,
    /// Whether the monitored object is gone.
    pub is_deleted: bool,
}

/// A page of a monitor's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    /// Updates in order.
    pub items: Vec<MonitorUpdate>,
    /// Whether more follow at once.
    pub more: bool,
    /// Go on after this; where the caller stood when there is nothing new.
    pub cursor: MonitorCursor,
    /// Updates between the caller's cursor and the page that are no longer kept.
    pub missed: u64,
}

/// What the service is made of.
pub struct MonitorInputs {
    /// Questions to the journal.
    pub questions: Questions,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How patient the fold is.
    pub options: PhaseOptions,
    /// Bounds.
    pub limits: MonitorLimits,
    /// Up to when time has surely passed.
    pub passing: Passing,
}

/// How far time may be taken to have passed: no record may come later that is older.
#[derive(Clone)]
pub enum Passing {
    /// To the last record only: somebody else writes, or nobody.
    WithRecords,
    /// To what the writer of this process says; what finished deployments took is kept through it.
    Written(Appender),
}

impl MonitorInputs {
    /// Defaults, over a journal that somebody else writes or nobody.
    pub fn new(questions: Questions, clock: Arc<dyn Clock>) -> Self {
        let (options, limits) = (PhaseOptions::default(), MonitorLimits::default());
        Self { questions, clock, options, limits, passing: Passing::WithRecords }
    }
}

/// Every monitor of one journal.
pub struct Monitors {
    inputs: MonitorInputs,
    fold: Mutex<Option<Monitoring>>,
    board: Board,
    slots: Arc<Slots>,
}

impl Monitors {
    /// Monitors of a journal. Nothing is read before the first question, or before `follow` runs.
    pub fn new(inputs: MonitorInputs) -> Self {
        let (board, slots) = (Board::new(inputs.limits.log), Slots::new(inputs.limits.per_client, inputs.limits.in_all));
        Self { inputs, fold: Mutex::new(None), board, slots: Arc::new(slots) }
    }

    /// The bounds in force.
    pub fn limits(&self) -> &MonitorLimits {
        &self.inputs.limits
    }

    /// Subscriptions that are open.
    pub fn subscriptions(&self) -> usize {
        self.slots.taken()
    }

    /// Every monitor whose object exists and may be read, by cluster, namespace and name.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn list(&self, access: &Access) -> Result<Vec<MonitorView>, AppError> {
        self.views(|_| true, usize::MAX, access)
    }

    /// The first monitors of those that are wanted.
    fn views(&self, wanted: impl Fn(&Target) -> bool, limit: usize, access: &Access) -> Result<Vec<MonitorView>, AppError> {
        let fold = self.caught_up()?;
        let Some(monitoring) = fold.as_ref() else { return Ok(Vec::new()) };
        let targets = monitoring.targets().filter(|target| wanted(target) && self.board.is_shown(target, access));
        let views = targets.filter_map(|target| self.view(monitoring, target, access)).filter(|view| !view.is_deleted);
        Ok(views.take(limit).collect())
    }

    /// One monitor as it stands now.
    ///
    /// # Errors
    /// No such monitor, or one that may not be read; or the journal cannot be read.
    pub fn get(&self, name: &MonitorName, access: &Access) -> Result<MonitorView, AppError> {
        let fold = self.caught_up()?;
        let target = self.target(name, access)?;
        fold.as_ref().and_then(|monitoring| self.view(monitoring, &target, access)).ok_or_else(|| not_found(name))
    }

    /// The updates of a monitor after a cursor, oldest first; from the oldest that is kept when there is none.
    ///
    /// # Errors
    /// No such monitor, a cursor of another journal, or the journal cannot be read.
    pub fn log(&self, name: &MonitorName, after: Option<&MonitorCursor>, limit: usize, access: &Access) -> Result<LogPage, AppError> {
        let after = after.map(|cursor| self.position(cursor)).transpose()?;
        drop(self.caught_up()?);
        let target = self.target(name, access)?;
        self.page(&target, after, limit, access).ok_or_else(|| not_found(name))
    }

    /// The updates after a cursor, waiting for the first one. Ends with an empty page when nothing came within `patience`.
    ///
    /// # Errors
    /// As for `log`.
    pub async fn wait(
        self: &Arc<Self>,
        name: MonitorName,
        after: Option<MonitorCursor>,
        patience: Duration,
        access: Access,
    ) -> Result<LogPage, AppError> {
        let deadline = Instant::now() + patience.min(MAX_PATIENCE);
        let mut changes = self.board.changes();
        loop {
            changes.mark_unchanged();
            let (this, name, after, access) = (Arc::clone(self), name.clone(), after.clone(), access.clone());
            let page = crate::blocking(move || this.log(&name, after.as_ref(), DEFAULT_LOG_LIMIT, &access)).await?;
            if !page.items.is_empty() || page.missed > 0 || tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return Ok(page);
            }
        }
    }

    /// Listens to a monitor. Its slot is taken until the subscription is dropped.
    ///
    /// # Errors
    /// No such monitor (unless it is to be awaited), a timeout out of range, a cursor of another journal, or no slot left.
    pub fn subscribe(
        self: &Arc<Self>,
        name: MonitorName,
        options: SubscribeOptions,
        client: &ClientKey,
        access: Access,
    ) -> Result<Subscription, AppError> {
        let timeout = timeout(&options, &self.inputs.limits)?;
        let after = options.after.as_ref().map(|cursor| self.position(cursor)).transpose()?;
        drop(self.caught_up()?);
        let target = match self.target(&name, &access) {
            Ok(target) => Some(target),
            Err(AppError::NotFound { .. }) if options.await_existence => {
                self.may_await(&name, &access)?;
                None
            }
            Err(error) => return Err(error),
        };
        let slot = self.slots.take(client)?;
        Ok(Subscription::new(Arc::clone(self), slot, name, target, after, timeout, access))
    }

    /// Takes a place among the subscriptions for a listener to something else than a monitor; it is left when it is dropped.
    ///
    /// # Errors
    /// No place left, for this client or at all.
    pub fn place(&self, client: &ClientKey) -> Result<Slot, AppError> {
        self.slots.take(client)
    }

    /// Catches up with the journal, tells the board, and keeps the fold for the caller's question.
    fn caught_up(&self) -> Result<MutexGuard<'_, Option<Monitoring>>, AppError> {
        let mut fold = self.fold.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the watermark is read: what is appended in between is folded too, what comes later cannot be older.
        let passed = self.passed();
        let mut monitoring = match fold.take() {
            Some(monitoring) => monitoring,
            None => {
                let (monitoring, before) = self.inputs.questions.monitoring(self.inputs.options.clone())?;
                self.board.tell(&monitoring, before);
                monitoring
            }
        };
        // After a failure the next one begins anew; the board knows by their positions what was told already.
        let told = monitoring.catch_up(passed)?;
        self.board.tell(&monitoring, told);
        *fold = Some(monitoring);
        Ok(fold)
    }

    fn passed(&self) -> Option<jiff::Timestamp> {
        match &self.inputs.passing {
            Passing::WithRecords => None,
            Passing::Written(appender) => Some(appender.settled_until(self.inputs.clock.now())),
        }
    }

    fn view(&self, monitoring: &Monitoring, target: &Target, access: &Access) -> Option<MonitorView> {
        let now = self.inputs.clock.now().max(monitoring.last_recorded_at()?);
        let outline: Outline = monitoring.outline(target)?;
        let cursor = self.cursor(self.board.last(target).unwrap_or_default());
        let current = Progress { number: outline.updates, ..monitoring.current(target, now)? };
        let now = judged::judge(cursor, current, &self.board, access);
        Some(MonitorView { now, updates: outline.updates, is_deleted: outline.is_deleted })
    }

    /// The one monitor of that name that may be read.
    fn target(&self, name: &MonitorName, access: &Access) -> Result<Target, AppError> {
        let cluster = name.cluster.as_deref().map(|word| self.inputs.questions.cluster(word)).transpose()?;
        let mut found = self.board.named(cluster.as_ref(), &name.namespace, &name.name, access);
        match (found.pop(), found.is_empty()) {
            (Some(target), true) => Ok(target),
            (Some(_), false) => Err(AppError::BadParameter {
                name: "cluster",
                found: String::new(),
                allowed: format!("several clusters have a monitor {}/{}: name one with `cluster`", name.namespace, name.name),
            }),
            (None, _) => Err(not_found(name)),
        }
    }

    /// Whether the caller could read a monitor of that name, once there is one.
    fn may_await(&self, name: &MonitorName, access: &Access) -> Result<(), AppError> {
        let cluster = name.cluster.as_deref().map(|word| self.inputs.questions.cluster(word)).transpose()?;
        if judged::may_read_any_root(cluster.as_ref(), &name.namespace, access) { Ok(()) } else { Err(not_found(name)) }
    }

    fn page(&self, target: &Target, after: Option<Position>, limit: usize, access: &Access) -> Option<LogPage> {
        let part = self.board.after(target, after, limit.clamp(1, MAX_LOG_LIMIT), access)?;
        let cursor = self.cursor(part.items.last().map(|(position, _)| *position).or(after).unwrap_or_default());
        let judge = |(position, progress)| judged::judge(self.cursor(position), progress, &self.board, access);
        Some(LogPage { items: part.items.into_iter().map(judge).collect(), more: part.more, cursor, missed: part.missed })
    }

    fn cursor(&self, position: Position) -> MonitorCursor {
        MonitorCursor { journal: self.inputs.questions.journal().id(), position }
    }

    fn position(&self, cursor: &MonitorCursor) -> Result<Position, AppError> {
        match cursor.journal == self.inputs.questions.journal().id() {
            true => Ok(cursor.position),
            false => Err(AppError::CursorGone { oldest: None }),
        }
    }
}

fn timeout(options: &SubscribeOptions, limits: &MonitorLimits) -> Result<Duration, AppError> {
    let timeout = options.timeout.unwrap_or(limits.timeout);
    if (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout) {
        return Ok(timeout);
    }
    Err(AppError::BadParameter {
        name: "timeout",
        found: timeout.as_secs().to_string(),
        allowed: format!("give whole seconds from {} to {}", MIN_TIMEOUT.as_secs(), MAX_TIMEOUT.as_secs()),
    })
}

fn not_found(name: &MonitorName) -> AppError {
    AppError::NotFound {
        what: format!("monitor {}/{}", name.namespace, name.name),
        hint: "name a ClusterDeployment, or a Cluster that has none, as NAMESPACE/NAME; `await` waits for one that does not exist yet"
            .to_owned(),
    }
}
