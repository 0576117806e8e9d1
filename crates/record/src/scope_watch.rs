//! Follows one resource type of one cluster: does what the state machine says and tells it what came of it.
//!
//! Holds the connection; decides nothing about objects (`ledger`) or about the protocol (`watch_state`). Invariant: at most one page or
//! line of a type is in memory, because the next bytes are read only when the former are handed on.

use std::sync::Arc;
use std::time::Duration;

use proreus_model::{MarkKind, ResourceVersion};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster_api::{self, ByteStream, ClusterApi};
use crate::cutter::{LineCutter, ListCutter, MAX_LINE_BYTES, MAX_OBJECT_BYTES, Piece};
use crate::envelope::{self, EventType};
use crate::identity::Identity;
use crate::intake::Refusal;
use crate::json::{self, MAX_DEPTH};
use crate::known::Sight;
use crate::ledger::{Ledger, LedgerError};
use crate::settings::RecorderSettings;
use crate::watch_state::WatchState;
use crate::watch_words::{Counted, Effect, Failure, Input, Next, WatchCondition};

/// A stream that gave nothing for this long is read to its end as of now.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How long a stream may outlive the time that the server was asked to keep it open: a half of that time, but no more.
const OVERTIME_LIMIT: Duration = Duration::from_secs(15);

/// Lines in a row that make no sense, after which the connection is given up: a proxy's error page, say.
const NONSENSE_LINES: u32 = 16;

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchEnd {
    /// It was told to.
    Cancelled,
    /// Nothing can be recorded any more.
    Closed,
    /// The journal did not answer; without its answer no verdict is safe.
    JournalFailed,
}

/// A watch of one resource type.
pub(crate) struct ScopeWatch {
    pub(crate) ledger: Ledger,
    pub(crate) api: ClusterApi,
    pub(crate) identity: Arc<Identity>,
    pub(crate) settings: Arc<RecorderSettings>,
    /// Permits for lists, shared by all watches.
    pub(crate) lists: Arc<Semaphore>,
    /// Told when the served types may be others than before.
    pub(crate) types_changed: Arc<Notify>,
    /// Its objects define types.
    pub(crate) defines_types: bool,
    pub(crate) cancel: CancellationToken,
}

struct Open {
    stream: ByteStream,
    lines: LineCutter,
    deadline: Instant,
    is_initial: bool,
    is_settled: bool,
    nonsense: u32,
}

struct Driver {
    watch: ScopeWatch,
    open: Option<Open>,
    list_permit: Option<tokio::sync::OwnedSemaphorePermit>,
    /// The last step failed: the identity is asked for before anything else.
    has_failed: bool,
}

impl ScopeWatch {
    /// Follows from `checkpoint`, or from a list, until it is told to end.
    pub(crate) async fn run(self, checkpoint: Option<ResourceVersion>) -> WatchEnd {
        let cancel = self.cancel.clone();
        let mut driver = Driver { watch: self, open: None, list_permit: None, has_failed: false };
        let end = tokio::select! {
            () = cancel.cancelled() => WatchEnd::Cancelled,
            error = driver.follow(checkpoint) => match error {
                LedgerError::Closed => WatchEnd::Closed,
                LedgerError::Journal(reason) => {
                    tracing::warn!(reason, "a watch begins anew because the journal did not answer");
                    WatchEnd::JournalFailed
                }
            },
        };
        driver.watch.ledger.cell.update(|status| {
            status.condition = WatchCondition::Stopped;
            "ended".clone_into(&mut status.reason);
        });
        end
    }
}

impl Driver {
    /// Never ends but by an error.
    async fn follow(&mut self, checkpoint: Option<ResourceVersion>) -> LedgerError {
        let mut state = WatchState::new(self.watch.settings.streaming_lists);
        let mut input = Input::Start { checkpoint };
        loop {
            self.has_failed = matches!(input, Input::Failed(_) | Input::Silent) || (self.has_failed && input == Input::Waited);
            let is_not_served = matches!(input, Input::Failed(Failure::NotServed(_)));
            let effects = state.step(input, self.watch.ledger.clock.now(), rand::random());
            // Once, not at each try: discovery may go on naming a type that answers 404.
            if is_not_served && effects.iter().any(|effect| matches!(effect, Effect::Mark(MarkKind::Stopped, _))) {
                self.watch.types_changed.notify_one();
            }
            input = match self.carry_out(effects).await {
                Ok(input) => input,
                Err(error) => return error,
            };
        }
    }

    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<Input, LedgerError> {
        for effect in effects {
            match effect {
                Effect::Condition(condition, reason) => self.show(condition, reason),
                Effect::Mark(kind, reason) => self.mark(kind, reason).await?,
                Effect::ForgetCheckpoint => self.watch.ledger.forget_checkpoint().await?,
                Effect::BeginListing => self.watch.ledger.begin_listing(),
                Effect::EndListing(version) => {
                    self.watch.ledger.end_listing(version).await?;
                    self.list_permit = None;
                    self.tell_types_changed();
                }
                Effect::Advance(version) => self.watch.ledger.advance(version).await?,
                Effect::Count(counted) => self.count(counted),
                Effect::Next(next) => return self.perform(next).await,
            }
        }
        // Every step ends in a `Next`; should one not, waiting is the harmless thing to do.
        Ok(Input::Waited)
    }

