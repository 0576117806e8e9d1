//! Writes a small journal of the format of today, and what it must answer, for `tests/kept`:
//! `cargo run --workspace --example keep -- crates/store/tests/kept/v1`.
//!
//! Everything in it is invented, from a seed. Run once for a version of the format; what it wrote is never written again.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, JournalId, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};
use proreus_store::stream::export;
use proreus_store::{Batch, Checkpoint, ConsumerCursor, Journal, OpenOptions, RetentionPolicy, SqliteJournal};
use support::{CLUSTER, gap, mark, settle};

/// Enough first versions for a dictionary.
const EVENTS: usize = 1_100;
/// Enough objects of a type for a seed.
const CONFIG_MAPS: usize = 80;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn change(at: Timestamp, kind: &str, name: &str, body: &str) -> Change {
    let resource = format!("{}s", kind.to_lowercase());
    let object = ObjectId {
        cluster: CLUSTER.into(),
        group: "".into(),
        kind: kind.into(),
        namespace: "kept".into(),
        name: name.into(),
        uid: format!("uid-{name}").into(),
    };
    Change {
        seq: Seq(0),
        recorded_at: at,
        event_time: None,
        verb: Verb::Create,
        origin: Origin::Watch,
        gap: None,
        object,
        version: "v1".into(),
        resource: resource.as_str().into(),
        resource_version: "7".into(),
        generation: None,
        manager: None,
        regarding: None,
        body: Some(Arc::from(body.as_bytes())),
    }
}

