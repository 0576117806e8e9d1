//! Small histories for the guarantees: objects, changes and marks with every field that matters spelled out.
//!
//! No randomness and no clock: times are given as text.

use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{Change, Filter, Mark, MarkKind, ObjectId, Order, Origin, Record, Recorded, Seq, SeqRange, Uid, Verb, WatchScope};

use super::Workbench;
use crate::{Appended, Batch, BodyDetail, Journal, Page, ReadQuery};

/// Beyond every position a test makes.
pub(super) const FAR: Seq = Seq(1 << 52);

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().expect("times in the suite are RFC 3339")
}

/// An object of cluster `c1`; `path` is `kind/namespace/name/uid`, kinds of the core group and Deployments known.
pub(super) fn object(path: &str) -> ObjectId {
    let mut parts = path.split('/');
    let mut part = || parts.next().unwrap_or_default();
    let kind = part();
    let group = if kind == "Deployment" { "apps" } else { "" };
    ObjectId {
        cluster: "c1".into(),
        group: group.into(),
        kind: kind.into(),
        namespace: part().into(),
        name: part().into(),
        uid: part().into(),
    }
}

/// A change seen by a watch, with a resourceVersion taken from its body.
pub(super) fn change(at: &str, verb: Verb, object: &ObjectId, body: Option<&str>) -> Change {
    Change {
        seq: Seq(0),
        recorded_at: time(at),
        event_time: None,
        verb,
        origin: Origin::Watch,
        gap: None,
        object: object.clone(),
        version: "v1".into(),
        resource: format!("{}s", object.kind.as_str().to_lowercase()).into(),
        resource_version: format!("rv-{}", body.unwrap_or("gone")).into(),
        generation: None,
        manager: None,
        regarding: (object.kind.as_str() == "Event").then(|| Uid::from("uid-of-web")),
        body: body.map(|text| Arc::from(format!("{{\"v\":\"{text}\"}}").as_bytes())),
    }
}

pub(super) fn create(at: &str, path: &str, body: &str) -> Record {
    Record::Change(change(at, Verb::Create, &object(path), Some(body)))
}

pub(super) fn update(at: &str, path: &str, body: &str) -> Record {
    Record::Change(change(at, Verb::Update, &object(path), Some(body)))
}

pub(super) fn delete(at: &str, path: &str) -> Record {
    Record::Change(change(at, Verb::Delete, &object(path), None))
}

pub(super) fn mark(at: &str, kind: MarkKind, scope: WatchScope) -> Record {
    Record::Mark(Mark {
        seq: Seq(0),
        recorded_at: time(at),
        kind,
        scope,
        reason: "said by the suite".to_owned(),
        detail: serde_json::Value::Null,
    })
}

pub(super) fn scope(cluster: &str, group: &str, resource: &str) -> WatchScope {
    WatchScope { cluster: cluster.into(), group: group.into(), resource: resource.into() }
}

/// Appends as a new writer.
pub(super) fn write(bench: &dyn Workbench, records: Vec<Record>) -> Appended {
    commit(bench, &Batch { records, ..Batch::default() })
}

/// Appends a whole batch as a new writer.
pub(super) fn commit(bench: &dyn Workbench, batch: &Batch) -> Appended {
    let journal = bench.journal();
    let epoch = journal.begin_epoch().expect("a writer may begin");
    journal.append(epoch, batch).expect("an append by the writer in force is taken")
}

/// Both changes and marks.
pub(super) fn everything() -> Filter {
    Filter { changes: true, marks: true, ..Filter::default() }
}

pub(super) fn query(filter: Filter) -> ReadQuery {
    ReadQuery {
        range: SeqRange { first: Seq(0), last: FAR },
        filter,
        after: None,
        order: Order::Ascending,
        limit: 1_000,
        detail: BodyDetail::BodyAndPrevious,
    }
}

pub(super) fn page(journal: &dyn Journal, query: &ReadQuery) -> Page {
    journal.read(query).expect("the positions asked for are kept")
}

pub(super) fn read_all(journal: &dyn Journal) -> Vec<Recorded> {
    page(journal, &query(everything())).records
}

pub(super) fn seqs(records: &[Recorded]) -> Vec<u64> {
    records.iter().map(|recorded| recorded.record.seq().0).collect()
}

/// The value in a body of `change`, `""` without one.
pub(super) fn value(body: Option<&Arc<[u8]>>) -> String {
    let text = body.map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default();
    text.trim_start_matches("{\"v\":\"").trim_end_matches("\"}").to_owned()
}
