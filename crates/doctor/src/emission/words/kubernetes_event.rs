//! What a Kubernetes Event says: on the object concerned, one for the trouble and one for its end, however often they are told.
//!
//! Pure. Core v1, which every version serves and `kubectl` shows with its count; `events.k8s.io/v1` lets nobody change the note of an Event
//! that is there. The name follows from the incident, so applying it again raises the count and makes no second Event.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::notice::{Notice, Occasion, REPORTER};
use super::super::pace::hash;
use super::shortened;

/// Longest message that the API server takes.
const MAX_NOTE_BYTES: usize = 1_024;
/// Longest name of an object, by Kubernetes.
const MAX_NAME_BYTES: usize = 253;
/// Longest reason and reporting instance that the API server takes.
const MAX_WORD_BYTES: usize = 128;
/// Where Events about cluster-scoped objects go, as every controller does it.
const NAMESPACE_OF_CLUSTER_SCOPE: &str = "default";

/// An Event to apply.
#[derive(Clone, Debug, PartialEq)]
pub struct EventObject {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object as it is applied.
    pub body: Value,
}

/// The Event for a notice, told by `instance`. `None` where the incident is about nothing that a cluster holds, such as a registry.
pub fn kubernetes_event(notice: &Notice, instance: &str) -> Option<EventObject> {
    let incident = &notice.incident;
    if incident.uid.is_empty() {
        return None;
    }
    let is_over = notice.occasion == Occasion::Resolved;
    let namespace = if incident.namespace.is_empty() { NAMESPACE_OF_CLUSTER_SCOPE } else { &incident.namespace };
    let name = event_name(&incident.name, &incident.id, is_over);
    let (first, last) = match incident.resolved_at {
        Some(resolved) if is_over => (resolved, resolved),
        _ => (incident.opened_at, notice.due.max(incident.recorded_at)),
    };
    let (level, action, note) = match is_over {
        true => ("Normal", "Resolved", format!("resolved: {}", incident.message)),
        false if incident.remediation.is_empty() => ("Warning", "Reported", incident.message.clone()),
        false => ("Warning", "Reported", note(&incident.message, &incident.remediation)),
    };
    let mut regarding = json!({ "kind": incident.kind, "name": incident.name, "uid": incident.uid });
    if let (false, Some(regarding)) = (incident.namespace.is_empty(), regarding.as_object_mut()) {
        regarding.insert("namespace".to_owned(), Value::String(incident.namespace.clone()));
    }
    let body = json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": name, "namespace": namespace },
        "involvedObject": regarding,
        "type": level,
        "reason": shortened(&incident.reason, MAX_WORD_BYTES),
        "message": shortened(&note, MAX_NOTE_BYTES),
        "action": action,
        "count": i32::try_from(notice.told.max(1)).unwrap_or(i32::MAX),
        "eventTime": micro_time(first),
        "firstTimestamp": whole_seconds(first),
        "lastTimestamp": whole_seconds(last),
        "reportingComponent": REPORTER,
        "reportingInstance": shortened(instance, MAX_WORD_BYTES),
        "source": { "component": REPORTER },
    });
    Some(EventObject { namespace: namespace.to_owned(), name, body })
}

/// Message and remediation; where both are too long the message keeps half of the room, because it says what is wrong.
fn note(message: &str, remediation: &str) -> String {
    let whole = format!("{message}\n{remediation}");
    if whole.len() <= MAX_NOTE_BYTES {
        return whole;
    }
    let room = MAX_NOTE_BYTES - 1;
    let message = shortened(message, (room / 2).max(room.saturating_sub(remediation.len())));
    let remediation = shortened(remediation, room - message.len());
    format!("{message}\n{remediation}")
}

/// Names an Event as every controller does: after its object, with a number that is its own.
fn event_name(object: &str, incident: &str, is_over: bool) -> String {
    let tail = format!(".{:016x}", hash(incident, u64::from(is_over)));
    // Names of objects may have signs that names of Events may not: those of roles, such as `system:node`.
    let plain: String =
        object.chars().map(|sign| if sign.is_ascii_alphanumeric() || matches!(sign, '-' | '.') { sign } else { '-' }).collect();
    let room = MAX_NAME_BYTES - tail.len();
    let head = plain.get(..plain.len().min(room)).unwrap_or_default().to_ascii_lowercase();
    let head = head.trim_matches(['-', '.']);
    if head.is_empty() { format!("incident{tail}") } else { format!("{head}{tail}") }
}

fn micro_time(at: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%S.%6fZ", &at.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

fn whole_seconds(at: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", &at.to_zoned(TimeZone::UTC)).unwrap_or_default()
}
