//! A live recording from end to end: the playground and `serve` as processes of their own, every endpoint asked, killed in between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use process::cluster::Hand;
use process::{Running, Serving, http, proreus, ran, text, until};
use serde_json::Value;

/// The playground as a process, with its story told fast.
fn playground(kubeconfig: &Path) -> (Running, Hand) {
    let mut command = proreus();
    command.args(["playground", "--listen", "127.0.0.1:0", "--speed", "120", "--kubeconfig", text(kubeconfig)]);
    let mut running = Running::start(command);
    running.says("kubectl --server http://");
    let log = running.log();
    let (_, rest) = log.split_once("kubectl --server http://").unwrap();
    let address = rest.chars().take_while(|sign| sign.is_ascii_digit() || matches!(sign, '.' | ':')).collect();
    (running, Hand { address })
}

fn key(object: &Value) -> String {
    let word = |name: &str| object[name].as_str().unwrap_or_default();
    format!("{}/{}/{}/{}/{}", word("group"), word("kind"), word("namespace"), word("name"), word("uid"))
}

/// What must be true of any journal: no position twice or out of order, no create twice, no version twice, nothing after a delete.
fn check_whole(changes: &[Value]) {
    let mut last = 0;
    let mut alive: BTreeMap<String, bool> = BTreeMap::new();
    let mut versions: BTreeSet<(String, String, String)> = BTreeSet::new();
    for change in changes {
        let (seq, object, verb) = (change["seq"].as_u64().unwrap(), key(change), change["verb"].as_str().unwrap());
        assert!(seq > last, "{seq} after {last}");
        last = seq;
        let version = (object.clone(), change["resourceVersion"].as_str().unwrap().to_owned(), verb.to_owned());
        assert!(versions.insert(version.clone()), "recorded twice: {version:?}");
        match verb {
            "create" => assert!(alive.insert(object.clone(), true).is_none(), "created twice: {object}"),
            "update" => assert_eq!(alive.get(&object), Some(&true), "updated before its create or after its delete: {object}"),
            "delete" => assert_eq!(alive.insert(object.clone(), false), Some(true), "deleted twice or unknown: {object}"),
            other => panic!("{other}"),
        }
    }
}

/// What the cluster holds of a collection: name to (uid, resourceVersion).
fn held(cluster: &Hand, collection: &str) -> BTreeMap<String, (String, String)> {
    let list: Value = serde_json::from_str(&http::get(&cluster.address, collection).body).unwrap();
    let text = |item: &Value, name: &str| item["metadata"][name].as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| (format!("{}/{}", text(item, "namespace"), text(item, "name")), (text(item, "uid"), text(item, "resourceVersion"))))
        .collect()
}

