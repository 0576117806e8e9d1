//! The protocol of one watch as a state machine: `(state, input, now, jitter) → effects`.
//!
//! Knows lists, watches, bookmarks, expiry, refusals and retries; knows nothing of objects, sockets or the journal. No await, no clock,
//! no randomness. Invariants: it never gives up and never ends by itself; every step ends in exactly one thing to do next; what failed is
//! told as stale or stopped and never as a delete; the checkpoint is forgotten before a list is recorded, because a position from before
//! the list would replay versions that are older than the list's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{MarkKind, ResourceVersion};

use crate::backoff;
use crate::watch_words::{Counted, Effect, Failure, Input, Next, WatchCondition};

/// How long a scope may fail before it is called stale: a restart of an API server behind a load balancer takes seconds.
pub(crate) const STALE_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Failed streaming lists after which pages are tried instead.
const STREAMING_ATTEMPTS: u32 = 3;

/// Longest time that a server's `Retry-After` is obeyed.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Paging { token: Option<String> },
    Streaming,
    Watching { from: ResourceVersion, has_news: bool },
}

/// The state of one watch.
#[derive(Clone, Debug)]
pub(crate) struct WatchState {
    phase: Phase,
    may_stream: bool,
    attempt: u32,
    stream_failures: u32,
    /// Expiries in a row without any news in between.
    expiries: u32,
    failing_since: Option<Timestamp>,
    told: Option<WatchCondition>,
}

impl WatchState {
    /// A state before `Start`. `may_stream` says whether streaming lists may be tried.
    pub(crate) fn new(may_stream: bool) -> Self {
        Self { phase: Phase::Idle, may_stream, attempt: 0, stream_failures: 0, expiries: 0, failing_since: None, told: None }
    }

    /// Takes one input. `jitter` is a random number in 0..1.
    pub(crate) fn step(&mut self, input: Input, now: Timestamp, jitter: f64) -> Vec<Effect> {
        let mut effects = Vec::new();
        let next = match input {
            Input::Start { checkpoint: None } => {
                effects.push(Effect::Mark(MarkKind::WatchStarted, "fresh watch, the present state is read first".to_owned()));
                self.list(&mut effects)
            }
            Input::Start { checkpoint: Some(from) } => {
                self.tell(WatchCondition::Stale, "resuming", &mut effects);
                effects.push(Effect::Mark(MarkKind::WatchStarted, "resumed where the last process ended".to_owned()));
                self.phase = Phase::Watching { from, has_news: false };
                self.resume()
            }
            Input::PageEnd { version, token } => self.page_end(version, token, &mut effects),
            Input::InitialEnd { version } => self.list_end(version, &mut effects),
            Input::Event { version } => self.news(version, false, &mut effects),
            Input::Bookmark { version } => self.news(Some(version), true, &mut effects),
            Input::Quiet => self.quiet(&mut effects),
            Input::Ended => self.ended(jitter, &mut effects),
            Input::Silent => {
                effects.push(Effect::Count(Counted::Reconnect));
                self.fail("the stream went silent", now, jitter, None, &mut effects)
            }
            Input::Failed(failure) => self.failed(failure, now, jitter, &mut effects),
            Input::Waited => self.resume(),
        };
        effects.push(Effect::Next(next));
        effects
    }

    fn list(&mut self, effects: &mut Vec<Effect>) -> Next {
        self.tell(WatchCondition::Listing, "reading the present state", effects);
        effects.push(Effect::ForgetCheckpoint);
        effects.push(Effect::BeginListing);
        self.phase = if self.may_stream { Phase::Streaming } else { Phase::Paging { token: None } };
        self.resume()
    }

    /// The request that the phase needs.
    fn resume(&self) -> Next {
        match &self.phase {
            Phase::Idle | Phase::Paging { token: None } => Next::List { token: None },
            Phase::Paging { token: Some(token) } => Next::List { token: Some(token.clone()) },
            Phase::Streaming => Next::StreamList,
            Phase::Watching { from, .. } => Next::Watch { from: from.clone() },
        }
    }

    fn page_end(&mut self, version: ResourceVersion, token: Option<String>, effects: &mut Vec<Effect>) -> Next {
        if token.is_some() {
            self.recovered();
            self.phase = Phase::Paging { token };
            return self.resume();
        }
        self.list_end(version, effects);
        self.resume()
    }

    /// Gives `Read`: a streaming list goes on as a watch on the same connection.
    fn list_end(&mut self, version: ResourceVersion, effects: &mut Vec<Effect>) -> Next {
        self.recovered();
        self.phase = Phase::Watching { from: version.clone(), has_news: true };
        effects.push(Effect::EndListing(version));
        self.told = Some(WatchCondition::Synced);
        effects.push(Effect::Condition(WatchCondition::Synced, "listed".to_owned()));
        Next::Read
    }

    fn news(&mut self, version: Option<ResourceVersion>, is_bookmark: bool, effects: &mut Vec<Effect>) -> Next {
        self.recovered();
        // The versions of initial events are no positions: they come in any order.
        if let Phase::Watching { from, has_news } = &mut self.phase {
            *has_news = true;
            self.expiries = 0;
            if let Some(version) = version {
                *from = version.clone();
                effects.push(Effect::Advance(version));
            }
            if is_bookmark {
                self.synced("caught up, told by a bookmark", effects);
            }
        }
        Next::Read
    }