    async fn mark(&mut self, kind: MarkKind, reason: String) -> Result<(), LedgerError> {
        let scope = self.watch.ledger.intake.scope();
        match kind {
            MarkKind::Stale | MarkKind::Stopped | MarkKind::Gap => {
                tracing::warn!(cluster = %scope.cluster, group = %scope.group, resource = %scope.resource, reason, "a watch is {}", kind.as_str());
            }
            _ => {
                tracing::debug!(cluster = %scope.cluster, group = %scope.group, resource = %scope.resource, reason, "a watch is {}", kind.as_str())
            }
        }
        if kind == MarkKind::Synced {
            self.watch.ledger.is_certain();
        }
        self.watch.ledger.mark(kind, reason).await
    }

    fn show(&self, condition: WatchCondition, reason: String) {
        let now = self.watch.ledger.clock.now();
        self.watch.ledger.cell.update(|status| {
            if status.condition != condition {
                status.condition = condition;
                status.since = now;
            }
            status.reason = reason;
        });
    }

    fn count(&self, counted: Counted) {
        self.watch.ledger.cell.count(|counters| match counted {
            Counted::Relist => counters.relists += 1,
            Counted::Reconnect => counters.reconnects += 1,
            Counted::Gap => counters.gaps += 1,
        });
    }

    async fn perform(&mut self, next: Next) -> Result<Input, LedgerError> {
        match next {
            Next::Read => return self.read().await,
            Next::Wait(wait) => {
                self.close();
                // Others may list while this one waits.
                self.list_permit = None;
                tokio::time::sleep(wait).await;
                return Ok(Input::Waited);
            }
            Next::List { .. } | Next::StreamList | Next::Watch { .. } => {}
        }
        if self.has_failed {
            match self.watch.identity.holds().await {
                Ok(true) => {}
                // The cluster's loop ends this watch.
                Ok(false) => std::future::pending().await,
                Err(error) => return Ok(Input::Failed(error.failure(false))),
            }
        }
        self.close();
        match next {
            Next::List { token } => {
                self.permit_to_list().await?;
                self.page(token.as_deref()).await
            }
            Next::StreamList => {
                self.permit_to_list().await?;
                self.connect(None).await
            }
            Next::Watch { from } => {
                self.list_permit = None;
                self.connect(Some(from.as_str())).await
            }
            Next::Read | Next::Wait(_) => Ok(Input::Waited),
        }
    }

    fn close(&mut self) {
        self.open = None;
    }

    async fn permit_to_list(&mut self) -> Result<(), LedgerError> {
        if self.list_permit.is_none() {
            let permit = self.watch.lists.clone().acquire_owned().await.map_err(|_| LedgerError::Closed)?;
            self.list_permit = Some(permit);
        }
        Ok(())
    }

    async fn page(&mut self, token: Option<&str>) -> Result<Input, LedgerError> {
        let path = cluster_api::page(&self.watch.ledger.chosen, token);
        let mut stream = match self.watch.api.open(&path, "application/json").await {
            Ok(stream) => stream,
            Err(error) => return Ok(Input::Failed(error.failure(false))),
        };
        let mut cutter = ListCutter::new(MAX_OBJECT_BYTES);
        loop {
            match stream.prompt_chunk().await {
                Ok(Some(chunk)) => cutter.feed(chunk),
                Ok(None) => break,
                Err(error) => return Ok(Input::Failed(error.failure(false))),
            }
            loop {
                match cutter.next() {
                    Ok(Some(piece)) => self.listed(piece).await?,
                    Ok(None) => break,
                    Err(error) => return Ok(Input::Failed(Failure::Other(error.to_string()))),
                }
            }
        }
        Ok(page_end(cutter))
    }

    async fn listed(&mut self, piece: Piece) -> Result<(), LedgerError> {
        let ledger = &mut self.watch.ledger;
        let observed = match &piece {
            Piece::Whole(bytes) => ledger.intake.observe_bytes(bytes),
            Piece::TooLarge { bytes } => Err(Refusal::TooLarge { bytes: *bytes }),
        };
        drop(piece);
        ledger.see(Sight::Listed, observed).await
    }

    async fn connect(&mut self, from: Option<&str>) -> Result<Input, LedgerError> {
        // Watches that began together should not end together.
        let timeout = self.watch.settings.watch_timeout.mul_f64(1.0 + rand::random::<f64>() / 4.0);
        let path = cluster_api::watch(&self.watch.ledger.chosen, from, timeout);
        match self.watch.api.open(&path, "application/json").await {
            Ok(stream) => {
                self.open = Some(Open {
                    stream,
                    lines: LineCutter::new(MAX_LINE_BYTES),
                    deadline: Instant::now() + timeout + (timeout / 2).min(OVERTIME_LIMIT),
                    is_initial: from.is_none(),
                    is_settled: false,
                    nonsense: 0,
                });
                self.read().await
            }
            Err(error) => Ok(Input::Failed(error.failure(from.is_none()))),
        }
    }

