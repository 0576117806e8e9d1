//! What is answered when something of ours does not work.

use std::sync::Arc;

use jiff::Timestamp;
use proreus_app::Clock;
use proreus_model::{ClusterId, Filter, JournalId, ObjectId, ResourceType, Seq, WatchScope};
use proreus_store::{
    Appended, Batch, BodyDetail, Checkpoint, ConsumerCursor, Head, Journal, ObjectsPage, Oldest, Page, ReadQuery, Retained,
    RetentionPolicy, SegmentSummary, StoreError, WriterEpoch,
};
use serde_json::json;

use crate::shop::{Setup, Shop};

/// A journal whose files cannot be read.
struct Unreadable;

fn unreadable<T>() -> Result<T, StoreError> {
    Err(StoreError::Engine { step: "failed to open segment 2026-11-21".to_owned(), reason: "input/output error".to_owned() })
}

impl Journal for Unreadable {
    fn id(&self) -> JournalId {
        JournalId::from_bytes([1; 16])
    }

    fn begin_epoch(&self) -> Result<WriterEpoch, StoreError> {
        unreadable()
    }

    fn append(&self, _: WriterEpoch, _: &Batch) -> Result<Appended, StoreError> {
        unreadable()
    }

    fn watermark(&self) -> Seq {
        Seq(7)
    }

    fn last_recorded_at(&self) -> Option<Timestamp> {
        None
    }

    fn oldest(&self) -> Result<Option<Oldest>, StoreError> {
        unreadable()
    }

    fn seq_at(&self, _: Timestamp) -> Result<Seq, StoreError> {
        unreadable()
    }

    fn read(&self, _: &ReadQuery) -> Result<Page, StoreError> {
        unreadable()
    }

    fn state(&self, _: &ObjectId, _: Seq) -> Result<Option<proreus_model::Change>, StoreError> {
        unreadable()
    }

    fn objects(&self, _: Seq, _: &Filter, _: Option<&ObjectId>, _: usize, _: BodyDetail) -> Result<ObjectsPage, StoreError> {
        unreadable()
    }

    fn heads(&self, _: &WatchScope) -> Result<Vec<Head>, StoreError> {
        unreadable()
    }

    fn head(&self, _: &ObjectId) -> Result<Option<Head>, StoreError> {
        unreadable()
    }

    fn clusters(&self) -> Result<Vec<ClusterId>, StoreError> {
        unreadable()
    }

    fn types(&self) -> Result<Vec<ResourceType>, StoreError> {
        unreadable()
    }

    fn checkpoints(&self, _: &ClusterId) -> Result<Vec<Checkpoint>, StoreError> {
        unreadable()
    }

    fn cursor(&self, _: &str) -> Result<Option<ConsumerCursor>, StoreError> {
        unreadable()
    }

    fn retain(&self, _: &RetentionPolicy, _: Timestamp) -> Result<Retained, StoreError> {
        unreadable()
    }

    fn segments(&self) -> Result<Vec<SegmentSummary>, StoreError> {
        unreadable()
    }
}

fn unreadable_shop() -> Shop {
    Shop::empty(Setup { asked: Some(Arc::new(Unreadable)), ..Setup::default() })
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_503_with_a_hint() {
    let shop = unreadable_shop();
    for uri in [
        "/api/v1/changes",
        "/api/v1/marks",
        "/api/v1/state",
        "/api/v1/diff?from=2&to=3",
        "/api/v1/objects/core/pods/shop/web-1",
        "/api/v1/objects/core/pods/shop/web-1/history",
        "/api/v1/clusters",
        "/api/v1/store/stats",
    ] {
        let answer = shop.get(uri).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (503, &json!("urn:proreus:problem:journal-unavailable")), "{uri}");
    }
}

#[tokio::test]
async fn the_older_endpoints_tell_it_as_500_text() {
    let shop = unreadable_shop();
    for uri in ["/api/v1/events", "/api/v1/events/shop/pods/web-1"] {
        let answer = shop.get(uri).await;
        assert_eq!(answer.status, 500, "{uri}");
        assert!(answer.header("content-type").starts_with("text/plain"));
        assert!(answer.text.starts_with("Query failed: "), "{}", answer.text);
    }
}

#[tokio::test]
async fn readiness_fails_and_tells_no_paths_while_liveness_goes_on() {
    let shop = unreadable_shop();
    let answer = shop.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!((&answer.json()["ready"], &answer.json()["journal"]), (&json!(false), &json!("unavailable")));
    assert!(!answer.text.contains("segment"), "{}", answer.text);
    assert_eq!(shop.get("/livez").await.status, 200);
    assert_eq!(shop.get("/health").await.status, 200);
}

#[tokio::test]
async fn metrics_go_on_without_the_journals_figures() {
    let answer = unreadable_shop().get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("proreus_queue_records 11") && !answer.text.contains("proreus_journal_changes"));
}

struct PanickingClock;

impl Clock for PanickingClock {
    #[allow(clippy::panic, reason = "what the server must survive")]
    fn now(&self) -> Timestamp {
        panic!("the clock fell off the wall")
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing_of_its_inside() {
    let shop = Shop::empty(Setup { clock: Arc::new(PanickingClock), ..Setup::default() });
    let answer = shop.get("/api/v1/changes").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (500, &json!("urn:proreus:problem:internal")));
    assert!(!answer.text.contains("wall") && !answer.header("x-request-id").is_empty(), "{}", answer.text);
    assert_eq!(shop.get("/health").await.status, 200, "the others go on");
}
