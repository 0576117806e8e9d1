//! Writes what a raw watch of every served type sees: `{ts, type, resource, object}` a line, compressed with zstd.
//!
//! Input for the journal's benchmark. The objects are as the API server sent them, `managedFields` and all. Lost connections are taken up
//! again where they ended; types are looked for every few seconds.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{AsyncBufReadExt, TryStreamExt};
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

// A definition is served a second after it is made, and the churn keeps it for many.
const LOOK_FOR_TYPES_EVERY: Duration = Duration::from_secs(2);
// Under the client's own limit on a silent read.
const WATCH_SECONDS: u32 = 240;
// Compression runs beside the control plane; level 3 keeps up with thousands of lines a second.
const LEVEL: i32 = 3;
// What may wait for the compressor: some tens of megabytes.
const LINES_WAITING: usize = 4096;
// Leases and the second face of Events are not recorded by default, so a trace without them is what the journal gets.
const LEFT_OUT: [(&str, &str); 2] = [("coordination.k8s.io", "leases"), ("events.k8s.io", "events")];
// After the last write, for what is on its way.
const SETTLE: Duration = Duration::from_secs(2);

/// A trace that is being written.
pub(crate) struct Tracer {
    looking: JoinHandle<()>,
    writing: JoinHandle<Result<u64>>,
}

#[derive(serde::Deserialize)]
struct Event<'e> {
    #[serde(rename = "type")]
    kind: &'e str,
    #[serde(borrow)]
    object: &'e RawValue,
}

impl Tracer {
    /// Starts to watch everything into a file.
    pub(crate) async fn start(client: Client, path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
        let mut out = zstd::Encoder::new(file, LEVEL).context("failed to start the compressor")?;
        let (lines, mut waiting) = mpsc::channel::<String>(LINES_WAITING);
        let writing = tokio::task::spawn_blocking(move || {
            let mut count = 0;
            while let Some(line) = waiting.blocking_recv() {
                out.write_all(line.as_bytes()).context("failed to write the trace")?;
                count += 1;
            }
            out.finish().context("failed to finish the trace")?;
            Ok(count)
        });
        let looking = tokio::spawn(look_for_types(client, lines));
        Ok(Self { looking, writing })
    }

    /// Ends all watches and gives the number of lines.
    pub(crate) async fn finish(self) -> Result<u64> {
        tokio::time::sleep(SETTLE).await;
        self.looking.abort();
        self.writing.await.context("the writer of the trace ended unexpectedly")?
    }
}

async fn look_for_types(client: Client, lines: mpsc::Sender<String>) {
    // Aborting this task drops the set and with it all watches.
    let mut watches = tokio::task::JoinSet::new();
    let mut running: HashMap<String, tokio::task::AbortHandle> = HashMap::new();
    loop {
        if let Ok(types) = served_types(&client).await {
            running.retain(|path, watch| types.iter().any(|(found, _)| found == path) && !watch.is_finished());
            for (path, resource) in types {
                let watch = || watches.spawn(watch_type(client.clone(), path.clone(), resource, lines.clone()));
                running.entry(path.clone()).or_insert_with(watch);
            }
        }
        tokio::time::sleep(LOOK_FOR_TYPES_EVERY).await;
    }
}

/// The path and the plural of each type that can be watched.
pub(crate) async fn served_types(client: &Client) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let groups = document(client, "/apis").await?;
    let versions = groups.pointer("/groups").and_then(Value::as_array).into_iter().flatten();
    let versions = versions.filter_map(|group| group.pointer("/preferredVersion/groupVersion").and_then(Value::as_str));
    let paths: Vec<String> = std::iter::once("/api/v1".to_owned()).chain(versions.map(|version| format!("/apis/{version}"))).collect();
    for path in paths {
        // A group that is just going is none.
        let Ok(list) = document(client, &path).await else { continue };
        let group = path.strip_prefix("/apis/").and_then(|rest| rest.split_once('/')).map_or("", |(group, _)| group);
        for resource in list.pointer("/resources").and_then(Value::as_array).into_iter().flatten() {
            let name = resource.get("name").and_then(Value::as_str).unwrap_or_default();
            let verbs = resource.get("verbs").and_then(Value::as_array);
            let can_watch = verbs.is_some_and(|verbs| verbs.iter().any(|verb| verb == "watch"));
            if can_watch && !name.contains('/') && !LEFT_OUT.contains(&(group, name)) {
                found.push((format!("{path}/{name}"), name.to_owned()));
            }
        }
    }
    Ok(found)
}

async fn document(client: &Client, path: &str) -> Result<Value> {
    Ok(client.request(http::Request::get(path).body(Vec::new())?).await?)
}

async fn watch_type(client: Client, path: String, resource: String, lines: mpsc::Sender<String>) {
    let mut from: Option<String> = None;
    loop {
        match watch_once(&client, &path, &resource, &mut from, &lines).await {
            Ok(()) => {}
            // Begun anew by whoever looks for types, should it still be served.
            Err(_) => return,
        }
    }
}

async fn watch_once(client: &Client, path: &str, resource: &str, from: &mut Option<String>, lines: &mpsc::Sender<String>) -> Result<()> {
    let position = match from {
        Some(version) => format!("resourceVersion={version}"),
        None => "sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
    };
    let uri = format!("{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&{position}");
    let stream = client.request_stream(http::Request::get(uri).body(Vec::new())?).await?;
    let mut stream = std::pin::pin!(stream.lines());
    let mut is_initial = from.is_none();
    while let Some(line) = stream.try_next().await? {
        let event: Event<'_> = serde_json::from_str(&line)?;
        anyhow::ensure!(event.kind != "ERROR", "the watch failed");
        let version = version_of(event.object.get());
        let is_bookmark = event.kind == "BOOKMARK";
        // The versions of initial events come in any order; their end is told by a bookmark.
        is_initial &= !is_bookmark;
        if !is_initial && !version.is_empty() {
            *from = Some(version);
        }
        if !is_bookmark {
            #[allow(clippy::disallowed_methods, reason = "a trace says when its lines came")]
            let ts = Timestamp::now();
            let text =
                format!(r#"{{"ts":"{ts}","type":"{}","resource":"{resource}","object":{}}}{}"#, event.kind, event.object.get(), '\n');
            lines.send(text).await.context("the trace has ended")?;
        }
    }
    Ok(())
}

fn version_of(object: &str) -> String {
    #[derive(serde::Deserialize, Default)]
    #[serde(default, rename_all = "camelCase")]
    struct Metadata {
        resource_version: String,
    }
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Object {
        metadata: Metadata,
    }
    serde_json::from_str::<Object>(object).unwrap_or_default().metadata.resource_version
}
