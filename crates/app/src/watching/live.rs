//! The loop around the follower: gives it the time, appends what it says, and shows where it stands.
//!
//! Invariant: trouble here never touches recording. A follower that failed is begun again from what is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use proreus_doctor::Severity;
use proreus_model::Seq;
use proreus_observe::Snapshot;
use proreus_record::{Appender, Worker};
use proreus_store::Journal;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::follower::{Follower, Portion, WatchSettings};
use crate::AppError;

/// Where the steps are done.
const THREAD: &str = "proreus-incidents";
/// Longest wait while something is due: how much later than its moment it may be told.
const DUE_WAIT: Duration = Duration::from_millis(100);
/// Longest wait while nothing is: the loop is woken by every append.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Wait after a failure before the follower is begun again.
const FAILED_WAIT: Duration = Duration::from_secs(5);
/// Between two looks of who waits for the loop to catch up.
const QUIET_LOOK: Duration = Duration::from_millis(2);

/// Where the loop stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchingBoard {
    /// Whether it has begun: at a start the last records are folded again.
    pub has_begun: bool,
    /// The last record that was folded and whose effects are durable.
    pub position: Seq,
    /// Nothing before this moment is still to be judged.
    pub settled: Option<Timestamp>,
    /// Open incidents by severity and check.
    pub open: BTreeMap<(Severity, &'static str), u64>,
    /// Why it does not go on, while it does not.
    pub failed: Option<String>,
}

/// A running loop. It ends with the token that it was started with.
pub struct Watching {
    follower: Arc<Mutex<Option<Follower>>>,
    board: watch::Receiver<WatchingBoard>,
    settings: Arc<ArcSwap<WatchSettings>>,
    nudge: Arc<Notify>,
    journal: Arc<dyn Journal>,
    appender: Appender,
    shown: Arc<Mutex<Option<Shown>>>,
}

/// The view that was given out last, with its position: most questions come while nothing changed. It goes when anything does, because it
/// keeps objects as they were in memory.
type Shown = (Seq, Arc<Snapshot>);

