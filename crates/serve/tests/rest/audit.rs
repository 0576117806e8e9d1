//! The watch event service's rules, one test for each.

use proreus_model::Verb;
use serde_json::{Value, json};

use crate::shop::{Setup, Shop, Step, pod, seqs};

const NONE: [u64; 0] = [];
const NOTHING: &str = "no audit data available for the specified time range";

async fn found(uri: &str) -> Vec<u64> {
    let answer = Shop::open().get(uri).await;
    if answer.status == 200 {
        return seqs(&answer.json());
    }
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (404, NOTHING), "{uri}");
    Vec::new()
}

async fn refused(uri: &str, begins: &str) {
    let answer = Shop::open().get(uri).await;
    assert_eq!(answer.status, 400, "{uri}");
    assert!(answer.header("content-type").starts_with("text/plain"), "{uri}");
    assert!(answer.text.starts_with(begins), "{uri}: {}", answer.text);
}

#[tokio::test]
async fn events_are_a_bare_array_oldest_first() {
    assert_eq!(found("/api/v1/events").await, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}

#[tokio::test]
async fn every_filter_is_exact_and_all_must_hold() {
    assert_eq!(found("/api/v1/events?namespace=bank").await, [10]);
    assert_eq!(found("/api/v1/events?namespace=Bank").await, NONE);
    assert_eq!(found("/api/v1/events?resourceType=pods").await, [4, 6, 7, 10]);
    assert_eq!(found("/api/v1/events?resourceType=Pod").await, NONE);
    assert_eq!(found("/api/v1/events?resourceName=web-1").await, [4, 6, 7, 10]);
    assert_eq!(found("/api/v1/events?resourceName=web").await, [2, 3]);
    assert_eq!(found("/api/v1/events?resourceType=pods&namespace=shop&verb=create&resourceName=web-1").await, [4, 7]);
}

#[tokio::test]
async fn the_cluster_scope_is_an_underscore_or_a_dash() {
    assert_eq!(found("/api/v1/events?namespace=_").await, [8]);
    assert_eq!(found("/api/v1/events?namespace=-").await, [8]);
}

#[tokio::test]
async fn start_and_end_are_inclusive() {
    assert_eq!(found("/api/v1/events?start=2026-11-21T08:00:04Z&end=2026-11-21T08:00:06Z").await, [4, 5, 6]);
    assert_eq!(found("/api/v1/events?start=2026-11-21T10:00:04%2B02:00&end=2026-11-21T10:00:04%2B02:00").await, [4]);
}

#[tokio::test]
async fn an_end_before_the_start_matches_nothing() {
    assert_eq!(found("/api/v1/events?start=2026-11-21T08:00:06Z&end=2026-11-21T08:00:04Z").await, NONE);
}

#[tokio::test]
async fn an_unknown_verb_matches_nothing_and_is_no_error() {
    assert_eq!(found("/api/v1/events?verb=patch").await, NONE);
    assert_eq!(found("/api/v1/events?verb=delete").await, [6]);
}

#[tokio::test]
async fn the_user_is_a_constant() {
    assert_eq!(found("/api/v1/events?user=alice").await, NONE);
    assert_eq!(found("/api/v1/events?user=system:k8s-watcher&verb=delete").await, [6]);
}

#[tokio::test]
async fn an_empty_value_means_any() {
    assert_eq!(
        found("/api/v1/events?start=&end=&namespace=&resourceType=&resourceName=&verb=delete&user=&limit=&order=&cursor=").await,
        [6]
    );
}

#[tokio::test]
async fn an_unknown_parameter_is_ignored() {
    assert_eq!(found("/api/v1/events?verb=delete&pretty=1").await, [6]);
}

#[tokio::test]
async fn the_first_of_a_repeated_parameter_counts() {
    assert_eq!(found("/api/v1/events?verb=delete&verb=create").await, [6]);
}

#[tokio::test]
async fn a_bad_start_is_told_as_text() {
    refused("/api/v1/events?start=yesterday", "Invalid start time format: ").await;
    refused("/api/v1/events?start=2026-11-21", "Invalid start time format: ").await;
}

#[tokio::test]
async fn a_bad_end_is_told_as_text() {
    refused("/api/v1/events?end=2026-11-21T08:00:00", "Invalid end time format: ").await;
}

#[tokio::test]
async fn a_limit_that_is_no_number_is_told_as_text() {
    for limit in ["ten", "1.5", "99999999999999999999", "%20"] {
        refused(&format!("/api/v1/events?limit={limit}"), "Invalid limit: ").await;
    }
}

#[tokio::test]
async fn a_limit_out_of_range_silently_means_the_most() {
    let shop = Shop::empty(Setup { max_query_limit: 3, ..Setup::default() });
    shop.fill();
    for limit in ["0", "-5", "4", "1000000"] {
        assert_eq!(seqs(&shop.json(&format!("/api/v1/events?limit={limit}")).await), [2, 3, 4], "{limit}");
    }
    assert_eq!(seqs(&shop.json("/api/v1/events").await), [2, 3, 4], "the default is the most");
    assert_eq!(seqs(&shop.json("/api/v1/events?limit=2").await), [2, 3]);
}

#[tokio::test]
async fn total_count_is_the_number_returned() {
    let answer = Shop::open().get("/api/v1/events?limit=4").await;
    assert_eq!(answer.header("x-total-count"), "4");
}

#[tokio::test]
async fn has_more_is_true_only_when_more_match() {
    let shop = Shop::open();
    assert_eq!(shop.get("/api/v1/events?resourceType=pods&limit=3").await.header("x-has-more"), "true");
    let exactly = shop.get("/api/v1/events?resourceType=pods&limit=4").await;
    assert_eq!(exactly.header("x-has-more"), "false", "four match and four were asked for");
    assert_eq!(exactly.header("link"), "");
}

#[tokio::test]
async fn nothing_found_is_404_with_the_text_that_clients_compare() {
    let answer = Shop::open().get("/api/v1/events?namespace=nowhere").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (404, NOTHING));
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert_eq!(Shop::empty(Setup::default()).get("/api/v1/events").await.status, 404);
}

