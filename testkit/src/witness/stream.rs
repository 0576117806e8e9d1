//! The witness' stream from etcd: the watch, its JSON, and how far it has come.
//!
//! What an event means for an object is [`super::record`]'s affair.

use std::fmt::Display;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::sync::watch;

use super::record::Record;

// etcd is never stopped on purpose; a broken stream is resumed without a busy loop.
const RESUME_AFTER: Duration = Duration::from_millis(200);
const WATCH_PATH: &str = "/v3/watch";
const REGISTRY: &str = "/registry/";

/// How far the witness has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) revision: u64,
    /// Why no later revision will ever be seen, once that is so.
    pub(super) lost: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    result: Option<Answer>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    canceled: bool,
    #[serde(default)]
    cancel_reason: String,
    #[serde(default)]
    compact_revision: String,
    #[serde(default)]
    fragment: bool,
}

#[derive(Deserialize)]
struct Event {
    // Absent for a put: the gateway leaves out a field's default.
    #[serde(default, rename = "type")]
    kind: String,
    kv: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    mod_revision: String,
    #[serde(default)]
    value: String,
}

/// Watches until revisions are lost, resuming behind the last one seen.
pub(super) async fn follow(client: &reqwest::Client, url: &str, record: &Mutex<Record>, progress: &watch::Sender<Progress>) {
    loop {
        let next = progress.borrow().revision + 1;
        if let Err(Interruption::Lost(reason)) = watch_from(client, url, next, record, progress).await {
            progress.send_modify(|progress| progress.lost = Some(reason));
            return;
        }
        tokio::time::sleep(RESUME_AFTER).await;
    }
}

/// Why a watch came to an end.
enum Interruption {
    /// It can be resumed.
    Broken,
    /// It cannot.
    Lost(String),
}

async fn watch_from(
    client: &reqwest::Client,
    url: &str,
    start: u64,
    record: &Mutex<Record>,
    progress: &watch::Sender<Progress>,
) -> Result<(), Interruption> {
    // Key and end of a single zero byte each mean: every key. Fragments keep one answer within
    // etcd's own limit on a message when it has much to catch up with.
    let request = serde_json::json!({"create_request": {
        "key": "AA==", "range_end": "AA==", "start_revision": start.to_string(), "fragment": true,
    }});
    let request = client.post(format!("{url}{WATCH_PATH}")).body(request.to_string());
    let mut answer = request.send().await.map_err(|_| Interruption::Broken)?;
    let mut line = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| Interruption::Broken)? {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                take(&line, record, progress)?;
                line.clear();
            }
        }
    }
    Err(Interruption::Broken)
}

/// Takes in one answer of the watch.
fn take(line: &[u8], record: &Mutex<Record>, progress: &watch::Sender<Progress>) -> Result<(), Interruption> {
    let unreadable = |error: &dyn Display| Interruption::Lost(format!("an answer cannot be read: {error}"));
    let line: Line = serde_json::from_slice(line).map_err(|error| unreadable(&error))?;
    if let Some(error) = line.error {
        return Err(Interruption::Lost(error.to_string()));
    }
    let Some(answer) = line.result else {
        return Ok(());
    };
    if answer.canceled {
        let Answer { compact_revision, cancel_reason, .. } = answer;
        let reason = format!("the watch was cancelled, compacted at {compact_revision:?}: {cancel_reason}");
        return Err(Interruption::Lost(reason));
    }
    let mut newest = 0;
    {
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &answer.events {
            newest = event.tell(&mut record).map_err(|error| unreadable(&error))?;
        }
    }
    // The events of one revision may be spread over fragments; it is complete with the last one.
    let complete = if answer.fragment { newest.saturating_sub(1) } else { newest };
    progress.send_if_modified(|progress| {
        let grows = complete > progress.revision;
        progress.revision = progress.revision.max(complete);
        grows
    });
    Ok(())
}

impl Event {
    /// Has the record take it in, and returns its revision.
    fn tell(&self, record: &mut Record) -> io::Result<u64> {
        let decode = |text: &str| STANDARD.decode(text).map_err(io::Error::other);
        let revision = self.kv.mod_revision.parse().map_err(io::Error::other)?;
        let key = String::from_utf8(decode(&self.kv.key)?).map_err(io::Error::other)?;
        if let Some(below) = key.strip_prefix(REGISTRY) {
            if self.kind == "DELETE" {
                record.delete(below, revision);
            } else {
                record.put(below, revision, &decode(&self.kv.value)?)?;
            }
        }
        Ok(revision)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::ObjectPath;
    use super::*;

    fn record() -> Mutex<Record> {
        Mutex::new(Record::new(tempfile::tempfile().unwrap()))
    }

    fn put(key: &str, revision: u64, uid: &str) -> String {
        let name = key.rsplit('/').next().unwrap();
        let object = format!(r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"namespace":"shop","name":"{name}","uid":"{uid}"}}}}"#);
        let (key, object) = (STANDARD.encode(key), STANDARD.encode(object));
        format!(r#"{{"kv":{{"key":"{key}","mod_revision":"{revision}","value":"{object}"}}}}"#)
    }

    fn delete(key: &str, revision: u64) -> String {
        format!(r#"{{"type":"DELETE","kv":{{"key":"{}","mod_revision":"{revision}"}}}}"#, STANDARD.encode(key))
    }

    fn answer(events: &[String], rest: &str) -> Vec<u8> {
        format!("{{\"result\":{{\"events\":[{}]{rest}}}}}\n", events.join(",")).into_bytes()
    }

    #[test]
    fn keeps_two_lives_of_one_name_apart_by_uid() {
        let (record, (progress, _seen)) = (record(), watch::channel(Progress::default()));
        let key = "/registry/pods/shop/web";
        let events = [put(key, 5, "a"), delete(key, 6), put(key, 7, "b")];
        assert!(take(&answer(&events, ""), &record, &progress).is_ok());
        let path = ObjectPath { resource: "pods".into(), namespace: "shop".into(), name: "web".into() };
        let record = record.lock().unwrap();
        let told: Vec<_> = record.histories[&path].iter().map(|v| (v.mod_revision, v.uid.as_str(), v.deleted)).collect();
        assert_eq!(told, [(5, "a", false), (6, "a", true), (7, "b", false)]);
        assert_eq!(progress.borrow().revision, 7);
    }

    #[test]
    fn counts_a_revision_as_seen_only_with_its_last_fragment() {
        let (record, (progress, _seen)) = (record(), watch::channel(Progress::default()));
        let first = answer(&[put("/registry/pods/shop/a", 9, "a")], r#","fragment":true"#);
        assert!(take(&first, &record, &progress).is_ok());
        assert_eq!(progress.borrow().revision, 8);
        assert!(take(&answer(&[put("/registry/pods/shop/b", 9, "b")], ""), &record, &progress).is_ok());
        assert_eq!(progress.borrow().revision, 9);
    }

    #[test]
    fn says_that_revisions_are_lost_when_etcd_compacted_them() {
        let (record, (progress, _seen)) = (record(), watch::channel(Progress::default()));
        let line = answer(&[], r#","canceled":true,"compact_revision":"40""#);
        let outcome = take(&line, &record, &progress);
        let Some(Interruption::Lost(reason)) = outcome.err() else {
            unreachable!("a cancelled watch must not be resumed");
        };
        assert!(reason.contains("40"), "{reason}");
    }
}
