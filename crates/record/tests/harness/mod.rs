//! What the tests of the recorder share: starting it, waiting for it, saying what it recorded.
//!
//! Not a test itself. Invariant: every wait ends, with the board in its message.

#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proreus_model::{Clock, Filter, Order, Record, Seq, SeqRange};
use proreus_record::{
    ClusterSource, KEY_BYTES, Recorder, RecorderHandle, RecorderInputs, RecorderSettings, RedactionKey, RedactionSettings, Redactor,
    Selection,
};
use proreus_store::{BodyDetail, Journal, MemoryJournal, ReadQuery};
use zeroize::Zeroizing;

use crate::fake_api::FakeApi;

/// Longest wait for something that happens within milliseconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    // A real API server lives in real time.
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

pub(crate) fn only(patterns: &[&str]) -> RecorderSettings {
    RecorderSettings {
        selection: Selection { include: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(), ..Selection::default() },
        discovery_interval: Duration::from_millis(200),
        ..RecorderSettings::default()
    }
}

pub(crate) async fn record_with(fake: &FakeApi, journal: &MemoryJournal, settings: RecorderSettings) -> RecorderHandle {
    let clusters = vec![ClusterSource { alias: "fake".to_owned(), client: fake.client() }];
    start(clusters, Arc::new(journal.clone()), Arc::new(SystemClock), settings).await
}

pub(crate) async fn start(
    clusters: Vec<ClusterSource>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    settings: RecorderSettings,
) -> RecorderHandle {
    let key = RedactionKey::from_bytes(Zeroizing::new([3; KEY_BYTES]));
    let inputs =
        RecorderInputs { journal, clock, redactor: Redactor::new(Arc::new(key), RedactionSettings::default()), clusters, settings };
    Recorder::start(inputs).await.unwrap()
}

pub(crate) async fn record(fake: &FakeApi, journal: &MemoryJournal, patterns: &[&str]) -> RecorderHandle {
    record_with(fake, journal, only(patterns)).await
}

/// Waits until something is true, or fails with what is there instead.
pub(crate) async fn until(what: &str, recorder: &RecorderHandle, is_true: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_true() {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}; board: {:#?}", recorder.board());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn synced(recorder: &RecorderHandle) {
    until("synced", recorder, || {
        let board = recorder.board();
        !board.watches.is_empty() && board.is_synced()
    })
    .await;
    recorder.flush().await;
}

pub(crate) fn records(journal: &dyn Journal, filter: Filter) -> Vec<Record> {
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
pub(crate) fn changes(journal: &dyn Journal) -> Vec<String> {
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
pub(crate) fn marks(journal: &dyn Journal) -> Vec<String> {
    records(journal, Filter::marks())
        .into_iter()
        .map(|record| match record {
            Record::Mark(mark) => format!("{} {}", mark.kind.as_str(), mark.scope.resource).trim().to_owned(),
            Record::Change(_) => unreachable!("only marks were asked for"),
        })
        .collect()
}

pub(crate) fn marked(journal: &dyn Journal, mark: &str) -> usize {
    marks(journal).iter().filter(|text| *text == mark).count()
}

pub(crate) fn bodies(journal: &dyn Journal) -> String {
    records(journal, Filter::changes())
        .into_iter()
        .filter_map(|record| match record {
            Record::Change(change) => change.body.map(|body| String::from_utf8(body.to_vec()).unwrap() + "\n"),
            Record::Mark(_) => None,
        })
        .collect()
}
