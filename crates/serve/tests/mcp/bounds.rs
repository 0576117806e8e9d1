//! Bounds: the size of answers, sessions and their owners, subscriptions, hosts and callers.

use axum::body::Body;
use http::{Request, StatusCode};
use proreus_model::Verb;
use proreus_serve::Exposure;
use serde_json::json;

use crate::agent::Agent;
use crate::shop::{Setup, Shop, Step, TOKEN, pod};

/// What no answer exceeds.
const ANSWER_CHARS: usize = 25_000;

fn large() -> Shop {
    let shop = Shop::open();
    for number in 0..60 {
        let data: serde_json::Map<String, serde_json::Value> =
            (0..40).map(|key| (format!("key-{key}"), json!(format!("\"value\" {number} \\ {}", "ü".repeat(300))))).collect();
        let name = format!("config-{number}");
        shop.record(Step {
            kind: "ConfigMap",
            resource: "configmaps",
            fields: json!({"data": data}),
            ..pod(Verb::Create, "shop", &name, &name)
        });
    }
    shop
}

#[tokio::test]
async fn no_answer_is_longer_than_a_model_can_take() {
    let shop = large();
    for agent in [Agent::newer(&shop), Agent::older(&shop).await] {
        for (tool, arguments) in [
            ("changes", json!({"full": true, "limit": 1000})),
            ("changes", json!({"limit": 1000})),
            ("history", json!({"kind": "ConfigMap", "name": "config-7", "full": true})),
            ("object", json!({"kind": "ConfigMap", "name": "config-7"})),
            ("state", json!({"full": true, "limit": 1000})),
            ("checks", json!({"limit": 1000})),
            ("what_changed_before", json!({"namespace": "shop", "limit": 1000})),
            ("k0rdent.mgmt.events.list", json!({"namespace": "shop"})),
        ] {
            let message = agent.ask("tools/call", json!({"name": tool, "arguments": arguments})).await;
            let length = message["result"].to_string().chars().count();
            assert!(length <= ANSWER_CHARS, "{tool} {arguments}: {length}");
            assert!(message["result"]["structuredContent"]["summary"].is_string(), "{tool}: {message}");
        }
        for uri in ["audit://events/shop", "audit://changes/7d", "k0rdent://events/shop"] {
            let result = Agent::result(agent.ask("resources/read", json!({"uri": uri})).await);
            let length = result.to_string().chars().count();
            assert!(length <= ANSWER_CHARS, "{uri}: {length}");
        }
    }
}

#[tokio::test]
async fn without_a_token_nothing_answers_and_a_session_is_its_callers_own() {
    let (shop, tokens) = Shop::guarded();
    let bare = Agent::newer(&shop);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(bare.post(&ping, &[]).await.status, StatusCode::UNAUTHORIZED);
    let alice = Agent::opened(&shop, Some(TOKEN)).await;
    assert!(alice.ask("ping", json!({})).await.get("result").is_some());
    // Another caller who learned the session's id.
    std::fs::write(tokens.path(), format!("alice:{TOKEN}\nmallory:another-token-of-length\n")).unwrap();
    let session = alice.session.clone().unwrap();
    let stolen = bare.post(&ping, &[("authorization", "Bearer another-token-of-length"), ("mcp-session-id", &session)]).await;
    assert_eq!(stolen.status, StatusCode::NOT_FOUND, "{}", stolen.text);
    assert!(alice.ask("ping", json!({})).await.get("result").is_some(), "it is still hers");
}

#[tokio::test]
async fn the_eleventh_subscription_is_refused_and_an_ended_one_makes_room() {
    let shop = Shop::open();
    let agent = Agent::older(&shop).await;
    for number in 0..10 {
        let message = agent.ask("resources/subscribe", json!({"uri": format!("k0rdent://events/place-{number}")})).await;
        assert!(message.get("result").is_some(), "{message}");
    }
    let again = agent.ask("resources/subscribe", json!({"uri": "k0rdent://events/place-3"})).await;
    assert!(again.get("result").is_some(), "subscribed already: {again}");
    let refused = agent.ask("resources/subscribe", json!({"uri": "k0rdent://events/shop"})).await;
    let said = refused["error"]["message"].as_str().unwrap();
    assert!(said.contains("per-client subscription limit exceeded (max: 10)") && said.contains("hint:"), "{said}");
    for _ in 0..2 {
        let ended = agent.ask("resources/unsubscribe", json!({"uri": "k0rdent://events/place-3"})).await;
        assert!(ended.get("result").is_some(), "ending what has ended is no error: {ended}");
    }
    // The place is left when the task that tells is gone, a moment later.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while agent.ask("resources/subscribe", json!({"uri": "k0rdent://events/shop"})).await.get("result").is_none() {
        assert!(tokio::time::Instant::now() < deadline, "the place was not freed");
        tokio::task::yield_now().await;
    }
    // A session that ends leaves all of its places.
    let session = agent.session.clone().unwrap();
    let end = Request::delete("/mcp").header("mcp-session-id", session).header("host", "localhost").body(Body::empty()).unwrap();
    assert!(shop.send(end).await.status.is_success());
    while shop.app.monitors.subscriptions() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "{} places were not freed", shop.app.monitors.subscriptions());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_turned_away_on_loopback() {
    let shop = Shop::empty(Setup { exposure: Exposure::Loopback, ..Setup::default() });
    let agent = Agent::newer(&shop);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"});
    let foreign = agent.post(&ping, &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let request = Request::post("/mcp").header("host", "evil.example").header("content-type", "application/json");
    assert_eq!(shop.send(request.body(Body::from(ping.to_string())).unwrap()).await.status, StatusCode::FORBIDDEN);
}
