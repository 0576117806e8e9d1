//! What a Kubernetes Event says, in one form for both of its APIs.
//!
//! Pure. Events are lossy (the client limits them, the API server forgets them after an hour), so they explain what objects show and are
//! hardly ever the only evidence.

use jiff::Timestamp;
use proreus_model::{ObjectId, Seq, Uid};

use super::Observed;
use crate::document::Node;
use crate::field;
use crate::own::is_own_event;

/// What an Event says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventFacts<'a> {
    /// The Event.
    pub id: &'a ObjectId,
    /// Position of its last change.
    pub seq: Seq,
    /// `Warning` or `Normal`.
    pub level: &'a str,
    /// Its reason.
    pub reason: &'a str,
    /// Its message.
    pub message: &'a str,
    /// How often it was seen, at least once.
    pub count: i64,
    /// When it was first seen, where it says so.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen; when it was recorded, where it does not say.
    pub last_seen: Timestamp,
    /// The part of the object that it speaks of, such as `spec.containers{web}`.
    pub field_path: &'a str,
}

impl<'a> EventFacts<'a> {
    /// Whether it is a warning.
    pub fn is_warning(&self) -> bool {
        self.level == "Warning"
    }

    /// The container that it speaks of.
    pub fn container(&self) -> Option<&'a str> {
        self.field_path.split_once('{')?.1.strip_suffix('}')
    }
}

/// The uid of what an Event speaks of. `None` for what is no Event, speaks of nothing, or was written by Proreus: what we found is no
/// evidence that we were right.
pub(super) fn regarding(observed: &Observed) -> Option<Uid> {
    if !super::is_event(&observed.id) || is_own_event(observed.body()) {
        return None;
    }
    about(observed.body())?.get("uid").and_then(Node::as_str).filter(|uid| !uid.is_empty()).map(Uid::from)
}

fn about(body: Node<'_>) -> Option<Node<'_>> {
    body.get("involvedObject").or_else(|| body.get("regarding"))
}

/// Reads an Event.
pub(super) fn read(observed: &Observed) -> EventFacts<'_> {
    let body = observed.body();
    let text = |paths: &[&str]| {
        let found = paths.iter().find_map(|path| body.pointer(path).and_then(Node::as_str).filter(|text| !text.is_empty()));
        found.unwrap_or_default()
    };
    let time = |paths: &[&str]| paths.iter().find_map(|path| field::time(body, path).ok().flatten());
    let counts = ["/series/count", "/count", "/deprecatedCount"];
    let count = counts.iter().find_map(|path| body.pointer(path).and_then(Node::as_i64)).unwrap_or(1);
    let last_seen = time(&["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime"]);
    EventFacts {
        id: &observed.id,
        seq: observed.seq,
        level: text(&["/type"]),
        reason: text(&["/reason"]),
        message: text(&["/message", "/note"]),
        count: count.max(1),
        first_seen: time(&["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]),
        last_seen: last_seen.unwrap_or(observed.recorded_at),
        field_path: about(body).and_then(|about| about.get("fieldPath")?.as_str()).unwrap_or_default(),
    }
}
