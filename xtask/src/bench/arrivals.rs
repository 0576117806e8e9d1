//! Times the way of writes: from the request to the API server until a raw watch has them, until a list of changes has them, and until the
//! stream of changes has them.
//!
//! All three readers run at once, so each write's ways are compared with each other and not with those of another moment. The list is
//! polled: what it is late by includes the pause between two requests and the request itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{AsyncBufReadExt, TryStreamExt};
use kube::Client;
use proreus_tests::RecorderProcess;
use serde_json::{Value, json};

// Slow enough that writes do not queue behind each other on two busy cores, fast enough for hundreds of them in half a minute.
const WRITE_EVERY: Duration = Duration::from_millis(50);
// Between two requests for the list; a client that asked more often would be most of the load.
const ASK_EVERY: Duration = Duration::from_millis(5);
// From the last write until everybody must have it.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);
// For the three readers to stand before the first write.
const READERS_STAND: Duration = Duration::from_secs(1);
const NAMESPACE: &str = "default";

/// When each resourceVersion was first seen.
type Seen = Arc<Mutex<HashMap<String, Instant>>>;

/// The ways of all writes, in the same order.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// From the request to the raw watch.
    pub(super) raw: Vec<Duration>,
    /// From the request to the list.
    pub(super) listed: Vec<Duration>,
    streamed: Vec<Duration>,
}

impl Arrivals {
    /// How much later than the raw watch the list had them; nothing where it was first.
    pub(super) fn listed_later(&self) -> Vec<Duration> {
        later(&self.listed, &self.raw)
    }

    /// How much later than the raw watch the stream had them.
    pub(super) fn streamed_later(&self) -> Vec<Duration> {
        later(&self.streamed, &self.raw)
    }
}

fn later(these: &[Duration], those: &[Duration]) -> Vec<Duration> {
    these.iter().zip(those).map(|(this, that)| this.saturating_sub(*that)).collect()
}

/// About how long so many writes take.
pub(super) fn time_for(writes: usize) -> Duration {
    WRITE_EVERY * u32::try_from(writes).unwrap_or(u32::MAX) + READERS_STAND
}

/// Makes an object and changes it so many times.
pub(super) async fn watch_arrivals(client: &Client, recorder: &RecorderProcess, writes: usize, run: &str) -> Result<Arrivals> {
    let name = format!("proreus-bench-{run}");
    let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    let made = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let made: Value = client.request(http::Request::post(&path).body(serde_json::to_vec(&made)?)?).await?;
    let from = version(&made).context("the API server gave no resourceVersion")?;
    let (raw, listed, streamed) = (Seen::default(), Seen::default(), Seen::default());
    let question = format!("namespace={NAMESPACE}&kind=ConfigMap&name={name}");
    let watch = format!("{path}?watch=1&resourceVersion={from}&fieldSelector=metadata.name%3D{name}");
    // Dropped at the end, and all three with it.
    let mut readers = tokio::task::JoinSet::new();
    readers.spawn(read_watch(client.clone(), watch, Arc::clone(&raw)));
    readers.spawn(read_list(recorder.url(&format!("/api/v1/changes?{question}")), Arc::clone(&listed)));
    readers.spawn(read_stream(recorder.url(&format!("/api/v1/changes/stream?{question}")), Arc::clone(&streamed)));
    tokio::time::sleep(READERS_STAND).await;

    let mut written = Vec::new();
    let mut pace = tokio::time::interval(WRITE_EVERY);
    for turn in 0..writes {
        pace.tick().await;
        let patch = serde_json::to_vec(&json!({"data": {"turn": turn.to_string()}}))?;
        let request = http::Request::patch(format!("{path}/{name}")).header("content-type", "application/merge-patch+json").body(patch)?;
        let at = Instant::now();
        let answer: Value = client.request(request).await?;
        written.push((version(&answer).context("the API server gave no resourceVersion")?, at));
    }
    let deadline = Instant::now() + ARRIVES_WITHIN;
    loop {
        let all = [&raw, &listed, &streamed].map(|seen| ways(seen, &written));
        if let [Some(raw), Some(listed), Some(streamed)] = all {
            return Ok(Arrivals { raw, listed, streamed });
        }
        if let Some(ended) = readers.try_join_next() {
            ended.context("a reader was stopped")?.context("a reader ended before it had everything")?;
        }
        if Instant::now() > deadline {
            bail!("not everything that was written arrived within {} s", ARRIVES_WITHIN.as_secs());
        }
        tokio::time::sleep(WRITE_EVERY).await;
    }
}

fn ways(seen: &Seen, written: &[(String, Instant)]) -> Option<Vec<Duration>> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    written.iter().map(|(version, at)| seen.get(version).map(|seen| seen.saturating_duration_since(*at))).collect()
}

fn saw(seen: &Seen, version: Option<String>) {
    let now = Instant::now();
    if let Some(version) = version {
        seen.lock().unwrap_or_else(PoisonError::into_inner).entry(version).or_insert(now);
    }
}

/// The version of an object.
fn version(object: &Value) -> Option<String> {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned)
}

/// The version in a change.
fn recorded(change: &Value) -> Option<String> {
    change.get("resourceVersion").and_then(Value::as_str).map(str::to_owned)
}

async fn read_watch(client: Client, path: String, seen: Seen) -> Result<()> {
    let stream = client.request_stream(http::Request::get(path).body(Vec::new())?).await?;
    let mut lines = std::pin::pin!(stream.lines());
    while let Some(line) = lines.try_next().await? {
        let event: Value = serde_json::from_str(&line)?;
        saw(&seen, event.get("object").and_then(version));
    }
    bail!("the raw watch ended")
}

async fn read_list(url: String, seen: Seen) -> Result<()> {
    let client = reqwest::Client::new();
    let mut cursor = String::new();
    loop {
        let answer = client.get(format!("{url}{cursor}")).send().await?.error_for_status()?.text().await?;
        let page: Value = serde_json::from_str(&answer)?;
        page.get("items").and_then(Value::as_array).into_iter().flatten().for_each(|change| saw(&seen, recorded(change)));
        let end = page.get("endCursor").and_then(Value::as_str).context("a page without its end")?;
        cursor = format!("&cursor={end}");
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn read_stream(url: String, seen: Seen) -> Result<()> {
    let mut answer = reqwest::Client::new().get(url).send().await?.error_for_status()?;
    let mut waiting = Vec::new();
    while let Some(bytes) = answer.chunk().await? {
        waiting.extend_from_slice(&bytes);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data:") {
                saw(&seen, recorded(&serde_json::from_slice(data)?));
            }
        }
    }
    bail!("the stream of changes ended")
}
