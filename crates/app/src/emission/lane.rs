//! One lane: reads what was recorded of incidents, asks its outbox, sends, and keeps how far it has come.
//!
//! The outbox decides; this loop takes no decision but when to look. Invariant: the position and the outbox are kept together, so that a
//! kill at any moment costs a repetition with the same key at most.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use proreus_doctor::emission::{EndpointRules, Input, Outbox, Setting, Step};
use proreus_model::{Clock, ClusterId, Seq};
use proreus_store::{ConsumerCursor, StoreError};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::EmissionBoard;
use super::courier::{Courier, Reply};
use super::feed::{Feed, Stretch};

/// Least time between two positions kept: a storm is kept in a few appends and not in hundreds.
const KEEP_EVERY: Duration = Duration::from_millis(250);
/// After a journal that could not be read or written.
const JOURNAL_RETRY: Duration = Duration::from_secs(2);
/// How long what is on its way may still arrive when the lane ends.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Records after which a position is kept though nothing was told: a start does not read further back than this.
const SCANNED_LIMIT: u64 = 100_000;

/// Keeps the position of a consumer.
pub trait Keep: Send + Sync {
    /// Returns when it is durable; the reason where it cannot be.
    fn keep(&self, cursor: ConsumerCursor) -> BoxFuture<'static, Result<(), String>>;
}

/// Gives the configured names of the clusters that were reached, with what they stand for.
pub type Aliases = Arc<dyn Fn() -> Vec<(String, ClusterId)> + Send + Sync>;

/// What a lane works with.
pub(super) struct Lane {
    /// Its consumer's name in the journal.
    pub(super) consumer: String,
    pub(super) endpoint: String,
    /// The part of the endpoint, such as a cluster; `""` where it has only one.
    pub(super) part: String,
    pub(super) rules: EndpointRules,
    pub(super) setting: Setting,
    pub(super) courier: Arc<Courier>,
    pub(super) feed: Feed,
    pub(super) keep: Arc<dyn Keep>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: Arc<EmissionBoard>,
    /// Configured names of clusters. Asked when there is something to tell: a cluster of which something was recorded has been reached.
    pub(super) aliases: Aliases,
    /// The newest record of an incident.
    pub(super) news: watch::Receiver<Seq>,
    pub(super) ending: CancellationToken,
}

/// A lane at work.
struct Running {
    lane: Lane,
    outbox: Outbox,
    /// Everything up to here is in the outbox.
    seq: Seq,
    kept: Seq,
    is_dirty: bool,
    kept_at: Instant,
    next_due: Option<Timestamp>,
    sending: JoinSet<(u64, Reply)>,
    keeping: Option<JoinHandle<Result<(), String>>>,
}

impl Lane {
    /// Works until told to end.
    pub(super) async fn run(self) {
        let ending = self.ending.clone();
        let opened = tokio::select! {
            opened = self.open() => opened,
            () = ending.cancelled() => return,
        };
        opened.work().await;
    }

    /// Where it left off; tried for as long as it takes.
    async fn open(self) -> Running {
        loop {
            let (feed, consumer, rules) = (self.feed.clone(), self.consumer.clone(), self.rules.clone());
            let opened = blocking(move || restore(&feed, &consumer, rules)).await;
            match opened {
                Ok((outbox, seq)) => {
                    return Running {
                        lane: self,
                        outbox,
                        seq,
                        kept: seq,
                        is_dirty: false,
                        kept_at: Instant::now(),
                        next_due: None,
                        sending: JoinSet::new(),
                        keeping: None,
                    };
                }
                Err(error) => {
                    tracing::error!(endpoint = self.endpoint, %error, "the journal cannot be read for an endpoint; trying again");
                    tokio::time::sleep(JOURNAL_RETRY).await;
                }
            }
        }
    }
}

/// The outbox as it was kept, and up to where; a new one begins with what stands now, told as of position zero.
fn restore(feed: &Feed, consumer: &str, rules: EndpointRules) -> Result<(Outbox, Seq), StoreError> {
    let journal = feed.journal_id();
    let fresh = |rules| Outbox::new(&journal, consumer, rules);
    let cursor = match feed.cursor(consumer) {
        Ok(Some(cursor)) => cursor,
        Ok(None) => return Ok((fresh(rules), Seq(0))),
        Err(StoreError::Damaged { reason, .. }) => {
            tracing::error!(consumer, reason, "an endpoint begins anew, so what goes on is told again");
            return Ok((fresh(rules), Seq(0)));
        }
        Err(error) => return Err(error),
    };
    let restored = Outbox::wanted(&cursor.state).map(|wanted| feed.at(&wanted));
    let records = match restored {
        Ok(records) => records?,
        Err(error) => {
            tracing::error!(consumer, %error, "an endpoint begins anew, so what goes on is told again");
            return Ok((fresh(rules), Seq(0)));
        }
    };
    match Outbox::restore(&journal, consumer, rules.clone(), &cursor.state, &records) {
        Ok((outbox, lost)) => {
            if lost > 0 {
                tracing::warn!(consumer, lost, "notices that waited are about records that are no longer kept");
            }
            Ok((outbox, cursor.seq))
        }
        Err(error) => {
            tracing::error!(consumer, %error, "an endpoint begins anew, so what goes on is told again");
            Ok((fresh(rules), Seq(0)))
        }
    }
}

