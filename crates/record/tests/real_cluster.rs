//! The recorder against a real etcd and kube-apiserver, with etcd itself as the witness of what happened.

#![allow(clippy::unwrap_used)]

mod fake_api;
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harness::{SystemClock, marks, start, until};
use proreus_model::{Filter, Record, Verb};
use proreus_record::{ClusterSource, NoisePolicy, RecorderHandle, RecorderSettings, WatchCondition};
use proreus_store::{Journal, MemoryJournal};
use proreus_testkit::{Churn, ChurnOptions, ControlPlane, ControlPlaneOptions, Version, Witness};

/// A lone API server starts within a minute on two busy cores.
const CATCH_UP: Duration = Duration::from_secs(90);

/// The test kit's own clients speak through whichever TLS library the program chose.
async fn plane() -> ControlPlane {
    let _chosen_by_another_test = rustls::crypto::ring::default_provider().install_default();
    ControlPlane::start(ControlPlaneOptions::default()).await.unwrap()
}

async fn begin(plane: &ControlPlane, journal: &MemoryJournal) -> RecorderHandle {
    let clusters = vec![ClusterSource { alias: "bench".to_owned(), client: plane.client().await.unwrap() }];
    let settings =
        RecorderSettings { noise: NoisePolicy::disabled(), watch_timeout: Duration::from_secs(10), ..RecorderSettings::default() };
    start(clusters, Arc::new(journal.clone()), Arc::new(SystemClock), settings).await
}

/// The versions of each object by uid, as the journal has them: (resourceVersion, is deleted, verb).
fn recorded(journal: &MemoryJournal) -> BTreeMap<String, Vec<(u64, Verb, bool)>> {
    let mut found: BTreeMap<String, Vec<(u64, Verb, bool)>> = BTreeMap::new();
    for record in harness::records(journal, Filter::changes()) {
        let Record::Change(change) = record else { continue };
        let version = change.resource_version.as_str().parse().unwrap();
        found.entry(change.object.uid.to_string()).or_default().push((version, change.verb, change.gap.is_some()));
    }
    found
}

/// The versions of each object by uid, as etcd has them; Leases and Events left out.
fn witnessed(witness: &Witness) -> BTreeMap<String, Vec<Version>> {
    let mut found: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for (path, versions) in witness.histories() {
        if path.resource.starts_with("leases") || path.resource.starts_with("events") || path.resource.contains("endpoints") {
            continue;
        }
        for version in versions.into_iter().filter(|version| !version.uid.is_empty()) {
            found.entry(version.uid.clone()).or_default().push(version);
        }
    }
    found
}

/// What does not hold, object by object.
fn compare(journal: &MemoryJournal, witness: &Witness, exact_from: Option<u64>) -> Vec<String> {
    let (recorded, witnessed) = (recorded(journal), witnessed(witness));
    let mut wrong = Vec::new();
    for (uid, versions) in &recorded {
        let Some(truth) = witnessed.get(uid) else { continue };
        let real: Vec<(u64, bool)> = truth.iter().map(|version| (version.mod_revision, version.deleted)).collect();
        let mut rest = real.iter();
        for (version, verb, has_gap) in versions {
            // A delete that nobody witnessed carries the last known version.
            let is_synthetic = *verb == Verb::Delete && *has_gap;
            if !is_synthetic && !rest.any(|(mod_revision, deleted)| mod_revision == version && *deleted == (*verb == Verb::Delete)) {
                wrong.push(format!("{uid}: {version} {verb:?} is not in {real:?}, or out of order in {versions:?}"));
            }
        }
        if versions.iter().filter(|(_, verb, _)| *verb == Verb::Create).count() != 1 {
            wrong.push(format!("{uid}: not one create: {versions:?}"));
        }
        let is_gone = real.last().is_some_and(|(_, deleted)| *deleted);
        let ends =
            versions.last().is_some_and(
                |(version, verb, _)| {
                    if is_gone { *verb == Verb::Delete } else { real.last().is_some_and(|(last, _)| last == version) }
                },
            );
        if !ends {
            wrong.push(format!("{uid}: recorded {versions:?}, the truth is {real:?}"));
        }
        if let Some(from) = exact_from {
            let expected = real.iter().filter(|(mod_revision, _)| *mod_revision > from).count();
            let found = versions.iter().filter(|(version, ..)| *version > from).count();
            if expected != found {
                wrong.push(format!("{uid}: {found} of {expected} versions after {from}: {versions:?} {real:?}"));
            }
        }
    }
    for (uid, truth) in &witnessed {
        let lives = truth.last().is_some_and(|version| !version.deleted);
        if lives && !recorded.contains_key(uid) {
            wrong.push(format!("{uid}: never recorded: {:?}", truth.last()));
        }
    }
    wrong
}