impl Watching {
    /// Starts the loop.
    pub fn start(
        journal: Arc<dyn Journal>,
        appender: Appender,
        watermark: watch::Receiver<Seq>,
        settings: WatchSettings,
        ending: CancellationToken,
    ) -> Arc<Self> {
        let (board_out, board) = watch::channel(WatchingBoard::default());
        let watching = Arc::new(Self {
            follower: Arc::default(),
            board,
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            nudge: Arc::new(Notify::new()),
            journal: journal.clone(),
            appender: appender.clone(),
            shown: Arc::default(),
        });
        let running = Running {
            follower: watching.follower.clone(),
            shown: watching.shown.clone(),
            board: board_out,
            settings: watching.settings.clone(),
            nudge: watching.nudge.clone(),
            journal,
            appender,
            watermark,
            worker: None,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = running.run() => {}
                () = ending.cancelled() => {}
            }
        });
        watching
    }

    /// Where the loop stands.
    pub fn board(&self) -> WatchingBoard {
        self.board.borrow().clone()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<WatchSettings> {
        self.settings.load_full()
    }

    /// Puts other settings in force, at the next step.
    pub fn reconfigure(&self, settings: WatchSettings) {
        self.settings.store(Arc::new(settings));
        self.nudge.notify_one();
    }

    /// What is believed now, with the last record it rests on; `None` while the loop has not begun. Blocks for the length of a step.
    pub fn view(&self) -> Option<(Arc<Snapshot>, Seq)> {
        let follower = lock(&self.follower);
        let follower = follower.as_ref()?;
        let mut shown = lock(&self.shown);
        if let Some((position, view)) = shown.as_ref()
            && *position == follower.position()
        {
            return Some((view.clone(), *position));
        }
        let view = Arc::new(follower.watch().view().clone());
        *shown = Some((follower.position(), view.clone()));
        Some((view, follower.position()))
    }

    /// Waits until everything that is recorded is judged, and everything that is due by now is told.
    pub async fn quiet(&self) {
        loop {
            let now = self.appender.now();
            let is_quiet = {
                let board = self.board.borrow();
                let is_judged = board.position >= self.journal.watermark() && board.settled.is_some_and(|settled| settled >= now);
                board.failed.is_some() || board.has_begun && is_judged
            };
            if is_quiet {
                return;
            }
            self.nudge.notify_one();
            tokio::time::sleep(QUIET_LOOK).await;
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Running {
    follower: Arc<Mutex<Option<Follower>>>,
    shown: Arc<Mutex<Option<Shown>>>,
    board: watch::Sender<WatchingBoard>,
    settings: Arc<ArcSwap<WatchSettings>>,
    nudge: Arc<Notify>,
    journal: Arc<dyn Journal>,
    appender: Appender,
    watermark: watch::Receiver<Seq>,
    worker: Option<Worker>,
}

/// What came of one turn of the loop.
struct Turn {
    portion: Portion,
    more: bool,
    next_due: Option<Timestamp>,
    board: WatchingBoard,
}

impl Running {
    async fn run(mut self) {
        loop {
            self.watermark.mark_unchanged();
            // In this order: what is durable below the settled moment is there when the follower reads.
            let settled = self.appender.settled_until(self.appender.now());
            match self.turn(settled).await {
                Ok((more, next_due)) => {
                    if !more {
                        self.wait(next_due).await;
                    }
                }
                Err(reason) => {
                    tracing::warn!(reason, "the incidents are not kept at the moment, trying again in 5 s; recording goes on");
                    *lock(&self.follower) = None;
                    self.board.send_modify(|board| board.failed = Some(reason));
                    tokio::time::sleep(FAILED_WAIT).await;
                }
            }
        }
    }

    /// A step and its append; says whether there is more, and what is due next.
    async fn turn(&mut self, settled: Timestamp) -> Result<(bool, Option<Timestamp>), String> {
        let (follower, journal, settings) = (self.follower.clone(), self.journal.clone(), self.settings.load_full());
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(THREAD)?,
        };
        let stepped = worker.run(move || step(&follower, journal, &settings, settled)).await?;
        self.worker = Some(worker);
        let turn = stepped.map_err(|error| error.to_string())?;
        let Turn { portion, more, next_due, board } = turn;
        lock(&self.shown).take_if(|(position, _)| *position != board.position);
        if !portion.is_empty() {
            self.appender.append(portion.records, portion.cursors).await.map_err(|error| error.to_string())?;
        }
        self.board.send_replace(board);
        Ok((more, next_due))
    }

    async fn wait(&mut self, next_due: Option<Timestamp>) {
        let until_due = next_due.map(|due| {
            let wait = due.duration_since(self.appender.now()).as_millis().clamp(1, DUE_WAIT.as_millis() as i128);
            Duration::from_millis(u64::try_from(wait).unwrap_or(1))
        });
        // A record of this very moment may be followed by others; a moment later it is judged.
        let unsettled = self.board.borrow().settled.is_none_or(|settled| settled < self.appender.now());
        let idle = if unsettled && self.moment_in_hand() { Duration::from_millis(1) } else { IDLE_WAIT };
        tokio::select! {
            moved = self.watermark.changed() => {
                if moved.is_err() {
                    // The writer is gone: nothing will come any more.
                    tokio::time::sleep(IDLE_WAIT).await;
                }
            }
            () = self.nudge.notified() => {}
            () = tokio::time::sleep(until_due.map_or(idle, |wait| wait.min(idle))) => {}
        }
    }

    /// Whether the last moment that was folded is still to be judged.
    fn moment_in_hand(&self) -> bool {
        let settled = self.board.borrow().settled;
        lock(&self.follower).as_ref().is_some_and(|follower| match (follower.watch().time(), settled) {
            (Some(time), Some(settled)) => time >= settled,
            _ => false,
        })
    }
}

fn step(
    follower: &Mutex<Option<Follower>>,
    journal: Arc<dyn Journal>,
    settings: &WatchSettings,
    settled: Timestamp,
) -> Result<Turn, AppError> {
    let mut held = lock(follower);
    let (portion, more) = match held.as_mut() {
        Some(follower) => {
            let step = follower.step(settings, settled)?;
            (step.portion, step.more)
        }
        None => {
            let (fresh, portion) = Follower::begin(journal, settings, settled)?;
            *held = Some(fresh);
            (portion, true)
        }
    };
    let follower = held.as_ref();
    let watch = follower.map(Follower::watch);
    let board = WatchingBoard {
        has_begun: true,
        position: follower.map(Follower::position).unwrap_or_default(),
        settled: (!more).then_some(settled),
        open: watch.map(proreus_doctor::incidents::Watch::open_counts).unwrap_or_default(),
        failed: None,
    };
    Ok(Turn { portion, more, next_due: watch.and_then(proreus_doctor::incidents::Watch::next_due), board })
}
