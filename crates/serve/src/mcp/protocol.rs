//! What the methods of the protocol mean, in both eras: from a request to its result.
//!
//! Not here: how messages travel. A request that has something to tell before its answer tells it to an `Outlet`.

use std::sync::Arc;
use std::time::Duration;

use proreus_app::monitors::ClientKey;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::asker::{Asker, Reach};
use super::profile::{AgentProfile, Telling};
use super::refusal::Refusal;
use super::rpc::{
    Era, INTERNAL_ERROR, INVALID_PARAMS, JsonObject, META_CAPABILITIES, META_SERVER, META_SUBSCRIPTION, META_VERSION, METHOD_NOT_FOUND,
    NEWER, OLDER, RESOURCE_NOT_FOUND, Request, RpcError, UNSUPPORTED_VERSION, negotiated, notification,
};
use super::subscriptions::{Feed, SessionSubscriptions, run};
use super::{completion, prompts, resources, tools};
use crate::shared::Shared;

/// How long a message may wait for its client to take it: then the client counts as gone. As long as a connection may stall.
const TAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Resources of one `subscriptions/listen`; more than a client may have anyway.
const MAX_LISTENED: usize = 100;

/// What a model is told of this server before it sees a tool.
const INSTRUCTIONS: &str = "Proreus records every change of every object of Kubernetes clusters and answers from that record; it never changes a cluster. \
    Begin with `doctor` or `incidents` for what is wrong, `what_changed_before` for its cause, `changes`, `history` and `diff` for details, `state` and \
    `object` for any moment of the past, `monitor_wait` to follow a cluster that is being made. Every answer begins with a summary and fits 25,000 \
    characters; pass nextCursor back as cursor for more. Times may be RFC 3339, a date, or how long ago such as 2h. Secrets are not recorded.";

/// What all conversations of a server share.
pub(crate) struct Host {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reach: Reach,
}

/// Where messages to one client go. Bounded: whoever tells waits for the client, and gives up on one that takes nothing.
#[derive(Clone)]
pub(crate) struct Outlet(pub(crate) mpsc::Sender<Value>);

impl Outlet {
    /// Sends a message; false when nobody takes it any more.
    pub(crate) async fn send(&self, message: Value) -> bool {
        self.0.send_timeout(message, TAKE_TIMEOUT).await.is_ok()
    }
}

/// One request under way.
pub(crate) struct Call {
    pub(crate) asker: Asker,
    pub(crate) era: Era,
    /// What is told before the answer, and in a session what is told unasked.
    pub(crate) outlet: Outlet,
    /// The subscriptions of the session, in the older era.
    pub(crate) session: Option<Arc<SessionSubscriptions>>,
    /// The client gives up.
    pub(crate) cancelled: CancellationToken,
}

/// Which era a request speaks, when it says so itself.
pub(crate) fn era_of(request: &Request) -> Option<Era> {
    match (request.method.as_str(), request.own_version()) {
        (_, Some(_)) | ("server/discover", None) => Some(Era::Newer),
        ("initialize", None) => Some(Era::Older),
        (_, None) => None,
    }
}

/// Checks what every request of the newer era must carry.
pub(crate) fn check_meta(request: &Request) -> Result<(), RpcError> {
    let has = |key: &str, fits: fn(&Value) -> bool| request.meta(key).is_some_and(fits);
    let missing: Vec<&str> =
        [(META_VERSION, has(META_VERSION, Value::is_string)), (META_CAPABILITIES, has(META_CAPABILITIES, Value::is_object))]
            .into_iter()
            .filter_map(|(key, is_there)| (!is_there).then_some(key))
            .collect();
    if !missing.is_empty() {
        let text = format!("request _meta is missing or has malformed required fields: {}", missing.join(", "));
        return Err(RpcError::new(INVALID_PARAMS, text));
    }
    match request.own_version() {
        Some(NEWER) | None => Ok(()),
        Some(other) => {
            let supported: Vec<&str> = OLDER.into_iter().chain([NEWER]).collect();
            Err(RpcError::new(UNSUPPORTED_VERSION, "Unsupported protocol version")
                .with(json!({"requested": other, "supported": supported})))
        }
    }
}

