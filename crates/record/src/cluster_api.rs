//! Requests to one API server: paths, queries, streams of bytes, failures sorted by what they mean.
//!
//! Knows HTTP and nothing of objects. Invariant: every wait has a limit, but that for a followed log, which its reader ends.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use proreus_model::ResourceType;

use crate::envelope::{self, ApiStatus};
use crate::json::{self, MAX_DEPTH};
use crate::selection::Chosen;
use crate::watch_words::Failure;

/// Longest wait for the head of a response. Lists of large types take seconds; the server's own limit is a minute.
const RESPONSE_LIMIT: Duration = Duration::from_secs(65);

/// Longest wait for further bytes of a list or a document.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Longest body of an error that is read.
const ERROR_BODY_BYTES: usize = 64 * 1024;

/// Objects a page: some 1 MB of Pods, and large clusters stay under a hundred requests a type.
const PAGE_OBJECTS: u32 = 250;

/// What a review is written and answered in.
const JSON: &str = "application/json";

/// Why a request gave nothing.
#[derive(Clone, Debug)]
pub(crate) enum ApiError {
    /// An answer other than 2xx.
    Answer { code: u16, retry_after: Option<Duration>, status: ApiStatus },
    /// No answer, or a broken one.
    Transport(String),
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer { code, status, .. } if status.message.is_empty() => write!(f, "the API server answered {code}"),
            Self::Answer { code, status, .. } => write!(f, "the API server answered {code}: {}", status.message),
            Self::Transport(reason) => f.write_str(reason),
        }
    }
}

impl ApiError {
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Answer { code, .. } => Some(*code),
            Self::Transport(_) => None,
        }
    }

    /// What it means for a watch. `is_streaming_list`: whether a streaming list was asked for.
    pub(crate) fn failure(&self, is_streaming_list: bool) -> Failure {
        match self {
            Self::Transport(reason) => Failure::Other(reason.clone()),
            Self::Answer { code, retry_after, status } => sort(*code, *retry_after, status, is_streaming_list, self.to_string()),
        }
    }
}

/// What an `ERROR` event means for a watch.
pub(crate) fn failure_of_event(status: &ApiStatus) -> Failure {
    let text = if status.message.is_empty() { format!("the watch failed with {}", status.code) } else { status.message.clone() };
    sort(status.code, None, status, false, text)
}

fn sort(code: u16, retry_after: Option<Duration>, status: &ApiStatus, is_streaming_list: bool, text: String) -> Failure {
    let retry_after = retry_after.or(status.retry_after_seconds.map(Duration::from_secs));
    // A position ahead of the server's own: it was restored from a backup, or is another server.
    let is_ahead = status.message.contains("Too large resource version");
    match code {
        410 => Failure::Expired(text),
        _ if is_ahead || matches!(status.reason.as_str(), "Expired" | "Gone") => Failure::Expired(text),
        400 | 422 if is_streaming_list => Failure::NoStreaming(text),
        401 | 403 => Failure::Forbidden(text),
        404 | 405 => Failure::NotServed(text),
        429 | 503 => Failure::Busy { retry_after, message: text },
        _ => Failure::Other(text),
    }
}

/// An API server.
#[derive(Clone)]
pub(crate) struct ClusterApi {
    client: kube::Client,
}

impl ClusterApi {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Sends a GET and waits for the head of a good answer.
    pub(crate) async fn open(&self, path: &str, accept: &str) -> Result<ByteStream, ApiError> {
        let request = http::Request::get(path).header(http::header::ACCEPT, accept).body(kube::client::Body::empty());
        self.exchange(request, Some(RESPONSE_LIMIT)).await
    }

    /// The same for an answer whose head comes with its first bytes, which may be never: waits without limit.
    pub(crate) async fn open_patiently(&self, path: &str, accept: &str) -> Result<ByteStream, ApiError> {
        let request = http::Request::get(path).header(http::header::ACCEPT, accept).body(kube::client::Body::empty());
        self.exchange(request, None).await
    }

    /// Applies an object on the server's side and waits until it is there.
    pub(crate) async fn apply(&self, path: &str, body: Vec<u8>) -> Result<(), ApiError> {
        let request = http::Request::patch(path)
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
            .body(kube::client::Body::from(body));
        // The head says all: what comes after it is the object that we know.
        self.exchange(request, Some(RESPONSE_LIMIT)).await.map(drop)
    }