#[tokio::test]
async fn the_order_can_be_turned() {
    assert_eq!(found("/api/v1/events?order=desc&limit=3").await, [11, 10, 9]);
    assert_eq!(found("/api/v1/events?order=asc&limit=1").await, [2]);
    refused("/api/v1/events?order=up", "Invalid order: ").await;
}

#[tokio::test]
async fn links_lead_through_every_page_in_either_order() {
    let shop = Shop::open();
    for order in ["asc", "desc"] {
        let mut uri = format!("/api/v1/events?limit=3&order={order}&resourceType=pods");
        let mut seen = Vec::new();
        loop {
            let answer = shop.get(&uri).await;
            seen.extend(seqs(&answer.json()));
            let link = answer.header("link").to_owned();
            let Some(next) = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else { break };
            assert_eq!(answer.header("x-has-more"), "true");
            uri = next.to_owned();
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, [4, 6, 7, 10]);
    }
}

#[tokio::test]
async fn a_cursor_that_is_none_is_400_and_one_of_elsewhere_410() {
    refused("/api/v1/events?cursor=12", "Invalid cursor: ").await;
    let answer = Shop::open().get("/api/v1/events?cursor=abababababababababababababababab-1").await;
    assert_eq!(answer.status, 410);
    assert!(answer.header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn an_event_has_the_older_services_fields_in_its_order_then_ours() {
    let shop = Shop::open();
    let text = shop.get("/api/v1/events?verb=update").await.text;
    let keys = [
        "timestamp",
        "verb",
        "user",
        "namespace",
        "resourceType",
        "resourceName",
        "responseStatus",
        "message",
        "objectChanges",
        "annotations",
        "stage",
        "requestURI",
        "seq",
        "uid",
        "resourceVersion",
        "generation",
        "apiGroup",
        "apiVersion",
        "kind",
        "origin",
        "changed",
        "manager",
    ];
    let events: Vec<indexed::Keys> = serde_json::from_str(&text).unwrap();
    assert_eq!(events[0].0, keys);
    let event = &shop.json("/api/v1/events?verb=update").await[0];
    let constants = ["user", "responseStatus", "stage"].map(|key| event[key].clone());
    assert_eq!(constants, [json!("system:k8s-watcher"), json!(200), json!("ResponseComplete")]);
    assert_eq!(event["manager"], "kubectl");
    assert_eq!(event["changed"], json!([{"path": "spec.image", "op": "replace", "before": "web:1", "after": "web:2"}]));
}

#[tokio::test]
async fn the_message_is_a_sentence_with_the_place() {
    let shop = Shop::open();
    let messages: Vec<Value> =
        shop.json("/api/v1/events?limit=7").await.as_array().unwrap().iter().map(|event| event["message"].clone()).collect();
    assert_eq!(messages[0], "Create deployments shop/web");
    assert_eq!(messages[4], "Delete pods shop/web-1");
    assert_eq!(messages[6], "Create nodes n1");
}

#[tokio::test]
async fn a_kubernetes_event_speaks_for_itself() {
    let events = Shop::open().json("/api/v1/events?resourceType=events").await;
    assert_eq!((&events[0]["message"], &events[0]["reason"]), (&json!("Successfully pulled image"), &json!("Pulled")));
    assert_eq!((&events[1]["message"], &events[1]["reason"]), (&json!("Stopping container web"), &json!("Killing")));
}

#[tokio::test]
async fn the_object_comes_whole_without_its_bookkeeping() {
    let event = Shop::open().json("/api/v1/events?resourceName=web&verb=create").await[0].clone();
    let metadata = event["objectChanges"]["metadata"].as_object().unwrap();
    let keys: Vec<&str> = metadata.keys().map(String::as_str).collect();
    assert_eq!(keys, ["annotations", "name", "namespace"]);
    assert_eq!(event["objectChanges"]["spec"]["big"].to_string(), "12345678901234567890");
    assert_eq!(event["annotations"], json!({"team": "shop"}));
}

#[tokio::test]
async fn the_request_uri_names_the_group_and_the_scope() {
    let shop = Shop::open();
    for (query, uri) in [
        ("resourceName=web", "/apis/apps/v1/namespaces/shop/deployments/web"),
        ("resourceType=pods", "/api/v1/namespaces/shop/pods/web-1"),
        ("resourceType=nodes", "/api/v1/nodes/n1"),
    ] {
        assert_eq!(shop.json(&format!("/api/v1/events?{query}")).await[0]["requestURI"], uri);
    }
}

#[tokio::test]
async fn the_namespace_of_a_cluster_scoped_object_is_there_and_empty() {
    assert_eq!(Shop::open().json("/api/v1/events?resourceType=nodes").await[0]["namespace"], "");
}

#[tokio::test]
async fn times_are_utc_with_the_digits_they_need() {
    assert_eq!(Shop::open().json("/api/v1/events").await[0]["timestamp"], "2026-11-21T08:00:02Z");
}

#[tokio::test]
async fn an_object_has_its_changes_and_the_events_about_every_incarnation() {
    let answer = Shop::open().get("/api/v1/events/shop/pods/web-1").await;
    assert_eq!(answer.header("x-has-more"), "false");
    let object = answer.json();
    assert_eq!(seqs(&object["watchEvents"]), [4, 6, 7]);
    assert_eq!(seqs(&object["relatedEvents"]), [5, 11]);
    assert_eq!(object["relatedEvents"][0]["message"], "Successfully pulled image");
    assert_eq!([&object["namespace"], &object["resourceType"], &object["resourceName"]], ["shop", "pods", "web-1"]);
}

#[tokio::test]
async fn events_about_another_object_of_the_same_name_are_not_told() {
    let object = Shop::open().json("/api/v1/events/bank/pods/web-1").await;
    assert_eq!(seqs(&object["watchEvents"]), [10]);
    assert_eq!(object["relatedEvents"], json!([]), "an empty section is a list");
}

#[tokio::test]
async fn a_cluster_scoped_object_is_reached_by_an_underscore_or_a_dash() {
    for scope in ["_", "-"] {
        let object = Shop::open().json(&format!("/api/v1/events/{scope}/nodes/n1")).await;
        assert_eq!(seqs(&object["watchEvents"]), [8]);
        assert_eq!(object["namespace"], "");
    }
}

#[tokio::test]
async fn an_object_that_nobody_saw_is_404_with_the_text_that_clients_compare() {
    let answer = Shop::open().get("/api/v1/events/shop/pods/nobody").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (404, "no events found for this object"));
}

#[tokio::test]
async fn an_object_with_a_very_long_history_keeps_its_newest_part_and_says_so() {
    let shop = Shop::empty(Setup::default());
    let large = "x".repeat(1024 * 1024);
    for _ in 0..50 {
        shop.record(Step { fields: json!({"data": large}), ..pod(Verb::Update, "shop", "web-1", "p1") });
    }
    let answer = shop.get("/api/v1/events/shop/pods/web-1").await;
    assert_eq!(answer.header("x-has-more"), "true");
    let told = seqs(&answer.json()["watchEvents"]);
    assert_eq!(told.last(), Some(&50));
    assert!(told.len() < 50 && told.is_sorted(), "{told:?}");
}

#[tokio::test]
async fn health_is_what_it_was() {
    let answer = Shop::open().get("/health").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, r#"{"status":"healthy"}"#));
}

mod indexed {
    //! The keys of a JSON object in the order in which they stand.

    use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

    pub(crate) struct Keys(pub(crate) Vec<String>);

    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> Visitor<'de> for Collect {
                type Value = Keys;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, IgnoredAny)) = map.next_entry()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            deserializer.deserialize_map(Collect)
        }
    }
}