impl Call {
    /// The result of a request.
    pub(crate) async fn answer(&self, request: &Request) -> Result<Value, RpcError> {
        let result = tokio::select! {
            () = self.cancelled.cancelled() => Err(RpcError::new(INTERNAL_ERROR, "the request was cancelled")),
            result = self.dispatch(request) => result,
        };
        match self.era {
            Era::Older => result,
            Era::Newer => result.map(|result| finished(&request.method, result)).map_err(as_newer),
        }
    }

    async fn dispatch(&self, request: &Request) -> Result<Value, RpcError> {
        let params = &request.params;
        match (self.era, request.method.as_str()) {
            (Era::Older, "initialize") => Ok(initialized(params)),
            (Era::Older, "ping") => Ok(json!({})),
            (Era::Newer, "server/discover") => Ok(discovered()),
            (_, "tools/list") => Ok(json!({"tools": self.with_profile(tools::listed().to_vec(), |profile| profile.tools())})),
            (_, "tools/call") => self.call_tool(params).await,
            (_, "resources/list") => {
                let listed = resources::list(&self.asker).await.map_err(Refusal::into_error)?;
                Ok(json!({"resources": self.with_profile(listed, |profile| profile.resources())}))
            }
            (_, "resources/templates/list") => {
                Ok(json!({"resourceTemplates": self.with_profile(resources::templates(), |profile| profile.templates())}))
            }
            (_, "resources/read") => {
                let uri = text(params, "uri")?;
                if let Some(read) = self.profile().and_then(|profile| profile.read(uri)) {
                    return Ok(read);
                }
                resources::read(&self.asker, uri).await.map_err(|refusal| about(refusal.into_error(), uri))
            }
            (_, "prompts/list") => Ok(json!({"prompts": self.with_profile(prompts::list(), |profile| profile.prompts())})),
            (_, "prompts/get") => {
                let (name, given) = (text(params, "name")?, params.get("arguments").and_then(Value::as_object));
                let besides = self.profile().and_then(|profile| profile.prompt(name, given));
                besides.map_or_else(|| prompts::get(name, given).map_err(Refusal::into_error), Ok)
            }
            (_, "completion/complete") => completion::complete(&self.asker, params).await.map_err(Refusal::into_error),
            (Era::Older, "resources/subscribe") => self.subscribe(text(params, "uri")?).await,
            (Era::Older, "resources/unsubscribe") => {
                let uri = text(params, "uri")?;
                if let Some(session) = &self.session {
                    session.end(uri);
                }
                Ok(json!({}))
            }
            (Era::Newer, "subscriptions/listen") => self.listen(request).await,
            (_, other) => Err(RpcError::new(METHOD_NOT_FOUND, format!("there is no method `{other}` in this revision of the protocol"))),
        }
    }

    fn profile(&self) -> Option<&dyn AgentProfile> {
        self.asker.shared.options.profile.as_deref()
    }

    /// Our own, and behind them what is offered besides.
    fn with_profile(&self, mut own: Vec<Value>, besides: impl Fn(&dyn AgentProfile) -> Vec<Value>) -> Vec<Value> {
        own.extend(self.profile().map(besides).into_iter().flatten());
        own
    }

    async fn call_tool(&self, params: &JsonObject) -> Result<Value, RpcError> {
        let name = text(params, "name")?;
        let Some(entry) = tools::named(name) else {
            if let Some(profile) = self.profile()
                && let Some(result) = profile.call(name, Telling(&self.asker)).await
            {
                return Ok(result);
            }
            let why = tools::absent(name).unwrap_or_else(|| format!("Unknown tool: {name}. hint: tools/list names those there are"));
            return Err(RpcError::new(INVALID_PARAMS, why));
        };
        let arguments = match params.get("arguments") {
            None | Some(Value::Null) => JsonObject::new(),
            Some(Value::Object(arguments)) => arguments.clone(),
            Some(_) => return Err(RpcError::new(INVALID_PARAMS, "`arguments` is no object")),
        };
        match (entry.run)(self.asker.clone(), arguments).await {
            Ok(answer) => Ok(answer.into_result()),
            Err(refusal) => refusal.into_result(),
        }
    }

    /// The older era: told for as long as the session lasts.
    async fn subscribe(&self, uri: &str) -> Result<Value, RpcError> {
        let Some(session) = &self.session else { return Err(RpcError::new(INVALID_PARAMS, "there is no session to tell anything in")) };
        // A second subscription to one address is the first one.
        let Some(begun) = session.begin(uri) else { return Ok(json!({})) };
        let feed = match Feed::open(&self.asker, uri).await {
            Ok(feed) => feed,
            Err(refusal) => {
                session.forget(uri, &begun);
                return Err(refusal.into_error());
            }
        };
        let (session, outlet, uri, asker) = (Arc::clone(session), self.outlet.clone(), uri.to_owned(), self.asker.clone());
        tokio::spawn(async move {
            run(feed, &outlet, &uri, None, &asker, &begun.ending).await;
            session.forget(&uri, &begun);
        });
        Ok(json!({}))
    }

