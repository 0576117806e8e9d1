//! `/mcp`: Streamable HTTP behind the door, for both eras of the protocol.
//!
//! A request is answered with JSON, or with a stream of events where something is to be told before the answer. Not here: who the caller is
//! (`door`), and foreign hosts and origins (`front`).
#![expect(clippy::result_large_err, reason = "a refusal is an answer, and goes the same way to the client as any other")]

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request as HttpRequest;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::asker::{Asker, Reach};
use super::protocol::{Call, Host, Outlet, check_meta, era_of};
use super::rpc::{
    self, Era, HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, Incoming, METHOD_NOT_FOUND, NEWER, OLDER, PARSE_ERROR, Request, RpcError,
    UNSUPPORTED_VERSION,
};
use super::sessions::{Session, Sessions};
use crate::door::LetIn;
use crate::limits::{MAX_MCP_BODY_BYTES, STREAM_HEARTBEAT};
use crate::shared::Shared;

/// Where it is served.
pub(crate) const PATH: &str = "/mcp";
/// Header that names a session.
const SESSION: &str = "mcp-session-id";
/// Header that names the revision.
const VERSION: &str = "mcp-protocol-version";
/// Headers of the newer era that say what the body says, for whoever routes by them.
const NAMED: (&str, &str) = ("mcp-method", "mcp-name");
/// Header by which a client that lost its stream comes back.
const LAST_EVENT_ID: &str = "last-event-id";
/// Messages of one request that wait for the connection.
const WAITING: usize = 16;

/// All of `/mcp`.
struct Agents {
    host: Host,
    sessions: Sessions,
}

/// The route, to be put behind the door.
pub(crate) fn route(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let agents = Arc::new(Agents { host: Host { shared: Arc::clone(shared), reach: Reach::Server }, sessions: Sessions::default() });
    Router::new().route(PATH, any(move |request: HttpRequest| serve(Arc::clone(&agents), request)))
}

async fn serve(agents: Arc<Agents>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::POST => agents.post(parts, body).await.unwrap_or_else(|refused| refused),
        Method::GET => agents.get(&parts).unwrap_or_else(|refused| refused),
        Method::DELETE => agents.delete(&parts).unwrap_or_else(|refused| refused),
        _ => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "send POST, GET or DELETE");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
            response
        }
    }
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    (status, text.into()).into_response()
}

fn message(status: StatusCode, message: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], message.to_string()).into_response()
}

fn caller(parts: &Parts) -> String {
    parts.extensions.get::<LetIn>().map(|let_in| let_in.caller.name.clone()).unwrap_or_default()
}

fn word<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = wanted.split('/').next().unwrap_or_default();
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|entry| {
        let essence = entry.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(wanted) || essence == "*/*" || essence.eq_ignore_ascii_case(&format!("{kind}/*"))
    })
}

impl Agents {
    async fn post(self: Arc<Self>, parts: Parts, body: Body) -> Result<Response, Response> {
        if !accepts(&parts.headers, "application/json") || !accepts(&parts.headers, "text/event-stream") {
            return Err(plain(StatusCode::NOT_ACCEPTABLE, "accept both application/json and text/event-stream"));
        }
        let kind = word(&parts.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json"));
        }
        let most = usize::try_from(MAX_MCP_BODY_BYTES).unwrap_or(usize::MAX);
        let bytes: Bytes = to_bytes(body, most)
            .await
            .map_err(|_| plain(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is cut off, or longer than {MAX_MCP_BODY_BYTES} bytes")))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
            message(StatusCode::BAD_REQUEST, &RpcError::new(PARSE_ERROR, format!("the body is no JSON: {error}")).answering(&Value::Null))
        })?;
        match rpc::read(value).map_err(|refused| message(StatusCode::BAD_REQUEST, &refused))? {
            Incoming::Request(request) => self.request(&parts, request).await,
            Incoming::Notification { method, params } => {
                let session = self.session(&parts, None)?;
                if let (Some(session), "notifications/cancelled", Some(id)) = (&session, method.as_str(), params.get("requestId")) {
                    session.cancel(id);
                }
                Ok(StatusCode::ACCEPTED.into_response())
            }
            Incoming::Response => self.session(&parts, None).map(|_| StatusCode::ACCEPTED.into_response()),
        }
    }

