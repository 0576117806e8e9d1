//! Monitors over HTTP: the list, one with its log by cursor, the stream to its end, refusals.

use http::{Request, StatusCode};
use proreus_model::{MarkKind, Verb};
use serde_json::{Value, json};

use crate::shop::{Shop, Step, pod};

const MONITOR: &str = "/api/v1/monitors/kcm-system/prod";

fn deployment(verb: Verb, fields: Value) -> Step<'static> {
    Step {
        group: "k0rdent.mirantis.com",
        kind: "ClusterDeployment",
        resource: "clusterdeployments",
        fields,
        ..pod(verb, "kcm-system", "prod", "cd1")
    }
}

/// An adopted cluster that comes to its end: accepted, connected, ready once it has settled.
fn adopted() -> Shop {
    let shop = Shop::open();
    let told = |ready: &str| {
        json!({
            "spec": {"template": "adopted-cluster-1-0-0", "credential": "cred"},
            "status": {"conditions": [
                {"type": "CredentialReady", "status": ready, "reason": "Succeeded"},
                {"type": "HelmReleaseReady", "status": ready, "reason": "InstallSucceeded"},
                {"type": "Ready", "status": ready, "reason": "Succeeded"},
            ]}
        })
    };
    shop.record(deployment(Verb::Create, told("Unknown")));
    shop.record(deployment(Verb::Update, told("True")));
    shop.pass(60);
    // Time passes with records here.
    shop.mark(MarkKind::Synced, "pods");
    shop
}

fn cursors(items: &Value) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| item["cursor"].as_str().unwrap().to_owned()).collect()
}

/// Data of the events of a stream that ends by itself, by their names.
async fn streamed(shop: &Shop, query: &str, last_event_id: Option<&str>) -> Vec<(String, Value)> {
    let mut request = Request::get(format!("{MONITOR}/stream?{query}"));
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let answer = shop.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/event-stream"));
    let event = |event: &str| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let data: Value = serde_json::from_str(&field("data: ")?).unwrap();
        assert_eq!(field("id: ").as_deref(), data["cursor"].as_str());
        Some((field("event: ")?, data))
    };
    answer.text.split("\n\n").filter_map(event).collect()
}

#[tokio::test]
async fn lists_monitors_and_tells_one_by_cursor() {
    let shop = adopted();
    let list = shop.json("/api/v1/monitors?namespace=kcm-system&cluster=prod").await;
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["now"]["phase"], &items[0]["deleted"]), (1, &json!("Ready"), &json!(false)));
    assert_eq!(shop.json("/api/v1/monitors?namespace=shop").await["items"], json!([]));
    let whole = shop.json(MONITOR).await;
    assert_eq!(whole["monitor"], items[0]);
    let all = cursors(&whole["items"]);
    assert!(all.len() >= 2 && whole["nextCursor"].is_null(), "{whole}");
    let mut paged = Vec::new();
    let mut uri = format!("{MONITOR}?limit=1");
    loop {
        let page = shop.json(&uri).await;
        paged.extend(cursors(&page["items"]));
        match page["nextCursor"].as_str() {
            Some(next) => uri = format!("{MONITOR}?limit=1&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn streams_to_the_end_and_goes_on_after_the_last_event() {
    let shop = adopted();
    let whole = shop.json(MONITOR).await;
    let all = cursors(&whole["items"]);
    let names = |events: &[(String, Value)]| events.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    // Without a cursor it begins with the newest, which is the end.
    let newest = streamed(&shop, "", None).await;
    assert_eq!((names(&newest), &newest[0].1["terminal"]), (vec!["update".to_owned()], &json!(true)));
    let rest = streamed(&shop, "", Some(&all[0])).await;
    let seen: Vec<String> = rest.iter().map(|(_, update)| update["cursor"].as_str().unwrap().to_owned()).collect();
    assert_eq!(seen, all[1..]);
    // After the end only its own time ends it, and says so in its own word.
    let ended = streamed(&shop, "timeout=1", all.last().map(String::as_str)).await;
    assert_eq!(names(&ended), ["notice", "notice"]);
    assert_eq!((&ended[1].1["reason"], &ended[1].1["terminal"]), (&json!("TimeoutExceeded"), &json!(true)));
}

#[tokio::test]
async fn says_no_with_a_sentence_that_helps() {
    let shop = adopted();
    let elsewhere = format!("{}-1.1", "0".repeat(32));
    for (uri, status, words) in [
        ("/api/v1/monitors/kcm-system/none".to_owned(), 404, "monitor kcm-system/none not found"),
        ("/api/v1/monitors/kcm-system/none/stream".to_owned(), 404, "monitor kcm-system/none not found"),
        (format!("{MONITOR}/stream?timeout=0"), 400, "`timeout` is `0`"),
        (format!("{MONITOR}/stream?timeout=soon"), 400, "`timeout` is `soon`"),
        (format!("{MONITOR}?cursor=x"), 400, "`cursor` is `x`"),
        (format!("{MONITOR}?cursor={elsewhere}"), 410, "the cursor can no longer be continued"),
        (format!("{MONITOR}?limit=201"), 400, "`limit` is `201`"),
        (format!("{MONITOR}?phase=Ready"), 400, "`phase` is not a parameter of this endpoint"),
        ("/api/v1/monitors?cursor=%21".to_owned(), 400, "`cursor` is `!`"),
    ] {
        let answer = shop.get(&uri).await;
        assert_eq!(answer.status.as_u16(), status, "{uri}: {}", answer.text);
        assert_eq!(answer.json()["detail"], words, "{uri}");
    }
}