impl Running {
    async fn work(mut self) {
        let mut news = self.lane.news.clone();
        let ending = self.lane.ending.clone();
        if self.seq == Seq(0) {
            self.begin().await;
        }
        while !ending.is_cancelled() {
            news.mark_unchanged();
            let read_well = self.read_news().await;
            self.step(Input::Time);
            self.start_keeping();
            self.show();
            let due = self.sleep(read_well);
            tokio::select! {
                () = ending.cancelled() => {}
                Some(done) = self.sending.join_next() => self.settle(done),
                is_kept = kept(&mut self.keeping) => self.is_dirty |= !is_kept,
                Ok(()) = news.changed() => {}
                () = tokio::time::sleep_until(due) => {}
            }
        }
        self.end().await;
    }

    /// A new endpoint: what it is to be told is kept before anything is sent, so that a kill right after forgets nothing of it.
    async fn begin(&mut self) {
        self.read_news().await;
        let ending = self.lane.ending.clone();
        tokio::select! {
            outcome = self.lane.keep.keep(self.cursor()) => match outcome {
                Ok(()) => self.is_dirty = false,
                Err(error) => tracing::warn!(endpoint = self.lane.endpoint, error, "how far an endpoint was told could not be kept"),
            },
            () = ending.cancelled() => {}
        }
    }

