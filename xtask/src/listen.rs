//! `cargo xtask listen`: a thousand listeners on fifty monitors of a real API server; what each was told, in what order, and how much later
//! than a raw watch of the same server.
//!
//! Not here: provisioning. The ClusterDeployments are adopted ones whose status this chore writes, because only then is it known what must be
//! told. Beware: listeners are connections; `ulimit -n` must be some thousands in the shell that runs this.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use kube::Client;
use proreus_testkit::{ControlPlane, ControlPlaneOptions};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench_binaries;

/// The namespace of everything that is written.
const NAMESPACE: &str = "default";
/// Where the ClusterDeployments are.
const COLLECTION: &str = "/apis/k0rdent.mirantis.com/v1beta1/namespaces/default/clusterdeployments";
/// Services of each, deployed one by one.
const SERVICES: usize = 4;
/// How long the whole may take before it is a hang.
const ENDS_WITHIN: Duration = Duration::from_secs(300);
/// The revision of the protocol without sessions, and its method for listening.
const REVISION: &str = "2026-07-28";
const LISTEN: &str = "subscriptions/listen";
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What `listen` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Monitors.
    #[arg(long, default_value_t = 50)]
    monitors: usize,
    /// Listeners, evenly on all monitors.
    #[arg(long, default_value_t = 1_000)]
    listeners: usize,
    /// Milliseconds between two writes to the API server.
    #[arg(long, default_value_t = 40)]
    pause_milliseconds: u64,
    /// Listen as agents do, over MCP, instead of to REST's streams
    #[arg(long)]
    mcp: bool,
    /// The binary to try [default: the one built beside this program].
    #[arg(long)]
    proreus: Option<std::path::PathBuf>,
}

/// When the raw watch saw a version of an object.
type Seen = Arc<Mutex<BTreeMap<String, Instant>>>;

/// What one listener was told: cursor, seq, whether a record brought it out, when it came.
struct Told {
    cursor: String,
    seq: u64,
    terminal: bool,
    at: Instant,
}

/// Runs it; an error when a listener missed an update, saw one twice or out of order.
pub(crate) fn run(args: &Args) -> Result<()> {
    bench_binaries::build_missing()?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start a runtime")?;
    runtime.block_on(listen(args))
}

async fn listen(args: &Args) -> Result<()> {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await?;
    let client = plane.client().await?;
    define(&client).await?;
    let dir = tempfile::Builder::new().prefix("proreus-listen-").tempdir().context("failed to create a temporary directory")?;
    let config = dir.path().join("proreus.yaml");
    let limits = format!("monitor: {{settleSeconds: 2, subscriptions: 5000, subscriptionsPerClient: 5000, timeoutSeconds: {}}}\n", 600);
    std::fs::write(&config, limits).context("failed to write the configuration")?;
    let recorder = RecorderProcess::start(RecorderOptions {
        program: args.proreus.clone().map_or_else(built_proreus, Ok)?,
        kubeconfig: plane.kubeconfig().to_owned(),
        data_dir: dir.path().join("data"),
        log: dir.path().join("log"),
        arguments: vec!["--config".to_owned(), config.display().to_string()],
    })
    .await?;
    until("the recorder to follow everything", || async { Ok(recorder.unsynced().await?.is_some_and(|left| left.is_empty())) }).await?;
    let seen: Seen = Arc::default();
    let raw = tokio::spawn(raw_watch(client.clone(), Arc::clone(&seen)));
    let idle = recorder.peak_bytes();
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().context("failed to make a client")?;
    let mut listeners = JoinSet::new();
    for index in 0..args.listeners {
        let name = name_of(index % args.monitors);
        let asked = if args.mcp { as_agent(&http, &recorder, &name) } else { as_reader(&http, &recorder, &name) };
        let response = asked.send().await.with_context(|| format!("listener {index} was not taken"))?;
        ensure!(response.status().is_success(), "listener {index} was refused: {}", response.text().await.unwrap_or_default());
        listeners.spawn(async move { told(response).await.map(|told| (name, told)) });
    }
    let listening = recorder.peak_bytes();
    write_all(&client, args).await?;
    let mut all = Vec::new();
    while let Some(listener) = tokio::time::timeout(ENDS_WITHIN, listeners.join_next()).await.context("a listener came to no end")? {
        all.push(listener.context("a listener failed")??);
    }
    raw.abort();
    report(args, &recorder, &all, &seen, [idle, listening]).await
}

