//! A Kubernetes Event of either API, as one thing.
//!
//! Parsing only. Two APIs tell the same story with other fields: `involvedObject` or `regarding`, `message` or `note`, `count` or `series`.

use jiff::Timestamp;
use proreus_model::{Change, Group, Kind, Name, Namespace, Uid};
use serde_json::Value;

use super::facts::{Key, group_of};
use super::reading::{first_text, number, text, time};

/// What an Event says, about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    /// The Event's own uid: a repetition changes the same Event.
    pub(super) event: Uid,
    /// What it speaks of.
    pub(super) about: Key,
    /// Which incarnation of that, `""` when it does not say.
    pub(super) about_uid: Uid,
    pub(super) is_warning: bool,
    pub(super) reason: String,
    pub(super) message: String,
    /// How often it was said.
    pub(super) count: i64,
    /// When it was last said, by its own account. Compared with creation times only.
    pub(super) last_seen: Option<Timestamp>,
}

impl Happening {
    /// Reads the Event in a change.
    pub(super) fn read(change: &Change, event: &Value) -> Self {
        let about = event.get("involvedObject").or_else(|| event.get("regarding")).unwrap_or(&Value::Null);
        let namespace = match text(about, "/namespace") {
            "" => change.object.namespace.clone(),
            namespace => Namespace::from(namespace),
        };
        let seen = ["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime", "/firstTimestamp"];
        Self {
            event: change.object.uid.clone(),
            about: Key {
                cluster: change.object.cluster.clone(),
                group: Group::from(group_of(text(about, "/apiVersion"))),
                kind: Kind::from(text(about, "/kind")),
                namespace,
                name: Name::from(text(about, "/name")),
            },
            about_uid: change.regarding.clone().unwrap_or_else(|| Uid::from(text(about, "/uid"))),
            is_warning: text(event, "/type") == "Warning",
            reason: text(event, "/reason").to_owned(),
            message: first_text(event, &["/message", "/note"]).to_owned(),
            count: number(event, "/series/count").or_else(|| number(event, "/count")).unwrap_or(1).max(1),
            last_seen: seen.iter().filter_map(|pointer| time(event, pointer)).max(),
        }
    }

    /// Whether it tells of a failure. Some controllers write failures as Normal, so the type alone does not say.
    pub(super) fn tells_failure(&self) -> bool {
        if self.reason.starts_with("Successful") {
            return false;
        }
        let failing = ["Failed", "Error", "Failure"].iter().any(|word| self.reason.starts_with(word) || self.reason.ends_with(word));
        self.is_warning || failing || self.message.starts_with("Reconcile error")
    }
}