    /// When to look again though nothing happens.
    fn sleep(&self, read_well: bool) -> Instant {
        /// With nothing due there is nothing to do; the time only bounds how long a lost signal could go unnoticed.
        const IDLE_LIMIT: Duration = Duration::from_secs(60);
        let now = self.lane.clock.now();
        let until = |due: Timestamp| Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO).max(Duration::from_millis(1));
        let mut wait = self.next_due.map_or(IDLE_LIMIT, |due| until(due).min(IDLE_LIMIT));
        if !read_well {
            wait = wait.min(JOURNAL_RETRY);
        }
        let wake = Instant::now() + wait;
        if self.is_dirty && self.keeping.is_none() { wake.min(self.kept_at + KEEP_EVERY) } else { wake }
    }

    /// Takes in everything that was recorded since; says whether the journal could be read.
    async fn read_news(&mut self) -> bool {
        // Ends when the journal has no more, or cannot be read.
        loop {
            let (feed, seq) = (self.lane.feed.clone(), self.seq);
            let read = if seq == Seq(0) { blocking(move || feed.standing()).await } else { blocking(move || feed.after(seq)).await };
            let stretch = match read {
                Ok(stretch) => stretch,
                Err(StoreError::Gone { .. }) => {
                    tracing::warn!(
                        endpoint = self.lane.endpoint,
                        "the journal no longer keeps what was to be told; going on with what stands now"
                    );
                    self.seq = Seq(0);
                    continue;
                }
                Err(error) => {
                    tracing::error!(endpoint = self.lane.endpoint, %error, "the journal cannot be read for an endpoint; trying again");
                    return false;
                }
            };
            let more = stretch.more;
            self.fold(stretch);
            if !more {
                return true;
            }
        }
    }

    fn fold(&mut self, stretch: Stretch) {
        let names = if stretch.records.is_empty() { Vec::new() } else { (self.lane.aliases)() };
        for record in &stretch.records {
            let name = names.iter().find(|(_, id)| *id == record.cluster).map(|(name, _)| name.clone());
            let step = self.outbox.note(record, name.as_deref(), self.lane.clock.now());
            self.carry_out(step);
        }
        self.is_dirty |= stretch.until.0.saturating_sub(self.kept.0) > SCANNED_LIMIT || self.seq == Seq(0);
        self.seq = stretch.until;
    }

    fn step(&mut self, input: Input<'_>) {
        let step = self.outbox.step(input, self.lane.clock.now());
        self.next_due = step.next_due;
        self.carry_out(step);
    }

    fn carry_out(&mut self, step: Step) {
        let Step { send, given_up, delivered, next_due: _ } = step;
        let now = self.lane.clock.now();
        self.is_dirty |= self.outbox.take_changed();
        for notice in &given_up {
            let incident = &notice.incident.id;
            tracing::error!(endpoint = self.lane.endpoint, incident, event = notice.occasion.as_str(), "a notice is given up");
        }
        let (given_up, delivered) = (given_up.len() as u64, delivered as u64);
        self.lane.board.update(&self.lane.endpoint, &self.lane.part, |figures| {
            figures.given_up += given_up;
            figures.delivered += delivered;
        });
        for parcel in send {
            let (courier, setting) = (Arc::clone(&self.lane.courier), self.lane.setting.clone());
            self.sending.spawn(async move { (parcel.id, courier.take(&parcel.notices, &setting, now).await) });
        }
    }

    fn settle(&mut self, done: Result<(u64, Reply), tokio::task::JoinError>) {
        let Ok((parcel, reply)) = done else {
            // Only a defect of ours ends a request so. Its notice stays on its way until the next start tells it again.
            tracing::error!(endpoint = self.lane.endpoint, "a request ended unexpectedly");
            return;
        };
        self.tell_trouble(reply.reason);
        self.step(Input::Outcome(parcel, reply.outcome));
    }

    /// Says once that an endpoint is in trouble, and once that it is not any more.
    fn tell_trouble(&self, reason: Option<String>) {
        let endpoint = self.lane.endpoint.as_str();
        let mut former = None;
        self.lane.board.update(endpoint, &self.lane.part, |figures| {
            figures.failed += u64::from(reason.is_some());
            former = std::mem::replace(&mut figures.trouble, reason.clone());
        });
        match (former, reason) {
            (None, Some(reason)) => {
                tracing::warn!(endpoint, part = self.lane.part, reason, "an endpoint does not take what it is told; trying again")
            }
            (Some(_), None) => tracing::info!(endpoint, part = self.lane.part, "an endpoint takes what it is told again"),
            (Some(former), Some(reason)) if former != reason => tracing::debug!(endpoint, reason, "an endpoint fails in another way"),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn show(&self) {
        let (waiting, since) = (self.outbox.waiting() as u64, self.outbox.waiting_since());
        self.lane.board.update(&self.lane.endpoint, &self.lane.part, |figures| {
            figures.waiting = waiting;
            figures.waiting_since = since;
        });
    }

    fn cursor(&self) -> ConsumerCursor {
        ConsumerCursor { consumer: self.lane.consumer.clone(), seq: self.seq, state: self.outbox.keep() }
    }

    /// Keeps in the background: a full disk holds up the keeping and not the telling.
    fn start_keeping(&mut self) {
        if !self.is_dirty || self.keeping.is_some() || self.kept_at.elapsed() < KEEP_EVERY {
            return;
        }
        self.is_dirty = false;
        self.kept = self.seq;
        self.kept_at = Instant::now();
        self.keeping = Some(tokio::spawn(self.lane.keep.keep(self.cursor())));
    }

    /// Lets arrive what is about to, and keeps where it stands.
    async fn end(mut self) {
        let deadline = Instant::now() + END_WITHIN;
        while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.sending.join_next()).await {
            let Ok((parcel, reply)) = done else { continue };
            // Nothing more is sent: what comes out of the outbox now stays in it as waiting.
            let now = self.lane.clock.now();
            let step = self.outbox.step(Input::Outcome(parcel, reply.outcome), now);
            let delivered = step.delivered as u64;
            self.lane.board.update(&self.lane.endpoint, &self.lane.part, |figures| figures.delivered += delivered);
        }
        self.sending.abort_all();
        if let Some(keeping) = self.keeping.take() {
            let _tried_again_below = tokio::time::timeout(END_WITHIN, keeping).await;
        }
        match tokio::time::timeout(END_WITHIN, self.lane.keep.keep(self.cursor())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(endpoint = self.lane.endpoint, error, "how far an endpoint was told could not be kept"),
            Err(_elapsed) => tracing::warn!(endpoint = self.lane.endpoint, "how far an endpoint was told could not be kept in time"),
        }
    }
}

/// Resolves when the keeping has ended, and says whether it is kept; never where nothing is being kept.
async fn kept(keeping: &mut Option<JoinHandle<Result<(), String>>>) -> bool {
    let Some(running) = keeping else { return std::future::pending().await };
    let outcome = running.await;
    *keeping = None;
    match outcome {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(error, "how far an endpoint was told could not be kept"),
        Err(error) => tracing::error!(%error, "keeping how far an endpoint was told ended unexpectedly"),
    }
    false
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StoreError::Engine { step: "failed to read for an endpoint".to_owned(), reason: error.to_string() }))
}
