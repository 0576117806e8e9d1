//! Walks what a server offers to agents over MCP: each tool by each argument of its schema, each resource template, prompt and completion.
//!
//! Knows no tool by name. Requests are those of the revision without sessions, so that each stands alone and can be asked again.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Door, Request, Subject, words_for};

/// The revision of the protocol by which each request says what it is.
const REVISION: &str = "2026-07-28";
/// How long a tool may wait for what is recorded next, in seconds.
const WAIT: &str = "timeoutSeconds";
/// Words of one parameter of a tool.
const MOST_WORDS: usize = 2;
/// Where agents are served.
const PATH: &str = "/mcp";

/// What makes a request of the protocol: the headers that must repeat what its body says.
pub(super) fn headers_of(body: &str) -> Result<Vec<(&'static str, String)>> {
    let message: Value = serde_json::from_str(body).context("a request is no JSON")?;
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("accept", "application/json, text/event-stream".to_owned()),
        ("mcp-protocol-version", REVISION.to_owned()),
        ("mcp-method", message["method"].as_str().unwrap_or_default().to_owned()),
    ];
    let params = &message["params"];
    headers.extend(params["name"].as_str().or(params["uri"].as_str()).map(|name| ("mcp-name", name.to_owned())));
    Ok(headers)
}

fn request(method: &str, mut params: Value, template: String) -> Request {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "walk", "version": "1"},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    Request { url: PATH.to_owned(), body: Some(body), is_stream: false, template }
}

impl Request {
    /// The call of one tool.
    pub fn tool(name: &str, arguments: &Value) -> Self {
        request("tools/call", json!({"name": name, "arguments": arguments}), format!("tools/call {name}"))
    }
}

impl Door {
    /// Every request of the protocol about the subjects. The template of each is its method and what it names.
    ///
    /// # Errors
    /// When the server does not list what it offers.
    pub async fn agents_requests(&self, subjects: &[Subject]) -> Result<Vec<Request>> {
        let mut requests = BTreeSet::new();
        requests.insert(request("resources/list", json!({}), "resources/list".to_owned()));
        for tool in self.listed("tools/list", "tools").await? {
            let name = tool["name"].as_str().context("a tool has no name")?;
            for subject in subjects {
                for arguments in arguments_of(&tool["inputSchema"], subject) {
                    requests.insert(Request::tool(name, &Value::Object(arguments)));
                }
            }
        }
        for template in self.listed("resources/templates/list", "resourceTemplates").await? {
            let uri = template["uriTemplate"].as_str().context("a resource template has no address")?;
            for subject in subjects {
                for filled in addresses_of(uri, subject) {
                    requests.insert(request("resources/read", json!({"uri": filled}), format!("resources/read {uri}")));
                }
                let of = json!({"type": "ref/resource", "uri": uri});
                requests.extend(variables(uri).iter().flat_map(|variable| completions(&of, variable, subject)));
            }
        }
        for prompt in self.listed("prompts/list", "prompts").await? {
            let of = json!({"type": "ref/prompt", "name": prompt["name"]});
            for argument in prompt["arguments"].as_array().into_iter().flatten().filter_map(|argument| argument["name"].as_str()) {
                requests.extend(subjects.iter().flat_map(|subject| completions(&of, argument, subject)));
            }
        }
        Ok(requests.into_iter().collect())
    }

    async fn listed(&self, method: &str, key: &str) -> Result<Vec<Value>> {
        let answer = self.ask(&request(method, json!({}), method.to_owned())).await?;
        let body = answer.text.split_once("\n\n").map_or("", |(_, body)| body);
        let message: Value = serde_json::from_str(body).with_context(|| format!("the answer to {method} is no JSON: {}", answer.text))?;
        message["result"][key].as_array().cloned().with_context(|| format!("the answer to {method} has no {key}: {}", answer.text))
    }
}

/// What is asked of a tool about one subject: as little as can be, all at once, and each argument alone.
fn arguments_of(schema: &Value, subject: &Subject) -> Vec<Map<String, Value>> {
    let required: BTreeSet<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties: Vec<(&String, Vec<Value>)> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, of)| (name, values_of(name, of, subject))).collect();
    let first = |(name, values): &(&String, Vec<Value>)| Some(((*name).clone(), values.first()?.clone()));
    // A wait would only take time: what is recorded is told without one.
    let is_required = |(name, _): &&(&String, Vec<Value>)| required.contains(name.as_str()) || *name == WAIT;
    let always: Map<String, Value> = properties.iter().filter(is_required).filter_map(first).collect();
    let with = |more: Map<String, Value>| always.clone().into_iter().chain(more).collect::<Map<String, Value>>();
    let all = properties.iter().filter(|(name, _)| *name != "limit").filter_map(first).collect();
    let widening = ["since", "full", "events", "severity", "state", "scope"];
    let wide = properties.iter().filter(|(name, _)| widening.contains(&name.as_str())).filter_map(first).collect();
    let mut asked = vec![always.clone(), with(all), with(wide)];
    for (name, values) in &properties {
        asked.extend(values.iter().map(|value| with(Map::from_iter([((*name).clone(), value.clone())]))));
    }
    asked
}