    /// Sends a JSON object to be created and gives the answer of at most `limit` bytes.
    pub(crate) async fn create(&self, path: &str, object: String, limit: usize) -> Result<Vec<u8>, ApiError> {
        let request = http::Request::post(path)
            .header(http::header::ACCEPT, JSON)
            .header(http::header::CONTENT_TYPE, JSON)
            .body(kube::client::Body::from(object.into_bytes()));
        self.exchange(request, Some(RESPONSE_LIMIT)).await?.collect(limit).await
    }

    async fn exchange(
        &self,
        request: Result<http::Request<kube::client::Body>, http::Error>,
        limit: Option<Duration>,
    ) -> Result<ByteStream, ApiError> {
        let request = request.map_err(|error| ApiError::Transport(error.to_string()))?;
        let sent = self.client.send(request);
        let answer = match limit {
            Some(limit) => tokio::time::timeout(limit, sent)
                .await
                .map_err(|_| ApiError::Transport(format!("no answer within {} s", limit.as_secs())))?,
            None => sent.await,
        };
        let answer = answer.map_err(|error| ApiError::Transport(chain(&error)))?;
        let (head, body) = answer.into_parts();
        let mut stream = ByteStream { body };
        if head.status.is_success() {
            return Ok(stream);
        }
        let retry_after =
            head.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let bytes = stream.collect(ERROR_BODY_BYTES).await.unwrap_or_default();
        let status = json::parse(&bytes, MAX_DEPTH).map(|object| envelope::api_status(&object)).unwrap_or_default();
        Err(ApiError::Answer { code: head.status.as_u16(), retry_after, status })
    }

    /// What time it is where the server is, in whole seconds; `None` where it does not say.
    pub(crate) async fn date(&self) -> Option<jiff::Timestamp> {
        let request = http::Request::get("/version").body(kube::client::Body::empty()).ok()?;
        let answer = tokio::time::timeout(RESPONSE_LIMIT, self.client.send(request)).await.ok()?.ok()?;
        let text = answer.headers().get(http::header::DATE)?.to_str().ok()?;
        jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
    }

    /// A whole document of at most `limit` bytes.
    pub(crate) async fn document(&self, path: &str, accept: &str, limit: usize) -> Result<Vec<u8>, ApiError> {
        self.open(path, accept).await?.collect(limit).await
    }
}

/// The bytes of an answer as they arrive.
pub(crate) struct ByteStream {
    body: kube::client::Body,
}

impl ByteStream {
    /// The next bytes, `None` at the end; waits without limit.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data()
                        && !bytes.is_empty()
                    {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => return Err(ApiError::Transport(chain(&error))),
            }
        }
    }

    /// The next bytes of something that should not pause.
    pub(crate) async fn prompt_chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        tokio::time::timeout(STALL_LIMIT, self.chunk())
            .await
            .map_err(|_| ApiError::Transport(format!("the answer stalled for {} s", STALL_LIMIT.as_secs())))?
    }

    async fn collect(&mut self, limit: usize) -> Result<Vec<u8>, ApiError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.prompt_chunk().await? {
            if whole.len() + chunk.len() > limit {
                return Err(ApiError::Transport(format!("the answer is larger than {limit} bytes")));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}

/// The path of a type's objects.
pub(crate) fn collection(chosen: &Chosen) -> String {
    let base = base(&chosen.resource_type);
    match chosen.namespaces.single() {
        Some(namespace) => format!("{base}/namespaces/{}/{}", encode(namespace.as_str()), chosen.resource_type.resource),
        None => format!("{base}/{}", chosen.resource_type.resource),
    }
}

/// The request for the objects of a name: none or one. A list, because whoever may record may list, and `get` on everything would be a way
/// into kubelets and pods.
pub(crate) fn named(of: &ResourceType, id: &proreus_model::ObjectId) -> String {
    let base = base(of);
    let field = encode(&format!("metadata.name={}", id.name.as_str()));
    if id.namespace.is_empty() {
        format!("{base}/{}?fieldSelector={field}", of.resource)
    } else {
        format!("{base}/namespaces/{}/{}?fieldSelector={field}", encode(id.namespace.as_str()), of.resource)
    }
}

fn base(of: &ResourceType) -> String {
    if of.group.is_empty() { format!("/api/{}", of.version) } else { format!("/apis/{}/{}", of.group, of.version) }
}

/// The request that applies an Event as `manager`, which takes over what somebody else wrote into it.
pub(crate) fn event_path(namespace: &str, name: &str, manager: &str) -> String {
    format!("/api/v1/namespaces/{}/events/{}?fieldManager={}&force=true", encode(namespace), encode(name), encode(manager))
}

/// The request for a log.
pub(crate) struct LogPath<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) container: Option<&'a str>,
    pub(crate) tail_lines: u64,
    pub(crate) since_seconds: Option<u64>,
    pub(crate) previous: bool,
    pub(crate) follow: bool,
}

