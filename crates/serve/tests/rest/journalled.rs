//! What retention took, and what the log keeps to itself.

use std::io;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::Request;
use proreus_model::Verb;
use proreus_store::{Journal, RetentionPolicy};
use serde_json::json;

use crate::shop::{Shop, TOKEN, pod, time};

/// Two days and a while, in seconds.
const DAYS: i64 = 2 * 24 * 3_600 + 60;

/// A shop whose first day is no longer kept, and a cursor into that day.
async fn after_retention() -> (Shop, String) {
    let shop = Shop::open();
    let cursor = shop.json("/api/v1/changes?limit=2").await["nextCursor"].as_str().unwrap().to_owned();
    shop.pass(DAYS);
    shop.record(pod(Verb::Update, "shop", "web-1", "p2"));
    let policy = RetentionPolicy { max_age: Some(jiff::SignedDuration::from_hours(24)), max_bytes: None };
    assert_eq!(shop.journal.retain(&policy, time(DAYS + 100)).unwrap().removed, ["2026-11-21"]);
    (shop, cursor)
}

#[tokio::test]
async fn a_cursor_that_retention_took_is_gone_and_the_oldest_place_is_told() {
    let (shop, cursor) = after_retention().await;
    for uri in ["/api/v1/changes?", "/api/v1/marks?", "/api/v1/changes/stream?", "/api/v1/objects/core/pods/shop/web-1/history?"] {
        let answer = shop.get(&format!("{uri}cursor={cursor}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (410, &json!("urn:proreus:problem:cursor-gone")), "{uri}");
        let oldest = answer.json()["oldestCursor"].as_str().unwrap().to_owned();
        assert_eq!(shop.seqs(&format!("/api/v1/changes?cursor={oldest}")).await, [12]);
    }
}

#[tokio::test]
async fn a_moment_that_retention_took_is_gone() {
    let (shop, _) = after_retention().await;
    for uri in [
        "/api/v1/state?at=2026-11-21T08:00:05Z",
        "/api/v1/objects/core/pods/shop/web-1?at=2026-11-21T08:00:05Z",
        "/api/v1/diff?from=2&to=3",
    ] {
        let answer = shop.get(uri).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (410, &json!("urn:proreus:problem:no-longer-kept")), "{uri}");
    }
}

#[tokio::test]
async fn what_lived_on_is_still_in_the_state() {
    let (shop, _) = after_retention().await;
    assert_eq!(shop.seqs("/api/v1/state?kind=deploy").await, [3]);
    assert_eq!(shop.json("/api/v1/objects/apps/deploy/shop/web").await["object"]["spec"]["image"], "web:2");
}

/// Everything logged while it lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_access_log_names_the_caller_and_keeps_tokens_and_queries_to_itself() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let (shop, _tokens) = Shop::guarded();
    let _guard = tracing::subscriber::set_default(subscriber);
    for token in [TOKEN, "mistyped-horse-battery"] {
        let request =
            Request::get("/api/v1/changes?name=canary-query&since=canary-time").header("authorization", format!("Bearer {token}"));
        shop.send(request.header("x-request-id", "trace-7").body(Body::empty()).unwrap()).await;
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for expected in ["answered a request", "alice", "trace-7", "/api/v1/changes", "status=400", "status=401"] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    for secret in [TOKEN, "horse", "canary"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}
