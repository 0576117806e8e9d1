//! Agents: official clients of the Model Context Protocol and plain lines, against the real program, over HTTP and standard input.
//!
//! Needs the Python package `mcp` in the virtual environment under the target folder and the Node programs beside it, where `tests/prepare`
//! puts them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test stops at the first thing that does not hold")]

mod process;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use process::{Running, Serving, proreus, ran_with_input, story, text, until};
use serde_json::{Value, json};

/// How long a client may take for all it does: a provisioning that is played fast, on a busy machine.
const CLIENT_PATIENCE: Duration = Duration::from_secs(240);
/// The cluster that the playground makes.
const NAMESPACE: &str = "kcm-system";
const NAME: &str = "eu-prod";
/// A provisioning within half a minute.
const FAST: &str = "60";

/// Python in the environment of the target folder that this test was built into.
fn python() -> PathBuf {
    let built = std::env::current_exe().unwrap();
    built.ancestors().map(|folder| folder.join("venv/bin/python")).find(|program| program.exists()).unwrap_or_else(|| {
        panic!("no folder above `{}` has `venv/bin/python`: install the Python package `mcp` with tests/prepare", built.display())
    })
}

/// A Node program, by the folder of its installation: it is run by the Node that is installed beside it.
fn node(program: &str) -> Command {
    let built = std::env::current_exe().unwrap();
    let modules =
        built.ancestors().map(|folder| folder.join("node/node_modules")).find(|modules| modules.join(".bin").join(program).exists());
    let modules = modules.unwrap_or_else(|| {
        panic!("no folder above `{}` has `node/node_modules/.bin/{program}`: install it with tests/prepare", built.display())
    });
    let mut command = Command::new(modules.join("node/bin/node"));
    command.arg(modules.join(".bin").join(program)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a program prints, once it has ended well.
#[track_caller]
fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {stdout}\n{stderr}");
    stdout.into_owned()
}

/// The official client, under way.
struct Client {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    reading: Option<JoinHandle<()>>,
}

impl Client {
    fn start(words: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/mcp_client.py");
        let mut child = Command::new(python()).arg(script).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdout, lines) = (BufReader::new(child.stdout.take().unwrap()), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&lines);
        let reading = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                told.lock().unwrap().push(serde_json::from_str(&line).unwrap_or_else(|_| json!({"text": line})));
            }
        });
        Self { child, lines, reading: Some(reading) }
    }

    fn said(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    fn updates(&self) -> Vec<Value> {
        self.said().iter().filter(|line| line.get("update").is_some()).map(|line| line["update"].clone()).collect()
    }

    /// Waits until it has told so many updates.
    #[track_caller]
    fn has_told(&self, updates: usize) {
        let deadline = Instant::now() + CLIENT_PATIENCE;
        while self.updates().len() < updates {
            assert!(Instant::now() < deadline, "not {updates} updates: {:#?}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it has done all it was to do.
    #[track_caller]
    fn done(&mut self) -> Vec<Value> {
        let deadline = Instant::now() + CLIENT_PATIENCE;
        while !self.said().iter().any(|line| line["done"] == true) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none_or(|status| status.success()), "the client ended with {ended:?}: {:#?}", self.said());
            assert!(Instant::now() < deadline, "the client is not done: {:#?}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.said()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
    }
}

/// The lines that a program on standard input answers with; each must be one JSON-RPC message.
fn answers(dir: &Path, lines: &[&[u8]]) -> Vec<Value> {
    let ran = ran_with_input(&["mcp", "--data-dir", text(dir)], &lines.join(&b'\n')).exits(0);
    let messages = ran.lines();
    for message in &messages {
        assert_eq!(message["jsonrpc"], "2.0", "nothing but JSON-RPC goes to standard output: {message}");
    }
    messages
}

fn request(id: u64, method: &str, params: Value) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string().into_bytes()
}

fn opening() -> [Vec<u8>; 2] {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    [request(1, "initialize", params), br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_vec()]
}

#[test]
fn standard_output_holds_nothing_but_messages_and_garbage_gets_an_error() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("journal");
    story(&dir);
    let [initialize, initialized] = opening();
    let long = vec![b'x'; 2 * 1024 * 1024];
    let (list, call) =
        (request(2, "tools/list", json!({})), request(3, "tools/call", json!({"name": "changes", "arguments": {"limit": 3}})));
    let lines: [&[u8]; 11] = [
        b"not json",
        &initialize,
        &initialized,
        b"{\"jsonrpc\":\"2.0\",\"id\":",
        &list,
        &long,
        b"[1,2,3]",
        b"\x00\xff\xfe",
        &call,
        br#"{"jsonrpc":"2.0","id":4,"method":"no/such/method"}"#,
        b"",
    ];
    let messages = answers(&dir, &lines);
    let of = |id: u64| messages.iter().find(|message| message["id"] == id).unwrap_or_else(|| panic!("no answer to {id}: {messages:#?}"));
    assert_eq!(of(1)["result"]["protocolVersion"], "2025-11-25");
    let tools = of(2)["result"]["tools"].as_array().unwrap();
    assert!(tools.len() > 30 && of(2)["result"].get("nextCursor").is_none());
    assert_eq!(of(3)["result"]["structuredContent"]["items"].as_array().unwrap().len(), 3);
    assert_eq!(of(4)["error"]["code"], -32_601);
    let without_id: Vec<i64> =
        messages.iter().filter(|message| message["id"].is_null()).filter_map(|message| message["error"]["code"].as_i64()).collect();
    assert_eq!(without_id, [-32_700, -32_700, -32_600, -32_600, -32_700]);
    // Half a message at the end of the input, and nothing before it.
    assert_eq!(answers(&dir, &[b"{\"jsonrpc\":\"2.0\",\"id\":1,\"meth"]), Vec::<Value>::new());
    assert_eq!(answers(&dir, &[]), Vec::<Value>::new());
}

#[test]
fn official_clients_tour_a_journals_files_in_both_eras() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("journal");
    story(&dir);
    let target = format!("stdio:{}|mcp|--data-dir|{}", env!("CARGO_BIN_EXE_proreus"), text(&dir));
    for mode in ["legacy", "auto"] {
        let said = Client::start(&["tour", &target, mode]).done();
        let summary = |tool: &str| {
            let line = said.iter().find(|line| line["tool"] == tool).unwrap_or_else(|| panic!("{tool}: {said:#?}"));
            line["summary"].as_str().unwrap().to_owned()
        };
        assert!(summary("doctor").contains("objects"), "{}", summary("doctor"));
        assert!(!summary("incidents").starts_with("0 incidents"), "the shop's rollout breaks: {}", summary("incidents"));
        assert!(summary("monitor_get").contains("Ready 100%"), "{}", summary("monitor_get"));
        assert!(said.iter().any(|line| line["completion"] == json!(["shop"])), "{said:#?}");
    }
}