fn event(from: Timestamp, number: usize) -> Record {
    let seconds = SignedDuration::from_secs(number as i64);
    let name = format!("web-{number:04}.{:016x}", 0x17a0_0000_0000_0000_u64 + number as u64);
    let body =
        format!(r#"{{"reason":"Pulled","message":"image number {} is there","involvedObject":{{"name":"web-{number:04}"}}}}"#, number * 7);
    Record::Change(change(from.checked_add(seconds).unwrap(), "Event", &name, &body))
}

fn config_map(from: Timestamp, number: usize, say: &str) -> Record {
    let body = format!(r#"{{"apiVersion":"v1","data":{{"number":"{number}","say":"{say}"}},"metadata":{{"name":"settings-{number}"}}}}"#);
    let mut change = change(from, "ConfigMap", &format!("settings-{number}"), &body);
    change.verb = if say == "first" { Verb::Create } else { Verb::Update };
    Record::Change(change)
}

/// Changes of every shape that headers and bodies have a form of their own for.
fn odd(from: Timestamp) -> Vec<Record> {
    let step = |nanos: i64| from.checked_add(SignedDuration::from_nanos(nanos)).unwrap();
    let text_version = Change { resource_version: "opaque-007".into(), ..change(step(1), "Gadget", "text-version", r#"{"a":1.0}"#) };
    let no_body = Change { body: None, verb: Verb::Delete, ..change(step(1_000), "Gadget", "no-body", "") };
    let literal = change(step(2_000), "Gadget", "literal", "{\"a\":\"\u{1}\u{7}\"}");
    let mut after_gap = change(step(1_000_000), "Gadget", "after-gap", r#"{"b":[]}"#);
    (after_gap.origin, after_gap.gap, after_gap.generation) = (Origin::Relist, Some(gap(after_gap.recorded_at)), Some(-3));
    after_gap.manager = Some("somebody".into());
    let mut timed = change(step(2_000_000), "Gadget", "timed", r#"{"at":"2026-11-19T07:59:58.250000Z","to":"uid-other"}"#);
    (timed.event_time, timed.regarding) = (Some(at("2026-11-19T07:59:58.25Z")), Some("uid-other".into()));
    let again = Change { verb: Verb::Update, regarding: None, recorded_at: step(3_000_000), ..timed.clone() };
    let elsewhere = Change { regarding: Some("uid-third".into()), recorded_at: step(4_000_000), ..again.clone() };
    let same = Change { recorded_at: step(5_000_000), ..elsewhere.clone() };
    let hex = "0123456789abcdef".repeat(4);
    let digits = change(step(6_000_000), "Gadget", "digits", &format!(r#"{{"imageID":"registry.example.com/web@sha256:{hex}"}}"#));
    let changes = [text_version, no_body, literal, after_gap, timed, again, elsewhere, same, digits];
    changes.into_iter().map(Record::Change).collect()
}

/// One object over and over: more versions than build on one another.
fn often(from: Timestamp, count: usize) -> Vec<Record> {
    let update = |number: usize| {
        let body = format!(r#"{{"number":{number},"filler":"{}"}}"#, "word ".repeat(40));
        Change {
            verb: Verb::Update,
            ..change(from.checked_add(SignedDuration::from_secs(number as i64)).unwrap(), "Gadget", "often", &body)
        }
    };
    (1..=count).map(update).map(Record::Change).collect()
}

fn marks(from: Timestamp) -> Vec<Record> {
    use MarkKind::{ClockStepped, ConfigChanged, Gap, Refused, Stale, Stopped, Synced, WatchStarted};
    [WatchStarted, Synced, Stale, Gap, Stopped, ConfigChanged, ClockStepped, Refused].map(|kind| mark(from, kind)).into()
}

/// What the small cluster does from a moment, on a clock that leaves room in the day.
fn habits(cluster: &mut support::Cluster, from: Timestamp, count: usize) -> Vec<Record> {
    cluster.now = cluster.now.max(from);
    cluster.take(count)
}

fn scope(resource: &str) -> WatchScope {
    WatchScope { cluster: CLUSTER.into(), group: "".into(), resource: resource.into() }
}

fn main() {
    let target = std::env::args().nth(1).unwrap();
    let target = Path::new(&target);
    std::fs::create_dir_all(target).unwrap();
    let options = OpenOptions { id: Some(JournalId::from_bytes(*b"kept for reading")), ..OpenOptions::default() };
    let journal = SqliteJournal::open(target, &options).unwrap();
    let epoch = journal.begin_epoch().unwrap();
    let append = |mut records: Vec<Record>| {
        records.sort_by_key(Record::recorded_at);
        for chunk in records.chunks(100) {
            journal.append(epoch, &Batch { records: chunk.to_vec(), ..Batch::default() }).unwrap();
        }
        settle(&journal);
    };
    let mut cluster = support::Cluster::new(5, at("2026-11-18T08:00:00Z"), 3);
    cluster.pace = SignedDuration::from_secs(20);
    append(habits(&mut cluster, at("2026-11-18T08:00:00Z"), 120));
    for (day, say, version) in [("2026-11-19", "first", "4001"), ("2026-11-20", "second", "4002")] {
        let morning = at(&format!("{day}T08:00:00Z"));
        append(habits(&mut cluster, at(&format!("{day}T01:00:00Z")), 250));
        append([odd(morning), marks(morning)].concat());
        append(often(morning, 40));
        append((0..CONFIG_MAPS).map(|number| config_map(at(&format!("{day}T09:00:00Z")), number, say)).collect());
        // In the open day some bodies are coded before there is a dictionary, and some after.
        let count = if say == "first" { 40 } else { EVENTS };
        append((0..count).map(|number| event(at(&format!("{day}T10:00:00Z")), number)).collect());
        let kind = if say == "first" { "Widget" } else { "Sprocket" };
        append(vec![Record::Change(change(at(&format!("{day}T10:30:00Z")), kind, "alone", r#"{"a":"first of its kind"}"#))]);
        let position =
            |resource| Checkpoint { scope: scope(resource), resource_version: Some(version.into()), at: at(&format!("{day}T11:00:00Z")) };
        let cursor = |consumer: &str, state: &[u8]| ConsumerCursor {
            consumer: consumer.to_owned(),
            seq: journal.watermark(),
            state: state.to_vec(),
        };
        let batch = Batch {
            records: vec![mark(at(&format!("{day}T11:00:00Z")), MarkKind::Synced)],
            checkpoints: vec![position("pods"), position("events")],
            cursors: vec![cursor("incidents", br#"{"invented":true}"#), cursor("emission/none", &[]), cursor("binary", &[0, 255, 7])],
        };
        journal.append(epoch, &batch).unwrap();
        settle(&journal);
    }
    let policy = RetentionPolicy { max_age: Some(SignedDuration::from_hours(24)), max_bytes: None };
    journal.retain(&policy, at("2026-11-20T12:00:00Z")).unwrap();
    let answers = std::fs::File::create(target.join("answers.jsonl.zst")).unwrap();
    export(&journal, answers, &mut |_, _| ()).unwrap();
    drop(journal);
    std::fs::remove_file(target.join("lock")).unwrap();
}