fn as_reader(http: &reqwest::Client, recorder: &RecorderProcess, name: &str) -> reqwest::RequestBuilder {
    http.get(recorder.url(&format!("/api/v1/monitors/{NAMESPACE}/{name}/stream?await=true")))
}

/// A request of the revision without sessions, which is told for as long as it lasts.
fn as_agent(http: &reqwest::Client, recorder: &RecorderProcess, name: &str) -> reqwest::RequestBuilder {
    let uri = format!("proreus://cluster-monitor/{NAMESPACE}/{name}?await=true");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "listen", "version": "1"},
    });
    let params = json!({"notifications": {"resourceSubscriptions": [uri]}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": LISTEN, "params": params}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", REVISION),
        ("mcp-method", LISTEN),
    ];
    headers.into_iter().fold(http.post(recorder.url("/mcp")).body(body), |asked, (name, value)| asked.header(name, value))
}

fn name_of(index: usize) -> String {
    format!("adopted-{index:03}")
}

/// The kind, with a status as free as the scenario needs it.
async fn define(client: &Client) -> Result<()> {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({"name": "v1beta1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let body = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "clusterdeployments.k0rdent.mirantis.com"},
        "spec": {
            "group": "k0rdent.mirantis.com", "scope": "Namespaced", "versions": [version],
            "names": {"kind": "ClusterDeployment", "plural": "clusterdeployments", "singular": "clusterdeployment"}
        }
    });
    send(client, http::Method::POST, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &body).await?;
    until("the kind to be served", || async {
        let request = http::Request::get(COLLECTION).body(Vec::new())?;
        Ok(client.request::<Value>(request).await.is_ok())
    })
    .await
}

async fn send(client: &Client, method: http::Method, path: &str, body: &Value) -> Result<Value> {
    let content = if method == http::Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header("content-type", content).body(serde_json::to_vec(body)?)?;
    Ok(client.request(request).await?)
}

/// Every deployment from its creation to its end, all of them side by side.
async fn write_all(client: &Client, args: &Args) -> Result<()> {
    let steps = SERVICES + 4;
    for step in 0..steps {
        for index in 0..args.monitors {
            let name = name_of(index);
            let mut body = json!({"status": status(step)});
            if step == 0 {
                let services: Vec<Value> = (0..SERVICES).map(|service| json!({"name": format!("s{service}"), "template": "t-1"})).collect();
                body["apiVersion"] = json!("k0rdent.mirantis.com/v1beta1");
                body["kind"] = json!("ClusterDeployment");
                body["metadata"] = json!({"name": name, "namespace": NAMESPACE});
                body["spec"] = json!({"template": "adopted-cluster-1-0-0", "credential": "cred", "serviceSpec": {"services": services}});
                send(client, http::Method::POST, COLLECTION, &body).await?;
            } else {
                send(client, http::Method::PATCH, &format!("{COLLECTION}/{name}"), &body).await?;
            }
            tokio::time::sleep(Duration::from_millis(args.pause_milliseconds)).await;
        }
    }
    Ok(())
}

/// Validation, release, services one by one, ready.
fn status(step: usize) -> Value {
    let done = |from: usize| if step >= from { "True" } else { "Unknown" };
    let deployed = step.saturating_sub(2).min(SERVICES);
    let services: Vec<Value> = (0..SERVICES)
        .map(|service| json!({"name": format!("s{service}"), "state": if service < deployed { "Deployed" } else { "Provisioning" }}))
        .collect();
    json!({
        "services": if step >= 2 { services } else { Vec::new() },
        "conditions": [
            {"type": "CredentialReady", "status": done(1), "reason": "Succeeded"},
            {"type": "HelmReleaseReady", "status": done(2), "reason": "InstallSucceeded"},
            {"type": "Ready", "status": done(SERVICES + 3), "reason": "Succeeded"},
        ]
    })
}

async fn raw_watch(client: Client, seen: Seen) -> Result<()> {
    let uri = format!("{COLLECTION}?watch=1&timeoutSeconds=3600");
    let stream = client.request_stream(http::Request::get(uri).body(Vec::new())?).await?;
    let mut lines = stream.lines();
    while let Some(line) = lines.try_next().await? {
        let at = Instant::now();
        let event: Value = serde_json::from_str(&line)?;
        if let Some(version) = event.pointer("/object/metadata/resourceVersion").and_then(Value::as_str) {
            seen.lock().map_err(|_| anyhow::anyhow!("the raw watch is lost"))?.insert(version.to_owned(), at);
        }
    }
    Ok(())
}