fn values_of(name: &str, schema: &Value, subject: &Subject) -> Vec<Value> {
    let is_of = |kind: &str| match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|of| of == kind),
        of => of == kind,
    };
    if name == WAIT {
        return vec![json!(0)];
    }
    // A parameter that nothing is known of is given the two words that name the subject: a tool has many such.
    let all = words_for(name, &json!({"schema": schema}), subject, false);
    let words: Vec<String> = match all.len() > MOST_WORDS && schema["enum"].is_null() {
        true => ["name", "namespace"].iter().filter_map(|word| subject.words.get(word).cloned()).filter(|word| !word.is_empty()).collect(),
        false => all,
    };
    let to_value = |word: &String| {
        if is_of("array") {
            json!([word])
        } else if is_of("integer") || is_of("number") {
            word.parse::<u64>().map_or(Value::Null, Value::from)
        } else if is_of("boolean") {
            json!(word == "true")
        } else {
            json!(word)
        }
    };
    words.iter().map(to_value).collect()
}

/// The names between the braces of an address, without those behind the question mark.
fn variables(uri: &str) -> Vec<String> {
    let parts = uri.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(inside, _)| inside);
    parts.filter(|inside| !inside.starts_with('?')).map(str::to_owned).collect()
}

fn addresses_of(uri: &str, subject: &Subject) -> Vec<String> {
    let mut made = vec![uri.split("{?").next().unwrap_or(uri).to_owned()];
    for name in variables(uri) {
        let words = words_for(&name, &json!({"schema": {"type": "string"}}), subject, true);
        made = made.iter().flat_map(|uri| words.iter().map(|word| uri.replace(&format!("{{{name}}}"), word))).collect();
    }
    made
}

/// Completions of an argument: of nothing written yet, and of the first letters of each word of the subject.
fn completions(of: &Value, argument: &str, subject: &Subject) -> Vec<Request> {
    let place = of["uri"].as_str().or(of["name"].as_str()).unwrap_or_default();
    let begun = subject.words.values().filter_map(|word| word.get(..1)).chain([""]);
    let context = json!({"arguments": {"namespace": subject.words.get("namespace")}});
    let made = begun.map(|begun| {
        let params = json!({"ref": of, "argument": {"name": argument, "value": begun}, "context": context});
        request("completion/complete", params, format!("completion/complete {place} {argument}"))
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn pod() -> Subject {
        Subject { words: BTreeMap::from([("name", "web-1".to_owned()), ("namespace", "shop".to_owned()), ("seq", "7".to_owned())]) }
    }

    #[test]
    fn a_tool_is_asked_by_each_argument_alone_beside_those_that_it_needs() {
        let schema = json!({"required": ["name"], "properties": {
            "name": {"type": "string"}, "namespace": {"type": ["array", "null"]}, "full": {"type": "boolean"}, "tailLines": {"type": "integer"}}});
        let asked: BTreeSet<String> = arguments_of(&schema, &pod()).into_iter().map(|of| Value::Object(of).to_string()).collect();
        for expected in [
            r#"{"name":"web-1"}"#,
            r#"{"name":"web-1","namespace":["shop"]}"#,
            r#"{"full":true,"name":"web-1"}"#,
            r#"{"name":"web-1","tailLines":7}"#,
            r#"{"full":true,"name":"web-1","namespace":["shop"],"tailLines":7}"#,
        ] {
            assert!(asked.contains(expected), "{expected} is not among {asked:#?}");
        }
    }

    #[test]
    fn an_address_is_filled_with_the_words_of_the_subject() {
        assert_eq!(
            addresses_of("k0rdent://cluster-monitor/{namespace}/{name}{?timeout}", &pod()),
            ["k0rdent://cluster-monitor/shop/web-1"]
        );
        assert_eq!(variables("audit://changes/{time_range}"), ["time_range"]);
    }
}