    /// The newer era: told for as long as the request lasts.
    async fn listen(&self, request: &Request) -> Result<Value, RpcError> {
        let filter = request.params.get("notifications").and_then(Value::as_object);
        let filter = filter.ok_or_else(|| RpcError::new(INVALID_PARAMS, "`notifications` is missing or no object"))?;
        let uris = match filter.get("resourceSubscriptions") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(uris)) if uris.len() <= MAX_LISTENED && uris.iter().all(Value::is_string) => {
                uris.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(_) => return Err(RpcError::new(INVALID_PARAMS, "`resourceSubscriptions` is no list of addresses, or too long a one")),
        };
        let mut feeds = Vec::new();
        for uri in &uris {
            feeds.push((uri, Feed::open(&self.asker, uri).await.map_err(Refusal::into_error)?));
        }
        // Lists of tools, prompts and resources never change while we run, so they are not among what is accepted.
        let accepted = if uris.is_empty() { json!({}) } else { json!({"resourceSubscriptions": uris}) };
        let meta = json!({META_SUBSCRIPTION: request.id});
        let acknowledged = json!({"notifications": accepted, "_meta": meta});
        if !self.outlet.send(notification("notifications/subscriptions/acknowledged", acknowledged)).await {
            return Err(RpcError::new(INTERNAL_ERROR, "the client is gone"));
        }
        if feeds.is_empty() {
            // Whoever waits for nothing takes a place all the same.
            let client = ClientKey(self.asker.client.clone());
            let _place = self.asker.ask(move |app, _| app.monitors.place(&client)).await.map_err(Refusal::into_error)?;
            self.asker.shared.options.shutdown.cancelled().await;
        }
        let telling = feeds.into_iter().map(|(uri, feed)| run(feed, &self.outlet, uri, Some(&request.id), &self.asker, &self.cancelled));
        // The last update of each ends it, and the last of all the request.
        futures::future::join_all(telling).await;
        Ok(json!({"_meta": meta}))
    }
}

fn text<'a>(params: &'a JsonObject, name: &str) -> Result<&'a str, RpcError> {
    params.get(name).and_then(Value::as_str).ok_or_else(|| RpcError::new(INVALID_PARAMS, format!("`{name}` is missing or no text")))
}

fn implementation() -> Value {
    json!({"name": "proreus", "title": "Proreus", "version": env!("CARGO_PKG_VERSION")})
}

fn capabilities() -> Value {
    json!({"tools": {}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}})
}

fn initialized(params: &JsonObject) -> Value {
    let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    json!({
        "protocolVersion": negotiated(asked),
        "capabilities": capabilities(),
        "serverInfo": implementation(),
        "instructions": INSTRUCTIONS,
    })
}

fn discovered() -> Value {
    let supported: Vec<&str> = OLDER.into_iter().chain([NEWER]).collect();
    json!({"supportedVersions": supported, "capabilities": capabilities(), "instructions": INSTRUCTIONS})
}

/// Methods whose results clients may keep; ours are never to be kept, because the next record may change them.
const CACHEABLE: [&str; 6] =
    ["server/discover", "tools/list", "resources/list", "resources/templates/list", "resources/read", "prompts/list"];

/// A result with what the newer era wants beside it.
fn finished(method: &str, mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    if CACHEABLE.contains(&method) {
        result["ttlMs"] = json!(0);
        result["cacheScope"] = json!("private");
    }
    result["_meta"][META_SERVER] = implementation();
    result
}

/// An error with the address that it is about.
fn about(mut error: RpcError, uri: &str) -> RpcError {
    if let Some(data) = error.data.as_mut().and_then(Value::as_object_mut) {
        data.insert("uri".to_owned(), json!(uri));
    }
    error
}

/// A resource that is not there is a wrong parameter in the newer era.
fn as_newer(error: RpcError) -> RpcError {
    if error.code == RESOURCE_NOT_FOUND { RpcError { code: INVALID_PARAMS, ..error } } else { error }
}
