//! The differential test, playground = real API server: lists of API operations, and transcripts in which only what may differ is
//! replaced.
//!
//! Whoever runs it brings the connection; nothing here opens one. A transcript of the real server is kept beside each list, so the
//! playground is held to it on every test run, and a run against a real server shows whether the kept one is still true.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::server::PlaygroundError;
use crate::tree;

/// The lists that belong to this crate, with the transcripts of a real server: name, operations, transcript.
pub const SUITES: &[(&str, &str, &str)] = &[
    ("configmaps", include_str!("../differential/configmaps.yaml"), include_str!("../differential/configmaps.golden")),
    ("deployments", include_str!("../differential/deployments.yaml"), include_str!("../differential/deployments.golden")),
    ("apply", include_str!("../differential/apply.yaml"), include_str!("../differential/apply.golden")),
    ("watches", include_str!("../differential/watches.yaml"), include_str!("../differential/watches.golden")),
    ("pods", include_str!("../differential/pods.yaml"), include_str!("../differential/pods.golden")),
    ("endings", include_str!("../differential/endings.yaml"), include_str!("../differential/endings.golden")),
    ("custom", include_str!("../differential/custom.yaml"), include_str!("../differential/custom.golden")),
    ("events", include_str!("../differential/events.yaml"), include_str!("../differential/events.golden")),
    ("kinds", include_str!("../differential/kinds.yaml"), include_str!("../differential/kinds.golden")),
];

/// One operation of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// Method and path with query, such as `GET /api/v1/pods?limit=1`; `${name}` is replaced by what was saved under that name.
    #[serde(rename = "do")]
    pub action: String,
    /// `Content-Type` of the body.
    #[serde(rename = "type", default = "json_type")]
    pub content_type: String,
    /// `Accept`.
    #[serde(default = "json_type")]
    pub accept: String,
    /// Body, sent as JSON.
    #[serde(default)]
    pub body: Option<Value>,
    /// Values of the answer to be saved: name → JSON pointer.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
    /// Only these parts of the answer are compared: JSON pointers. The whole answer where none is given.
    #[serde(default)]
    pub only: Vec<String>,
    /// Repeated until the answer has this status: real servers do some things in their own time.
    #[serde(default)]
    pub until: Option<u16>,
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// One request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// `Content-Type`, meaningful with a body.
    pub content_type: String,
    /// `Accept`.
    pub accept: String,
    /// The body.
    pub body: Option<String>,
    /// Send again until this status comes, with a pause and a limit of the sender's choice.
    pub until: Option<u16>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Body: one JSON document, or one a line from a watch.
    pub body: String,
}

/// Reads a list of operations.
pub fn parse(text: &str) -> Result<Vec<Operation>, PlaygroundError> {
    serde_saphyr::from_str(text).map_err(|error| PlaygroundError::Scenario { reason: error.to_string() })
}

/// Walks through a list of operations: give `next` the answer to the request before, and send what it returns.
#[derive(Debug, Default)]
pub struct Walk {
    saved: BTreeMap<String, String>,
    names: Names,
    transcript: String,
}