/// The playground as a process, with its story told so many times faster than it happened.
fn playground(kubeconfig: &Path, speed: &str) -> Running {
    let mut command = proreus();
    command.args(["playground", "--listen", "127.0.0.1:0", "--speed", speed, "--kubeconfig", text(kubeconfig)]);
    let mut running = Running::start(command);
    running.says("kubectl --server http://");
    running
}

fn log(serving: &Serving) -> Vec<Value> {
    serving.get(&format!("/api/v1/monitors/{NAMESPACE}/{NAME}?limit=200"))["items"].as_array().unwrap().clone()
}

/// What makes an update that update.
fn cursors(updates: &[Value]) -> Vec<&str> {
    updates.iter().map(|update| update["cursor"].as_str().unwrap()).collect()
}

#[test]
fn official_clients_follow_a_provisioning_to_its_end_in_both_eras() {
    let home = tempfile::tempdir().unwrap();
    let (journal, kubeconfig) = (home.path().join("journal"), home.path().join("kubeconfig"));
    let playing = playground(&kubeconfig, FAST);
    let serving = Serving::start(&journal, &kubeconfig, &[]);
    let url = format!("http://{}/mcp", serving.address);
    let through = format!("stdio:{}|mcp|--server|http://{}", env!("CARGO_BIN_EXE_proreus"), serving.address);
    let mut clients = [
        Client::start(&["follow", &url, "legacy", NAMESPACE, NAME]),
        Client::start(&["follow", &url, "auto", NAMESPACE, NAME]),
        Client::start(&["follow", &through, "legacy", NAMESPACE, NAME]),
        Client::start(&["follow", &through, "auto", NAMESPACE, NAME]),
        Client::start(&["wait", &url, "auto", NAMESPACE, NAME]),
    ];
    for client in &mut clients {
        client.done();
        let updates = client.updates();
        let last = updates.last().unwrap();
        assert_eq!((&last["phase"], &last["terminal"]), (&json!("Ready"), &json!(true)), "{updates:#?}");
        assert_eq!(updates.iter().filter(|update| update["terminal"] == true).count(), 1);
        // Whoever came late begins with the newest update there was; from there on each comes once and in order.
        let (all, seen) = (log(&serving), cursors(&updates).join(" "));
        assert!(cursors(&all).join(" ").contains(&seen), "seen {seen}\nof {:?}", cursors(&all));
    }
    // What has ended takes no place any more.
    until("all places freed", || {
        let metrics = process::http::get(&serving.address, "/api/v1/monitors").body;
        !metrics.is_empty()
    });
    serving.process.end();
    playing.end();
}

