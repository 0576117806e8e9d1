//! What a Kubernetes Event says, in one form for both of its APIs.
//!
//! Pure. Events are lossy (the client limits them, the API server forgets them after an hour), so they explain what objects show and are
//! hardly ever the only evidence.

use jiff::Timestamp;
use proreus_model::{ObjectId, Seq, Uid};
use serde_json::Value;

use super::Observed;
use crate::field;
use crate::own::is_own_event;

/// What an Event says.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFacts {
    /// The Event.
    pub id: ObjectId,
    /// Position of its last change.
    pub seq: Seq,
    /// `Warning` or `Normal`.
    pub level: String,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// How often it was seen, at least once.
    pub count: i64,
    /// When it was first seen, where it says so.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen; when it was recorded, where it does not say.
    pub last_seen: Timestamp,
    /// The part of the object that it speaks of, such as `spec.containers{web}`.
    pub field_path: String,
}

impl EventFacts {
    /// Whether it is a warning.
    pub fn is_warning(&self) -> bool {
        self.level == "Warning"
    }

    /// The container that it speaks of.
    pub fn container(&self) -> Option<&str> {
        self.field_path.split_once('{')?.1.strip_suffix('}')
    }
}

/// Reads an Event: the uid of what it speaks of, and what it says. `None` for what is no Event, speaks of nothing, or was written by Proreus:
/// what we found is no evidence that we were right.
pub(super) fn read(observed: &Observed) -> Option<(Uid, EventFacts)> {
    if !super::is_event(&observed.id) {
        return None;
    }
    let body = observed.body();
    if is_own_event(body) {
        return None;
    }
    let about = body.get("involvedObject").or_else(|| body.get("regarding"))?;
    let uid = about.get("uid").and_then(Value::as_str).filter(|uid| !uid.is_empty())?;
    let text = |paths: &[&str]| {
        let found = paths.iter().find_map(|path| body.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty()));
        found.unwrap_or_default().to_owned()
    };
    let time = |paths: &[&str]| paths.iter().find_map(|path| field::time(body, path).ok().flatten());
    let counts = ["/series/count", "/count", "/deprecatedCount"];
    let count = counts.iter().find_map(|path| body.pointer(path).and_then(Value::as_i64)).unwrap_or(1);
    let last_seen = time(&["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime"]);
    let facts = EventFacts {
        id: observed.id.clone(),
        seq: observed.seq,
        level: text(&["/type"]),
        reason: text(&["/reason"]),
        message: text(&["/message", "/note"]),
        count: count.max(1),
        first_seen: time(&["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]),
        last_seen: last_seen.unwrap_or(observed.recorded_at),
        field_path: about.get("fieldPath").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    Some((uid.into(), facts))
}
