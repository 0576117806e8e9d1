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

/// How long a scope may fail before it is called stale: a restart of an API server behind a load balancer takes seconds.
pub(crate) const STALE_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Failed streaming lists after which pages are tried instead.
const STREAMING_ATTEMPTS: u32 = 3;

/// Longest time that a server's `Retry-After` is obeyed.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(60);

/// What an outsider sees of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchCondition {
    /// The present state is being read.
    Listing,
    /// Every change arrives.
    Synced,
    /// Not followed at the moment; what is stored may be old.
    Stale,
    /// Refused by the API server (forbidden, not served) or ended on purpose.
    Stopped,
}

impl WatchCondition {
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

/// Why a request or a stream failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// 410, as a response or as an event: the history after our position is gone, or a continue token is too old.
    Expired(String),
    /// 401 or 403.
    Forbidden(String),
    /// 404 or 405: the type is not served, or not so.
    NotServed(String),
    /// 429, and 503 with a time to wait.
    Busy { retry_after: Option<Duration>, message: String },
    /// The server does not do streaming lists.
    NoStreaming(String),
    /// Any other answer, a broken connection, bytes that make no sense.
    Other(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The watch begins.
    Start { checkpoint: Option<ResourceVersion> },
    /// A page of a list was taken in.
    PageEnd { version: ResourceVersion, token: Option<String> },
    /// The initial events of a streaming list are over.
    InitialEnd { version: ResourceVersion },
    /// An event was taken in; its object's version, where it has one.
    Event { version: Option<ResourceVersion> },
    /// A bookmark arrived.
    Bookmark { version: ResourceVersion },
    /// Nothing came for a moment: what was in the pipe is read.
    Quiet,
    /// The server ended the stream in good order.
    Ended,
    /// Nothing came for too long, or the stream outlived its time.
    Silent,
    /// A request or the stream failed.
    Failed(Failure),
    /// The time to wait is over.
    Waited,
}

/// What to do, in order; the last of a step is a `Next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Show this to whoever asks.
    Condition(WatchCondition, String),
    /// Record a mark.
    Mark(MarkKind, String),
    /// Forget the durable position.
    ForgetCheckpoint,
    /// A listing begins anew: what it will not see is absent.
    BeginListing,
    /// The listing is complete as of this version: compare, record what is absent, record `synced` and the position.
    EndListing(ResourceVersion),
    /// Everything up to this version was taken in.
    Advance(ResourceVersion),
    /// Counters for whoever asks.
    Count(Counted),
    /// What to wait for now.
    Next(Next),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Relist,
    Reconnect,
    Gap,
}

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask for a page of a list.
    List { token: Option<String> },
    /// Ask for a streaming list.
    StreamList,
    /// Ask for what follows this version.
    Watch { from: ResourceVersion },
    /// Read on from the open stream.
    Read,
    /// Wait; then `Waited`.
    Wait(Duration),
}

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
mod tests {
    use super::*;

    fn input(text: &str) -> Input {
        let words: Vec<&str> = text.split(' ').collect();
        let failed = |failure| Input::Failed(failure);
        match words.as_slice() {
            ["start"] => Input::Start { checkpoint: None },
            ["start", version] => Input::Start { checkpoint: Some((*version).into()) },
            ["page", version] => Input::PageEnd { version: (*version).into(), token: None },
            ["page", version, token] => Input::PageEnd { version: (*version).into(), token: Some((*token).to_owned()) },
            ["initial-end", version] => Input::InitialEnd { version: (*version).into() },
            ["event", version] => Input::Event { version: Some((*version).into()) },
            ["event"] => Input::Event { version: None },
            ["bookmark", version] => Input::Bookmark { version: (*version).into() },
            ["quiet"] => Input::Quiet,
            ["ended"] => Input::Ended,
            ["silent"] => Input::Silent,
            ["410"] => failed(Failure::Expired("too old".to_owned())),
            ["403"] => failed(Failure::Forbidden("no".to_owned())),
            ["404"] => failed(Failure::NotServed("gone".to_owned())),
            ["429", seconds] => {
                failed(Failure::Busy { retry_after: seconds.parse().ok().map(Duration::from_secs), message: "busy".to_owned() })
            }
            ["422"] => failed(Failure::NoStreaming("no".to_owned())),
            ["waited"] => Input::Waited,
            other => failed(Failure::Other(other.join(" "))),
        }
    }

