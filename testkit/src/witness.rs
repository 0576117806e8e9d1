//! The witness: every version of every object, as etcd itself saw it.
//!
//! It watches the whole store from its first revision, below the API server, so it proves what a
//! recorder above the API server should have seen. It follows every key, not only `/registry/`:
//! then each revision shows, and having caught up is a fact, not a guess. Values go to an unnamed
//! file; only identities and positions stay in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::sync::{oneshot, watch};

use crate::etcd::Etcd;
use crate::{Error, Result};

// Everything up to an answered write is in etcd's own queue; this only bounds a hang.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);
// etcd is never stopped on purpose; a broken stream is resumed without a busy loop.
const RESUME_AFTER: Duration = Duration::from_millis(200);
const WATCH_PATH: &str = "/v3/watch";
const REGISTRY: &str = "/registry/";

/// Which object a key of etcd holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath {
    /// The key without `/registry/`, namespace and name: `pods`, `services/specs`,
    /// `apiextensions.k8s.io/customresourcedefinitions`, `shop.example/orders`. Nodes are `minions`.
    pub resource: String,
    /// `""` where there is none.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// etcd's revision: the `resourceVersion` the API shows for this version, deletions included.
    pub mod_revision: u64,
    /// `metadata.uid`; of a deletion, that of the version it deleted. `""` of what is no object.
    pub uid: String,
    /// `apiVersion` as stored, which need not be the preferred one.
    pub api_version: String,
    /// `kind` as stored.
    pub kind: String,
    /// Whether this is the end of the object.
    pub deleted: bool,
    value: Option<(u64, usize)>,
}