    fn quiet(&mut self, effects: &mut Vec<Effect>) -> Next {
        if let Phase::Watching { has_news, .. } = &mut self.phase {
            *has_news = true;
            self.expiries = 0;
            self.recovered();
            self.synced("caught up", effects);
        }
        Next::Read
    }

    fn synced(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        if self.told != Some(WatchCondition::Synced) {
            effects.push(Effect::Mark(MarkKind::Synced, reason.to_owned()));
            self.tell(WatchCondition::Synced, reason, effects);
        }
    }

    fn ended(&mut self, jitter: f64, effects: &mut Vec<Effect>) -> Next {
        match &mut self.phase {
            Phase::Watching { has_news, .. } if *has_news => {
                *has_news = false;
                effects.push(Effect::Count(Counted::Reconnect));
                self.resume()
            }
            Phase::Streaming => {
                self.fall_back(effects);
                self.wait(jitter, None)
            }
            // A server that closes at once each time is asked less and less often.
            Phase::Idle | Phase::Paging { .. } | Phase::Watching { .. } => {
                effects.push(Effect::Count(Counted::Reconnect));
                self.wait(jitter, None)
            }
        }
    }

    fn failed(&mut self, failure: Failure, now: Timestamp, jitter: f64, effects: &mut Vec<Effect>) -> Next {
        match failure {
            Failure::Expired(message) => self.expired(&message, jitter, effects),
            Failure::NoStreaming(_) => {
                self.may_stream = false;
                effects.push(Effect::BeginListing);
                self.phase = Phase::Paging { token: None };
                self.resume()
            }
            Failure::Forbidden(message) => self.refused(format!("forbidden: {message}"), jitter, effects),
            Failure::NotServed(message) => self.refused(format!("not served: {message}"), jitter, effects),
            Failure::Busy { retry_after, message } => self.fail(&message, now, jitter, retry_after, effects),
            Failure::Other(message) => self.fail(&message, now, jitter, None, effects),
        }
    }

    fn expired(&mut self, message: &str, jitter: f64, effects: &mut Vec<Effect>) -> Next {
        match self.phase {
            Phase::Idle | Phase::Paging { .. } => {
                effects.push(Effect::BeginListing);
                self.phase = Phase::Paging { token: None };
                self.wait(jitter, None)
            }
            Phase::Streaming => {
                self.fall_back(effects);
                self.wait(jitter, None)
            }
            Phase::Watching { .. } => {
                effects.push(Effect::Mark(MarkKind::Gap, format!("history expired: {message}")));
                effects.push(Effect::Count(Counted::Gap));
                effects.push(Effect::Count(Counted::Relist));
                let next = self.list(effects);
                // A server that expires each fresh position at once is asked less and less often.
                self.expiries += 1;
                if self.expiries > 1 { Next::Wait(backoff::delay(self.expiries, jitter)) } else { next }
            }
        }
    }

    /// Refused for a reason that time does not cure by itself: told at once, tried again all the same.
    fn refused(&mut self, reason: String, jitter: f64, effects: &mut Vec<Effect>) -> Next {
        if self.told != Some(WatchCondition::Stopped) {
            effects.push(Effect::Mark(MarkKind::Stopped, reason.clone()));
        }
        self.tell(WatchCondition::Stopped, &reason, effects);
        self.fall_back(effects);
        self.wait(jitter, None)
    }

    fn fail(&mut self, reason: &str, now: Timestamp, jitter: f64, retry_after: Option<Duration>, effects: &mut Vec<Effect>) -> Next {
        let since = *self.failing_since.get_or_insert(now);
        let is_told = matches!(self.told, Some(WatchCondition::Stale | WatchCondition::Stopped));
        if now.duration_since(since) >= STALE_AFTER && !is_told {
            effects.push(Effect::Mark(MarkKind::Stale, reason.to_owned()));
            self.tell(WatchCondition::Stale, reason, effects);
        }
        self.fall_back(effects);
        self.wait(jitter, retry_after)
    }

    /// A streaming list that broke begins anew, after some failures in pages; a paged one goes on with its token.
    fn fall_back(&mut self, effects: &mut Vec<Effect>) {
        match &mut self.phase {
            Phase::Streaming => {
                self.stream_failures += 1;
                if self.stream_failures >= STREAMING_ATTEMPTS {
                    self.may_stream = false;
                    self.phase = Phase::Paging { token: None };
                }
                effects.push(Effect::BeginListing);
            }
            Phase::Watching { has_news, .. } => *has_news = false,
            Phase::Idle | Phase::Paging { .. } => {}
        }
    }

    fn wait(&mut self, jitter: f64, retry_after: Option<Duration>) -> Next {
        self.attempt = self.attempt.saturating_add(1);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_LIMIT);
        Next::Wait(backoff::delay(self.attempt, jitter).max(asked))
    }

    fn recovered(&mut self) {
        self.attempt = 0;
        self.failing_since = None;
    }

    fn tell(&mut self, condition: WatchCondition, reason: &str, effects: &mut Vec<Effect>) {
        self.told = Some(condition);
        effects.push(Effect::Condition(condition, reason.to_owned()));
    }
}

#[cfg(test)]
mod tests;