    fn output(effect: &Effect) -> String {
        match effect {
            Effect::Condition(condition, _) => condition.as_str().to_owned(),
            Effect::Mark(kind, _) => format!("mark:{}", kind.as_str()),
            Effect::ForgetCheckpoint => "forget".to_owned(),
            Effect::BeginListing => "begin".to_owned(),
            Effect::EndListing(version) => format!("end@{version}"),
            Effect::Advance(version) => format!("advance@{version}"),
            Effect::Count(counted) => format!("{counted:?}").to_lowercase(),
            Effect::Next(Next::List { token }) => format!("LIST {}", token.as_deref().unwrap_or("-")),
            Effect::Next(Next::StreamList) => "STREAM".to_owned(),
            Effect::Next(Next::Watch { from }) => format!("WATCH {from}"),
            Effect::Next(Next::Read) => "READ".to_owned(),
            Effect::Next(Next::Wait(wait)) => format!("WAIT {}", wait.as_millis()),
        }
    }

    /// Each line is `input => effects`; `+5s` in front lets time pass.
    fn check(may_stream: bool, scenario: &str) {
        let mut state = WatchState::new(may_stream);
        let mut now = Timestamp::UNIX_EPOCH;
        for line in scenario.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (given, expected) = line.split_once("=>").unwrap_or((line, ""));
            let mut given = given.trim();
            if let Some((seconds, rest)) = given.strip_prefix('+').and_then(|text| text.split_once("s ")) {
                now += SignedDuration::from_secs(seconds.parse().unwrap_or_default());
                given = rest;
            }
            let said: Vec<String> = state.step(input(given), now, 0.0).iter().map(output).collect();
            assert_eq!(said.join(" "), expected.trim(), "at `{line}`");
        }
    }

    #[test]
    fn lists_in_pages_and_watches_from_the_version_of_the_list() {
        check(
            false,
            "start => mark:watchStarted listing forget begin LIST -
             page 7 a => LIST a
             page 7 b => LIST b
             page 7 => end@7 synced WATCH 7
             event 8 => advance@8 READ
             bookmark 20 => advance@20 READ
             ended => reconnect WATCH 20",
        );
    }

    #[test]
    fn a_streaming_list_goes_on_as_a_watch() {
        check(
            true,
            "start => mark:watchStarted listing forget begin STREAM
             event 3 => READ
             event 1 => READ
             initial-end 7 => end@7 synced READ
             event 8 => advance@8 READ
             ended => reconnect WATCH 8",
        );
    }

    #[test]
    fn pages_are_used_where_streaming_is_not_served_and_ever_after() {
        check(
            true,
            "start => mark:watchStarted listing forget begin STREAM
             422 => begin LIST -
             page 7 => end@7 synced WATCH 7
             410 => mark:gap gap relist listing forget begin LIST -",
        );
    }

    #[test]
    fn pages_are_tried_after_a_streaming_list_broke_three_times() {
        check(
            true,
            "start => mark:watchStarted listing forget begin STREAM
             event 1 => READ
             ended => begin WAIT 500
             waited => STREAM
             cut => begin WAIT 1000
             waited => STREAM
             silent => reconnect begin WAIT 2000
             waited => LIST -",
        );
    }

    #[test]
    fn resumes_from_a_checkpoint_without_a_list_and_says_when_it_caught_up() {
        check(
            true,
            "start 5 => stale mark:watchStarted WATCH 5
             event 6 => advance@6 READ
             quiet => mark:synced synced READ
             quiet => READ",
        );
        check(
            true,
            "start 5 => stale mark:watchStarted WATCH 5
             bookmark 9 => advance@9 mark:synced synced READ",
        );
    }

    #[test]
    fn forgets_the_checkpoint_before_it_lists_again_when_history_expired() {
        check(
            false,
            "start 5 => stale mark:watchStarted WATCH 5
             410 => mark:gap gap relist listing forget begin LIST -
             page 90 => end@90 synced WATCH 90",
        );
    }

    #[test]
    fn lists_less_and_less_often_when_each_fresh_position_expires_at_once() {
        check(
            false,
            "start 5 => stale mark:watchStarted WATCH 5
             410 => mark:gap gap relist listing forget begin LIST -
             page 9 => end@9 synced WATCH 9
             410 => mark:gap gap relist listing forget begin WAIT 1000
             waited => LIST -
             page 10 => end@10 synced WATCH 10
             410 => mark:gap gap relist listing forget begin WAIT 2000
             waited => LIST -
             page 11 => end@11 synced WATCH 11
             quiet => READ
             410 => mark:gap gap relist listing forget begin LIST -",
        );
    }

    #[test]
    fn begins_the_list_anew_when_its_token_expired_in_the_middle() {
        check(
            false,
            "start => mark:watchStarted listing forget begin LIST -
             page 7 a => LIST a
             410 => begin WAIT 500
             waited => LIST -",
        );
    }

    #[test]
    fn goes_on_with_the_same_page_after_a_broken_connection() {
        check(
            false,
            "start => mark:watchStarted listing forget begin LIST -
             page 7 a => LIST a
             connection reset => WAIT 500
             waited => LIST a",
        );
    }

    #[test]
    fn a_refused_type_is_told_once_and_asked_for_again_and_again() {
        check(
            false,
            "start => mark:watchStarted listing forget begin LIST -
             403 => mark:stopped stopped WAIT 500
             waited => LIST -
             403 => stopped WAIT 1000
             waited => LIST -
             page 7 => end@7 synced WATCH 7
             404 => mark:stopped stopped WAIT 500
             waited => WATCH 7
             quiet => mark:synced synced READ",
        );
    }

    #[test]
    fn a_short_failure_is_not_told_and_a_long_one_once() {
        check(
            false,
            "start 5 => stale mark:watchStarted WATCH 5
             quiet => mark:synced synced READ
             refused => WAIT 500
             +1s waited => WATCH 5
             quiet => READ
             refused => WAIT 500
             +9s refused => WAIT 1000
             +1s refused => mark:stale stale WAIT 2000
             +5s refused => WAIT 4000
             waited => WATCH 5
             event 6 => advance@6 READ
             quiet => mark:synced synced READ",
        );
    }

    #[test]
    fn obeys_the_time_that_a_busy_server_asks_for_up_to_a_minute() {
        check(
            false,
            "start 5 => stale mark:watchStarted WATCH 5
             429 7 => WAIT 7000
             waited => WATCH 5
             429 3600 => WAIT 60000",
        );
    }

    #[test]
    fn reconnects_when_the_stream_went_silent_from_the_last_version_seen() {
        check(
            false,
            "start 5 => stale mark:watchStarted WATCH 5
             event 6 => advance@6 READ
             event => READ
             silent => reconnect WAIT 500
             waited => WATCH 6",
        );
    }

    #[test]
    fn asks_less_and_less_often_when_the_server_closes_at_once() {
        check(
            false,
            "start 5 => stale mark:watchStarted WATCH 5
             ended => reconnect WAIT 500
             waited => WATCH 5
             ended => reconnect WAIT 1000
             waited => WATCH 5
             quiet => mark:synced synced READ
             ended => reconnect WATCH 5",
        );
    }
}