    async fn request(self: Arc<Self>, parts: &Parts, request: Request) -> Result<Response, Response> {
        let header = word(&parts.headers, VERSION);
        let is_newer = |version: &str| version >= NEWER;
        let era = era_of(&request).unwrap_or(if header.is_some_and(is_newer) { Era::Newer } else { Era::Older });
        match era {
            Era::Newer => {
                check_headers(&parts.headers, &request)
                    .and_then(|()| check_meta(&request))
                    .map_err(|error| message(status_of(&error, true), &error.answering(&request.id)))?;
                Ok(self.alone(parts, request).await)
            }
            Era::Older if request.method == "initialize" => Ok(self.open(parts, request).await),
            Era::Older => {
                let session = self.session(parts, Some(&request))?;
                let session = session.ok_or_else(|| {
                    let error = RpcError::new(
                        INVALID_REQUEST,
                        "the request names no session. hint: send initialize first, and its Mcp-Session-Id with each request",
                    );
                    message(StatusCode::BAD_REQUEST, &error.answering(&request.id))
                })?;
                Ok(self.within(parts, session, request).await)
            }
        }
    }

    /// The session that a request names, when it names one: it must be there, and the caller's.
    fn session(&self, parts: &Parts, request: Option<&Request>) -> Result<Option<Arc<Session>>, Response> {
        if let Some(version) = word(&parts.headers, VERSION)
            && version != NEWER
            && !OLDER.contains(&version)
        {
            let id = request.map_or(Value::Null, |request| request.id.clone());
            let error = RpcError::new(UNSUPPORTED_VERSION, format!("the revision `{version}` of the protocol is not spoken here"));
            return Err(message(StatusCode::BAD_REQUEST, &error.answering(&id)));
        }
        let Some(name) = word(&parts.headers, SESSION) else { return Ok(None) };
        // Another caller's session is answered as one that never was, so that nobody learns which there are.
        self.sessions.find(name, &caller(parts)).map(Some).ok_or_else(|| plain(StatusCode::NOT_FOUND, "Not Found: Session not found"))
    }

    async fn open(&self, parts: &Parts, request: Request) -> Response {
        let shutdown = &self.host.shared.options.shutdown;
        let (name, session) = self.sessions.begin(caller(parts), shutdown);
        let asker = Asker::new(&self.host.shared, self.host.reach, Some(parts));
        let call = Call { asker, era: Era::Older, outlet: session.outlet.clone(), session: None, cancelled: session.ending.child_token() };
        let mut response = message(StatusCode::OK, &rpc::answer(&request.id, call.answer(&request).await));
        if let Ok(name) = HeaderValue::from_str(&name) {
            response.headers_mut().insert(SESSION, name);
        }
        response
    }

    /// A request of the older era.
    async fn within(&self, parts: &Parts, session: Arc<Session>, request: Request) -> Response {
        let cancelled = session.begin(&request.id);
        let mut asker = Asker::new(&self.host.shared, self.host.reach, Some(parts));
        // Whoever has no name of its own is counted by its session, which a connection may change.
        asker.in_session(word(&parts.headers, SESSION).unwrap_or_default());
        let progress = request.meta("progressToken").cloned();
        let (sender, receiver) = mpsc::channel(WAITING);
        let asker = asker.telling(&Outlet(sender.clone()), progress.as_ref());
        let subscriptions = Some(Arc::clone(&session.subscriptions));
        let call = Call { asker, era: Era::Older, outlet: session.outlet.clone(), session: subscriptions, cancelled: cancelled.clone() };
        if progress.is_none() {
            let outcome = call.answer(&request).await;
            session.done(&request.id);
            return message(StatusCode::OK, &rpc::answer(&request.id, outcome));
        }
        let id = request.id.clone();
        let answering = async move {
            let outcome = call.answer(&request).await;
            session.done(&request.id);
            outcome
        };
        streamed(answering, id, sender, receiver, cancelled.drop_guard())
    }

    /// A request of the newer era.
    async fn alone(&self, parts: &Parts, request: Request) -> Response {
        let cancelled = self.host.shared.options.shutdown.child_token();
        let progress = request.meta("progressToken").cloned();
        let (sender, receiver) = mpsc::channel(WAITING);
        let outlet = Outlet(sender.clone());
        let asker = Asker::new(&self.host.shared, self.host.reach, Some(parts)).telling(&outlet, progress.as_ref());
        let call = Call { asker, era: Era::Newer, outlet, session: None, cancelled: cancelled.clone() };
        // A connection that is closed gives the request up.
        let guard = cancelled.drop_guard();
        if progress.is_none() && request.method != "subscriptions/listen" {
            let outcome = call.answer(&request).await;
            let status = outcome.as_ref().err().map_or(StatusCode::OK, |error| status_of(error, false));
            drop(guard);
            return message(status, &rpc::answer(&request.id, outcome));
        }
        let id = request.id.clone();
        streamed(async move { call.answer(&request).await }, id, sender, receiver, guard)
    }