/// What the journal says that the cluster holds.
fn recorded(serving: &Serving, kind: &str) -> BTreeMap<String, (String, String)> {
    let mut all = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = serving.get(&format!("/api/v1/state?kind={kind}&limit=200{cursor}"));
        for item in page["items"].as_array().unwrap() {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            all.insert(format!("{}/{}", text("namespace"), text("name")), (text("uid"), text("resourceVersion")));
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn names(changes: &[Value]) -> Vec<String> {
    changes.iter().map(|of| format!("{} {}", of["verb"].as_str().unwrap(), of["name"].as_str().unwrap())).collect()
}

#[test]
fn nothing_is_lost_or_told_twice_over_kills_while_a_cluster_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (journal, kubeconfig) = (home.path().join("journal"), home.path().join("kubeconfig"));
    let (playing, cluster) = playground(&kubeconfig);
    let mut serving = Serving::start(&journal, &kubeconfig, &[]);
    serving.synced();
    let mut watermark = 0;
    for round in 0..4 {
        // While it records, while it is down, and again while it records.
        for step in 0..5 {
            cluster.config_map(&format!("kept-{round}-{step}"), "1");
            cluster.config_map("busy", &format!("{round} {step} up"));
        }
        until("something of this round", || !serving.changes(&format!("name=kept-{round}-0")).is_empty());
        let known = serving.changes("");
        check_whole(&known);
        watermark = known.last().unwrap()["seq"].as_u64().unwrap().max(watermark);
        serving.process.kill();
        cluster.config_map("busy", &format!("{round} down"));
        if round > 0 {
            cluster.delete(&format!("/api/v1/namespaces/default/configmaps/kept-{}-0", round - 1));
        }
        serving = Serving::start(&journal, &kubeconfig, &[]);
        let after = serving.changes("");
        assert_eq!(&after[..known.len()], &known[..], "what was answered stays as it was answered");
    }
    cluster.config_map("last", "1");
    until("the last one", || !serving.changes("name=last").is_empty());
    // The story goes on, so equality is waited for.
    for (collection, kind) in [
        ("/api/v1/configmaps", "ConfigMap"),
        ("/apis/apps/v1/deployments", "Deployment"),
        ("/api/v1/pods", "Pod"),
        ("/api/v1/secrets", "Secret"),
    ] {
        until(&format!("{kind} recorded as the cluster has them"), || recorded(&serving, kind) == held(&cluster, collection));
    }
    let changes = serving.changes("");
    check_whole(&changes);
    assert!(watermark > 0 && changes.iter().any(|change| change["seq"].as_u64() == Some(watermark)));
    let busy: Vec<Value> = changes.iter().filter(|change| change["name"] == "busy").cloned().collect();
    // One version for each write: those while nobody looked are caught up from the version that was committed.
    assert_eq!(busy.len(), 4 * 5 + 4, "{:?}", names(&busy));
    for round in 0..3 {
        let first: Vec<Value> = changes.iter().filter(|change| change["name"] == format!("kept-{round}-0")).cloned().collect();
        assert_eq!(
            names(&first),
            [format!("create kept-{round}-0"), format!("delete kept-{round}-0")],
            "its delete came while nobody looked"
        );
    }
    serving.process.end();
    playing.end();
    let read = ran(&["changes", "-o", "jsonl", "--data-dir", text(&journal)]).exits(0).lines();
    assert_eq!(read[..changes.len()], changes[..], "files and server give the same answers");
    ran(&["store", "verify", "--data-dir", text(&journal)]).exits(0);
}

#[test]
fn every_endpoint_answers_about_a_live_recording_and_the_same_after_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let (journal, kubeconfig) = (home.path().join("journal"), home.path().join("kubeconfig"));
    let (playing, cluster) = playground(&kubeconfig);
    let serving = Serving::start(&journal, &kubeconfig, &[]);
    serving.synced();
    cluster.config_map("settings", "one");
    until("the first version", || !serving.changes("name=settings").is_empty());
    cluster.config_map("settings", "two");
    until("both versions", || serving.changes("name=settings").len() == 2);
    let [made, changed] = &serving.changes("name=settings")[..] else { panic!("two versions") };
    let (from, to) = (made["seq"].as_u64().unwrap(), changed["seq"].as_u64().unwrap());
    let (then, later) = (made["recordedAt"].as_str().unwrap(), changed["recordedAt"].as_str().unwrap());
    assert_eq!(changed["changed"][0]["before"], "one");
    assert_eq!(changed["changed"][0]["after"], "two");

    // From the very first change on; the filter passes over the rest.
    let oldest = serving.get("/api/v1/changes?order=asc&limit=1")["nextCursor"].as_str().unwrap().to_owned();
    let stream = http::events(&serving.address, "/api/v1/changes/stream?name=settings", Some(&oldest), 2);
    let told: Vec<u64> = stream.iter().map(|(_, data)| serde_json::from_str::<Value>(data).unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!(told, [from, to]);
    let resumed = http::events(&serving.address, "/api/v1/changes/stream?name=settings", Some(&stream[0].0), 1);
    assert_eq!(resumed[0], stream[1], "a stream goes on where Last-Event-ID says");

    let object = "/api/v1/objects/core/ConfigMap/default/settings";
    // Answers about a closed past: they are the same for ever.
    let questions = [
        "/api/v1/changes?name=settings&limit=10".to_owned(),
        format!("{object}?at={then}"),
        format!("{object}?at={later}"),
        format!("{object}/history"),
        format!("/api/v1/diff?from={from}&to={to}"),
        format!("/api/v1/state?at={later}&kind=ConfigMap&namespace=default"),
        "/api/v1/events?resourceType=configmaps&resourceName=settings".to_owned(),
        "/api/v1/events/default/configmaps/settings".to_owned(),
    ];
    let answer = |serving: &Serving, question: &String| {
        let mut answer = serving.get(question);
        // Where one may go on to follow, which moves with what others do.
        answer.as_object_mut().and_then(|answer| answer.remove("endCursor"));
        answer
    };
    let ask = |serving: &Serving| -> Vec<Value> { questions.iter().map(|question| answer(serving, question)).collect() };
    let before = ask(&serving);
    assert_eq!(before[1]["object"]["data"]["value"], "one");
    assert_eq!(before[2]["object"]["data"]["value"], "two");
    assert_eq!(before[3]["items"].as_array().unwrap().len(), 2);
    assert!(before[4].to_string().contains("\"one\"") && before[4].to_string().contains("\"two\""));
    assert!(before[5].to_string().contains("settings"));
    assert_eq!(before[6].as_array().unwrap().len(), 2);
    let events = before[7].to_string();
    assert!(events.contains("settings"), "{events}");
    assert_eq!(http::get(&serving.address, "/api/v1/events?resourceName=nobody").status, 404);
    assert_eq!(http::get(&serving.address, "/api/v1/changes?limit=no").status, 400);

    serving.process.kill();
    let again = Serving::start(&journal, &kubeconfig, &[]);
    assert_eq!(ask(&again), before, "a kill changes no answer");
    cluster.config_map("later", "1");
    until("what came after the kill", || !again.changes("name=later").is_empty());
    assert_eq!(ask(&again), before, "nor does what is watched again");
    again.process.end();
    playing.end();
}
