//! Logs of containers through MCP: read from the cluster that is recorded, told as they are written, with what looks like a secret hidden.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first thing that does not hold")]

mod process;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use process::{Running, Serving, proreus, story, text, until};
use serde_json::{Value, json};

/// What the playground's web servers write when they begin: one line to be told and one with a password.
const FIRST: &str = r#"{"level":"info","msg":"listening","addr":":8080"}"#;
const PASSWORD: &str = "playground-canary";

/// An agent on standard input and output.
struct Agent {
    child: Child,
    said: BufReader<ChildStdout>,
    /// What was said while something else was waited for: a notification may come before the answer to what it follows from.
    passed: Vec<Value>,
    number: u64,
}

impl Agent {
    fn start(words: &[&str]) -> Self {
        let mut child =
            proreus().arg("mcp").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut agent = Self { child, said, passed: Vec::new(), number: 0 };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        assert!(agent.ask("initialize", params)["result"].is_object());
        agent.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        agent
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The first message of this kind that was not heard before.
    fn hears(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.passed.iter().position(&is_it) {
            return self.passed.remove(place);
        }
        loop {
            let mut line = String::new();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "the agent's server ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if is_it(&message) {
                return message;
            }
            self.passed.push(message);
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let number = self.number;
        self.send(&json!({"jsonrpc": "2.0", "id": number, "method": method, "params": params}));
        self.hears(|message| message["id"] == number)
    }

    fn call(&mut self, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": "k0rdent.mgmt.podLogs.get", "arguments": arguments}))["result"].clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn playing(kubeconfig: &Path) -> Running {
    let mut command = proreus();
    command.args(["playground", "--listen", "127.0.0.1:0", "--speed", "5", "--kubeconfig", text(kubeconfig)]);
    let mut running = Running::start(command);
    running.says("kubectl --server http://");
    running
}

/// A web server of the shop that runs, by its name.
fn running_web(serving: &Serving) -> Option<String> {
    let pods = serving.get("/api/v1/state?kind=Pod&namespace=shop&full=true&limit=1000");
    let runs = |pod: &&Value| {
        pod["object"]["status"]["containerStatuses"][0]["ready"] == true && pod["name"].as_str().unwrap().starts_with("web-")
    };
    pods["items"].as_array().unwrap().iter().find(runs).map(|pod| pod["name"].as_str().unwrap().to_owned())
}

#[test]
fn an_agent_reads_and_follows_a_log_and_sees_no_password() {
    let home = tempfile::tempdir().unwrap();
    let (journal, kubeconfig) = (home.path().join("journal"), home.path().join("kubeconfig"));
    let playing = playing(&kubeconfig);
    let serving = Serving::start(&journal, &kubeconfig, &[]);
    let mut found = None;
    until("a web server runs", || {
        found = running_web(&serving);
        found.is_some()
    });
    let pod = found.unwrap();
    let mut agent = Agent::start(&["--server", &format!("http://{}", serving.address)]);

    let told = agent.call(json!({"namespace": "shop", "pod": pod, "follow": true, "container": "web"}));
    assert_eq!(told["isError"], false, "{told}");
    let lines = told["structuredContent"]["result"]["lines"].as_array().unwrap().clone();
    assert_eq!(lines[0], FIRST, "{told}");
    assert!(lines[1].as_str().unwrap().contains("[redacted]"), "{told}");
    let address = format!("k0rdent://podlogs/shop/{pod}/web");
    assert_eq!(told["structuredContent"]["subscribe"], json!(address));
    let told = agent.call(json!({"namespace": "shop", "pod": pod, "container": "web", "tailLines": 1}));
    assert_eq!(told["structuredContent"]["result"]["lines"].as_array().unwrap().len(), 1, "{told}");
    for (arguments, expected) in [
        (json!({"namespace": "shop", "pod": "nobody"}), "pod `shop/nobody` not found"),
        (json!({"namespace": "shop", "pod": pod, "container": "sidecar"}), "sidecar"),
        (json!({"namespace": "shop", "pod": pod, "tailLines": 0}), "`tailLines` is 0"),
    ] {
        let refused = agent.call(arguments);
        assert_eq!(refused["isError"], true, "{refused}");
        assert!(refused["content"][0]["text"].as_str().unwrap().contains(expected), "{refused}");
    }
    let read = agent.ask("resources/read", json!({"uri": address.replace("k0rdent", "proreus")}));
    let text = read["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.contains("listening") && !text.contains(PASSWORD), "{text}");

    let subscribed = agent.ask("resources/subscribe", json!({"uri": address}));
    assert!(subscribed["result"].is_object(), "{subscribed}");
    let update = agent.hears(|message| message["method"] == "notifications/resources/updated");
    assert!(update["params"]["_meta"]["delta"]["lines"].to_string().contains("listening"), "{update}");
    assert!(!update.to_string().contains(PASSWORD), "{update}");
    serving.process.end();
    playing.end();
}

#[test]
fn without_a_cluster_there_is_no_log_and_the_refusal_says_so() {
    let home = tempfile::tempdir().unwrap();
    story(home.path());
    let mut agent = Agent::start(&["--data-dir", text(home.path())]);
    let refused = agent.ask("tools/call", json!({"name": "k0rdent.mgmt.podLogs.get", "arguments": {"namespace": "a", "pod": "b"}}));
    assert!(refused["error"]["message"].as_str().unwrap().contains("needs a live cluster"), "{refused}");
}
