//! Between standard input and a server's `/mcp`: each line is posted as it is, each answer is printed as it is.
//!
//! Nothing is understood here but how messages travel, so whatever the server can do an agent can do through it, in both eras of the
//! protocol and with the caller's own token. A server that was restarted has forgotten the session: it is opened anew, with what the client
//! had subscribed to, and the client does not notice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proreus_serve::mcp::{LineWriter, Lines};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::pipes::{Output, input};
use crate::failure::Failure;
use crate::source::event_stream::Parser;

/// First revision of the protocol without sessions.
const STATELESS_SINCE: &str = "2026-07-28";
/// Key of a request's own protocol version.
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Before a stream that broke is opened again.
const RECONNECT: Duration = Duration::from_secs(1);
/// Requests under way at once: an agent asks a few at a time.
const MAX_UNDER_WAY: usize = 64;
/// How long answers under way are waited for after the input has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// Longest event that is taken from the server: no answer is longer than some tens of kilobytes.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// JSON-RPC: we failed.
const INTERNAL_ERROR: i64 = -32_603;

/// Carries messages until the input ends.
pub(super) async fn run(client: Client, url: Url, token: Option<String>, ending: CancellationToken) -> Result<(), Failure> {
    let mut lines = Lines::new(input(), Output);
    let bridge = Arc::new(Bridge { client, url, token, writer: lines.writer(), known: Mutex::default(), ending });
    let mut under_way = JoinSet::new();
    while let Some(message) = next(&mut lines, &bridge.ending).await {
        while under_way.len() >= MAX_UNDER_WAY {
            under_way.join_next().await;
        }
        if message.get("id").is_some() && message.get("method").is_some() {
            let (id, carrier) = (message["id"].to_string(), Arc::clone(&bridge));
            let task = under_way.spawn(async move { carrier.request(message).await });
            bridge.known().running.insert(id, task);
        } else {
            bridge.notification(message).await;
        }
        while under_way.try_join_next().is_some() {}
    }
    // Who pipes questions in and closes the pipe still wants the answers.
    let _ = tokio::time::timeout(LAST_ANSWERS, async { while under_way.join_next().await.is_some() {} }).await;
    bridge.ending.cancel();
    bridge.end_session().await;
    Ok(())
}

async fn next(lines: &mut Lines<DuplexStream, Output>, ending: &CancellationToken) -> Option<Value> {
    tokio::select! {
        () = ending.cancelled() => None,
        message = lines.next() => message,
    }
}

struct Bridge {
    client: Client,
    url: Url,
    token: Option<String>,
    writer: LineWriter<Output>,
    known: Mutex<Known>,
    ending: CancellationToken,
}

/// What is known of the conversation.
#[derive(Default)]
struct Known {
    session: Option<String>,
    version: Option<String>,
    /// The request that opened the session, to open it again.
    opening: Option<Value>,
    /// What is subscribed to, each with the cursor of the last update that came.
    subscribed: HashMap<String, Option<String>>,
    /// Requests under way, to be given up when the client does.
    running: HashMap<String, AbortHandle>,
    /// The stream of what the server says unasked.
    listening: Option<AbortHandle>,
}

/// How the server took a message.
enum Taken {
    Answered,
    SessionGone,
    Refused(String),
}

impl Bridge {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a request, and whatever comes of it.
    async fn request(self: Arc<Self>, message: Value) {
        let id = message["id"].clone();
        let mut taken = self.post(&message).await;
        if matches!(taken, Taken::SessionGone) {
            taken = match self.open_again().await {
                Ok(()) => self.post(&message).await,
                Err(reason) => Taken::Refused(reason),
            };
        }
        match taken {
            Taken::Answered => self.note(&message),
            Taken::SessionGone => self.fail(&id, "the server does not know the session").await,
            Taken::Refused(reason) => self.fail(&id, &reason).await,
        }
        self.known().running.remove(&id.to_string());
        if message["method"] == "initialize" {
            self.listen();
        }
    }

    /// Carries a notification, or the answer to what the server asked.
    async fn notification(&self, message: Value) {
        if message["method"] == "notifications/cancelled" {
            let id = message["params"]["requestId"].to_string();
            let running = self.known().running.remove(&id);
            // Without a session, closing the connection is how a request is given up.
            if let Some(task) = running.filter(|_| self.known().session.is_none()) {
                task.abort();
                return;
            }
        }
        if let Taken::Refused(reason) = self.post(&message).await {
            tracing::warn!(reason, "the server did not take a notification");
        }
    }

