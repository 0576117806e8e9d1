//! JSON-RPC 2.0 and the revisions of the protocol, as far as every transport needs them: what a message is, and what an error looks like.
//!
//! Pure. Not here: what the methods mean (`protocol`), and how messages travel (`http`, `stdio`).

use serde_json::{Map, Value, json};

/// A JSON object.
pub(crate) type JsonObject = Map<String, Value>;

/// Revisions with sessions, oldest first.
pub(crate) const OLDER: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The revision without: each request says by which revision it speaks.
pub(crate) const NEWER: &str = "2026-07-28";

/// Keys of a request's `_meta` in the newer era.
pub(crate) const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What the client can do, in `_meta`.
pub(crate) const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Which `subscriptions/listen` a notification belongs to.
pub(crate) const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// Who answers, in the `_meta` of results of the newer era.
pub(crate) const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";

/// What was sent is no JSON.
pub(crate) const PARSE_ERROR: i64 = -32_700;
/// It is JSON and no message.
pub(crate) const INVALID_REQUEST: i64 = -32_600;
/// There is no such method.
pub(crate) const METHOD_NOT_FOUND: i64 = -32_601;
/// The parameters do not fit.
pub(crate) const INVALID_PARAMS: i64 = -32_602;
/// We failed.
pub(crate) const INTERNAL_ERROR: i64 = -32_603;
/// There is no such resource; `INVALID_PARAMS` in the newer era.
pub(crate) const RESOURCE_NOT_FOUND: i64 = -32_002;
/// Headers say otherwise than the body.
pub(crate) const HEADER_MISMATCH: i64 = -32_020;
/// The revision is not spoken here.
pub(crate) const UNSUPPORTED_VERSION: i64 = -32_022;

/// Which of the two eras a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// With sessions.
    Older,
    /// Each request alone.
    Newer,
}

/// An error of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl RpcError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// With what programs read.
    #[must_use]
    pub(crate) fn with(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The message that answers a request with this error.
    pub(crate) fn answering(&self, id: &Value) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// A text or a whole number.
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: JsonObject,
}

impl Request {
    /// A key of `_meta`.
    pub(crate) fn meta(&self, key: &str) -> Option<&Value> {
        self.params.get("_meta")?.get(key)
    }

    /// The revision that the request itself names.
    pub(crate) fn own_version(&self) -> Option<&str> {
        self.meta(META_VERSION)?.as_str()
    }
}

/// What came in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Incoming {
    /// Wants an answer.
    Request(Request),
    /// Wants none.
    Notification { method: String, params: JsonObject },
    /// Answers what nobody here asks.
    Response,
}

/// Reads a message; what is none comes back as the error that answers it.
pub(crate) fn read(value: Value) -> Result<Incoming, Value> {
    let id = value.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64()).cloned();
    let refused = |why: &str| Err(RpcError::new(INVALID_REQUEST, why).answering(id.as_ref().unwrap_or(&Value::Null)));
    let Value::Object(mut message) = value else { return refused("a message is one JSON object; batches are not taken") };
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return refused("`jsonrpc` is not \"2.0\"");
    }
    let Some(method) = message.get("method") else {
        let is_answer = message.contains_key("result") || message.contains_key("error");
        return if is_answer { Ok(Incoming::Response) } else { refused("the message has no `method`") };
    };
    let Some(method) = method.as_str().map(str::to_owned) else { return refused("`method` is no text") };
    let params = match message.remove("params") {
        None | Some(Value::Null) => JsonObject::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return refused("`params` is no object"),
    };
    match (message.contains_key("id"), id.clone()) {
        (false, _) => Ok(Incoming::Notification { method, params }),
        (true, Some(id)) => Ok(Incoming::Request(Request { id, method, params })),
        (true, None) => refused("`id` is neither a text nor a whole number"),
    }
}

/// The message that answers a request.
pub(crate) fn answer(id: &Value, outcome: Result<Value, RpcError>) -> Value {
    match outcome {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => error.answering(id),
    }
}

/// A notification.
pub(crate) fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// The revision that a session speaks when a client asks for one: that one, or the newest there is.
pub(crate) fn negotiated(asked: &str) -> &'static str {
    OLDER.into_iter().find(|version| *version == asked).unwrap_or("2025-11-25")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_requests_notifications_and_answers_and_refuses_the_rest_by_its_id() {
        let request = read(json!({"jsonrpc": "2.0", "id": "a", "method": "ping"})).expect("request");
        assert_eq!(request, Incoming::Request(Request { id: json!("a"), method: "ping".to_owned(), params: JsonObject::new() }));
        assert!(matches!(read(json!({"jsonrpc": "2.0", "method": "x"})), Ok(Incoming::Notification { .. })));
        assert!(matches!(read(json!({"jsonrpc": "2.0", "id": 1, "result": {}})), Ok(Incoming::Response)));
        for (message, id) in [
            (json!([]), Value::Null),
            (json!(null), Value::Null),
            (json!({"jsonrpc": "1.0", "id": 3, "method": "ping"}), json!(3)),
            (json!({"jsonrpc": "2.0", "id": 3}), json!(3)),
            (json!({"jsonrpc": "2.0", "id": 3, "method": 4}), json!(3)),
            (json!({"jsonrpc": "2.0", "id": 3, "method": "x", "params": []}), json!(3)),
            (json!({"jsonrpc": "2.0", "id": 1.5, "method": "x"}), Value::Null),
            (json!({"jsonrpc": "2.0", "id": null, "method": "x"}), Value::Null),
        ] {
            let refused = read(message.clone()).expect_err("no message");
            assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(INVALID_REQUEST), &id), "{message}");
        }
    }
}
