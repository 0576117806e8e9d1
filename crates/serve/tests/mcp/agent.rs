//! An agent as a test plays one: it speaks either era over HTTP and reads one answer at a time.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::shop::{Answer, Shop};

/// A revision with sessions, and the first without.
pub(crate) const OLDER: &str = "2025-11-25";
pub(crate) const NEWER: &str = "2026-07-28";

/// How an agent speaks.
pub(crate) struct Agent<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) session: Option<String>,
    token: Option<String>,
}

impl<'a> Agent<'a> {
    /// Of the newer era: every request stands alone.
    pub(crate) fn newer(shop: &'a Shop) -> Self {
        Self { shop, session: None, token: None }
    }

    /// Of the older era, in a session of its own.
    pub(crate) async fn older(shop: &'a Shop) -> Self {
        Self::opened(shop, None).await
    }

    /// The same with a token.
    pub(crate) async fn opened(shop: &'a Shop, token: Option<&str>) -> Self {
        let mut agent = Self { shop, session: None, token: token.map(str::to_owned) };
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": OLDER, "capabilities": {}, "clientInfo": client});
        let answer = agent.post(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let message = last_message(&answer.text);
        assert_eq!(message["result"]["protocolVersion"], OLDER, "{message}");
        assert_eq!(message["result"]["serverInfo"]["name"], "proreus");
        agent.session = Some(answer.header("mcp-session-id").to_owned());
        let answer = agent.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), &[]).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        agent
    }

    pub(crate) async fn post(&self, message: &Value, headers: &[(&str, &str)]) -> Answer {
        self.post_text(&message.to_string(), headers).await
    }

    pub(crate) async fn post_text(&self, text: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session).header("mcp-protocol-version", OLDER);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.shop.send(request.body(Body::from(text.to_owned())).unwrap()).await
    }

    /// The whole message that answers a method.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = match &self.session {
            Some(_) => self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), &[]).await,
            None => self.ask_alone(method, params).await,
        };
        last_message(&answer.text)
    }

    async fn ask_alone(&self, method: &str, mut params: Value) -> Answer {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": NEWER,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        });
        let mut headers = vec![("mcp-protocol-version", NEWER.to_owned()), ("mcp-method", method.to_owned())];
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        headers.extend(name.map(|name| ("mcp-name", name)));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), &headers).await
    }

    /// The result of a method.
    #[track_caller]
    pub(crate) fn result(message: Value) -> Value {
        assert!(message.get("result").is_some(), "{message}");
        message["result"].clone()
    }

    /// What a tool says, structured.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let result = Self::result(self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await);
        assert_ne!(result["isError"], true, "{tool}: {result}");
        let structured = result["structuredContent"].clone();
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, structured, "{tool} says the same in both ways");
        structured
    }

    /// What a tool says that cannot answer.
    pub(crate) async fn refused(&self, tool: &str, arguments: Value) -> String {
        let result = Self::result(self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

/// The last message of an answer, be it JSON or a stream of events.
pub(crate) fn last_message(text: &str) -> Value {
    if let Ok(message) = serde_json::from_str(text) {
        return message;
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).filter(|data| !data.is_empty());
    data.rev().find_map(|data| serde_json::from_str(data).ok()).unwrap_or_else(|| panic!("no message in `{text}`"))
}