/// Follows etcd until it is dropped.
#[derive(Debug)]
pub struct Witness {
    etcd: Etcd,
    record: Arc<Mutex<Record>>,
    progress: watch::Receiver<Progress>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How far the witness has come.
#[derive(Debug, Clone, Default)]
struct Progress {
    revision: u64,
    lost: Option<String>,
}

/// What has been seen.
#[derive(Debug)]
struct Record {
    histories: BTreeMap<ObjectPath, Vec<Version>>,
    /// The identity of each key that ever was: a deletion carries none, and one may be told twice.
    paths: BTreeMap<String, ObjectPath>,
    values: File,
    values_len: u64,
}

impl Witness {
    /// Starts to follow the etcd behind `etcd_url` from its first revision.
    ///
    /// # Errors
    /// When no temporary file or thread can be made. An etcd that was already compacted shows
    /// in [`Self::catch_up`].
    pub fn start(etcd_url: &str) -> Result<Self> {
        let values = tempfile::tempfile().map_err(Error::io("create", "a file for values"))?;
        let record = Record {
            histories: BTreeMap::new(),
            paths: BTreeMap::new(),
            values,
            values_len: 0,
        };
        let record = Arc::new(Mutex::new(record));
        let (progress_sender, progress) = watch::channel(Progress::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::io("start a runtime for", "the witness"))?;
        let url = etcd_url.to_owned();
        let shared = Arc::clone(&record);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = follow(&url, &shared, &progress_sender) => {}
                    _ = stopped => {}
                }
            });
        });
        let etcd = Etcd::new(etcd_url.to_owned());
        Ok(Self {
            etcd,
            record,
            progress,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Waits until everything etcd holds now has been seen, and returns that revision.
    ///
    /// # Errors
    /// When revisions were lost, or it does not catch up within a minute.
    pub async fn catch_up(&self) -> Result<u64> {
        let target = self.etcd.revision().await?;
        let mut progress = self.progress.clone();
        let caught_up =
            progress.wait_for(|progress| progress.revision >= target || progress.lost.is_some());
        let seen = match tokio::time::timeout(CATCH_UP_WITHIN, caught_up).await {
            Ok(Ok(progress)) => progress.clone(),
            Ok(Err(_)) => return Err(Error::WitnessLost("its thread has ended".to_owned())),
            Err(_) => {
                let last = format!("revision {}", self.progress.borrow().revision);
                let what = format!("the witness' arrival at revision {target}");
                return Err(Error::Deadline {
                    what,
                    seconds: CATCH_UP_WITHIN.as_secs(),
                    last,
                });
            }
        };
        match seen.lost {
            Some(reason) => Err(Error::WitnessLost(reason)),
            None => Ok(target),
        }
    }

    /// Every version of one object, oldest first; several lives under one name follow each other.
    #[must_use]
    pub fn history(&self, path: &ObjectPath) -> Vec<Version> {
        self.record()
            .histories
            .get(path)
            .cloned()
            .unwrap_or_default()
    }

    /// Every object that ever was, with all its versions, oldest first.
    #[must_use]
    pub fn histories(&self) -> BTreeMap<ObjectPath, Vec<Version>> {
        self.record().histories.clone()
    }

    /// The JSON of a version as stored; `None` for a deletion.
    ///
    /// # Errors
    /// When the witness' own file cannot be read.
    pub fn value(&self, version: &Version) -> Result<Option<Vec<u8>>> {
        let Some((offset, len)) = version.value else {
            return Ok(None);
        };
        let mut bytes = vec![0; len];
        let record = self.record();
        record
            .values
            .read_exact_at(&mut bytes, offset)
            .map_err(Error::io("read", "the witness' file of values"))?;
        Ok(Some(bytes))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
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

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Envelope {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    namespace: String,
    name: String,
    uid: String,
}

/// Watches until revisions are lost, resuming behind the last one seen.
async fn follow(url: &str, record: &Mutex<Record>, progress: &watch::Sender<Progress>) {
    // Watches are endless: no overall time limit.
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap_or_default();
    loop {
        let next = progress.borrow().revision + 1;
        if let Err(Interruption::Lost(reason)) =
            watch_from(&client, url, next, record, progress).await
        {
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
    let request = client
        .post(format!("{url}{WATCH_PATH}"))
        .body(request.to_string());
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
fn take(
    line: &[u8],
    record: &Mutex<Record>,
    progress: &watch::Sender<Progress>,
) -> Result<(), Interruption> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Interruption::Lost(format!("an answer cannot be read: {error}"))
    };
    let line: Line = serde_json::from_slice(line).map_err(|error| unreadable(&error))?;
    if let Some(error) = line.error {
        return Err(Interruption::Lost(error.to_string()));
    }
    let Some(answer) = line.result else {
        return Ok(());
    };
    if answer.canceled {
        let Answer {
            compact_revision,
            cancel_reason,
            ..
        } = answer;
        let reason =
            format!("the watch was cancelled, compacted at {compact_revision:?}: {cancel_reason}");
        return Err(Interruption::Lost(reason));
    }
    let mut newest = 0;
    {
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &answer.events {
            newest = record.take(event).map_err(|error| unreadable(&error))?;
        }
    }
    // The events of one revision may be spread over fragments; it is complete with the last one.
    let complete = if answer.fragment {
        newest.saturating_sub(1)
    } else {
        newest
    };
    progress.send_if_modified(|progress| {
        let grows = complete > progress.revision;
        progress.revision = progress.revision.max(complete);
        grows
    });
    Ok(())
}

impl Record {
    /// Takes in one event and returns its revision.
    fn take(&mut self, event: &Event) -> io::Result<u64> {
        let decode = |text: &str| STANDARD.decode(text).map_err(io::Error::other);
        let revision = event.kv.mod_revision.parse().map_err(io::Error::other)?;
        let key = String::from_utf8(decode(&event.kv.key)?).map_err(io::Error::other)?;
        let Some(below) = key.strip_prefix(REGISTRY) else {
            return Ok(revision);
        };
        let deleted = event.kind == "DELETE";
        let value = decode(&event.kv.value)?;
        let envelope: Envelope = serde_json::from_slice(&value).unwrap_or_default();
        let path = match self.paths.get(below) {
            Some(path) => path.clone(),
            None => object_path(below, &envelope.metadata),
        };
        let history = self.histories.entry(path.clone()).or_default();
        // A stream resumed inside a revision tells what was told before the break again.
        if history
            .last()
            .is_some_and(|last| last.mod_revision >= revision)
        {
            return Ok(revision);
        }
        let version = if deleted {
            let before = history.last();
            let of =
                |field: fn(&Version) -> &String| before.map(field).cloned().unwrap_or_default();
            Version {
                mod_revision: revision,
                uid: of(|version| &version.uid),
                api_version: of(|version| &version.api_version),
                kind: of(|version| &version.kind),
                deleted,
                value: None,
            }
        } else {
            self.values.seek(SeekFrom::Start(self.values_len))?;
            self.values.write_all(&value)?;
            let offset = self.values_len;
            self.values_len += value.len() as u64;
            self.paths.insert(below.to_owned(), path);
            Version {
                mod_revision: revision,
                uid: envelope.metadata.uid,
                api_version: envelope.api_version,
                kind: envelope.kind,
                deleted,
                value: Some((offset, value.len())),
            }
        };
        history.push(version);
        Ok(revision)
    }
}

/// Which object a key below `/registry/` holds. The key alone does not tell where the resource
/// ends and the namespace begins; the stored object's own metadata does.
fn object_path(below: &str, metadata: &Metadata) -> ObjectPath {
    let Metadata {
        namespace, name, ..
    } = metadata;
    let tail = if namespace.is_empty() {
        format!("/{name}")
    } else {
        format!("/{namespace}/{name}")
    };
    if let (false, Some(resource)) = (name.is_empty(), below.strip_suffix(&tail)) {
        return ObjectPath {
            resource: resource.to_owned(),
            namespace: namespace.clone(),
            name: name.clone(),
        };
    }
    // Leases of API servers, ranges of addresses and the like: the last word is the name.
    let (resource, name) = below.rsplit_once('/').unwrap_or(("", below));
    ObjectPath {
        resource: resource.to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn record() -> Mutex<Record> {
        let values = tempfile::tempfile().unwrap();
        Mutex::new(Record {
            histories: BTreeMap::new(),
            paths: BTreeMap::new(),
            values,
            values_len: 0,
        })
    }

    fn put(key: &str, revision: u64, uid: &str) -> String {
        let name = key.rsplit('/').next().unwrap();
        let object = format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"namespace":"shop","name":"{name}","uid":"{uid}"}}}}"#
        );
        let (key, object) = (STANDARD.encode(key), STANDARD.encode(object));
        format!(r#"{{"kv":{{"key":"{key}","mod_revision":"{revision}","value":"{object}"}}}}"#)
    }

    fn delete(key: &str, revision: u64) -> String {
        format!(
            r#"{{"type":"DELETE","kv":{{"key":"{}","mod_revision":"{revision}"}}}}"#,
            STANDARD.encode(key)
        )
    }

    fn answer(events: &[String], rest: &str) -> Vec<u8> {
        format!(
            "{{\"result\":{{\"events\":[{}]{rest}}}}}\n",
            events.join(",")
        )
        .into_bytes()
    }

    #[test]
    fn keeps_two_lives_of_one_name_apart_by_uid() {
        let (record, (progress, _seen)) = (record(), watch::channel(Progress::default()));
        let key = "/registry/pods/shop/web";
        let events = [put(key, 5, "a"), delete(key, 6), put(key, 7, "b")];
        assert!(take(&answer(&events, ""), &record, &progress).is_ok());
        let path = ObjectPath {
            resource: "pods".into(),
            namespace: "shop".into(),
            name: "web".into(),
        };
        let record = record.lock().unwrap();
        let told: Vec<_> = record.histories[&path]
            .iter()
            .map(|v| (v.mod_revision, v.uid.as_str(), v.deleted))
            .collect();
        assert_eq!(told, [(5, "a", false), (6, "a", true), (7, "b", false)]);
        assert_eq!(progress.borrow().revision, 7);
    }

    #[test]
    fn counts_a_revision_as_seen_only_with_its_last_fragment() {
        let (record, (progress, _seen)) = (record(), watch::channel(Progress::default()));
        let first = answer(
            &[put("/registry/pods/shop/a", 9, "a")],
            r#","fragment":true"#,
        );
        assert!(take(&first, &record, &progress).is_ok());
        assert_eq!(progress.borrow().revision, 8);
        assert!(
            take(
                &answer(&[put("/registry/pods/shop/b", 9, "b")], ""),
                &record,
                &progress
            )
            .is_ok()
        );
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

    #[test]
    fn tells_resource_from_namespace_by_the_objects_own_metadata() {
        let check = |below: &str, namespace: &str, name: &str, expected: [&str; 3]| {
            let metadata = Metadata {
                namespace: namespace.into(),
                name: name.into(),
                uid: String::new(),
            };
            let path = object_path(below, &metadata);
            assert_eq!(
                [path.resource.as_str(), &path.namespace, &path.name],
                expected
            );
        };
        check(
            "services/specs/shop/web",
            "shop",
            "web",
            ["services/specs", "shop", "web"],
        );
        check("minions/node-1", "", "node-1", ["minions", "", "node-1"]);
        check(
            "shop.example/orders/shop/1",
            "shop",
            "1",
            ["shop.example/orders", "shop", "1"],
        );
        check("ranges/serviceips", "", "", ["ranges", "", "serviceips"]);
    }
}