    /// Reads on until there is something to tell.
    async fn read(&mut self) -> Result<Input, LedgerError> {
        loop {
            let Some(open) = &mut self.open else { return Ok(Input::Ended) };
            if let Some(piece) = open.lines.next() {
                if let Some(input) = self.line(piece).await? {
                    return Ok(input);
                }
                continue;
            }
            let quiet_at = Instant::now() + SETTLED_AFTER;
            let until = if open.is_settled || open.is_initial { open.deadline } else { quiet_at.min(open.deadline) };
            match tokio::time::timeout_at(until, open.stream.chunk()).await {
                Ok(Ok(Some(chunk))) => open.lines.feed(chunk),
                Ok(Ok(None)) if open.lines.is_inside() => {
                    self.close();
                    return Ok(Input::Failed(Failure::Other("the stream was cut inside of a line".to_owned())));
                }
                Ok(Ok(None)) => {
                    self.close();
                    return Ok(Input::Ended);
                }
                Ok(Err(error)) => {
                    self.close();
                    return Ok(Input::Failed(error.failure(false)));
                }
                Err(_elapsed) if until < open.deadline => {
                    open.is_settled = true;
                    self.watch.ledger.mark_refusals(false).await?;
                    return Ok(Input::Quiet);
                }
                Err(_elapsed) => {
                    self.close();
                    return Ok(Input::Silent);
                }
            }
        }
    }

    /// Takes in a line; `None` if it told nothing.
    async fn line(&mut self, piece: Piece) -> Result<Option<Input>, LedgerError> {
        let bytes = match piece {
            Piece::TooLarge { bytes } => {
                self.watch.ledger.refuse(&Refusal::TooLarge { bytes }.to_string()).await?;
                return Ok(None);
            }
            Piece::Whole(bytes) => bytes,
        };
        let line = match envelope::watch_line(&bytes) {
            Ok(line) => line,
            Err(error) => {
                self.watch.ledger.refuse(&error.to_string()).await?;
                return Ok(self.nonsense());
            }
        };
        let is_initial = self.open.as_ref().is_some_and(|open| open.is_initial);
        let version = envelope::resource_version(&line.object);
        match line.event {
            EventType::Added | EventType::Modified => {
                let observed = self.watch.ledger.intake.observe(line.object);
                let sight = if is_initial { Sight::Listed } else { Sight::Watched };
                self.watch.ledger.see(sight, observed).await?;
            }
            EventType::Deleted => {
                let observed = self.watch.ledger.intake.observe(line.object);
                self.watch.ledger.end(observed).await?;
            }
            EventType::Bookmark => return Ok(self.bookmark(version, envelope::ends_initial_events(&line.object))),
            EventType::Error => {
                let status = envelope::api_status(&line.object);
                self.close();
                return Ok(Some(Input::Failed(cluster_api::failure_of_event(&status))));
            }
            EventType::Unknown(event) => {
                self.watch.ledger.refuse(&format!("the watch event type `{event}` is not known")).await?;
                return Ok(self.nonsense());
            }
        }
        self.tell_types_changed();
        if let Some(open) = &mut self.open {
            open.nonsense = 0;
        }
        Ok(Some(Input::Event { version }))
    }

    fn tell_types_changed(&self) {
        if self.watch.defines_types {
            self.watch.types_changed.notify_one();
        }
    }

    fn bookmark(&mut self, version: Option<ResourceVersion>, ends_initial: bool) -> Option<Input> {
        let version = version?;
        let open = self.open.as_mut()?;
        if !open.is_initial {
            return Some(Input::Bookmark { version });
        }
        if !ends_initial {
            return None;
        }
        open.is_initial = false;
        Some(Input::InitialEnd { version })
    }

    fn nonsense(&mut self) -> Option<Input> {
        let open = self.open.as_mut()?;
        open.nonsense += 1;
        if open.nonsense < NONSENSE_LINES {
            return None;
        }
        self.close();
        Some(Input::Failed(Failure::Other(format!("{NONSENSE_LINES} lines in a row make no sense"))))
    }
}

fn page_end(cutter: ListCutter) -> Input {
    let metadata = match cutter.finish() {
        Ok(metadata) => metadata,
        Err(error) => return Input::Failed(Failure::Other(error.to_string())),
    };
    let Ok(metadata) = json::parse(&metadata, MAX_DEPTH) else {
        return Input::Failed(Failure::Other("the list has no metadata that makes sense".to_owned()));
    };
    let token = metadata.text_at(&["continue"]).filter(|token| !token.is_empty()).map(str::to_owned);
    match metadata.text_at(&["resourceVersion"]).filter(|version| !version.is_empty()) {
        Some(version) => Input::PageEnd { version: version.into(), token },
        None => Input::Failed(Failure::Other("the list has no resourceVersion".to_owned())),
    }
}
