//! What a Kubernetes Event says, of either API (`v1` and `events.k8s.io/v1`).

use proreus_api::Change;
use serde_json::Value;

use crate::terminal::fit::clean;

/// An Event in the words that matter to a person, all cleaned for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventWords {
    /// True for type `Warning`.
    pub(crate) warning: bool,
    /// Such as `BackOff`.
    pub(crate) reason: String,
    /// The sentence.
    pub(crate) message: String,
    /// How often it was seen; 1 where it does not say.
    pub(crate) count: u64,
    /// Kind of what it is about; empty where it does not say.
    pub(crate) kind: String,
    /// Name of what it is about.
    pub(crate) name: String,
    /// Who says so.
    pub(crate) reporter: String,
}

/// Whether the change is one of an Event.
pub(crate) fn is_event(change: &Change) -> bool {
    change.kind == "Event" && matches!(change.group.as_str(), "" | "events.k8s.io")
}

/// The words of an Event; `None` for any other object and where the object was not sent along.
pub(crate) fn event_words(change: &Change) -> Option<EventWords> {
    if !is_event(change) {
        return None;
    }
    let object = change.object.as_ref()?.to_value();
    let text = |paths: &[&str]| paths.iter().find_map(|path| object.pointer(path).and_then(Value::as_str)).filter(|text| !text.is_empty());
    let number = |paths: &[&str]| paths.iter().find_map(|path| object.pointer(path).and_then(Value::as_u64)).filter(|count| *count > 0);
    Some(EventWords {
        warning: text(&["/type"]) == Some("Warning"),
        reason: clean(text(&["/reason"]).unwrap_or_default()),
        message: clean(text(&["/message", "/note"]).unwrap_or_default().trim_end()),
        count: number(&["/series/count", "/count", "/deprecatedCount"]).unwrap_or(1),
        kind: clean(text(&["/involvedObject/kind", "/regarding/kind"]).unwrap_or_default()),
        name: clean(text(&["/involvedObject/name", "/regarding/name"]).unwrap_or_default()),
        reporter: clean(
            text(&["/reportingController", "/reportingComponent", "/source/component", "/deprecatedSource/component"]).unwrap_or_default(),
        ),
    })
}

impl EventWords {
    /// `BackOff ×4`.
    pub(crate) fn headline(&self) -> String {
        match self.count {
            0 | 1 => self.reason.clone(),
            count => format!("{} ×{count}", self.reason),
        }
    }
}