async fn caught_up(journal: &MemoryJournal, witness: &Witness, recorder: &RecorderHandle, exact_from: Option<u64>) {
    witness.catch_up().await.unwrap();
    let started = std::time::Instant::now();
    loop {
        recorder.flush().await;
        let wrong = compare(journal, witness, exact_from);
        if wrong.is_empty() {
            return;
        }
        assert!(
            started.elapsed() < CATCH_UP,
            "{} objects are wrong, {:#?}\nmarks {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(5)],
            marks(journal)
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn churn(seed: u64) -> ChurnOptions {
    ChurnOptions { seed, nodes: 3, pods: 20, duration: Duration::from_secs(4), owns_statuses: true, ..ChurnOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_every_version_of_every_object_of_a_real_api_server() {
    let plane = plane().await;
    let witness = Witness::start(plane.etcd_url()).unwrap();
    let mut churn = Churn::new(plane.kubeconfig(), churn(1)).await.unwrap();
    churn.populate(|_| {}).await.unwrap();
    let journal = MemoryJournal::new();
    let recorder = begin(&plane, &journal).await;
    until("every watch is synced", &recorder, || {
        let board = recorder.board();
        board.watches.len() > 30 && board.watches.iter().all(|watch| watch.condition == WatchCondition::Synced)
    })
    .await;
    let from = plane.revision().await.unwrap();
    let report = churn.run().await;
    assert!(report.accepted_total() > 20, "{report:?}");
    caught_up(&journal, &witness, &recorder, Some(from)).await;
    assert_eq!(marks(&journal).iter().filter(|mark| mark.starts_with("gap") || mark.starts_with("stale")).count(), 0);
    recorder.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comes_to_the_truth_after_restarts_of_both_sides_and_a_compaction() {
    let mut plane = plane().await;
    let witness = Witness::start(plane.etcd_url()).unwrap();
    let mut churn = Churn::new(plane.kubeconfig(), churn(2)).await.unwrap();
    churn.populate(|_| {}).await.unwrap();
    let journal = MemoryJournal::new();
    let recorder = begin(&plane, &journal).await;
    churn.run().await;
    caught_up(&journal, &witness, &recorder, None).await;

    // The API server goes and comes back while it records.
    plane.restart_apiserver().await.unwrap();
    churn.run().await;
    caught_up(&journal, &witness, &recorder, None).await;

    // It ends in the middle of things; history goes before it is back.
    recorder.shutdown().await.unwrap();
    let durable = journal.watermark();
    churn.run().await;
    witness.catch_up().await.unwrap();
    plane.compact_etcd().await.unwrap();
    plane.restart_apiserver().await.unwrap();
    let recorder = begin(&plane, &journal).await;
    caught_up(&journal, &witness, &recorder, None).await;
    recorder.shutdown().await.unwrap();
    assert!(journal.watermark() > durable);
    let said: String = harness::bodies(&journal);
    assert!(!said.contains("canary-of-the-churn"), "a secret value was recorded");
}
