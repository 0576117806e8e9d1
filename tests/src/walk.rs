//! Walks everything that a server says it serves: each operation of its OpenAPI document, about each subject, by each parameter.
//!
//! Knows no endpoint by name, so that those added later are walked too. What is looked for in the answers is the caller's business; other
//! doors than REST can be walked about the same subjects. Invariant: a parameter that this file knows nothing of is given every word of
//! the subject, so that an endpoint cannot hide behind a new name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use serde_json::Value;

mod agents;

/// How long a stream is listened to: what is recorded comes at once.
const LISTEN_FOR: Duration = Duration::from_secs(2);
/// Bytes of an answer that are looked at.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Requests at once: below the server's own limits.
const AT_ONCE: usize = 16;
/// An answer takes milliseconds; this is for a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// An object to ask about: words by the names that parameters have for them.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Such as `namespace`, `name`, `kind`, `group`, `resource`, `uid`, `seq`.
    pub words: BTreeMap<&'static str, String>,
}

/// A request as it is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Path and query.
    pub url: String,
    /// What is sent to the agents' door; the others are only asked.
    pub body: Option<String>,
    /// Whether the answer does not end.
    pub is_stream: bool,
    /// The path in the document.
    pub template: String,
}

impl Request {
    /// One of REST, by its path and query.
    pub fn of(url: &str, is_stream: bool) -> Self {
        Self { url: url.to_owned(), body: None, is_stream, template: url.to_owned() }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked.
    pub request: Request,
    /// Status code.
    pub status: u16,
    /// The headers that say something, and the body.
    pub text: String,
}

/// Where and as whom to ask.
#[derive(Clone)]
pub struct Door {
    /// Such as `http://127.0.0.1:8080`.
    pub base: String,
    /// Bearer token.
    pub token: Option<String>,
    client: reqwest::Client,
}

impl Door {
    /// A door at `base` for the bearer of `token`.
    ///
    /// # Errors
    /// When there is no client to be had.
    pub fn new(base: String, token: Option<&str>) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().context("failed to make a client")?;
        Ok(Self { base, token: token.map(str::to_owned), client })
    }

    /// Every request that the document allows about the subjects.
    ///
    /// # Errors
    /// When there is no document.
    pub async fn requests(&self, subjects: &[Subject]) -> Result<Vec<Request>> {
        let document = self.ask(&Request::of("/openapi.json", false)).await?;
        let at = document.text.find("\n{").context("the server shows no OpenAPI document")?;
        let document: Value = serde_json::from_str(&document.text[at..]).context("the OpenAPI document is no JSON")?;
        let paths = document["paths"].as_object().context("the OpenAPI document has no paths")?;
        let mut requests = BTreeSet::new();
        for (path, operations) in paths {
            let Some(operation) = operations.get("get") else { continue };
            let is_stream = operation["responses"]["200"]["content"].get("text/event-stream").is_some();
            for subject in subjects {
                requests.extend(about(path, operation, subject, is_stream));
            }
        }
        Ok(requests.into_iter().collect())
    }

    /// Asks all of them, several at once.
    ///
    /// # Errors
    /// When one gets no answer at all.
    pub async fn ask_all(&self, requests: &[Request]) -> Result<Vec<Answer>> {
        let asking = futures::stream::iter(requests.iter().map(|request| self.ask(request))).buffered(AT_ONCE);
        let answers: Vec<Result<Answer>> = asking.collect().await;
        answers.into_iter().collect()
    }

    /// Asks one.
    ///
    /// # Errors
    /// When it gets no answer at all.
    pub async fn ask(&self, request: &Request) -> Result<Answer> {
        let url = format!("{}{}", self.base, request.url);
        let mut asked = match &request.body {
            None => self.client.get(url),
            Some(body) => {
                let of = agents::headers_of(body)?;
                of.into_iter().fold(self.client.post(url).body(body.clone()), |asked, (name, value)| asked.header(name, value))
            }
        };
        if let Some(token) = &self.token {
            asked = asked.bearer_auth(token);
        }
        let answer = asked.send().await.with_context(|| format!("no answer to {}", request.url))?;
        let status = answer.status().as_u16();
        let telling = answer.headers().iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
        let mut text: String = telling.map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))).collect();
        text.push('\n');
        let mut body = answer.bytes_stream();
        let mut bytes = Vec::new();
        let read = async {
            while let Some(chunk) = body.next().await {
                bytes.extend_from_slice(&chunk?);
                if bytes.len() > MAX_ANSWER_BYTES {
                    bail!("the answer to {} is larger than {MAX_ANSWER_BYTES} bytes", request.url);
                }
            }
            Ok(())
        };
        if request.is_stream && status == 200 {
            // It ends when we leave.
            if let Ok(ended) = tokio::time::timeout(LISTEN_FOR, read).await {
                ended?;
            }
        } else {
            read.await?;
        }
        text.push_str(&String::from_utf8_lossy(&bytes));
        Ok(Answer { request: request.clone(), status, text })
    }
}