    /// Remembers what must be said again to a server that forgot it.
    fn note(&self, message: &Value) {
        let uri = message["params"]["uri"].as_str().map(str::to_owned);
        let mut known = self.known();
        match (message["method"].as_str(), uri) {
            (Some("initialize"), _) => known.opening = Some(message.clone()),
            (Some("resources/subscribe"), Some(uri)) => {
                known.subscribed.entry(uri).or_default();
            }
            (Some("resources/unsubscribe"), Some(uri)) => {
                known.subscribed.remove(&uri);
            }
            _ => {}
        }
    }

    async fn fail(&self, id: &Value, reason: &str) {
        let message = format!("{reason}. hint: check that `proreus serve` runs at {} and that the token is right", self.url);
        let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": INTERNAL_ERROR, "message": message}});
        self.write(error.to_string().into_bytes()).await;
    }

    async fn write(&self, line: Vec<u8>) {
        if self.writer.write(line).await.is_err() {
            // Nobody reads any more: there is nobody to work for.
            self.ending.cancel();
        }
    }

    async fn post(&self, message: &Value) -> Taken {
        let response = match self.prepared(message).send().await {
            Ok(response) => response,
            Err(error) => return Taken::Refused(format!("cannot reach {}: {error}", self.url)),
        };
        let status = response.status();
        if status.as_u16() == 404 && self.known().session.is_some() {
            return Taken::SessionGone;
        }
        if message["method"] == "initialize"
            && let Some(session) = response.headers().get("mcp-session-id").and_then(|session| session.to_str().ok())
        {
            self.known().session = Some(session.to_owned());
        }
        let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|of| of.as_bytes().starts_with(b"text/event-stream"));
        match (is_stream, status.is_success()) {
            (true, _) => self.pass_stream(response, message.get("id")).await,
            (false, true) if message.get("id").is_none() => Taken::Answered,
            (false, success) => self.pass_body(response, success).await,
        }
    }

    fn prepared(&self, message: &Value) -> reqwest::RequestBuilder {
        let mut request = self.client.post(self.url.clone()).body(message.to_string());
        request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json, text/event-stream");
        let own = message["params"]["_meta"][META_VERSION].as_str().map(str::to_owned);
        let method = message["method"].as_str().unwrap_or_default();
        if own.as_deref().is_some_and(|version| version >= STATELESS_SINCE) {
            let name = match method {
                "tools/call" | "prompts/get" => message["params"]["name"].as_str(),
                "resources/read" => message["params"]["uri"].as_str(),
                _ => None,
            };
            for (header, value) in [("mcp-method", Some(method)), ("mcp-name", name)] {
                if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                    request = request.header(header, value);
                }
            }
        }
        self.signed(request, own, method == "initialize")
    }

    /// With who asks, in which session, by which revision.
    fn signed(&self, mut request: reqwest::RequestBuilder, version: Option<String>, is_opening: bool) -> reqwest::RequestBuilder {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let known = self.known();
        if let Some(session) = known.session.as_ref().filter(|_| version.is_none() && !is_opening) {
            request = request.header("mcp-session-id", session);
        }
        match version.or_else(|| known.version.clone()).filter(|_| !is_opening) {
            Some(version) => request.header("mcp-protocol-version", version),
            None => request,
        }
    }

    /// Prints each event; the answer to `id` is the last that is owed.
    async fn pass_stream(&self, mut response: Response, id: Option<&Value>) -> Taken {
        let mut parser = Parser::default();
        let mut is_answered = id.is_none();
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) if is_answered => return Taken::Answered,
                Ok(None) => return Taken::Refused("the server ended the answer before it was complete".to_owned()),
                Err(_) if is_answered => return Taken::Answered,
                Err(error) => return Taken::Refused(format!("the connection broke: {error}")),
            };
            for event in parser.feed(&chunk) {
                if let Ok(message) = serde_json::from_slice::<Value>(&event.data) {
                    is_answered |= id.is_some_and(|id| message.get("id") == Some(id) && message.get("method").is_none());
                    self.learn(&message);
                    self.write(event.data).await;
                }
            }
            if parser.pending() > MAX_EVENT_BYTES {
                return Taken::Refused("the server sends an event without an end".to_owned());
            }
        }
    }

    async fn pass_body(&self, response: Response, success: bool) -> Taken {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Value>(&body) {
            Ok(message) if message.get("jsonrpc").is_some() => {
                self.learn(&message);
                self.write(message.to_string().into_bytes()).await;
                Taken::Answered
            }
            Ok(problem) => {
                let detail = problem["detail"].as_str().unwrap_or_default();
                Taken::Refused(format!("the server answered {status}: {detail}"))
            }
            Err(_) if success => Taken::Answered,
            Err(_) => Taken::Refused(format!("the server answered {status}: {}", String::from_utf8_lossy(&body).trim())),
        }
    }

    /// Takes note of what a message settles: the revision, and how far a subscription has come.
    fn learn(&self, message: &Value) {
        if let Some(version) = message["result"]["protocolVersion"].as_str() {
            self.known().version = Some(version.to_owned());
        }
        if message["method"] == "notifications/resources/updated"
            && let (Some(uri), Some(cursor)) = (message["params"]["uri"].as_str(), message["params"]["_meta"]["delta"]["cursor"].as_str())
            && let Some(known) = self.known().subscribed.get_mut(uri)
        {
            *known = Some(cursor.to_owned());
        }
    }

    /// Opens the session anew, as the client had opened it, with its subscriptions.
    async fn open_again(self: &Arc<Self>) -> Result<(), String> {
        let (opening, subscribed) = {
            let mut known = self.known();
            known.session = None;
            (known.opening.clone(), known.subscribed.clone())
        };
        let opening = opening.ok_or("the server does not know the session")?;
        let response = self.prepared(&opening).send().await.map_err(|error| format!("cannot reach {}: {error}", self.url))?;
        let session = response.headers().get("mcp-session-id").and_then(|session| session.to_str().ok()).map(str::to_owned);
        // The client has its answer; what it says is the same as before.
        let _ = response.bytes().await;
        self.known().session = session;
        self.quietly(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        self.listen();
        for (uri, cursor) in subscribed {
            // Behind the last update that came, so that none is missed and none comes twice. The server tells by the address that it was
            // given; `listen` gives it back by the one that the client knows.
            let address = match &cursor {
                Some(cursor) => format!("{uri}{}cursor={cursor}", if uri.contains('?') { '&' } else { '?' }),
                None => uri,
            };
            let again =
                json!({"jsonrpc": "2.0", "id": format!("again {address}"), "method": "resources/subscribe", "params": {"uri": address}});
            self.quietly(&again).await;
        }
        Ok(())
    }

    /// Says something whose answer the client does not wait for.
    async fn quietly(&self, message: &Value) {
        if let Ok(response) = self.prepared(message).send().await {
            let _ = response.bytes().await;
        }
    }

    /// Opens the stream of what the server says unasked, if there is a session.
    fn listen(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let mut known = self.known();
        if known.session.is_none() {
            return;
        }
        let task = tokio::spawn(async move { this.listening().await });
        if let Some(before) = known.listening.replace(task.abort_handle()) {
            before.abort();
        }
    }

    async fn listening(self: Arc<Self>) {
        while !self.ending.is_cancelled() {
            let request = self.client.get(self.url.clone()).header(ACCEPT, "text/event-stream");
            match self.signed(request, None, false).send().await {
                Ok(response) if response.status().is_success() => self.pass_unasked(response).await,
                Ok(response) if response.status().as_u16() == 404 => {
                    // `open_again` begins a listening of its own, which ends this one.
                    if Box::pin(self.open_again()).await.is_ok() {
                        return;
                    }
                }
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    async fn pass_unasked(&self, mut response: Response) {
        let mut parser = Parser::default();
        while let Ok(Some(chunk)) = response.chunk().await {
            for event in parser.feed(&chunk) {
                if let Ok(mut message) = serde_json::from_slice::<Value>(&event.data) {
                    self.name_as_client_does(&mut message);
                    self.learn(&message);
                    self.write(message.to_string().into_bytes()).await;
                }
            }
            if parser.pending() > MAX_EVENT_BYTES {
                return;
            }
        }
    }

    /// An address that `open_again` had lengthened is told by the one that the client subscribed to.
    fn name_as_client_does(&self, message: &mut Value) {
        let Some(told) = message["params"]["uri"].as_str() else { return };
        let known = self.known();
        if known.subscribed.contains_key(told) {
            return;
        }
        let own = known.subscribed.keys().find(|uri| told.strip_prefix(uri.as_str()).is_some_and(|rest| rest.starts_with(['?', '&'])));
        if let Some(own) = own.cloned() {
            message["params"]["uri"] = Value::String(own);
        }
    }

    async fn end_session(&self) {
        if self.known().session.is_none() {
            return;
        }
        let request = self.signed(self.client.delete(self.url.clone()), None, false);
        let _ = tokio::time::timeout(RECONNECT, request.send()).await;
    }
}