/// Reads a stream to its end.
async fn told(response: reqwest::Response) -> Result<Vec<Told>> {
    let (mut told, mut text) = (Vec::new(), String::new());
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        text.push_str(std::str::from_utf8(&chunk.context("a stream broke")?).context("a stream is no text")?);
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: "))
                && let Some(update) = update_in(event, data)?
            {
                told.push(Told {
                    cursor: update["cursor"].as_str().unwrap_or_default().to_owned(),
                    seq: update["seq"].as_u64().unwrap_or_default(),
                    terminal: update["terminal"] == true,
                    at: Instant::now(),
                });
            }
            text = rest.to_owned();
        }
    }
    Ok(told)
}

/// The update that an event of either door tells; none in what is said before and after the updates over MCP.
fn update_in(event: &str, data: &str) -> Result<Option<Value>> {
    let mut message: Value = serde_json::from_str(data)?;
    match message["method"].as_str() {
        Some("notifications/resources/updated") => return Ok(Some(message["params"]["_meta"]["delta"].take())),
        Some(_) => return Ok(None),
        None => {}
    }
    if message.get("jsonrpc").is_some() {
        ensure!(message.get("result").is_some(), "a listener was refused: {data}");
        return Ok(None);
    }
    ensure!(event.contains("event: update"), "a stream ended with {data}");
    Ok(Some(message))
}

/// Holds every listener against the log, and the times against the raw watch.
async fn report(args: &Args, recorder: &RecorderProcess, all: &[(String, Vec<Told>)], seen: &Seen, memory: [u64; 2]) -> Result<()> {
    let mut logs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for index in 0..args.monitors {
        let name = name_of(index);
        let page: Value = serde_json::from_str(&recorder.get(&format!("/api/v1/monitors/{NAMESPACE}/{name}")).await?)?;
        let cursors = page["items"].as_array().into_iter().flatten().filter_map(|item| item["cursor"].as_str().map(str::to_owned));
        logs.insert(name, cursors.collect());
    }
    for (name, told) in all {
        let seen: Vec<&String> = told.iter().map(|told| &told.cursor).collect();
        let log: Vec<&String> = logs.get(name).into_iter().flatten().collect();
        ensure!(seen == log, "a listener to {name} was told {seen:?}, the log holds {log:?}");
    }
    let versions = versions(recorder).await?;
    let seen = seen.lock().map_err(|_| anyhow::anyhow!("the raw watch is lost"))?;
    // What time brought out has no event that it could be late against.
    let by_record = all.iter().flat_map(|(_, told)| told).filter(|told| !told.terminal);
    let mut late: Vec<u128> =
        by_record.filter_map(|told| Some(told.at.saturating_duration_since(*seen.get(versions.get(&told.seq)?)?).as_micros())).collect();
    late.sort_unstable();
    ensure!(!late.is_empty(), "no update could be held against the raw watch");
    let at = |percent: usize| late.get((late.len() * percent / 100).min(late.len() - 1)).copied().unwrap_or_default() / 1_000;
    let figures = json!({
        "door": if args.mcp { "mcp" } else { "rest" }, "monitors": args.monitors, "listeners": all.len(), "updates": all.iter().map(|(_, told)| told.len()).sum::<usize>(),
        "compared": late.len(), "laterThanRawWatchMilliseconds": {"p50": at(50), "p99": at(99), "most": at(100)},
        "memoryBytes": {"idle": memory[0], "listening": memory[1], "peak": recorder.peak_bytes()},
    });
    #[allow(clippy::print_stdout, reason = "the figures are what was asked for")]
    {
        println!("{figures}");
    }
    Ok(())
}

/// Position to resourceVersion of every recorded change of a deployment.
async fn versions(recorder: &RecorderProcess) -> Result<BTreeMap<u64, String>> {
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page: Value =
            serde_json::from_str(&recorder.get(&format!("/api/v1/changes?kind=ClusterDeployment&limit=1000{cursor}")).await?)?;
        for item in page["items"].as_array().into_iter().flatten() {
            if let (Some(seq), Some(version)) = (item["seq"].as_u64(), item["resourceVersion"].as_str()) {
                found.insert(seq, version.to_owned());
            }
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(found),
        }
    }
}

async fn until<F: Future<Output = Result<bool>>>(what: &str, mut holds: impl FnMut() -> F) -> Result<()> {
    let deadline = Instant::now() + ENDS_WITHIN;
    while !holds().await? {
        if Instant::now() > deadline {
            bail!("waited in vain for {what}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