/// The requests of one operation about one subject.
fn about(path: &str, operation: &Value, subject: &Subject, is_stream: bool) -> Vec<Request> {
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let of = |place: &str| parameters.iter().filter(|parameter| parameter["in"] == place).copied().collect::<Vec<_>>();
    let mut paths = vec![path.to_owned()];
    for parameter in of("path") {
        let Some(name) = parameter["name"].as_str() else { continue };
        let words = words_for(name, parameter, subject, true);
        paths = paths.iter().flat_map(|path| words.iter().map(|word| path.replace(&format!("{{{name}}}"), &encode(word)))).collect();
    }
    let (required, optional): (Vec<&Value>, Vec<&Value>) = of("query").into_iter().partition(|parameter| parameter["required"] == true);
    let pairs = |parameter: &Value| -> Vec<String> {
        let Some(name) = parameter["name"].as_str() else { return Vec::new() };
        words_for(name, parameter, subject, false).iter().map(|word| format!("{name}={}", encode(word))).collect()
    };
    let always: Vec<String> = required.iter().filter_map(|parameter| pairs(parameter).into_iter().next()).collect();
    let mut queries: BTreeSet<Vec<String>> = BTreeSet::new();
    queries.insert(Vec::new());
    let all: Vec<String> = optional.iter().filter_map(|parameter| pairs(parameter).into_iter().next()).collect();
    queries.insert(all.iter().filter(|pair| !pair.starts_with("limit=")).cloned().collect());
    // As much as can be had: all of the past, whole.
    let widening = ["since=", "start=", "full=", "events=", "marks="];
    queries.insert(all.iter().filter(|pair| widening.iter().any(|of| pair.starts_with(of))).cloned().collect());
    if !is_stream {
        queries.extend(optional.iter().flat_map(|parameter| pairs(parameter)).map(|pair| vec![pair]));
    }
    let made = paths.iter().flat_map(|path| queries.iter().map(move |query| (path, query)));
    made.map(|(filled, query)| {
        let query: Vec<&str> = always.iter().chain(query).map(String::as_str).collect();
        let url = if query.is_empty() { filled.clone() } else { format!("{filled}?{}", query.join("&")) };
        Request { template: path.to_owned(), ..Request::of(&url, is_stream) }
    })
    .collect()
}

/// What a parameter is given.
fn words_for(name: &str, parameter: &Value, subject: &Subject, is_path: bool) -> Vec<String> {
    let word = |name: &str| subject.words.get(name).cloned();
    let known = match name {
        "since" | "start" | "start_time" => Some("2020-01-01T00:00:00Z".to_owned()),
        "end_time" => Some("2100-01-01T00:00:00Z".to_owned()),
        "limit" => Some("1".to_owned()),
        "full" | "events" | "marks" => Some("true".to_owned()),
        "order" => Some("desc".to_owned()),
        // Without them everything is asked for; with them a part.
        "until" | "end" | "at" | "cursor" | "verb" | "origin" | "manager" | "cluster" | "user" if !is_path => return Vec::new(),
        "resourceType" | "resource" | "resource_type" | "resource_types" => word("resource"),
        "resourceName" | "name" | "pod" | "pod_name" | "node_name" | "forName" => word("name"),
        "forKind" => word("kind"),
        // A duration, in the words of MCP's resources.
        "time_range" => Some("24h".to_owned()),
        "group" => word("group").map(|group| if group.is_empty() { "core".to_owned() } else { group }),
        "namespace" => word("namespace").map(|namespace| if namespace.is_empty() { "_".to_owned() } else { namespace }),
        "from" | "to" | "seq" => word("seq"),
        _ => word(name),
    };
    if let Some(word) = known {
        return vec![word];
    }
    let schema = &parameter["schema"];
    let choices = schema["enum"].as_array().or_else(|| schema["items"]["enum"].as_array());
    if let Some(choices) = choices {
        return choices.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => vec![word("seq").unwrap_or_else(|| "1".to_owned())],
        Some("boolean") => vec!["true".to_owned()],
        _ => subject.words.values().filter(|word| !word.is_empty()).cloned().collect(),
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
