//! The words of each kind of receiver: from notices to the bodies of requests.
//!
//! Pure. Not here: addresses, secrets, signatures. Invariant: the same notices give the same bytes, except where a receiver wants to know
//! until when something holds.

mod alertmanager;
mod kubernetes_event;
mod sentinel;
mod webhook;

use serde_json::{Map, Value};

pub use alertmanager::alertmanager;
pub use kubernetes_event::{EventObject, kubernetes_event};
pub use sentinel::sentinel;
pub use webhook::webhook;

use super::notice::Notice;

/// Largest body sent: receivers commonly take a mebibyte, Sentinel's intake is one of them.
const MAX_BODY_BYTES: usize = 512 * 1024;
/// Findings of an incident whose whole is too large to send.
const FINDINGS_WHEN_TOO_LARGE_LIMIT: usize = 5;
/// Changed fields of its cause.
const FIELDS_WHEN_TOO_LARGE_LIMIT: usize = 5;

/// What is said besides the incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Where people reach this Proreus, for links.
    pub external_url: Option<String>,
}

impl Setting {
    fn link(&self, notice: &Notice) -> Option<String> {
        let base = self.external_url.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/api/v1/incidents/{}", notice.incident.id))
    }
}

/// The incident in the words of the wire, with the configured name of its cluster and, where it is known, a link; cut where it is too large
/// to send.
fn incident(notice: &Notice, setting: &Setting) -> Map<String, Value> {
    let mut wire = notice.incident.wire.clone();
    if let Some(name) = &notice.cluster_name {
        wire.insert("clusterName".to_owned(), Value::String(name.clone()));
    }
    if let Some(link) = setting.link(notice) {
        wire.insert("link".to_owned(), Value::String(link));
    }
    if serde_json::to_vec(&wire).is_ok_and(|bytes| bytes.len() > MAX_BODY_BYTES) {
        cut(&mut wire);
    }
    wire
}

/// Leaves out the many: an incident is still told, and its link or its id leads to the rest.
fn cut(wire: &mut Map<String, Value>) {
    if let Some(Value::Array(findings)) = wire.get_mut("findings") {
        findings.truncate(FINDINGS_WHEN_TOO_LARGE_LIMIT);
    }
    if let Some(Value::Array(changed)) = wire.get_mut("cause").and_then(|cause| cause.get_mut("changed")) {
        changed.truncate(FIELDS_WHEN_TOO_LARGE_LIMIT);
    }
    wire.insert("cut".to_owned(), Value::Bool(true));
    if serde_json::to_vec(&*wire).is_ok_and(|bytes| bytes.len() > MAX_BODY_BYTES) {
        wire.remove("findings");
        wire.remove("cause");
    }
}

/// The first `limit` bytes of a text at most, cut between signs and marked as cut.
fn shortened(text: &str, limit: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit.saturating_sub(MARK.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{MARK}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
