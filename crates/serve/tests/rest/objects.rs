//! Objects as they were.

use proreus_model::Verb;
use serde_json::json;

use crate::shop::{Shop, pod, seqs};

#[tokio::test]
async fn an_object_is_what_it_was_at_the_moment() {
    let shop = Shop::open();
    let object = "/api/v1/objects/apps/deploy/shop/web";
    let now = shop.json(object).await;
    assert_eq!((&now["object"]["spec"]["image"], &now["deleted"], &now["change"]["seq"]), (&json!("web:2"), &json!(false), &json!(3)));
    assert_eq!(shop.json(&format!("{object}?at=2026-11-21T08:00:02Z")).await["object"]["spec"]["image"], "web:1");
    let cursor = shop.json("/api/v1/changes?limit=1").await["endCursor"].as_str().unwrap().to_owned();
    assert_eq!(shop.json(&format!("{object}?at={cursor}")).await["object"]["spec"]["image"], "web:1");
}

#[tokio::test]
async fn an_object_that_was_gone_says_so_with_its_last_state() {
    let shop = Shop::open();
    let gone = shop.json("/api/v1/objects/core/Pod/shop/web-1?at=2026-11-21T08:00:06Z").await;
    assert_eq!((&gone["deleted"], &gone["object"]["spec"]["image"]), (&json!(true), &json!("web:1")));
    let first = shop.json("/api/v1/objects/core/Pod/shop/web-1?uid=p1&cluster=prod").await;
    assert_eq!(first["change"]["uid"], "p1");
}

#[tokio::test]
async fn a_cluster_scoped_object_is_reached_by_an_underscore() {
    assert_eq!(Shop::open().json("/api/v1/objects/core/no/_/n1").await["change"]["seq"], 8);
}

#[tokio::test]
async fn what_was_not_there_is_404() {
    let shop = Shop::open();
    for uri in [
        "/api/v1/objects/core/pods/shop/nobody",
        "/api/v1/objects/apps/pods/shop/web-1",
        "/api/v1/objects/core/pods/shop/web-1?at=2026-11-21T08:00:01Z",
        "/api/v1/objects/core/pods/shop/nobody/history",
        "/api/v1/diff?from=2&to=99",
        "/api/v1/diff?from=1&to=2",
    ] {
        let answer = shop.get(uri).await;
        assert_eq!(answer.status, 404, "{uri}: {}", answer.text);
        assert_eq!(answer.json()["type"], "urn:proreus:problem:not-found");
    }
}

#[tokio::test]
async fn a_bad_moment_or_position_is_named() {
    let shop = Shop::open();
    for (uri, parameter) in [
        ("/api/v1/objects/apps/deploy/shop/web?at=noon", "at"),
        ("/api/v1/objects/apps/deploy/shop/web?when=now", "when"),
        ("/api/v1/objects/apps/deploy/shop/web/history?events=maybe", "events"),
        ("/api/v1/diff?to=2", "from"),
        ("/api/v1/diff?from=2", "to"),
        ("/api/v1/diff?from=0&to=2", "from"),
        ("/api/v1/diff?from=2&to=4", "to"),
        ("/api/v1/state?at=noon", "at"),
        ("/api/v1/state?cursor=12", "cursor"),
        ("/api/v1/state?verb=create", "verb"),
        ("/api/v1/watches?cluster=prod", "cluster"),
    ] {
        let answer = shop.get(uri).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["parameter"]), (400, &json!(parameter)), "{uri}");
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_is_400() {
    let answer = Shop::open().get("/api/v1/objects/core/pods/shop/%ff").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (400, "application/problem+json"));
}

#[tokio::test]
async fn history_tells_every_incarnation_page_by_page() {
    let shop = Shop::open();
    let uri = "/api/v1/objects/core/pods/shop/web-1/history";
    assert_eq!(shop.seqs(uri).await, [4, 6, 7]);
    assert_eq!(shop.seqs(&format!("{uri}?uid=p1")).await, [4, 6]);
    assert_eq!(shop.seqs(&format!("{uri}?events=true")).await, [4, 5, 6, 7, 11]);
    assert_eq!(shop.seqs(&format!("{uri}?events=true&order=desc&limit=2")).await, [11, 7]);
    let page = shop.json(&format!("{uri}?events=true&limit=2")).await;
    assert_eq!(seqs(&page["items"]), [4, 5]);
    let next = page["nextCursor"].as_str().unwrap();
    assert_eq!(shop.seqs(&format!("{uri}?events=true&cursor={next}")).await, [6, 7, 11]);
}

#[tokio::test]
async fn the_difference_of_two_versions_is_told_by_field() {
    let diff = Shop::open().json("/api/v1/diff?from=2&to=3").await;
    assert_eq!(diff["changed"], json!([{"path": "spec.image", "op": "replace", "before": "web:1", "after": "web:2"}]));
    assert_eq!((&diff["from"]["seq"], &diff["to"]["seq"]), (&json!(2), &json!(3)));
}

#[tokio::test]
async fn the_pages_of_a_state_are_of_one_moment() {
    let shop = Shop::open();
    let first = shop.json("/api/v1/state?limit=2&kind=po,deploy").await;
    let cursor = first["nextCursor"].as_str().unwrap().to_owned();
    shop.record(pod(Verb::Delete, "shop", "web-1", "p2"));
    shop.record(pod(Verb::Create, "shop", "web-3", "p3"));
    let second = shop.json(&format!("/api/v1/state?limit=2&kind=po,deploy&cursor={cursor}")).await;
    assert_eq!(second["at"], first["at"]);
    assert_eq!(second["nextCursor"], json!(null));
    let names = |page: &serde_json::Value| page["items"].as_array().unwrap().iter().map(|item| item["uid"].clone()).collect::<Vec<_>>();
    assert_eq!([names(&first), names(&second)].concat(), ["p9", "p2", "d1"]);
    assert_eq!(shop.json("/api/v1/state?kind=po").await["items"].as_array().unwrap().len(), 2, "now is another moment");
}

#[tokio::test]
async fn a_state_of_the_past_holds_what_was_alive_then() {
    let shop = Shop::open();
    let page = shop.json("/api/v1/state?at=2026-11-21T08:00:04Z&full=true").await;
    assert_eq!(seqs(&page["items"]), [4, 3]);
    assert_eq!(page["items"][1]["object"]["spec"]["image"], "web:2");
    assert_eq!(shop.seqs("/api/v1/state?namespace=_").await, [8]);
}
