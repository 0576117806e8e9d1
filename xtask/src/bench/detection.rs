//! The rows of the doctor that watches a live cluster: from a fault to its incident, beside a raw watch of the same API server.
//!
//! Graces are set to nothing, so that what is measured is the way and not the waiting. Both readers run at once, so each fault's ways are
//! compared with each other.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{AsyncBufReadExt, TryStreamExt};
use kube::Client;
use proreus_bench::{Report, percentiles, tell};
use proreus_testkit::{ControlPlane, ControlPlaneOptions};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};

use crate::load::wait_for_sync;

/// No grace, and every fault told by itself: a digest would hide when each of them is told.
const CONFIG: &str = "doctor: {graceSeconds: 0}\nincidents: {stormLimit: 1000000}\n";
// Slow enough that faults do not queue behind each other on two busy cores.
const FAULT_EVERY: Duration = Duration::from_millis(100);
// From the last fault until everybody must know of it.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
// For the readers to stand before the first fault.
const READERS_STAND: Duration = Duration::from_secs(1);
// The design's bound for what the doctor adds to a watch.
const LATER_BY_MICROS: f64 = 250_000.0;
const PODS: &str = "/api/v1/namespaces/default/pods";

/// How large.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Faults whose way to an incident is timed.
    #[arg(long, default_value_t = 200)]
    faults: usize,
}

/// When each pod was first seen to have failed.
type Seen = Arc<Mutex<HashMap<String, Instant>>>;

/// Adds the rows.
pub(super) async fn measure(options: &Options, proreus: Option<&PathBuf>, report: &mut Report) -> Result<()> {
    let program = proreus.cloned().map_or_else(built_proreus, Ok)?;
    let dir = tempfile::Builder::new().prefix("proreus-bench-").tempdir().context("failed to create a temporary directory")?;
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await?;
    let client = plane.client().await?;
    let config = dir.path().join("proreus.yaml");
    std::fs::write(&config, CONFIG).context("failed to write the configuration")?;
    let mut recorder = RecorderProcess::start(RecorderOptions {
        program,
        kubeconfig: plane.kubeconfig().to_owned(),
        data_dir: dir.path().join("data"),
        log: dir.path().join("recorder.log"),
        arguments: vec!["--config".to_owned(), config.display().to_string()],
    })
    .await?;
    wait_for_sync(&recorder).await?;
    tell(&format!("making {} pods, to fail one by one", options.faults));
    for index in 0..options.faults {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name(index) },
            "spec": { "nodeName": "none", "containers": [{ "name": "a", "image": "registry.example/a:1" }] }
        });
        let _made: Value = client.request(http::Request::post(PODS).body(serde_json::to_vec(&pod)?)?).await?;
    }
    let (raw, opened) = (Seen::default(), Seen::default());
    // Dropped at the end, and both with it.
    let mut readers = tokio::task::JoinSet::new();
    readers.spawn(read_watch(client.clone(), Arc::clone(&raw)));
    readers.spawn(read_incidents(recorder.url("/api/v1/incidents/stream"), Arc::clone(&opened)));
    tokio::time::sleep(READERS_STAND).await;
    let mut pace = tokio::time::interval(FAULT_EVERY);
    for index in 0..options.faults {
        pace.tick().await;
        let state = json!({ "terminated": { "exitCode": 2, "reason": "Error" } });
        let status = json!({ "status": { "phase": "Failed", "containerStatuses": [{ "name": "a", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state }] } });
        let request = http::Request::patch(format!("{PODS}/{}/status", name(index))).header("content-type", "application/merge-patch+json");
        let _failed: Value = client.request(request.body(serde_json::to_vec(&status)?)?).await?;
    }
    let later = arrivals(options.faults, &raw, &opened, &mut readers).await?;
    report.push_times("fault → incident in the SSE stream, after the raw watch, grace excluded", percentiles(later), Some(LATER_BY_MICROS));
    anyhow::ensure!(recorder.terminate().await, "the recorder did not end in good order when it was asked to");
    Ok(())
}

fn name(index: usize) -> String {
    format!("fault-{index}")
}

/// How much later than the raw watch each incident was told.
async fn arrivals(faults: usize, raw: &Seen, opened: &Seen, readers: &mut tokio::task::JoinSet<Result<()>>) -> Result<Vec<Duration>> {
    let deadline = Instant::now() + ARRIVES_WITHIN;
    loop {
        let later: Option<Vec<Duration>> = {
            let raw = raw.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
            let of = |index: usize| Some(opened.get(&name(index))?.saturating_duration_since(*raw.get(&name(index))?));
            (0..faults).map(of).collect()
        };
        if let Some(later) = later {
            return Ok(later);
        }
        if let Some(ended) = readers.try_join_next() {
            ended.context("a reader was stopped")?.context("a reader ended before it had everything")?;
        }
        if Instant::now() > deadline {
            bail!("not every fault became an incident within {} s", ARRIVES_WITHIN.as_secs());
        }
        tokio::time::sleep(FAULT_EVERY).await;
    }
}

fn saw(seen: &Seen, name: Option<&str>) {
    let now = Instant::now();
    if let Some(name) = name {
        seen.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_insert(now);
    }
}

async fn read_watch(client: Client, seen: Seen) -> Result<()> {
    let stream = client.request_stream(http::Request::get(format!("{PODS}?watch=1")).body(Vec::new())?).await?;
    let mut lines = std::pin::pin!(stream.lines());
    while let Some(line) = lines.try_next().await? {
        let event: Value = serde_json::from_str(&line)?;
        if event.pointer("/object/status/phase").and_then(Value::as_str) == Some("Failed") {
            saw(&seen, event.pointer("/object/metadata/name").and_then(Value::as_str));
        }
    }
    bail!("the raw watch ended")
}

async fn read_incidents(url: String, seen: Seen) -> Result<()> {
    let mut answer = reqwest::Client::new().get(url).send().await?.error_for_status()?;
    let mut waiting = Vec::new();
    while let Some(bytes) = answer.chunk().await? {
        waiting.extend_from_slice(&bytes);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data:") {
                let incident: Value = serde_json::from_slice(data)?;
                saw(&seen, incident.get("name").and_then(Value::as_str));
            }
        }
    }
    bail!("the stream of incidents ended")
}
