//! The words between a watch's protocol and its hands: what happened, what to do.
//!
//! Plain values, no behaviour but their wire texts.

use std::time::Duration;

use proreus_model::{MarkKind, ResourceVersion};

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
