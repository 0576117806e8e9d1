//! What holds for every endpoint: the door, the hosts, the ids, the bounds, the figures.

use axum::body::Body;
use http::Request;
use proreus_serve::Exposure;
use serde_json::json;

use crate::shop::{Setup, Shop, TOKEN};

const GUARDED: [&str; 13] = [
    "/api/v1/events",
    "/api/v1/events/shop/pods/web-1",
    "/api/v1/changes",
    "/api/v1/changes/stream",
    "/api/v1/marks",
    "/api/v1/objects/apps/deploy/shop/web",
    "/api/v1/objects/apps/deploy/shop/web/history",
    "/api/v1/diff?from=2&to=3",
    "/api/v1/state",
    "/api/v1/watches",
    "/api/v1/clusters",
    "/api/v1/store/stats",
    "/metrics",
];

#[tokio::test]
async fn without_a_token_only_health_and_the_document_answer() {
    let (shop, _tokens) = Shop::guarded();
    for uri in GUARDED {
        let answer = shop.get(uri).await;
        assert_eq!(answer.status, 401, "{uri}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"proreus\"");
        assert_eq!(answer.json()["type"], "urn:proreus:problem:unauthorized");
    }
    for uri in ["/health", "/livez", "/readyz", "/openapi.json"] {
        assert_eq!(shop.get(uri).await.status, 200, "{uri}");
    }
}

#[tokio::test]
async fn a_token_opens_and_a_wrong_one_does_not() {
    let (shop, tokens) = Shop::guarded();
    let ask = |header: &str| Request::get("/api/v1/clusters").header("authorization", header).body(Body::empty()).unwrap();
    assert_eq!(shop.send(ask(&format!("Bearer {TOKEN}"))).await.status, 200);
    assert_eq!(shop.send(ask(&format!("bearer {TOKEN}"))).await.status, 200, "the scheme is in any case");
    for header in ["Bearer wrong-horse-battery", "Basic dXNlcjpwYXNz", "Bearer"] {
        assert_eq!(shop.send(ask(header)).await.status, 401, "{header}");
    }
    let wrong = shop.send(ask("Bearer wrong-horse-battery")).await;
    assert_eq!(wrong.header("www-authenticate"), "Bearer realm=\"proreus\", error=\"invalid_token\"");
    assert!(!wrong.text.contains("wrong-horse"), "a token is never repeated");
    drop(tokens);
    assert_eq!(shop.send(ask(&format!("Bearer {TOKEN}"))).await.status, 503, "tokens that cannot be read admit nobody");
}

#[tokio::test]
async fn a_loopback_server_answers_to_this_machines_names_only() {
    let shop = Shop::empty(Setup { exposure: Exposure::Loopback, ..Setup::default() });
    let ask = |name: &str, value: &str| Request::get("/health").header(name, value).body(Body::empty()).unwrap();
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(shop.send(ask("host", host)).await.status, 200, "{host}");
    }
    let foreign = shop.send(ask("host", "rebound.example.org")).await;
    assert_eq!((foreign.status.as_u16(), &foreign.json()["type"]), (403, &json!("urn:proreus:problem:foreign-host")));
    assert_eq!(shop.send(ask("origin", "https://evil.example.org")).await.status, 403);
    assert_eq!(shop.send(ask("origin", "http://localhost:3000")).await.status, 200);
    assert_eq!(Shop::open().send(ask("host", "proreus.example.org")).await.status, 200, "a network server is reached by any name");
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let shop = Shop::open();
    let ask = |id: &str| Request::get("/health").header("x-request-id", id).body(Body::empty()).unwrap();
    assert_eq!(shop.send(ask("trace-1.a_B")).await.header("x-request-id"), "trace-1.a_B");
    let long = "x".repeat(65);
    for harmful in ["two words", "<script>", long.as_str()] {
        let given = shop.send(ask(harmful)).await;
        assert!(!given.header("x-request-id").is_empty() && given.header("x-request-id") != harmful, "{harmful}");
    }
}

