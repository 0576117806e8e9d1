//! The API against its own document: schemathesis makes requests from `/openapi.json`, good ones and bad ones, and checks every answer.
//!
//! Needs `schemathesis` in the virtual environment under the target folder, where `tests/prepare` puts it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

mod shop;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use proreus_serve::{BoundServer, Exposure, ServeOptions, router};
use shop::{Shop, TOKEN};
use tokio_util::sync::CancellationToken;

/// How long one run may take: some minutes on two busy cores.
const RUN_TIMEOUT: Duration = Duration::from_secs(900);
/// Cases for each endpoint and phase; a fixed seed makes every run the same.
const CASES: &str = "60";
/// The endpoints whose answers have no end.
const STREAMS: &str = "/stream$";

/// The program, in the environment of the target folder that this test was built into.
fn program() -> PathBuf {
    let built = std::env::current_exe().unwrap();
    built.ancestors().map(|folder| folder.join("venv/bin/st")).find(|program| program.exists()).unwrap_or_else(|| {
        panic!("no folder above `{}` has `venv/bin/st`: install the Python package `schemathesis` with tests/prepare", built.display())
    })
}

async fn check(url: &str, which: [&str; 2]) {
    let child = tokio::process::Command::new(program())
        .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis.toml"), "run", &format!("{url}/openapi.json")])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--max-examples", CASES])
        .args(["--seed", "1", "--generation-deterministic", "--continue-on-failure"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}"), "--request-timeout", "30", "--no-color"])
        .args(["--suppress-health-check", "all", "--warnings", "off"])
        .args(which)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(RUN_TIMEOUT, child.wait_with_output()).await.expect("schemathesis took too long").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("No issues found") || said.contains("passed"), "nothing was tried:\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_says() {
    let (shop, _tokens) = Shop::guarded();
    let server = BoundServer::bind(shop.app.clone(), "127.0.0.1:0".parse().unwrap(), None, shop.shutdown.clone()).unwrap();
    let url = format!("http://{}", server.address());
    let running = tokio::spawn(server.serve());
    check(&url, ["--exclude-path-regex", STREAMS]).await;
    shop.shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_answers_are_as_the_document_says() {
    let (shop, _tokens) = Shop::guarded();
    // A server that is about to end greets and then ends each stream, so that every answer has an end.
    let ended = CancellationToken::new();
    ended.cancel();
    let ending = router(shop.app.clone(), ServeOptions::new(Exposure::Loopback, ended));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = shop.shutdown.clone();
    let running =
        tokio::spawn(async move { axum::serve(listener, ending).with_graceful_shutdown(async move { shutdown.cancelled().await }).await });
    check(&url, ["--include-path-regex", STREAMS]).await;
    shop.shutdown.cancel();
    running.await.unwrap().unwrap();
}