    fn get(&self, parts: &Parts) -> Result<Response, Response> {
        if !accepts(&parts.headers, "text/event-stream") {
            return Err(plain(StatusCode::NOT_ACCEPTABLE, "accept text/event-stream"));
        }
        let session = self.session(parts, None)?;
        let session =
            session.ok_or_else(|| plain(StatusCode::BAD_REQUEST, "name the session by Mcp-Session-Id; the newer era listens by POST"))?;
        let after = word(&parts.headers, LAST_EVENT_ID).and_then(|id| id.parse().ok());
        let stream = futures::stream::unfold(session.stream(after), |mut stream| async move {
            let (number, message) = stream.next().await?;
            Some((Ok::<Event, Infallible>(Event::default().id(number.to_string()).event("message").data(message.to_string())), stream))
        });
        Ok(events(stream))
    }

    fn delete(&self, parts: &Parts) -> Result<Response, Response> {
        let name = word(&parts.headers, SESSION).ok_or_else(|| plain(StatusCode::BAD_REQUEST, "name the session by Mcp-Session-Id"))?;
        match self.sessions.end(name, &caller(parts)) {
            true => Ok(StatusCode::NO_CONTENT.into_response()),
            false => Err(plain(StatusCode::NOT_FOUND, "Not Found: Session not found")),
        }
    }
}

fn events(stream: impl futures::Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(STREAM_HEARTBEAT)).into_response();
    // Proxies that buffer would hold back what a stream is for.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is told before an answer, and the answer, as a stream. Whoever closes the connection drops the guard, which gives the request up.
fn streamed(
    answering: impl Future<Output = Result<Value, RpcError>> + Send + 'static,
    id: Value,
    sender: mpsc::Sender<Value>,
    receiver: mpsc::Receiver<Value>,
    guard: DropGuard,
) -> Response {
    tokio::spawn(async move {
        let outcome = answering.await;
        // Whoever is gone does not want to hear it.
        let _ = sender.send(rpc::answer(&id, outcome)).await;
    });
    let stream = futures::stream::unfold((receiver, guard), |(mut receiver, guard)| async move {
        let message = receiver.recv().await?;
        Some((Ok(Event::default().event("message").data(message.to_string())), (receiver, guard)))
    });
    events(stream)
}

/// Statuses of the newer era; the older gives every error of JSON-RPC with 200.
fn status_of(error: &RpcError, is_malformed: bool) -> StatusCode {
    match error.code {
        UNSUPPORTED_VERSION | HEADER_MISMATCH => StatusCode::BAD_REQUEST,
        INVALID_PARAMS if is_malformed => StatusCode::BAD_REQUEST,
        METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

/// Headers must say what the body says: whoever routes by them does not read the body.
fn check_headers(headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    let refused = |why: String| Err(RpcError::new(HEADER_MISMATCH, why));
    match (word(headers, VERSION), request.own_version()) {
        (None, Some(_)) => return refused("request _meta protocolVersion requires the MCP-Protocol-Version header".to_owned()),
        (Some(header), Some(own)) if header != own => {
            return refused(format!("MCP-Protocol-Version header ({header}) does not match request _meta protocolVersion ({own})"));
        }
        _ => {}
    }
    // A revision that is not spoken here is refused for that, whatever its headers are.
    if request.own_version().is_some_and(|version| version != NEWER) {
        return Ok(());
    }
    let method = one(headers, NAMED.0)?.ok_or_else(|| RpcError::new(HEADER_MISMATCH, "missing required Mcp-Method header"))?;
    if method != request.method {
        return refused(format!("Mcp-Method header `{method}` does not match body method `{}`", request.method));
    }
    let key = match request.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    let Some(expected) = request.params.get(key).and_then(Value::as_str) else { return Ok(()) };
    let given =
        one(headers, NAMED.1)?.ok_or_else(|| RpcError::new(HEADER_MISMATCH, format!("missing required Mcp-Name header for `{method}`")))?;
    if given != expected {
        return refused(format!("Mcp-Name header `{given}` does not match body value `{expected}`"));
    }
    Ok(())
}

/// The one value of a header, decoded; several are refused, because two readers might take different ones.
fn one(headers: &HeaderMap, name: &str) -> Result<Option<String>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RpcError::new(HEADER_MISMATCH, format!("the header {name} is there several times")));
    }
    let text = first.to_str().map_err(|_| RpcError::new(HEADER_MISMATCH, format!("the header {name} is no text")))?.trim();
    let coded = text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?="));
    match coded {
        None => Ok(Some(text.to_owned())),
        Some(coded) => {
            let decoded = STANDARD.decode(coded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.map(Some).ok_or_else(|| RpcError::new(HEADER_MISMATCH, format!("the header {name} is not valid Base64")))
        }
    }
}
