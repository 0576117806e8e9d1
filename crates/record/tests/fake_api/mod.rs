//! A scripted API server: a few types, a history, and the faults that a test asks for.
//!
//! Not a playground: it validates nothing and serves only what the recorder asks. Invariant: without faults it keeps the contract of
//! lists and watches (pages of one version, events in order, 410 below the compacted version).

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A page of a list.
    List,
    /// A watch, streaming lists included.
    Watch,
}

/// What goes wrong once.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An answer with this status and `Retry-After`.
    Status(u16, Option<u64>),
    /// The body ends in the middle of its bytes, the connection with it.
    CutAfter(usize),
    /// The head comes, then nothing.
    Stall,
    /// These bytes come first, then the stream as it should be.
    Prefix(Vec<u8>),
    /// An `ERROR` event with this code, then the end.
    ErrorEvent(u16),
    /// The stream ends at once.
    Close,
    /// Nothing: this one is as it should be.
    None,
}

#[derive(Clone)]
struct Happened {
    version: u64,
    resource: String,
    event: &'static str,
    object: Value,
}

#[derive(Default)]
struct Inner {
    version: u64,
    compacted: u64,
    types: Vec<(String, String, String, String, bool)>,
    objects: BTreeMap<(String, String), Value>,
    history: Vec<Happened>,
    faults: Vec<(String, Operation, VecDeque<Fault>)>,
    requests: Vec<String>,
    serves_streaming: bool,
    serves_aggregated: bool,
    page_objects: usize,
    uid: u64,
    kube_system: String,
    stale_groups: Vec<String>,
}

/// The server's state, shared with the test.
#[derive(Clone)]
pub(crate) struct FakeApi {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    /// Ends all open streams when told.
    cut: Arc<Notify>,
    address: std::net::SocketAddr,
}

