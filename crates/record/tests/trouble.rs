//! The recorder when what it stands on gives way: the journal, the clock, the cluster as a whole.

#![allow(clippy::unwrap_used)]

mod fake_api;
mod harness;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use fake_api::FakeApi;
use harness::{SystemClock, changes, marked, marks, only, start, synced, until};
use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, Clock, ClusterId, Filter, JournalId, ObjectId, ResourceType, Seq, WatchScope};
use proreus_record::{ClusterSource, RecordError, WatchCondition};
use proreus_store::{
    Appended, Batch, BodyDetail, Checkpoint, ConsumerCursor, Head, Journal, MemoryJournal, ObjectsPage, Oldest, Page, ReadQuery, Retained,
    RetentionPolicy, SegmentSummary, StoreError, WriterEpoch,
};
use serde_json::json;

/// A journal that refuses appends when told.
#[derive(Clone, Default)]
struct Failing {
    inner: MemoryJournal,
    /// 0: none, 1: full, 2: another writer took over.
    trouble: Arc<AtomicU8>,
    /// Held by a test to keep appends waiting.
    gate: Arc<Mutex<()>>,
}

impl Journal for Failing {
    fn append(&self, epoch: WriterEpoch, batch: &Batch) -> Result<Appended, StoreError> {
        let _open = self.gate.lock().unwrap();
        match self.trouble.load(Ordering::SeqCst) {
            1 => Err(StoreError::Full { dir: "data".to_owned() }),
            2 => Err(StoreError::Fenced { given: 1, current: 2 }),
            _ => self.inner.append(epoch, batch),
        }
    }
    fn id(&self) -> JournalId {
        self.inner.id()
    }
    fn begin_epoch(&self) -> Result<WriterEpoch, StoreError> {
        self.inner.begin_epoch()
    }
    fn watermark(&self) -> Seq {
        self.inner.watermark()
    }
    fn last_recorded_at(&self) -> Option<Timestamp> {
        self.inner.last_recorded_at()
    }
    fn oldest(&self) -> Result<Option<Oldest>, StoreError> {
        self.inner.oldest()
    }
    fn seq_at(&self, time: Timestamp) -> Result<Seq, StoreError> {
        self.inner.seq_at(time)
    }
    fn read(&self, query: &ReadQuery) -> Result<Page, StoreError> {
        self.inner.read(query)
    }
    fn state(&self, object: &ObjectId, at: Seq) -> Result<Option<Change>, StoreError> {
        self.inner.state(object, at)
    }
    fn objects(
        &self,
        at: Seq,
        filter: &Filter,
        after: Option<&ObjectId>,
        limit: usize,
        detail: BodyDetail,
    ) -> Result<ObjectsPage, StoreError> {
        self.inner.objects(at, filter, after, limit, detail)
    }
    fn heads(&self, scope: &WatchScope) -> Result<Vec<Head>, StoreError> {
        self.inner.heads(scope)
    }
    fn head(&self, object: &ObjectId) -> Result<Option<Head>, StoreError> {
        self.inner.head(object)
    }
    fn clusters(&self) -> Result<Vec<ClusterId>, StoreError> {
        self.inner.clusters()
    }
    fn types(&self) -> Result<Vec<ResourceType>, StoreError> {
        self.inner.types()
    }
    fn checkpoints(&self, cluster: &ClusterId) -> Result<Vec<Checkpoint>, StoreError> {
        self.inner.checkpoints(cluster)
    }
    fn cursor(&self, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
        self.inner.cursor(consumer)
    }
    fn retain(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Retained, StoreError> {
        self.inner.retain(policy, now)
    }
    fn segments(&self) -> Result<Vec<SegmentSummary>, StoreError> {
        self.inner.segments()
    }
}

/// A clock that a test moves.
struct SteppingClock(Mutex<Timestamp>);

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn source(alias: &str, fake: &FakeApi) -> ClusterSource {
    ClusterSource { alias: alias.to_owned(), client: fake.client() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_pauses_recording_and_nothing_is_lost() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = Failing::default();
    let recorder = start(vec![source("fake", &fake)], Arc::new(journal.clone()), Arc::new(SystemClock), only(&["pods"])).await;
    synced(&recorder).await;
    journal.trouble.store(1, Ordering::SeqCst);
    for version in 0..5 {
        fake.apply("pods", "a", json!({"spec": version}));
    }
    until("the board says paused", &recorder, || recorder.board().writer.paused.is_some()).await;
    assert_eq!(changes(&journal).len(), 1);
    journal.trouble.store(0, Ordering::SeqCst);
    until("the rest", &recorder, || changes(&journal).len() == 6 && recorder.board().writer.paused.is_none()).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(marked(&journal, "gap"), 1, "{:?}", marks(&journal));
    assert_eq!(changes(&journal).last().unwrap(), "update watch a@106");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_replaced_ends_and_says_so() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = Failing::default();
    let recorder = start(vec![source("fake", &fake)], Arc::new(journal.clone()), Arc::new(SystemClock), only(&["pods"])).await;
    synced(&recorder).await;
    journal.trouble.store(2, Ordering::SeqCst);
    fake.apply("pods", "a", json!({"spec": 1}));
    tokio::time::timeout(harness::PATIENCE, recorder.ended()).await.unwrap();
    assert!(recorder.board().writer.failed.is_some());
    assert!(matches!(recorder.shutdown().await, Err(RecordError::Append(StoreError::Fenced { .. }))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_cannot_keep_up_gets_the_latest_versions_and_a_mark() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = Failing::default();
    let mut settings = only(&["pods"]);
    settings.queue_bytes = 4 * 1024;
    let recorder = start(vec![source("fake", &fake)], Arc::new(journal.clone()), Arc::new(SystemClock), settings).await;
    synced(&recorder).await;
    let (close, closed) = std::sync::mpsc::channel::<()>();
    let (shut, is_shut) = std::sync::mpsc::channel();
    // On a thread of its own, because a held lock must not wait in a task.
    let gatekeeper = std::thread::spawn({
        let gate = journal.gate.clone();
        move || {
            let _held = gate.lock().unwrap();
            shut.send(()).unwrap();
            let _opened = closed.recv();
        }
    });
    is_shut.recv().unwrap();
    // The first version goes with the batch that hangs; the others find the queue.
    let first = fake.apply("pods", "a", json!({"spec": "first"}));
    until("the batch in hand", &recorder, || {
        let board = recorder.board();
        board.writer.queue_entries == 0 && board.watches.iter().all(|watch| watch.seen_version == Some(first.as_str().into()))
    })
    .await;
    for version in 0..12 {
        fake.apply("pods", "a", json!({"spec": version}));
    }
    until("coalesced", &recorder, || recorder.board().watches.iter().any(|watch| watch.counters.coalesced > 0)).await;
    drop(close);
    gatekeeper.join().unwrap();
    until("the last version", &recorder, || changes(&journal).iter().any(|change| change.contains("a@114"))).await;
    recorder.shutdown().await.unwrap();
    let said = changes(&journal);
    assert!(said.iter().any(|change| change.starts_with("update gap a@") && change.ends_with(" gap")), "{said:?}");
    assert!(marked(&journal, "gap pods") >= 1, "{:?}", marks(&journal));
    let versions: Vec<u32> = said.iter().map(|change| change.split(['@', ' ']).nth(3).unwrap().parse().unwrap()).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_went_back_is_marked_and_times_never_fall() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = MemoryJournal::new();
    let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let clock = Arc::new(SteppingClock(Mutex::new(noon)));
    let recorder = start(vec![source("fake", &fake)], Arc::new(journal.clone()), clock.clone(), only(&["pods"])).await;
    synced(&recorder).await;
    *clock.0.lock().unwrap() = noon - SignedDuration::from_mins(5);
    fake.apply("pods", "a", json!({"spec": 1}));
    until("the update", &recorder, || changes(&journal).len() == 2).await;
    until("the mark", &recorder, || marked(&journal, "clockStepped") == 1).await;
    recorder.shutdown().await.unwrap();
    assert_eq!(marked(&journal, "clockStepped"), 1);
    let times: Vec<Timestamp> =
        harness::records(&journal, Filter { marks: true, ..Filter::changes() }).iter().map(proreus_model::Record::recorded_at).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_contexts_of_one_cluster_do_not_record_it_twice() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = MemoryJournal::new();
    let sources = vec![source("one", &fake), source("two", &fake)];
    let recorder = start(sources, Arc::new(journal.clone()), Arc::new(SystemClock), only(&["pods"])).await;
    until("one recorded, the other explained", &recorder, || {
        let board = recorder.board();
        changes(&journal).len() == 1 && board.clusters.iter().any(|cluster| cluster.reason.contains("records already"))
    })
    .await;
    recorder.shutdown().await.unwrap();
    assert_eq!(changes(&journal).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_cluster_is_named_and_the_other_one_is_recorded() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    // A port that was free a moment ago and that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = kube::Client::try_from(kube::Config::new(format!("http://{closed}").parse().unwrap())).unwrap();
    let journal = MemoryJournal::new();
    let sources = vec![ClusterSource { alias: "far".to_owned(), client }, source("near", &fake)];
    let recorder = start(sources, Arc::new(journal.clone()), Arc::new(SystemClock), only(&["pods"])).await;
    until("near is recorded and far explained", &recorder, || {
        let board = recorder.board();
        let far = board.clusters.iter().find(|cluster| cluster.alias == "far").unwrap();
        !far.is_connected && far.reason.starts_with("get namespaces/kube-system: ") && changes(&journal).len() == 1
    })
    .await;
    recorder.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_for_long_makes_its_watches_stale_and_then_synced() {
    let fake = FakeApi::start().await;
    fake.apply("pods", "a", json!({}));
    let journal = MemoryJournal::new();
    let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let clock = Arc::new(SteppingClock(Mutex::new(noon)));
    let recorder = start(vec![source("fake", &fake)], Arc::new(journal.clone()), clock.clone(), only(&["pods"])).await;
    synced(&recorder).await;
    fake.fail("pods", fake_api::Operation::Watch, vec![fake_api::Fault::Status(500, None); 4]);
    until("stale", &recorder, || {
        fake.cut_streams();
        *clock.0.lock().unwrap() += SignedDuration::from_secs(1);
        recorder.board().watches.iter().any(|watch| watch.condition == WatchCondition::Stale)
    })
    .await;
    until("synced again", &recorder, || marked(&journal, "synced pods") == 2).await;
    recorder.shutdown().await.unwrap();
    assert_eq!((marked(&journal, "stale pods"), changes(&journal).len()), (1, 1));
}