#[test]
fn a_client_that_comes_back_with_its_cursor_sees_every_update_once_over_kills() {
    let home = tempfile::tempdir().unwrap();
    let (journal, kubeconfig) = (home.path().join("journal"), home.path().join("kubeconfig"));
    // The story does not wait for the server: on a busy machine most of it must still be to come when the server is up for the third time.
    let playing = playground(&kubeconfig, "12");
    let mut serving = Serving::start(&journal, &kubeconfig, &[]);
    let address = serving.address.clone();
    let url = format!("http://{address}/mcp");
    let mut client = Client::start(&["wait", &url, "auto", NAMESPACE, NAME]);
    for seen in [2, 4] {
        client.has_told(seen);
        serving.process.kill();
        let mut command = proreus();
        command.args(["serve", "--listen", &address, "--data-dir", text(&journal), "--kubeconfig", text(&kubeconfig)]);
        serving = Serving::of(Running::start(command));
    }
    client.done();
    let (updates, all) = (client.updates(), log(&serving));
    assert_eq!(cursors(&updates), cursors(&all)[..updates.len()], "each once, in order, from the first to the terminal one");
    assert_eq!(updates.last().unwrap()["terminal"], true);
    assert!(client.said().iter().any(|line| line.get("lost").is_some()), "the kills were noticed");
    serving.process.end();
    playing.end();
}

#[test]
fn the_official_inspector_lists_and_calls_over_http_and_standard_input() {
    let home = tempfile::tempdir().unwrap();
    let (journal, kubeconfig) = (home.path().join("journal"), home.path().join("kubeconfig"));
    let playing = playground(&kubeconfig, FAST);
    let serving = Serving::start(&journal, &kubeconfig, &[]);
    serving.synced();
    let url = format!("http://{}/mcp", serving.address);
    let program = env!("CARGO_BIN_EXE_proreus");
    let targets: [&[&str]; 2] = [&[&url, "--transport", "http"], &[program, "mcp", "--data-dir", text(&journal)]];
    for target in targets {
        let ask = |more: &[&str]| {
            let mut command = node("mcp-inspector");
            command.arg("--cli").args(target).args(more);
            printed(command)
        };
        let tools = ask(&["--method", "tools/list"]);
        assert!(tools.contains("\"doctor\"") && tools.contains("monitor_wait"), "{tools}");
        let called = ask(&["--method", "tools/call", "--tool-name", "state", "--tool-arg", "kind=Namespace"]);
        assert!(called.contains("kube-system"), "{called}");
        let templates = ask(&["--method", "resources/templates/list"]);
        assert!(templates.contains("k0rdent://cluster-monitor/"), "{templates}");
        assert!(ask(&["--method", "prompts/list"]).contains("diagnose_cluster_health"));
    }
    serving.process.end();
    playing.end();
}

#[test]
fn the_official_conformance_suite_passes_but_for_what_is_listed_with_its_reason() {
    let home = tempfile::tempdir().unwrap();
    let (journal, kubeconfig) = (home.path().join("journal"), home.path().join("kubeconfig"));
    let playing = playground(&kubeconfig, FAST);
    let serving = Serving::start(&journal, &kubeconfig, &[]);
    serving.synced();
    let expected = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance-expected-failures.yaml");
    for version in ["2025-11-25", "2026-07-28"] {
        let mut command = node("conformance");
        command.args(["server", "--url", &format!("http://{}/mcp", serving.address), "--suite", "active", "--spec-version", version]);
        command.args(["--expected-failures", expected, "--output-dir", text(&home.path().join(version))]);
        let said = printed(command);
        assert!(said.contains("tools-list"), "nothing was tried: {said}");
    }
    serving.process.end();
    playing.end();
}