impl FakeApi {
    /// Starts on a free loopback port, serving pods, secrets, nodes, namespaces, events and definitions.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            inner: Arc::new(Mutex::new(Inner { version: 100, page_objects: 3, kube_system: "cluster-a".to_owned(), ..Inner::default() })),
            changed: Arc::default(),
            cut: Arc::default(),
            address: listener.local_addr().unwrap(),
        };
        for (group, version, resource, kind, namespaced) in [
            ("", "v1", "pods", "Pod", true),
            ("", "v1", "secrets", "Secret", true),
            ("", "v1", "nodes", "Node", false),
            ("", "v1", "events", "Event", true),
        ] {
            fake.serve(group, version, resource, kind, namespaced);
        }
        let app = Router::new()
            .route("/version", get(|| async { axum::Json(json!({"gitVersion": "v1.99.0-fake"})) }))
            .route("/api", get(core_discovery))
            .route("/apis", get(group_discovery))
            .route("/api/v1", get(classic_core))
            .route("/apis/{group}/{version}", get(classic_group))
            .route("/api/v1/namespaces/{name}", get(namespace))
            .route("/api/v1/{resource}", get(core_collection))
            .route("/api/v1/namespaces/{namespace}/{resource}", get(namespaced_collection))
            .route("/apis/{group}/{version}/{resource}", get(group_collection))
            .route("/apis/{group}/{version}/{resource}/{name}", get(group_object))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn serve(&self, group: &str, version: &str, resource: &str, kind: &str, namespaced: bool) {
        self.lock().types.push((group.to_owned(), version.to_owned(), resource.to_owned(), kind.to_owned(), namespaced));
    }

    pub(crate) fn unserve(&self, resource: &str) {
        self.lock().types.retain(|of| of.2 != resource);
    }

    pub(crate) fn set_streaming(&self, serves: bool) {
        self.lock().serves_streaming = serves;
    }

    pub(crate) fn set_aggregated(&self, serves: bool) {
        self.lock().serves_aggregated = serves;
    }

    pub(crate) fn set_stale_group(&self, group: &str) {
        self.lock().stale_groups.push(group.to_owned());
    }

    pub(crate) fn set_cluster(&self, uid: &str) {
        uid.clone_into(&mut self.lock().kube_system);
    }

    /// Faults for the next requests of a kind, one each.
    pub(crate) fn fail(&self, resource: &str, operation: Operation, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.push((resource.to_owned(), operation, faults.into_iter().collect()));
    }

    /// The requests that came, as `path?query`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// Ends every open stream.
    pub(crate) fn cut_streams(&self) {
        self.cut.notify_waiters();
    }

    /// Forgets the history so far: positions below get 410.
    pub(crate) fn compact(&self) {
        let mut inner = self.lock();
        inner.compacted = inner.version;
        inner.history.clear();
    }

    /// Creates an object with a fresh uid, or changes one; `fields` are merged over `{metadata}`. Gives its version.
    pub(crate) fn apply(&self, resource: &str, name: &str, fields: Value) -> String {
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        let key = (resource.to_owned(), name.to_owned());
        let former = inner.objects.get(&key).map(|object| object["metadata"]["uid"].clone());
        let event = if former.is_some() { "MODIFIED" } else { "ADDED" };
        let uid = former.unwrap_or_else(|| {
            inner.uid += 1;
            json!(format!("{name}-{}", inner.uid))
        });
        let (group, api_version, _, kind, namespaced) = inner.types.iter().find(|of| of.2 == resource).cloned().unwrap();
        let mut object = json!({
            "apiVersion": if group.is_empty() { api_version } else { format!("{group}/{api_version}") },
            "kind": kind,
            "metadata": {"name": name, "uid": uid, "resourceVersion": version.to_string(), "creationTimestamp": "2026-11-21T09:00:00Z",
                "managedFields": [{"manager": "tester", "operation": "Update", "time": "2026-11-21T09:30:00Z"}]},
        });
        if namespaced {
            object["metadata"]["namespace"] = json!("shop");
        }
        for (field, value) in fields.as_object().unwrap() {
            if field == "labels" { object["metadata"]["labels"] = value.clone() } else { object[field] = value.clone() }
        }
        inner.objects.insert(key, object.clone());
        inner.history.push(Happened { version, resource: resource.to_owned(), event, object });
        drop(inner);
        self.changed.notify_waiters();
        version.to_string()
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, resource: &str, name: &str) {
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        let mut object = inner.objects.remove(&(resource.to_owned(), name.to_owned())).unwrap();
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        inner.history.push(Happened { version, resource: resource.to_owned(), event: "DELETED", object });
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Sends raw bytes into every watch of a resource.
    pub(crate) fn bookmark(&self) {
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        inner.history.push(Happened {
            version,
            resource: "*".to_owned(),
            event: "BOOKMARK",
            object: json!({"metadata": {"resourceVersion": version.to_string()}}),
        });
        drop(inner);
        self.changed.notify_waiters();
    }

    fn note(&self, path: &str) {
        self.lock().requests.push(path.to_owned());
    }

    fn fault(&self, resource: &str, operation: Operation) -> Option<Fault> {
        let mut inner = self.lock();
        let planned = inner.faults.iter_mut().find(|(of, when, left)| of == resource && *when == operation && !left.is_empty())?;
        planned.2.pop_front()
    }
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn answer(code: u16, body: &Value) -> Response {
    (StatusCode::from_u16(code).unwrap(), [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn core_discovery(State(fake): State<FakeApi>, headers: HeaderMap) -> Response {
    let inner = fake.lock();
    if inner.serves_aggregated && accepts_aggregated(&headers) {
        return answer(200, &aggregated(&inner, true));
    }
    answer(200, &json!({"kind": "APIVersions", "versions": ["v1"]}))
}

async fn group_discovery(State(fake): State<FakeApi>, headers: HeaderMap) -> Response {
    let inner = fake.lock();
    if inner.serves_aggregated && accepts_aggregated(&headers) {
        return answer(200, &aggregated(&inner, false));
    }
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (group, version, ..) in inner.types.iter().filter(|of| !of.0.is_empty()) {
        let entry = json!({"groupVersion": format!("{group}/{version}"), "version": version});
        let versions = groups.entry(group.clone()).or_default();
        if !versions.contains(&entry) {
            versions.push(entry);
        }
    }
    for group in &inner.stale_groups {
        groups.entry(group.clone()).or_default().push(json!({"groupVersion": format!("{group}/v1"), "version": "v1"}));
    }
    let groups: Vec<Value> =
        groups.into_iter().map(|(name, versions)| json!({"name": name, "preferredVersion": versions[0], "versions": versions})).collect();
    answer(200, &json!({"kind": "APIGroupList", "groups": groups}))
}

fn accepts_aggregated(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept.to_str().unwrap().contains("APIGroupDiscoveryList"))
}

fn aggregated(inner: &Inner, core: bool) -> Value {
    let mut items = Vec::new();
    for (group, version, resource, kind, namespaced) in inner.types.iter().filter(|of| of.0.is_empty() == core) {
        let scope = if *namespaced { "Namespaced" } else { "Cluster" };
        items.push(json!({"metadata": {"name": group}, "versions": [{"version": version, "freshness": "Current", "resources": [
            {"resource": resource, "responseKind": {"kind": kind}, "scope": scope, "verbs": ["get", "list", "watch"]}]}]}));
    }
    if !core {
        for group in &inner.stale_groups {
            items.push(json!({"metadata": {"name": group}, "versions": [{"version": "v1", "freshness": "Stale"}]}));
        }
    }
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items})
}

async fn classic_core(State(fake): State<FakeApi>) -> Response {
    classic(&fake, "", "v1")
}

async fn classic_group(State(fake): State<FakeApi>, Path((group, version)): Path<(String, String)>) -> Response {
    classic(&fake, &group, &version)
}

fn classic(fake: &FakeApi, group: &str, version: &str) -> Response {
    let inner = fake.lock();
    if inner.stale_groups.iter().any(|stale| stale == group) {
        return answer(503, &status(503, "ServiceUnavailable", "the server is currently unable to handle the request"));
    }
    let resources: Vec<Value> = inner
        .types
        .iter()
        .filter(|of| of.0 == group && of.1 == version)
        .map(|of| json!({"name": of.2, "kind": of.3, "namespaced": of.4, "verbs": ["get", "list", "watch"]}))
        .collect();
    answer(200, &json!({"kind": "APIResourceList", "resources": resources}))
}

async fn namespace(State(fake): State<FakeApi>) -> Response {
    answer(200, &json!({"kind": "Namespace", "metadata": {"name": "kube-system", "uid": fake.lock().kube_system}}))
}

async fn namespaced_collection(
    State(fake): State<FakeApi>,
    Path((_, resource)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    uri: axum::http::Uri,
) -> Response {
    collection(fake, resource, query, &uri).await
}

async fn group_object(State(fake): State<FakeApi>, Path((_, _, resource, name)): Path<(String, String, String, String)>) -> Response {
    match fake.lock().objects.get(&(resource, name)) {
        Some(object) => answer(200, object),
        None => answer(404, &status(404, "NotFound", "not found")),
    }
}

async fn core_collection(
    State(fake): State<FakeApi>,
    Path(resource): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    uri: axum::http::Uri,
) -> Response {
    collection(fake, resource, query, &uri).await
}

async fn group_collection(
    State(fake): State<FakeApi>,
    Path((_, _, resource)): Path<(String, String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    uri: axum::http::Uri,
) -> Response {
    collection(fake, resource, query, &uri).await
}

async fn collection(fake: FakeApi, resource: String, query: BTreeMap<String, String>, uri: &axum::http::Uri) -> Response {
    fake.note(&uri.to_string());
    let is_watch = query.contains_key("watch");
    let fault = fake.fault(&resource, if is_watch { Operation::Watch } else { Operation::List });
    if let Some(Fault::Status(code, retry_after)) = fault {
        let mut response = answer(code, &status(code, if code == 410 { "Expired" } else { "Scripted" }, "a scripted fault"));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        return response;
    }
    if !fake.lock().types.iter().any(|of| of.2 == resource) {
        return answer(404, &status(404, "NotFound", "the server could not find the requested resource"));
    }
    if is_watch { watch(fake, resource, query, fault) } else { list(&fake, &resource, &query, fault) }
}

fn selects(query: &BTreeMap<String, String>, object: &Value) -> bool {
    if let Some(name) = query.get("fieldSelector").and_then(|selector| selector.strip_prefix("metadata.name=")) {
        return object["metadata"]["name"] == json!(name);
    }
    let Some((key, value)) = query.get("labelSelector").and_then(|selector| selector.split_once('=')) else { return true };
    object["metadata"]["labels"][key] == json!(value)
}

fn list(fake: &FakeApi, resource: &str, query: &BTreeMap<String, String>, fault: Option<Fault>) -> Response {
    let inner = fake.lock();
    let (version, skip) = match query.get("continue").and_then(|token| token.split_once(':')) {
        Some((version, skip)) => (version.parse().unwrap(), skip.parse().unwrap()),
        None => (inner.version, 0),
    };
    let mut objects: Vec<Value> = inner
        .objects
        .iter()
        .filter(|((of, _), object)| of == resource && selects(query, object))
        .map(|(_, object)| object.clone())
        .collect();
    // Items of typed lists say neither their kind nor their apiVersion.
    for object in &mut objects {
        object.as_object_mut().unwrap().retain(|field, _| field != "kind" && field != "apiVersion");
    }
    let page: Vec<Value> = objects.iter().skip(skip).take(inner.page_objects).cloned().collect();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if skip + page.len() < objects.len() {
        metadata["continue"] = json!(format!("{version}:{}", skip + page.len()));
    }
    drop(inner);
    let bytes = json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": page}).to_string().into_bytes();
    let (sender, receiver) = mpsc::unbounded_channel();
    match fault {
        Some(Fault::CutAfter(length)) => {
            let _gone = sender.send(Ok(Bytes::from(bytes[..length.min(bytes.len())].to_vec())));
            let _gone = sender.send(Err(std::io::Error::other("cut")));
        }
        Some(Fault::Prefix(prefix)) => {
            let _gone = sender.send(Ok(Bytes::from(prefix)));
        }
        _ => {
            let _gone = sender.send(Ok(Bytes::from(bytes)));
        }
    }
    stream(receiver)
}

fn stream(receiver: mpsc::UnboundedReceiver<Result<Bytes, std::io::Error>>) -> Response {
    let body = futures::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
}

fn event_line(event: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": event, "object": object})))
}

fn watch(fake: FakeApi, resource: String, query: BTreeMap<String, String>, fault: Option<Fault>) -> Response {
    let wants_list = query.contains_key("sendInitialEvents");
    let inner = fake.lock();
    if wants_list && !inner.serves_streaming {
        return answer(422, &status(422, "Invalid", "sendInitialEvents is forbidden"));
    }
    let from: u64 = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(inner.version);
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Bytes, std::io::Error>>();
    let is_expired = !wants_list && from < inner.compacted;
    if wants_list {
        for (_, object) in inner.objects.iter().filter(|((of, _), object)| *of == resource && selects(&query, object)) {
            let _gone = sender.send(Ok(event_line("ADDED", object)));
        }
        let end = json!({"metadata": {"resourceVersion": inner.version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}}});
        let _gone = sender.send(Ok(event_line("BOOKMARK", &end)));
    }
    drop(inner);
    let timeout: u64 = query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    tokio::spawn(async move {
        let ended = async {
            match fault {
                Some(Fault::Stall) => std::future::pending::<()>().await,
                Some(Fault::Close) => return,
                Some(Fault::ErrorEvent(code)) => {
                    let _gone = sender.send(Ok(event_line("ERROR", &status(code, "Scripted", "a scripted fault"))));
                    return;
                }
                Some(Fault::Prefix(prefix)) => {
                    let _gone = sender.send(Ok(Bytes::from(prefix)));
                }
                Some(Fault::CutAfter(length)) => return follow(&fake, &resource, &query, from, &sender, Some(length)).await,
                Some(Fault::Status(..) | Fault::None) | None => {}
            }
            if is_expired {
                let _gone = sender.send(Ok(event_line("ERROR", &status(410, "Expired", "too old resource version"))));
                return;
            }
            follow(&fake, &resource, &query, from, &sender, None).await;
        };
        tokio::select! {
            () = ended => {}
            () = fake.cut.notified() => { let _gone = sender.send(Err(std::io::Error::other("cut"))); }
            () = tokio::time::sleep(Duration::from_secs(timeout)) => {}
        }
    });
    stream(receiver)
}

/// Sends what happens after a version; cuts the stream after `limit` bytes of the first events.
async fn follow(
    fake: &FakeApi,
    resource: &str,
    query: &BTreeMap<String, String>,
    mut from: u64,
    sender: &mpsc::UnboundedSender<Result<Bytes, std::io::Error>>,
    limit: Option<usize>,
) {
    loop {
        let changed = fake.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let news: Vec<Happened> = fake
            .lock()
            .history
            .iter()
            .filter(|happened| happened.version > from && (happened.resource == resource || happened.resource == "*"))
            .cloned()
            .collect();
        for happened in news {
            from = happened.version;
            // Leaving a selection looks like a delete.
            let event = if happened.event == "BOOKMARK" || selects(query, &happened.object) { happened.event } else { "DELETED" };
            let line = event_line(event, &happened.object);
            if let Some(limit) = limit {
                let _gone = sender.send(Ok(line.slice(..limit.min(line.len()))));
                let _gone = sender.send(Err(std::io::Error::other("cut")));
                return;
            }
            if sender.send(Ok(line)).is_err() {
                return;
            }
        }
        changed.await;
    }
}
