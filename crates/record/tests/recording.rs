//! The recorder against a scripted API server and the in-memory journal: what is recorded, whatever goes wrong on the way.

#![allow(clippy::unwrap_used)]

mod fake_api;
mod harness;

use std::time::Duration;

use fake_api::{FakeApi, Fault, Operation};
use harness::{bodies, changes, marked, marks, only, record, record_with, records, synced, until};
use proreus_model::{Filter, Record};
use proreus_record::{RecorderSettings, WatchCondition};
use proreus_store::MemoryJournal;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_what_was_there_and_what_happens_then() {
    let fake = FakeApi::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        fake.apply("pods", name, json!({"spec": {"x": 1}}));
    }
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods"]).await;
    synced(&recorder).await;
    fake.apply("pods", "a", json!({"spec": {"x": 2}}));
    fake.apply("pods", "f", json!({}));
    fake.delete("pods", "b");
    until("eight changes", &recorder, || changes(&journal).len() == 8).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(
        changes(&journal),
        [
            "create snapshot a@101",
            "create snapshot b@102",
            "create snapshot c@103",
            "create snapshot d@104",
            "create snapshot e@105",
            "update watch a@106",
            "create watch f@107",
            "delete watch b@108",
        ]
    );
    assert_eq!(marks(&journal), ["configChanged", "watchStarted", "watchStarted pods", "synced pods", "stopped"]);
    assert!(bodies(&journal).starts_with(r#"{"apiVersion":"v1","kind":"Pod","metadata":{"creationTimestamp":"#));
    assert!(!bodies(&journal).contains("managedFields"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_where_it_ended_without_repeating_a_create() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods"]).await;
    synced(&recorder).await;
    recorder.shutdown().await.unwrap();
    fake.apply("pods", "a", json!({"spec": 1}));
    fake.apply("pods", "b", json!({}));
    fake.delete("pods", "b");
    let recorder = record(&fake, &journal, &["pods"]).await;
    until("what happened in between", &recorder, || changes(&journal).len() == 4).await;
    synced(&recorder).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal), ["create snapshot a@101", "update watch a@102", "create watch b@103", "delete watch b@104"]);
    assert_eq!(fake.requests().iter().filter(|request| request.contains("limit=")).count(), 1, "{:#?}", fake.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compares_with_what_it_knows_when_history_expired_while_it_was_away() {
    let fake = FakeApi::start().await;
    for name in ["gone", "same", "changed", "replaced"] {
        fake.apply("pods", name, json!({"spec": 1}));
    }
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods"]).await;
    synced(&recorder).await;
    recorder.shutdown().await.unwrap();
    let before = changes(&journal).len();
    fake.delete("pods", "gone");
    fake.apply("pods", "changed", json!({"spec": 2}));
    fake.apply("pods", "changed", json!({"spec": 3}));
    fake.delete("pods", "replaced");
    fake.apply("pods", "replaced", json!({"spec": 1}));
    fake.apply("pods", "new", json!({}));
    fake.compact();
    let recorder = record(&fake, &journal, &["pods"]).await;
    until("a second synced mark", &recorder, || marked(&journal, "synced pods") == 2).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(
        changes(&journal).split_off(before),
        [
            "update relist changed@107 gap",
            "create relist new@110 gap",
            "delete relist replaced@104 gap",
            "create relist replaced@109 gap",
            "delete relist gone@101 gap",
        ]
    );
    assert_eq!(marked(&journal, "gap pods"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_list_cut_in_the_middle_and_a_restart_still_give_snapshots_once() {
    let fake = FakeApi::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        fake.apply("pods", name, json!({}));
    }
    fake.fail("pods", Operation::List, [Fault::None, Fault::Status(500, None), Fault::Status(500, None)]);
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods"]).await;
    until("the first page", &recorder, || changes(&journal).len() == 3).await;
    recorder.shutdown().await.unwrap();
    let recorder = record(&fake, &journal, &["pods"]).await;
    synced(&recorder).await;
    recorder.shutdown().await.unwrap();
    let mut said = changes(&journal);
    said.sort();
    assert_eq!(
        said,
        ["create snapshot a@101", "create snapshot b@102", "create snapshot c@103", "create snapshot d@104", "create snapshot e@105"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loses_and_repeats_nothing_when_streams_break_in_every_way() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({"spec": 0}));
    let journal = MemoryJournal::new();
    fake.fail(
        "pods",
        Operation::Watch,
        [
            Fault::Status(422, None),
            Fault::Close,
            Fault::CutAfter(40),
            Fault::Status(429, Some(1)),
            Fault::Prefix(b"<html>502 Bad Gateway</html>\n".to_vec()),
            Fault::ErrorEvent(500),
            Fault::Stall,
        ],
    );
    let settings = RecorderSettings { watch_timeout: Duration::from_secs(1), ..only(&["pods"]) };
    let recorder = record_with(&fake, &journal, settings).await;
    synced(&recorder).await;
    for round in 0..5 {
        for version in 0..4 {
            fake.apply("pods", "a", json!({"spec": [round, version]}));
        }
        fake.cut_streams();
        until("the versions of the round", &recorder, || changes(&journal).len() == 5 + 4 * round).await;
    }
    recorder.shutdown().await.unwrap();
    let expected: Vec<String> =
        std::iter::once("create snapshot a@101".to_owned()).chain((102..=121).map(|version| format!("update watch a@{version}"))).collect();
    assert_eq!(changes(&journal), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streaming_list_and_pages_record_the_same() {
    let mut said = Vec::new();
    for streaming in [true, false] {
        let fake = FakeApi::start().await;
        fake.set_streaming(streaming);
        for name in ["a", "b", "c", "d", "e"] {
            fake.apply("pods", name, json!({}));
        }
        let journal = MemoryJournal::new();
        let recorder = record(&fake, &journal, &["pods"]).await;
        synced(&recorder).await;
        fake.apply("pods", "a", json!({"spec": 1}));
        until("the update", &recorder, || changes(&journal).len() == 6).await;
        recorder.shutdown().await.unwrap();
        said.push((changes(&journal), bodies(&journal)));
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_type_stops_alone_and_comes_back_by_itself() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    fake.apply("nodes", "n", json!({}));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods", "nodes"]).await;
    synced(&recorder).await;
    fake.fail("pods", Operation::Watch, [Fault::Status(403, None), Fault::Status(403, None)]);
    until("pods stopped", &recorder, || {
        fake.cut_streams();
        recorder.board().watches.iter().any(|watch| watch.scope.resource.as_str() == "pods" && watch.condition == WatchCondition::Stopped)
    })
    .await;
    until("pods synced again", &recorder, || marked(&journal, "synced pods") == 2).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal).len(), 2, "{:?}", changes(&journal));
    assert_eq!((marked(&journal, "stopped pods"), marked(&journal, "stopped nodes")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_group_and_an_excluded_type_write_no_delete() {
    for aggregated in [true, false] {
        let fake = FakeApi::start().await;
        fake.set_aggregated(aggregated);
        fake.serve("shop.example", "v1", "carts", "Cart", true);
        fake.apply("carts", "c", json!({}));
        fake.apply("pods", "a", json!({}));
        let journal = MemoryJournal::new();
        let recorder = record(&fake, &journal, &["pods", "carts"]).await;
        synced(&recorder).await;
        fake.set_stale_group("shop.example");
        fake.unserve("carts");
        until("carts stopped by 404", &recorder, || {
            fake.cut_streams();
            marked(&journal, "stopped carts") == 1
        })
        .await;
        recorder.reconfigure(only(&["carts"])).await;
        until("pods excluded", &recorder, || marked(&journal, "stopped pods") == 1).await;
        recorder.reconfigure(only(&["carts", "pods"])).await;
        until("pods back", &recorder, || marked(&journal, "synced pods") == 2).await;
        recorder.shutdown().await.unwrap();
        let mut said = changes(&journal);
        said.sort();
        assert_eq!(said, ["create snapshot a@102", "create snapshot c@101"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_come_are_watched_and_types_that_go_are_stopped() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods", "carts"]).await;
    synced(&recorder).await;
    fake.serve("shop.example", "v1", "carts", "Cart", true);
    fake.apply("carts", "c", json!({}));
    until("the cart", &recorder, || changes(&journal).len() == 2).await;
    fake.unserve("carts");
    until("carts stopped", &recorder, || marked(&journal, "stopped carts") == 1).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal), ["create snapshot a@101", "create snapshot c@102"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_changes_leads_to_discovery_within_seconds() {
    let fake = FakeApi::start().await;
    fake.serve("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false);
    let journal = MemoryJournal::new();
    let settings = RecorderSettings { discovery_interval: Duration::from_secs(3600), ..only(&["customresourcedefinitions", "carts"]) };
    let recorder = record_with(&fake, &journal, settings).await;
    synced(&recorder).await;
    fake.serve("shop.example", "v1", "carts", "Cart", true);
    fake.apply("carts", "c", json!({}));
    fake.apply("customresourcedefinitions", "carts.shop.example", json!({}));
    until("the definition and the cart", &recorder, || changes(&journal).len() == 2).await;
    recorder.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_expires_is_no_change() {
    let fake = FakeApi::start().await;
    let event = |count: u32| json!({"involvedObject": {"uid": "pod-1"}, "count": count, "lastTimestamp": "2026-11-21T10:00:00Z"});
    fake.apply("events", "e", event(1));
    fake.apply("events", "old", event(1));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["events"]).await;
    synced(&recorder).await;
    fake.apply("events", "e", event(2));
    until("the count", &recorder, || changes(&journal).len() == 3).await;
    fake.delete("events", "e");
    fake.apply("events", "f", event(1));
    until("the next event", &recorder, || changes(&journal).len() == 4).await;
    recorder.shutdown().await.unwrap();
    fake.delete("events", "old");
    fake.compact();
    let recorder = record(&fake, &journal, &["events"]).await;
    until("listed again", &recorder, || marked(&journal, "synced events") == 2).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal), ["create snapshot e@101", "create snapshot old@102", "update watch e@103", "create watch f@105"]);
    let Record::Change(change) = records(&journal, Filter::changes()).remove(0) else { panic!("a change") };
    assert_eq!(change.regarding, Some("pod-1".into()));
    assert_eq!(change.event_time, Some("2026-11-21T10:00:00Z".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_are_dropped_and_still_move_the_position() {
    let fake = FakeApi::start().await;
    let node = |beat: u32, ready: &str| json!({"status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": beat}]}});
    fake.apply("nodes", "n", node(1, "True"));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["nodes"]).await;
    synced(&recorder).await;
    fake.apply("nodes", "n", node(2, "True"));
    let last = fake.apply("nodes", "n", node(3, "True"));
    until("the position moved", &recorder, || {
        recorder.board().watches.iter().any(|watch| watch.durable_version == Some(last.as_str().into()))
    })
    .await;
    recorder.shutdown().await.unwrap();
    // After a restart the recorded content decides.
    let recorder = record(&fake, &journal, &["nodes"]).await;
    fake.apply("nodes", "n", node(4, "True"));
    fake.apply("nodes", "n", node(5, "False"));
    until("the real change", &recorder, || changes(&journal).len() == 2).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal), ["create snapshot n@101", "update watch n@105"]);
    assert!(fake.requests().iter().any(|request| request.contains(&format!("resourceVersion={last}"))), "{:#?}", fake.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_value_reaches_the_journal() {
    let fake = FakeApi::start().await;
    let secret = |value: &str| json!({"type": "Opaque", "data": {"password": value}});
    fake.apply("secrets", "s", secret("Y2FuYXJ5"));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["secrets"]).await;
    synced(&recorder).await;
    fake.apply("secrets", "s", secret("Y2FuYXJ5Mg=="));
    until("the rotation", &recorder, || changes(&journal).len() == 2).await;
    recorder.shutdown().await.unwrap();
    let said = bodies(&journal);
    assert!(!said.contains("Y2FuYXJ5") && !said.contains("canary") && said.matches("redacted:").count() == 2, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_marked_and_everything_else_goes_on() {
    let fake = FakeApi::start().await;
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    fake.apply("pods", "a", json!({}));
    fake.apply("pods", "deep", json!({"spec": deep}));
    fake.apply("pods", "huge", json!({"spec": "x".repeat(4 * 1024 * 1024)}));
    fake.apply("pods", "z", json!({}));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods"]).await;
    synced(&recorder).await;
    fake.apply("pods", "huge", json!({"spec": "x".repeat(4 * 1024 * 1024)}));
    fake.apply("pods", "z", json!({"spec": 1}));
    until("the update behind the huge one", &recorder, || changes(&journal).len() == 3).await;
    assert_eq!(recorder.board().watches[0].counters.refused, 3);
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal), ["create snapshot a@101", "create snapshot z@104", "update watch z@106"]);
    assert!(marked(&journal, "refused pods") >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_grew_too_large_to_list_is_not_taken_for_deleted() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "grows", json!({}));
    fake.apply("pods", "goes", json!({}));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods"]).await;
    synced(&recorder).await;
    recorder.shutdown().await.unwrap();
    fake.apply("pods", "grows", json!({"spec": "x".repeat(4 * 1024 * 1024)}));
    fake.delete("pods", "goes");
    fake.compact();
    let recorder = record(&fake, &journal, &["pods"]).await;
    until("listed again", &recorder, || marked(&journal, "synced pods") == 2).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal).split_off(2), ["delete relist goes@101 gap".replace("101", "102")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_leaves_a_label_selection_is_not_deleted() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({"labels": {"team": "shop"}}));
    fake.apply("pods", "b", json!({"labels": {"team": "shop"}}));
    let journal = MemoryJournal::new();
    let mut settings = only(&["pods"]);
    settings.selection.label_selectors = vec![("pods".parse().unwrap(), "team=shop".to_owned())];
    let recorder = record_with(&fake, &journal, settings).await;
    synced(&recorder).await;
    fake.apply("pods", "a", json!({"labels": {"team": "other"}}));
    fake.apply("pods", "a", json!({"labels": {"team": "shop"}, "spec": 2}));
    fake.delete("pods", "b");
    until("the delete", &recorder, || changes(&journal).len() == 4).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal), ["create snapshot a@101", "create snapshot b@102", "update relist a@104 gap", "delete watch b@105"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_that_leads_elsewhere_is_another_cluster() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = MemoryJournal::new();
    let recorder = record(&fake, &journal, &["pods"]).await;
    synced(&recorder).await;
    fake.set_cluster("cluster-b");
    until("both clusters have the pod", &recorder, || {
        // Again and again, because the first stream may not be open yet.
        fake.cut_streams();
        changes(&journal).len() == 2
    })
    .await;
    recorder.shutdown().await.unwrap();
    let clusters: Vec<String> = records(&journal, Filter::changes())
        .into_iter()
        .map(|record| match record {
            Record::Change(change) => format!("{} {}", change.object.cluster, change.origin.as_str()),
            Record::Mark(_) => String::new(),
        })
        .collect();
    assert_eq!(clusters, ["cluster-a snapshot", "cluster-b snapshot"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newly_included_namespace_is_listed_and_what_was_there_is_recorded() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = MemoryJournal::new();
    let mut settings = only(&["pods"]);
    settings.selection.exclude_namespaces = vec!["shop".into()];
    let recorder = record_with(&fake, &journal, settings).await;
    synced(&recorder).await;
    assert_eq!(changes(&journal).len(), 0);
    recorder.reconfigure(only(&["pods"])).await;
    until("the pod", &recorder, || changes(&journal).len() == 1).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(marked(&journal, "configChanged"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_whose_definition_went_while_nobody_looked_went_with_it() {
    let fake = FakeApi::start().await;
    fake.serve("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false);
    fake.serve("shop.example", "v1", "carts", "Cart", true);
    fake.serve("metrics.example", "v1", "loads", "Load", true);
    fake.apply("customresourcedefinitions", "carts.shop.example", json!({}));
    fake.apply("carts", "c", json!({}));
    fake.apply("loads", "l", json!({}));
    let journal = MemoryJournal::new();
    let patterns = ["customresourcedefinitions", "carts", "loads"];
    let recorder = record(&fake, &journal, &patterns).await;
    until("three objects", &recorder, || changes(&journal).len() == 3).await;
    synced(&recorder).await;
    recorder.shutdown().await.unwrap();
    fake.delete("customresourcedefinitions", "carts.shop.example");
    fake.unserve("carts");
    // Served by another server that is not there any more: nothing is known of its objects.
    fake.unserve("loads");
    let recorder = record(&fake, &journal, &patterns).await;
    until("the cart and its definition are gone", &recorder, || deletes(&journal).len() == 2).await;
    let told = || (marked(&journal, "stopped carts"), marked(&journal, "stopped loads"));
    until("both types are told as stopped", &recorder, || told() == (1, 1)).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(deletes(&journal), ["delete relist c@102 gap", "delete watch carts.shop.example@104"]);

    // Told once: a further start has nothing to add.
    let recorder = record(&fake, &journal, &patterns).await;
    synced(&recorder).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(told(), (1, 1));
    assert_eq!(deletes(&journal).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_is_not_recorded_is_known_all_the_same_when_it_went() {
    let fake = FakeApi::start().await;
    fake.serve("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false);
    fake.serve("shop.example", "v1", "carts", "Cart", true);
    fake.serve("metrics.example", "v1", "loads", "Load", true);
    fake.apply("customresourcedefinitions", "carts.shop.example", json!({}));
    fake.apply("carts", "c", json!({}));
    fake.apply("loads", "l", json!({}));
    let journal = MemoryJournal::new();
    let patterns = ["pods", "carts", "loads"];
    let recorder = record(&fake, &journal, &patterns).await;
    until("both objects", &recorder, || changes(&journal).len() == 2).await;
    recorder.shutdown().await.unwrap();
    fake.delete("customresourcedefinitions", "carts.shop.example");
    fake.unserve("carts");
    fake.unserve("loads");
    let recorder = record(&fake, &journal, &patterns).await;
    until("both types are told as stopped", &recorder, || marked(&journal, "stopped carts") + marked(&journal, "stopped loads") == 2).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(deletes(&journal), ["delete relist c@102 gap"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_type_that_went_after_half_of_its_first_list_leaves_no_object_behind() {
    let fake = FakeApi::start().await;
    fake.serve("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false);
    fake.serve("shop.example", "v1", "carts", "Cart", true);
    fake.apply("customresourcedefinitions", "carts.shop.example", json!({}));
    for name in ["a", "b", "c", "d", "e"] {
        fake.apply("carts", name, json!({}));
    }
    fake.fail("carts", Operation::List, [Fault::None, Fault::Status(500, None), Fault::Status(500, None)]);
    let journal = MemoryJournal::new();
    let patterns = ["pods", "carts"];
    let recorder = record(&fake, &journal, &patterns).await;
    until("the first page", &recorder, || changes(&journal).len() == 3).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(marked(&journal, "synced carts"), 0);
    fake.delete("customresourcedefinitions", "carts.shop.example");
    fake.unserve("carts");
    let recorder = record(&fake, &journal, &patterns).await;
    until("carts told as stopped", &recorder, || marked(&journal, "stopped carts") == 1).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(deletes(&journal).len(), 3);
}

fn deletes(journal: &MemoryJournal) -> Vec<String> {
    let mut deletes: Vec<String> = changes(journal).into_iter().filter(|change| change.starts_with("delete")).collect();
    deletes.sort();
    deletes
}
