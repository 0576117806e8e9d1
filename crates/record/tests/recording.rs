//! The recorder against a scripted API server and the in-memory journal: what is recorded, whatever goes wrong on the way.

#![allow(clippy::unwrap_used)]

mod fake_api;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fake_api::{FakeApi, Fault, Operation};
use jiff::Timestamp;
use proreus_model::{Clock, Filter, Order, Record, Seq, SeqRange};
use proreus_record::{
    ClusterSource, KEY_BYTES, Recorder, RecorderHandle, RecorderInputs, RecorderSettings, RedactionKey, RedactionSettings, Redactor,
    Selection, WatchCondition,
};
use proreus_store::{BodyDetail, Journal, MemoryJournal, ReadQuery};
use serde_json::json;
use zeroize::Zeroizing;

/// Longest wait for something that happens within milliseconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn only(patterns: &[&str]) -> RecorderSettings {
    RecorderSettings {
        selection: Selection { include: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(), ..Selection::default() },
        discovery_interval: Duration::from_millis(200),
        ..RecorderSettings::default()
    }
}

async fn record_with(fake: &FakeApi, journal: &MemoryJournal, settings: RecorderSettings) -> RecorderHandle {
    let key = RedactionKey::from_bytes(Zeroizing::new([3; KEY_BYTES]));
    let inputs = RecorderInputs {
        journal: Arc::new(journal.clone()),
        clock: Arc::new(SystemClock),
        redactor: Redactor::new(Arc::new(key), RedactionSettings::default()),
        clusters: vec![ClusterSource { alias: "fake".to_owned(), client: fake.client() }],
        settings,
    };
    Recorder::start(inputs).await.unwrap()
}

async fn record(fake: &FakeApi, journal: &MemoryJournal, patterns: &[&str]) -> RecorderHandle {
    record_with(fake, journal, only(patterns)).await
}

/// Waits until something is true, or fails with what is there instead.
async fn until(what: &str, recorder: &RecorderHandle, is_true: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}; board: {:#?}", recorder.board());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn synced(recorder: &RecorderHandle) {
    until("synced", recorder, || {
        let board = recorder.board();
        !board.watches.is_empty() && board.is_synced()
    })
    .await;
    recorder.flush().await;
}

fn records(journal: &MemoryJournal, filter: Filter) -> Vec<Record> {
    let query = ReadQuery {
        range: SeqRange { first: Seq(1), last: journal.watermark() },
        filter,
        after: None,
        order: Order::Ascending,
        limit: 100_000,
        detail: BodyDetail::Body,
    };
    journal.read(&query).unwrap().records.into_iter().map(|recorded| recorded.record).collect()
}

/// Each change as `verb origin name@version`, with `gap` where one is told.
fn changes(journal: &MemoryJournal) -> Vec<String> {
    records(journal, Filter::changes())
        .into_iter()
        .map(|record| match record {
            Record::Change(change) => {
                let gap = if change.gap.is_some() { " gap" } else { "" };
                format!("{} {} {}@{}{gap}", change.verb.as_str(), change.origin.as_str(), change.object.name, change.resource_version)
            }
            Record::Mark(_) => unreachable!("only changes were asked for"),
        })
        .collect()
}

/// Each mark as `kind resource`.
fn marks(journal: &MemoryJournal) -> Vec<String> {
    records(journal, Filter::marks())
        .into_iter()
        .map(|record| match record {
            Record::Mark(mark) => format!("{} {}", mark.kind.as_str(), mark.scope.resource).trim().to_owned(),
            Record::Change(_) => unreachable!("only marks were asked for"),
        })
        .collect()
}

fn marked(journal: &MemoryJournal, mark: &str) -> usize {
    marks(journal).iter().filter(|text| *text == mark).count()
}

fn bodies(journal: &MemoryJournal) -> String {
    records(journal, Filter::changes())
        .into_iter()
        .filter_map(|record| match record {
            Record::Change(change) => change.body.map(|body| String::from_utf8(body.to_vec()).unwrap() + "\n"),
            Record::Mark(_) => None,
        })
        .collect()
}

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