impl std::fmt::Display for LogPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/api/v1/namespaces/{}/pods/{}/log?tailLines={}", encode(self.namespace), encode(self.pod), self.tail_lines)?;
        if let Some(container) = self.container {
            write!(f, "&container={}", encode(container))?;
        }
        if let Some(seconds) = self.since_seconds {
            write!(f, "&sinceSeconds={seconds}")?;
        }
        f.write_str(if self.previous { "&previous=true" } else { "" })?;
        f.write_str(if self.follow { "&follow=true" } else { "" })
    }
}

/// The request for a page of a list.
pub(crate) fn page(chosen: &Chosen, token: Option<&str>) -> String {
    let token = token.map(|token| format!("&continue={}", encode(token))).unwrap_or_default();
    format!("{}?limit={PAGE_OBJECTS}{token}{}", collection(chosen), labels(chosen))
}

/// The request for a watch after a version; without one for a streaming list.
pub(crate) fn watch(chosen: &Chosen, from: Option<&str>, timeout: Duration) -> String {
    let start = match from {
        Some(version) => format!("resourceVersion={}", encode(version)),
        None => "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=".to_owned(),
    };
    let path = collection(chosen);
    format!("{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&{start}{}", timeout.as_secs().max(1), labels(chosen))
}

fn labels(chosen: &Chosen) -> String {
    chosen.label_selector.as_deref().map(|selector| format!("&labelSelector={}", encode(selector))).unwrap_or_default()
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, reason: &str, message: &str, is_streaming_list: bool) -> Failure {
        let status = ApiStatus { code, reason: reason.to_owned(), message: message.to_owned(), retry_after_seconds: None };
        ApiError::Answer { code, retry_after: None, status }.failure(is_streaming_list)
    }

    #[test]
    fn sorts_answers_by_what_they_mean_for_a_watch() {
        assert!(matches!(answer(410, "Expired", "", false), Failure::Expired(_)));
        assert!(matches!(answer(504, "Timeout", "Too large resource version: 9, current: 3", false), Failure::Expired(_)));
        assert!(matches!(answer(403, "Forbidden", "", true), Failure::Forbidden(_)));
        assert!(matches!(answer(401, "Unauthorized", "", false), Failure::Forbidden(_)));
        assert!(matches!(answer(405, "MethodNotAllowed", "", false), Failure::NotServed(_)));
        assert!(matches!(answer(422, "Invalid", "", true), Failure::NoStreaming(_)));
        assert!(matches!(answer(422, "Invalid", "", false), Failure::Other(_)));
        assert!(matches!(answer(429, "TooManyRequests", "", false), Failure::Busy { .. }));
        assert!(matches!(answer(500, "InternalError", "", false), Failure::Other(_)));
    }

    #[test]
    fn asks_with_paths_and_queries_that_are_encoded() {
        let chosen = Chosen {
            resource_type: ResourceType {
                group: "apps".into(),
                version: "v1".into(),
                kind: "Deployment".into(),
                resource: "deployments".into(),
                namespaced: true,
            },
            label_selector: Some("a=b,c in (d)".to_owned()),
            namespaces: crate::selection::NamespaceChoice::default(),
        };
        assert_eq!(
            page(&chosen, Some("x/y=")),
            "/apis/apps/v1/deployments?limit=250&continue=x%2Fy%3D&labelSelector=a%3Db%2Cc%20in%20%28d%29"
        );
        assert_eq!(
            watch(&chosen, Some("7"), Duration::from_secs(9)),
            "/apis/apps/v1/deployments?watch=true&allowWatchBookmarks=true&timeoutSeconds=9&resourceVersion=7&labelSelector=a%3Db%2Cc%20in%20%28d%29"
        );
    }
}