#[tokio::test]
async fn an_unknown_path_and_another_method_are_problems() {
    let shop = Shop::open();
    let lost = shop.get("/api/v2/changes").await;
    assert_eq!((lost.status.as_u16(), lost.header("content-type")), (404, "application/problem+json"));
    let post = shop.send(Request::post("/api/v1/changes").body(Body::empty()).unwrap()).await;
    assert_eq!((post.status.as_u16(), post.header("content-type")), (405, "application/problem+json"));
    assert_eq!(post.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let request = Request::get("/health").header("content-length", "1000000").body(Body::empty()).unwrap();
    assert_eq!(Shop::open().send(request).await.status, 413);
}

#[tokio::test]
async fn answers_are_not_kept_and_not_guessed_at() {
    let answer = Shop::open().get("/api/v1/changes").await;
    assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"));
}

#[tokio::test]
async fn answers_are_compressed_for_who_can_read_it() {
    let shop = Shop::open();
    let ask = |uri: &str| Request::get(uri).header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(shop.router.clone(), ask("/api/v1/changes?full=true")).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let stream = tower::ServiceExt::oneshot(shop.router.clone(), ask("/api/v1/changes/stream")).await.unwrap();
    assert_eq!(stream.headers().get("content-encoding"), None, "a compressor would hold events back");
}

#[tokio::test]
async fn readiness_is_whether_questions_can_be_answered() {
    let answer = Shop::open().get("/readyz").await;
    assert_eq!(answer.status, 200, "a stale watch does not make the history unreachable");
    assert_eq!(answer.json(), json!({"ready": true, "journal": "ok", "synced": 1, "listing": 0, "stale": 1}));
    assert_eq!(Shop::open().get("/livez").await.json(), json!({"status": "live"}));
}

#[tokio::test]
async fn watches_clusters_and_figures_are_told() {
    let shop = Shop::open();
    let watches = shop.json("/api/v1/watches").await;
    assert_eq!(watches["items"][1]["state"], "stale");
    assert_eq!(watches["items"][1]["reason"], "connection refused");
    assert_eq!(shop.json("/api/v1/clusters").await, json!({"items": [{"id": "c1", "name": "prod"}], "nextCursor": null}));
    let stats = shop.json("/api/v1/store/stats").await;
    assert_eq!(
        (&stats["changes"], &stats["segments"][0]["day"], &stats["segments"][0]["state"]),
        (&json!(10), &json!("2026-11-21"), &json!("open"))
    );
    assert_eq!(stats["bytesPerChange"].as_f64().unwrap() * 10.0, stats["storedBytes"].as_f64().unwrap());
}

#[tokio::test]
async fn metrics_tell_the_recording_the_journal_and_the_requests() {
    let shop = Shop::open();
    shop.get("/api/v1/objects/apps/deploy/shop/web").await;
    shop.get("/api/v1/changes?limit=0").await;
    let answer = shop.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        r#"proreus_http_request_duration_seconds_count{route="/api/v1/objects/{group}/{kind}/{namespace}/{name}",method="GET",status="200"} 1"#,
        r#"proreus_http_request_duration_seconds_count{route="/api/v1/changes",method="GET",status="400"} 1"#,
        r#"proreus_watches{state="stale"} 1"#,
        r#"proreus_watch_stale{cluster="prod",group="",resource="nodes"} 1"#,
        r#"proreus_changes_recorded_total{cluster="prod",group="",resource="pods"} 7"#,
        r#"proreus_changes_noise_total{cluster="prod",group="",resource="pods"} 3"#,
        r#"proreus_watch_relists_total{cluster="prod",group="",resource="pods"} 4"#,
        r#"proreus_recording_lag_seconds_bucket{le="0.005"} 1"#,
        r#"proreus_recording_lag_seconds_bucket{le="0.05"} 3"#,
        r#"proreus_recording_lag_seconds_bucket{le="+Inf"} 3"#,
        "proreus_queue_records 11",
        "proreus_queue_bytes 2048",
        "proreus_journal_changes 10",
        "proreus_journal_last_seq 11",
        r#"proreus_journal_segments{state="open"} 1"#,
        "proreus_http_streams 0",
        "# EOF",
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line} is not in\n{}", answer.text);
    }
    assert!(answer.text.contains("proreus_build_info{version="));
    for secret in ["shop", "web-1", "password"] {
        assert!(!answer.text.contains(secret), "metrics name no namespace and no object: {secret}");
    }
}
