//! The words, letter by letter. `UPDATE=1 cargo test --package proreus-doctor words` rewrites the golden files.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, ObjectId, Origin, Seq, Verb};
use serde_json::{Value, json};

use super::*;
use crate::Severity;
use crate::emission::{IncidentRecord, Notice, Occasion};

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn recorded() -> Value {
    json!({
        "apiVersion": "proreus.dev/v1",
        "kind": "Incident",
        "metadata": { "name": "inc-00000000000000ff", "uid": "inc-00000000000000ff", "namespace": "shop", "creationTimestamp": "2026-11-21T08:03:20Z" },
        "id": "inc-00000000000000ff",
        "state": "open",
        "object": {
            "cluster": "0a1b", "group": "apps", "resource": "deployments", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "u-1"
        },
        "severity": "critical",
        "reason": "ImagePullFailed",
        "message": "container `web` cannot pull registry.example.com/shop/web:v2: manifest unknown",
        "remediation": "push the tag, or set the image back to one that exists",
        "check": "image-pull",
        "openedAt": "2026-11-21T08:03:20.5Z",
        "lastSeenAt": "2026-11-21T08:03:20.5Z",
        "count": 1,
        "findings": [{ "check": "image-pull", "kind": "Pod", "name": "web-7d9f-x2x4k" }],
        "cause": { "seq": 41, "kind": "Deployment", "name": "web", "summary": "image of `web` changed from v1 to v2", "changed": [] },
        "evidence": [41, 57]
    })
}

fn notice(body: &Value, occasion: Occasion) -> Notice {
    let change = Change {
        seq: Seq(58),
        recorded_at: time("2026-11-21T08:03:21Z"),
        event_time: None,
        verb: Verb::Create,
        origin: Origin::Watch,
        gap: None,
        object: ObjectId {
            cluster: "0a1b".into(),
            group: "proreus.dev".into(),
            kind: "Incident".into(),
            namespace: "shop".into(),
            name: "inc-00000000000000ff".into(),
            uid: "inc-00000000000000ff".into(),
        },
        version: "v1".into(),
        resource: "incidents".into(),
        resource_version: "1".into(),
        generation: None,
        manager: Some("proreus".into()),
        regarding: None,
        body: Some(Arc::from(body.to_string().into_bytes())),
    };
    Notice {
        key: "0123456789abcdef-3a-hook".to_owned(),
        occasion,
        incident: Arc::new(IncidentRecord::read(&change).expect("it reads").expect("it is one")),
        cluster_name: Some("prod".to_owned()),
        told: 2,
        formerly: None,
        due: time("2026-11-21T08:03:21.123456789Z"),
    }
}

fn open() -> Notice {
    notice(&recorded(), Occasion::Opened)
}

fn resolved() -> Notice {
    let mut body = recorded();
    body["state"] = json!("resolved");
    body["resolvedAt"] = json!("2026-11-21T08:09:00Z");
    notice(&body, Occasion::Resolved)
}

fn setting() -> Setting {
    Setting { external_url: Some("https://proreus.example.com/".to_owned()) }
}

fn golden(name: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/emission/words/golden").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(value).expect("it prints"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "UPDATE=1 rewrites {name}");
}

#[test]
fn says_to_each_receiver_what_it_understands() {
    let now = time("2026-11-21T08:03:30Z");
    let minute = SignedDuration::from_mins(1);
    golden("webhook-opened.json", &webhook(&open(), &setting()));
    golden("webhook-resolved.json", &webhook(&resolved(), &Setting::default()));
    golden("sentinel-opened.json", &sentinel(&open(), &setting()));
    golden("sentinel-resolved.json", &sentinel(&resolved(), &setting()));
    golden("alertmanager-open-and-resolved.json", &alertmanager(&[open(), resolved()], &setting(), minute, now));
    golden("event-opened.json", &kubernetes_event(&open(), "proreus-0").expect("an Event").body);
    golden("event-resolved.json", &kubernetes_event(&resolved(), "proreus-0").expect("an Event").body);
}

#[test]
fn the_alert_with_the_former_severity_is_ended_where_it_changed() {
    let now = time("2026-11-21T08:03:30Z");
    let notice = Notice { formerly: Some(Severity::Warning), occasion: Occasion::Changed, ..open() };
    let alerts = alertmanager(&[notice], &Setting::default(), SignedDuration::from_mins(1), now);
    let told: Vec<(&Value, &Value)> =
        alerts.as_array().expect("a list").iter().map(|alert| (&alert["labels"]["severity"], &alert["endsAt"])).collect();
    let (ended, goes_on) = (json!("2026-11-21T08:03:30Z"), json!("2026-11-21T08:07:30Z"));
    assert_eq!(told, [(&json!("warning"), &ended), (&json!("critical"), &goes_on)]);
}

#[test]
fn the_labels_of_an_alert_are_the_same_from_its_opening_to_its_end() {
    let now = time("2026-11-21T08:03:30Z");
    let alerts = alertmanager(&[open(), resolved()], &Setting::default(), SignedDuration::from_mins(1), now);
    assert_eq!(alerts[0]["labels"], alerts[1]["labels"]);
    assert_eq!(alerts[1]["endsAt"], json!("2026-11-21T08:09:00Z"));
}

#[test]
fn an_event_fits_whatever_the_incident_says() {
    let mut body = recorded();
    body["message"] = json!("ü".repeat(900));
    body["remediation"] = json!("€".repeat(900));
    body["object"]["name"] = json!(format!("system:{}", "x".repeat(300)));
    body["object"]["namespace"] = json!("");
    let event = kubernetes_event(&notice(&body, Occasion::Opened), &"i".repeat(400)).expect("an Event");
    let text = event.body["message"].as_str().expect("a message");
    assert!(text.len() <= 1_024, "{}", text.len());
    assert!(text.starts_with('ü') && text.contains('€'), "both are there: {text}");
    assert_eq!(event.namespace, "default");
    assert_eq!(event.body["involvedObject"].get("namespace"), None);
    assert!(event.name.len() <= 253 && event.name.starts_with("system-xxx"), "{}", event.name);
    assert!(event.body["reportingInstance"].as_str().is_some_and(|instance| instance.len() <= 128));
}

#[test]
fn the_end_of_an_incident_is_an_event_of_its_own_and_repeats_are_not() {
    let name = |notice: &Notice| kubernetes_event(notice, "i").expect("an Event").name;
    let repeated = Notice { occasion: Occasion::Repeated, told: 7, ..open() };
    assert_eq!(name(&open()), name(&repeated));
    assert_ne!(name(&open()), name(&resolved()));
    assert_eq!(kubernetes_event(&repeated, "i").expect("an Event").body["count"], json!(7));
}

#[test]
fn what_no_cluster_holds_has_no_event() {
    let mut body = recorded();
    body["object"] = json!({ "cluster": "0a1b", "group": "", "resource": "registries", "kind": "Registry", "namespace": "", "name": "registry.example.com" });
    assert_eq!(kubernetes_event(&notice(&body, Occasion::Opened), "i"), None);
}

#[test]
fn an_incident_that_is_too_large_is_cut_and_still_told() {
    let mut body = recorded();
    body["findings"] = Value::Array((0..100).map(|number| json!({ "message": "x".repeat(20_000), "name": number.to_string() })).collect());
    let told = webhook(&notice(&body, Occasion::Opened), &Setting::default());
    assert!(told.to_string().len() <= MAX_BODY_BYTES);
    assert_eq!((told["cut"].clone(), told["findings"].as_array().map(Vec::len)), (json!(true), Some(5)));
    assert_eq!(told["id"], json!("inc-00000000000000ff"));
}
