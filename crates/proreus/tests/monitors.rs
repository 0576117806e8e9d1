//! A provisioning told through three deaths of the server: a client that comes back with its cursor sees every update exactly once.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

mod process;

use std::net::TcpListener;
use std::path::Path;

use process::{Ran, Running, Serving, proreus, ran, text, until};
use serde_json::Value;

const MONITOR: &str = "/api/v1/monitors/kcm-system/eu-prod";

/// The playground as a process, with its story told fast.
fn playground(kubeconfig: &Path) -> Running {
    let mut command = proreus();
    command.args(["playground", "--listen", "127.0.0.1:0", "--speed", "20", "--kubeconfig", text(kubeconfig)]);
    let mut running = Running::start(command);
    running.says("playing until Ctrl-C");
    running
}

/// A port that was free a moment ago: the server must come back where its client looks for it.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn serve(port: u16, dir: &Path, kubeconfig: &Path, config: &Path) -> Serving {
    let mut command = proreus();
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir", text(dir)]);
    command.args(["--kubeconfig", text(kubeconfig), "--config", text(config)]);
    Serving::of(Running::start(command))
}

fn cursors(updates: &[Value]) -> Vec<String> {
    updates.iter().map(|update| update["cursor"].as_str().unwrap().to_owned()).collect()
}

/// The updates after a cursor; none while the monitor is not there.
fn after(serving: &Serving, cursor: Option<&str>) -> Vec<Value> {
    let query = cursor.map_or_else(String::new, |cursor| format!("?cursor={cursor}"));
    let answer = process::http::get(&serving.address, &format!("{MONITOR}{query}"));
    if answer.status == 404 {
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "{}", answer.body);
    let page: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(page["missed"], 0);
    page["items"].as_array().unwrap().clone()
}

#[test]
fn a_client_sees_every_update_once_through_three_deaths_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (data, kubeconfig, config) = (dir.path().join("data"), dir.path().join("kubeconfig"), dir.path().join("proreus.yaml"));
    // The story is told twenty times as fast as it was; what settles must settle in that time.
    std::fs::write(&config, "monitor: {settleSeconds: 2}\n").unwrap();
    let story = playground(&kubeconfig);
    let port = free_port();
    let mut serving = serve(port, &data, &kubeconfig, &config);
    let mut command = proreus();
    let server = format!("http://127.0.0.1:{port}");
    command.args(["monitor", "kcm-system/eu-prod", "--server", &server, "--await", "--timeout", "5m", "-o", "jsonl"]);
    let client = command.spawn().unwrap();
    let client = std::thread::spawn(move || Ran::of(client.wait_with_output().unwrap()));
    let mut polled: Vec<Value> = Vec::new();
    let mut poll = |serving: &Serving, wanted: usize| {
        until(&format!("{wanted} updates\n{}", serving.process.log()), || {
            let cursor = polled.last().map(|update: &Value| update["cursor"].as_str().unwrap().to_owned());
            polled.extend(after(serving, cursor.as_deref()));
            polled.len() >= wanted || polled.last().is_some_and(|last| last["terminal"] == true)
        });
        polled.clone()
    };
    for wanted in [1, 3, 5] {
        poll(&serving, wanted);
        serving.process.kill();
        serving = serve(port, &data, &kubeconfig, &config);
    }
    let polled = poll(&serving, usize::MAX);
    let followed = client.join().unwrap().exits(0).lines();
    let whole = after(&serving, None);
    assert_eq!(cursors(&polled), cursors(&whole), "by asking again and again");
    assert_eq!(cursors(&followed), cursors(&whole), "by listening");
    assert_eq!(whole.iter().filter(|update| update["terminal"] == true).count(), 1);
    assert_eq!(whole.last().unwrap()["phase"], "Ready");
    assert!((5..=14).contains(&whole.len()), "{} updates", whole.len());
    serving.process.end();
    story.kill();
    // Anybody derives the same log from the files alone.
    let read = ran(&["monitor", "kcm-system/eu-prod", "--data-dir", text(&data), "-o", "jsonl"]).exits(0).lines();
    let ready_is_due_later = read.len() == whole.len() || read.len() + 1 == whole.len();
    assert!(ready_is_due_later, "{} of {} updates", read.len(), whole.len());
    for (read, told) in read.iter().zip(&whole).filter(|(read, _)| read["phase"] != "Ready") {
        assert_eq!(read, told);
    }
}