impl Walk {
    /// The request of an operation, with saved values filled in.
    pub fn request(&self, operation: &Operation) -> Request {
        let fill = |text: &str| self.saved.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
        let action = fill(&operation.action);
        let (method, path) = action.split_once(' ').unwrap_or(("GET", &action));
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: operation.content_type.clone(),
            accept: operation.accept.clone(),
            body: operation.body.as_ref().map(|body| fill(&body.to_string())),
            until: operation.until,
        }
    }

    /// Takes in the answer to an operation.
    pub fn answer(&mut self, operation: &Operation, response: &Response) {
        let documents: Vec<Value> = serde_json::Deserializer::from_str(&response.body).into_iter::<Value>().map_while(Result::ok).collect();
        if let Some(first) = documents.first() {
            for (name, pointer) in &operation.save {
                let value = first
                    .pointer(pointer)
                    .map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                if pointer == "/metadata/name" {
                    self.names.name("generated", &value);
                }
                self.saved.insert(name.clone(), value);
            }
        }
        self.transcript.push_str(&format!("=== {} -> {}\n", operation.action, response.status));
        if !matches!(response.body.trim_start().chars().next(), Some('{' | '[') | None) {
            self.transcript.push_str(response.body.trim());
            self.transcript.push('\n');
            return;
        }
        for mut document in documents {
            // How far a quiet server has come says nothing.
            if tree::text(&document, "/type") == "BOOKMARK" {
                tree::put(&mut document, &["object", "metadata", "resourceVersion"], "<bookmark>");
            }
            let chosen = if operation.only.is_empty() {
                document
            } else {
                operation.only.iter().map(|pointer| (pointer.clone(), document.pointer(pointer).cloned().unwrap_or(Value::Null))).collect()
            };
            let shown = self.names.normalise(chosen, "");
            self.transcript.push_str(&serde_json::to_string_pretty(&shown).unwrap_or_default());
            self.transcript.push('\n');
        }
    }

    /// The transcript so far.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }
}

/// Names given to values that differ from run to run, in the order in which they were first seen.
#[derive(Debug, Default)]
struct Names {
    known: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Names {
    fn name(&mut self, kind: &'static str, value: &str) -> String {
        if let Some(name) = self.known.get(value) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("<{kind}-{count}>");
        self.known.insert(value.to_owned(), name.clone());
        name
    }

    fn normalise(&mut self, value: Value, key: &str) -> Value {
        match value {
            Value::Object(map) => {
                let is_column = map.contains_key("priority") && map.contains_key("format");
                map.into_iter()
                    .filter(|(key, _)| !(is_column && key == "description") && key != "storageVersionHash")
                    .map(|(key, value)| {
                        let value = self.normalise(value, &key);
                        (self.in_text(&key, false), value)
                    })
                    .collect()
            }
            Value::Array(list) => {
                let mut list: Vec<Value> = list.into_iter().map(|item| self.normalise(item, key)).collect();
                // Entries of one second are ordered by chance; names and operations are not.
                if key.ends_with("managedFields") {
                    list.sort_by_key(|entry| {
                        let text = |pointer: &str| tree::text(entry, pointer).to_owned();
                        (text("/operation"), text("/manager"), text("/subresource"), text("/apiVersion"))
                    });
                }
                Value::Array(list)
            }
            Value::String(text) => json!(self.text(&text, key)),
            other => other,
        }
    }

    fn text(&mut self, text: &str, key: &str) -> String {
        match key {
            _ if key.ends_with("resourceVersion") && text.parse::<u64>().is_ok() => self.name("rv", text),
            _ if key.ends_with("continue") && !text.is_empty() => "<continue>".to_owned(),
            _ if is_uuid(text) => self.name("uid", text),
            _ if key.ends_with("cells") && is_age(text) => "<age>".to_owned(),
            _ if crate::time::parse(text).is_some() => "<time>".to_owned(),
            _ => self.in_text(text, key == "message"),
        }
    }

    /// Replaces uids and generated names within a longer text, and revisions where it is a message.
    fn in_text(&mut self, text: &str, revisions: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut word = String::new();
        for c in text.chars().chain(std::iter::once('\u{0}')) {
            if c.is_ascii_alphanumeric() || c == '-' {
                word.push(c);
                continue;
            }
            let shown = if is_uuid(&word) {
                self.name("uid", &word)
            } else if revisions || word.parse::<u64>().is_err() {
                self.known.get(&word).cloned().unwrap_or_else(|| word.clone())
            } else {
                word.clone()
            };
            out.push_str(&shown);
            word.clear();
            if c != '\u{0}' {
                out.push(c);
            }
        }
        out
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

fn is_age(text: &str) -> bool {
    text.strip_suffix('s').is_some_and(|seconds| seconds.parse::<u8>().is_ok())
}
