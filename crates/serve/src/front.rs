//! What happens to every request before and after its handler: the gate, the host check, the request id, the figures, the access log.
//!
//! The log never holds a token, a query or a header of the client besides its request id: paths name objects, queries may hold anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Uri};
use proreus_api::Problem;
use proreus_app::access::PublicNames;

use crate::failure::Failure;
use crate::limits::{MAX_BODY_BYTES, MAX_LOGGED_PATH_BYTES, MAX_MCP_BODY_BYTES, MAX_REQUEST_ID_BYTES};
use crate::shared::{Exposure, Shared};

/// Name of the header that carries a request's id both ways.
const REQUEST_ID: &str = "x-request-id";
/// Route of a request that matched none.
const NO_ROUTE: &str = "none";
/// Routes that are asked every few seconds by machines: logged only when something is wrong.
const PROBED: [&str; 4] = ["/health", "/livez", "/readyz", "/metrics"];

/// Routes that are answered under every name.
const UNNAMED: [&str; 3] = ["/health", "/livez", "/readyz"];

/// Who asked, put into the answer by the door for the log.
#[derive(Clone)]
pub(crate) struct AskedBy(pub(crate) String);

/// Wraps every request.
pub(crate) async fn front(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let path = clipped(request.uri().path());
    let mut response = admit(&shared, request, next).await;
    let took = started.elapsed();
    let status = response.status().as_u16();
    shared.metrics.answered(&route, method, status, took);
    let caller = response.extensions().get::<AskedBy>().map_or("", |asked| asked.0.as_str());
    let milliseconds = took.as_secs_f64() * 1_000.0;
    match PROBED.contains(&route.as_str()) && status < 400 {
        true => tracing::debug!(target: "proreus::access", %id, method, %route, %path, status, caller, milliseconds, "answered a request"),
        false => tracing::info!(target: "proreus::access", %id, method, %route, %path, status, caller, milliseconds, "answered a request"),
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers hold what a cluster holds: no cache on the way may keep them.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn admit(shared: &Shared, request: Request, next: Next) -> Response {
    let Some(_place) = shared.gates.request() else { return Failure::overloaded("requests").into_response() };
    let checked = match shared.options.exposure {
        Exposure::Loopback => check_loopback(request.uri(), request.headers()),
        Exposure::Network => check_names(shared.app.door.public(), &request),
    };
    if let Err(refused) = checked.and_then(|()| check_body(request.uri(), request.headers())) {
        return refused.into_response();
    }
    next.run(request).await
}

/// The host that a request names.
pub(crate) fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    headers.get(HOST).map(|host| host.to_str().unwrap_or("?")).or_else(|| uri.authority().map(http::uri::Authority::as_str))
}

/// Refuses names other than this machine's own while only this machine may reach the server.
fn check_loopback(uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
    let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("?"));
    let origin = origin.map(|origin| origin.split_once("://").map_or(origin, |(_, authority)| authority));
    match [host(uri, headers), origin].into_iter().flatten().find(|name| !is_loopback(name)) {
        None => Ok(()),
        Some(_) => {
            let hint = "use localhost, 127.0.0.1 or [::1]; to be reached by another name, listen on another address";
            Err(Problem::new(403, "foreign-host", "the server answers this machine only", "`Host` or `Origin` names another machine", hint)
                .into())
        }
    }
}

/// Refuses pages of other origins, and hosts that are not named where hosts are: a page must not get in by a name that it made resolve
/// to us. Probes name the pod's address, which nobody can configure, so health endpoints are answered under every name.
fn check_names(names: Option<&PublicNames>, request: &Request) -> Result<(), Failure> {
    let nothing = PublicNames::default();
    let names = names.unwrap_or(&nothing);
    let host = host(request.uri(), request.headers());
    let is_probe = request.extensions().get::<MatchedPath>().is_some_and(|route| UNNAMED.contains(&route.as_str()));
    if !is_probe && !names.admits_host(host.unwrap_or_default()) {
        let hint = "use a name that auth.allowedHosts or auth.publicUrl has";
        return Err(Problem::new(403, "foreign-host", "the server is not asked under its name", "`Host` names another server", hint).into());
    }
    match request.headers().get(ORIGIN).map(|origin| origin.to_str().unwrap_or("?")) {
        Some(origin) if !names.admits_origin(origin, host) => {
            let hint = "add the page's origin to auth.allowedOrigins if it may ask";
            Err(Problem::new(403, "foreign-origin", "pages of that origin are not answered", "`Origin` names another site", hint).into())
        }
        Some(_) | None => Ok(()),
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (host.ends_with(']') || !host.contains(':')) => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses a body that nobody will read, or that is larger than whoever reads it takes.
fn check_body(uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
    let (most, hint) = match uri.path() == crate::mcp::PATH {
        true => (MAX_MCP_BODY_BYTES, "send one JSON-RPC message of at most 1 MiB"),
        false => (MAX_BODY_BYTES, "send none; nothing here reads a body"),
    };
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(bytes) if bytes > most => {
            let detail = format!("the body has {bytes} bytes");
            Err(Problem::new(413, "body-too-large", "the body is too large", detail, hint).into())
        }
        _ => Ok(()),
    }
}

/// The client's id when it is harmless, else one of our own.
fn request_id(headers: &HeaderMap) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let harmless = |id: &&str| {
        (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(harmless);
    given.map_or_else(|| format!("{:08x}", NEXT.fetch_add(1, Ordering::Relaxed)), str::to_owned)
}

/// One of few words: a client can invent methods, and each would be a series of its own.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn clipped(path: &str) -> String {
    path.chars().take(MAX_LOGGED_PATH_BYTES).collect()
}

/// The answer of a handler that panicked.
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    tracing::error!(said, "a handler panicked");
    let problem = Problem::new(500, "internal", "the request failed", "an error of ours", "see the server's log under this request's id");
    Failure::from(problem).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn knows_this_machine_by_its_own_names_only() {
        for name in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "127.9.9.9:80", "[::1]", "[::1]:8080"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["", "example.org", "localhost.example.org", "127.0.0.1.example.org:80", "10.0.0.1", "[::2]:80", "null", "?"] {
            assert!(!is_loopback(name), "{name}");
        }
    }
}
