//! Lists of changes and marks.

use proreus_model::{MarkKind, Verb};
use serde_json::json;

use crate::shop::{Answer, Setup, Shop, Step, pod, seqs};

const NONE: [u64; 0] = [];

#[tokio::test]
async fn a_change_has_the_contracts_fields() {
    let page = Shop::open().json("/api/v1/changes?verb=update").await;
    assert_eq!(
        page["items"][0],
        json!({
            "seq": 3, "recordedAt": "2026-11-21T08:00:03Z", "eventTime": "2026-11-21T08:00:00Z", "cluster": "c1", "verb": "update",
            "origin": "watch", "group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments", "namespace": "shop",
            "name": "web", "uid": "d1", "resourceVersion": "7", "generation": 3, "manager": "kubectl",
            "changed": [{"path": "spec.image", "op": "replace", "before": "web:1", "after": "web:2"}]
        })
    );
    assert_eq!(page["nextCursor"], json!(null));
}

#[tokio::test]
async fn the_object_comes_only_when_asked_for() {
    let shop = Shop::open();
    assert_eq!(shop.json("/api/v1/changes?verb=update").await["items"][0].get("object"), None);
    let object = &shop.json("/api/v1/changes?verb=update&full=true").await["items"][0]["object"];
    assert_eq!(object["spec"]["big"].to_string(), "12345678901234567890", "numbers keep their source text");
}

#[tokio::test]
async fn a_gap_is_told_with_its_times() {
    let page = Shop::open().json("/api/v1/changes?origin=relist").await;
    assert_eq!(page["items"][0]["gap"], json!({"from": "2026-11-21T08:00:00Z", "to": "2026-11-21T08:00:01Z"}));
}

#[tokio::test]
async fn every_filter_narrows() {
    let shop = Shop::open();
    for (query, expected) in [
        ("cluster=prod", vec![2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("cluster=c1&verb=delete", vec![6]),
        ("cluster=other", vec![]),
        ("namespace=bank", vec![10]),
        ("namespace=_", vec![8]),
        ("group=apps", vec![2, 3]),
        ("group=core&verb=delete", vec![6]),
        ("kind=deploy", vec![2, 3]),
        ("kind=Deployment.apps", vec![2, 3]),
        ("kind=pods&namespace=shop", vec![4, 6, 7]),
        ("kind=Widget", vec![]),
        ("resource=nodes", vec![8]),
        ("name=web", vec![2, 3]),
        ("verb=delete", vec![6]),
        ("origin=relist", vec![6]),
        ("manager=helm", vec![9]),
        ("uid=p2", vec![7]),
        ("since=2026-11-21T08:00:09Z", vec![9, 10, 11]),
        ("until=2026-11-21T08:00:03Z", vec![2, 3]),
        ("since=2026-11-22", vec![]),
        ("since=1h&until=2026-11-21T08:00:02Z", vec![2]),
    ] {
        assert_eq!(shop.seqs(&format!("/api/v1/changes?{query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn alternatives_are_repeated_or_separated_by_commas() {
    let shop = Shop::open();
    assert_eq!(shop.seqs("/api/v1/changes?kind=no,deploy").await, [2, 3, 8]);
    assert_eq!(shop.seqs("/api/v1/changes?kind=no&kind=deploy").await, [2, 3, 8]);
    assert_eq!(shop.seqs("/api/v1/changes?verb=delete,update").await, [3, 6]);
}

#[tokio::test]
async fn cursors_lead_through_every_page_in_either_order() {
    let shop = Shop::open();
    for order in ["asc", "desc"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = shop.json(&format!("/api/v1/changes?limit=3&order={order}{cursor}")).await;
            seen.extend(seqs(&page["items"]));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    }
}

#[tokio::test]
async fn the_end_of_the_last_page_leads_to_what_comes_later() {
    let shop = Shop::open();
    let end = shop.json("/api/v1/changes?kind=deploy").await["endCursor"].as_str().unwrap().to_owned();
    assert_eq!(shop.seqs(&format!("/api/v1/changes?cursor={end}")).await, NONE);
    shop.record(pod(Verb::Delete, "shop", "web-1", "p2"));
    assert_eq!(shop.seqs(&format!("/api/v1/changes?cursor={end}")).await, [12]);
}

#[tokio::test]
async fn a_page_of_large_objects_ends_early_with_a_cursor() {
    let shop = Shop::empty(Setup::default());
    let large = "x".repeat(3 * 1024 * 1024);
    for index in 0..12 {
        let name = format!("big-{index}");
        shop.record(Step { fields: json!({"data": large}), ..pod(Verb::Create, "shop", &name, &name) });
    }
    for uri in ["/api/v1/changes?full=true&limit=1000", "/api/v1/state?full=true&limit=1000"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = shop.get(&format!("{uri}{cursor}")).await;
            assert!(answer.text.len() < 17 * 1024 * 1024, "{uri}: {} bytes", answer.text.len());
            let page = answer.json();
            seen.extend(seqs(&page["items"]));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=12).collect::<Vec<u64>>(), "{uri}");
    }
}

fn names(answer: &Answer, parameter: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["parameter"], parameter, "{problem}");
    assert_eq!(problem["status"], 400);
    for member in ["type", "title", "detail", "hint"] {
        assert!(!problem[member].as_str().unwrap().is_empty(), "{member}");
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let shop = Shop::open();
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=5&limit=6", "limit"),
        ("since=yesterday", "since"),
        ("until=2026-11-21T08:00:00", "until"),
        ("cursor=12", "cursor"),
        ("order=up", "order"),
        ("full=yes", "full"),
        ("verb=patch", "verb"),
        ("verb=create,,update", "verb"),
        ("origin=nowhere", "origin"),
        ("namespace=", "namespace"),
        ("color=red", "color"),
        ("Limit=5", "Limit"),
    ] {
        names(&shop.get(&format!("/api/v1/changes?{query}")).await, parameter);
    }
    let many = vec!["x"; 101].join(",");
    names(&shop.get(&format!("/api/v1/changes?name={many}")).await, "name");
    names(&shop.get(&format!("/api/v1/changes?name={}", "x".repeat(20_000))).await, "query");
}

#[tokio::test]
async fn a_cursor_of_elsewhere_is_gone_and_the_oldest_one_is_told() {
    let shop = Shop::open();
    let answer = shop.get("/api/v1/changes?cursor=abababababababababababababababab-1").await;
    assert_eq!(answer.status, 410);
    let oldest = answer.json()["oldestCursor"].as_str().unwrap().to_owned();
    assert_eq!(shop.seqs(&format!("/api/v1/changes?cursor={oldest}&limit=1")).await, [2]);
}

#[tokio::test]
async fn marks_are_listed_by_kind_and_scope() {
    let shop = Shop::open();
    shop.mark(MarkKind::Stale, "nodes");
    let page = shop.json("/api/v1/marks").await;
    assert_eq!(
        page["items"][0],
        json!({"seq": 1, "recordedAt": "2026-11-21T08:00:01Z", "kind": "synced", "cluster": "c1", "group": "", "resource": "pods",
            "reason": "the watch began", "detail": {"resumed": false}})
    );
    assert_eq!(shop.seqs("/api/v1/marks?order=desc").await, [12, 1]);
    assert_eq!(shop.seqs("/api/v1/marks?kind=stale").await, [12]);
    assert_eq!(shop.seqs("/api/v1/marks?resource=pods&group=core&cluster=prod").await, [1]);
    names(&shop.get("/api/v1/marks?kind=happy").await, "kind");
    names(&shop.get("/api/v1/marks?namespace=shop").await, "namespace");
}
