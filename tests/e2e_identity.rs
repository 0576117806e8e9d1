//! Which life, which order, which time: the cases in which recorders confuse objects. The service runs in this process, on a clock that the
//! test moves.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use proreus_app::config::{Overrides, resolve};
use proreus_app::service::{Service, ServiceInputs, clusters_of};
use proreus_model::{Clock, MarkKind, Origin, Record, Verb};
use proreus_store::Journal;
use proreus_testkit::{ControlPlane, ControlPlaneOptions, Witness};
use proreus_tests::judge::{Case, Depth, WitnessTruth, judge};
use proreus_tests::reading::{all_records, changes_of, marks, records_of, told, wait_for_records};
use serde_json::{Value, json};

const RECORDED_WITHIN: Duration = Duration::from_secs(60);
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The machine's clock, moved by an offset, or stopped.
#[derive(Default)]
struct Steered {
    offset_seconds: AtomicI64,
    /// 0: it runs.
    stopped_at: AtomicI64,
}

impl Clock for Steered {
    fn now(&self) -> Timestamp {
        let stopped = self.stopped_at.load(Ordering::SeqCst);
        let base = if stopped == 0 { Timestamp::now() } else { Timestamp::from_second(stopped).unwrap() };
        base + SignedDuration::from_secs(self.offset_seconds.load(Ordering::SeqCst))
    }
}

struct Bench {
    plane: ControlPlane,
    client: Client,
    clock: Arc<Steered>,
    directory: tempfile::TempDir,
}

impl Bench {
    async fn start() -> (Self, Witness) {
        let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let witness = Witness::start(plane.etcd_url()).unwrap();
        let client = plane.client().await.unwrap();
        (Self { plane, client, clock: Arc::default(), directory: tempfile::tempdir().unwrap() }, witness)
    }

    fn data_dir(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    /// Starts the service and returns when everything is followed.
    async fn serve(&self) -> Service {
        let flags = Overrides {
            data_dir: Some(self.data_dir().display().to_string()),
            kubeconfig: Some(self.plane.kubeconfig().display().to_string()),
            ..Overrides::default()
        };
        let settings = resolve(None, &Overrides::default(), &flags).unwrap();
        let clusters = clusters_of(&settings).await.unwrap();
        let before = records_of(&self.data_dir()).unwrap().len();
        let inputs = ServiceInputs { settings, clusters, clock: self.clock.clone(), config: None, recorder: Default::default() };
        let service = Service::start(inputs).await.unwrap();
        let is_synced = |records: &[Record]| {
            let found = |resource: &str| {
                marks(&records[before..]).any(|mark| mark.kind == MarkKind::Synced && mark.scope.resource.as_str() == resource)
            };
            (found("configmaps") && found("secrets")).then_some(())
        };
        let journal = service.journal();
        wait_for_records("the state at the start", RECORDED_WITHIN, || all_records(&*journal), is_synced).await.unwrap();
        service
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("content-type", content_type).body(body).unwrap();
        self.client.request(request).await.unwrap()
    }

    /// Creates a ConfigMap and gives its resourceVersion.
    async fn create(&self, name: &str) -> String {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": "0"}});
        version(&self.send("POST", CONFIG_MAPS, Some(object)).await)
    }

    async fn update(&self, name: &str, number: u32) -> String {
        let patch = json!({"data": {"n": number.to_string()}});
        version(&self.send("PATCH", &format!("{CONFIG_MAPS}/{name}"), Some(patch)).await)
    }

    async fn delete(&self, name: &str) {
        self.send("DELETE", &format!("{CONFIG_MAPS}/{name}"), None).await;
    }
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

/// Waits until the last record of an object is of a verb, and gives its changes as text.
async fn wait_for(service: &Service, name: &str, verb: Verb, count: usize) -> Vec<String> {
    let journal = service.journal();
    let find = |records: &[Record]| {
        let found = changes_of(records, "ConfigMap", name);
        (found.len() >= count && found.last().is_some_and(|last| last.verb == verb)).then(|| told(&found))
    };
    wait_for_records(&format!("{count} changes of `{name}`"), RECORDED_WITHIN, || all_records(&*journal), find).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_two_updates_of_one_millisecond_and_two_lives_of_one_name_apart() {
    let (bench, witness) = Bench::start().await;
    let service = bench.serve().await;

    // The clock stands still, so that both updates have one and the same time.
    bench.clock.stopped_at.store(Timestamp::now().as_second() + 5, Ordering::SeqCst);
    let created = bench.create("twice").await;
    let first = bench.update("twice", 1).await;
    let second = bench.update("twice", 2).await;
    let seen = wait_for(&service, "twice", Verb::Update, 3).await;
    assert_eq!(seen, [format!("create watch {created}"), format!("update watch {first}"), format!("update watch {second}")]);
    let records = all_records(&*service.journal()).unwrap();
    let twice = changes_of(&records, "ConfigMap", "twice");
    assert_eq!(twice[1].recorded_at, twice[2].recorded_at);
    assert!(twice[1].seq < twice[2].seq);
    bench.clock.stopped_at.store(0, Ordering::SeqCst);

    let one = bench.create("again").await;
    bench.delete("again").await;
    let two = bench.create("again").await;
    let seen = wait_for(&service, "again", Verb::Create, 3).await;
    assert_eq!((&seen[0], &seen[2]), (&format!("create watch {one}"), &format!("create watch {two}")));
    assert!(seen[1].starts_with("delete watch "), "{seen:?}");
    let records = all_records(&*service.journal()).unwrap();
    let again = changes_of(&records, "ConfigMap", "again");
    assert_eq!(again[0].object.uid, again[1].object.uid);
    assert_ne!(again[0].object.uid, again[2].object.uid);

    finish(&bench, &witness, service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_of_ends_and_rebirths_that_nobody_watched() {
    let (mut bench, witness) = Bench::start().await;
    let service = bench.serve().await;
    for name in ["gone", "reborn", "gone-for-good", "reborn-for-good", "changed-for-good"] {
        bench.create(name).await;
        wait_for(&service, name, Verb::Create, 1).await;
    }
    service.shutdown().await.unwrap();

    // Away for a moment: the API server still has the history.
    bench.delete("gone").await;
    bench.delete("reborn").await;
    bench.create("reborn").await;
    let service = bench.serve().await;
    let gone = wait_for(&service, "gone", Verb::Delete, 2).await;
    assert!(gone[1].starts_with("delete watch "), "{gone:?}");
    let reborn = wait_for(&service, "reborn", Verb::Create, 3).await;
    assert!(reborn[1].starts_with("delete watch ") && reborn[2].starts_with("create watch "), "{reborn:?}");
    service.shutdown().await.unwrap();

    // Away for so long that the history is gone: a list is all there is.
    bench.delete("gone-for-good").await;
    bench.delete("reborn-for-good").await;
    bench.create("reborn-for-good").await;
    bench.update("changed-for-good", 1).await;
    let last = bench.update("changed-for-good", 2).await;
    witness.catch_up().await.unwrap();
    bench.plane.compact_etcd().await.unwrap();
    bench.plane.restart_apiserver().await.unwrap();
    bench.client = bench.plane.client().await.unwrap();
    let service = bench.serve().await;
    let gone = wait_for(&service, "gone-for-good", Verb::Delete, 2).await;
    assert!(gone[1].starts_with("delete relist "), "{gone:?}");
    let reborn = wait_for(&service, "reborn-for-good", Verb::Create, 3).await;
    assert!(reborn[1].starts_with("delete relist ") && reborn[2].starts_with("create relist "), "{reborn:?}");
    let changed = wait_for(&service, "changed-for-good", Verb::Update, 2).await;
    assert_eq!(changed[1..], [format!("update relist {last}")]);
    let records = all_records(&*service.journal()).unwrap();
    let unseen = records.iter().filter_map(|record| match record {
        Record::Change(change) if change.origin == Origin::Relist => Some(change.gap),
        _ => None,
    });
    assert!(unseen.clone().count() >= 4 && unseen.clone().all(|gap| gap.is_some_and(|gap| gap.from <= gap.to)), "each tells of its gap");

    finish(&bench, &witness, service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_order_and_says_so_when_the_clock_is_set_back() {
    let (bench, witness) = Bench::start().await;
    let service = bench.serve().await;
    bench.create("before").await;
    wait_for(&service, "before", Verb::Create, 1).await;
    bench.clock.offset_seconds.store(-3600, Ordering::SeqCst);
    let created = bench.create("after").await;
    let seen = wait_for(&service, "after", Verb::Create, 1).await;
    assert_eq!(seen, [format!("create watch {created}")]);

    let records = all_records(&*service.journal()).unwrap();
    assert!(records.windows(2).all(|pair| pair[0].recorded_at() <= pair[1].recorded_at()), "time never falls along the sequence");
    let stepped: Vec<_> = marks(&records).filter(|mark| mark.kind == MarkKind::ClockStepped).collect();
    assert_eq!(stepped.len(), 1, "{stepped:?}");
    let after = changes_of(&records, "ConfigMap", "after");
    assert!(stepped[0].seq < after[0].seq);
    // A time range is a sequence range, so the change is found where it was recorded and not an hour before.
    assert!(service.journal().seq_at(stepped[0].recorded_at).unwrap() <= after[0].seq);

    finish(&bench, &witness, service).await;
}

/// Ends the service and holds everything that it recorded against etcd.
async fn finish(bench: &Bench, witness: &Witness, service: Service) {
    let until = witness.catch_up().await.unwrap();
    let journal = service.journal();
    // One more write, seen through the same watches, shows that nothing is on its way.
    bench.create("the-last").await;
    wait_for(&service, "the-last", Verb::Create, 1).await;
    service.shutdown().await.unwrap();
    let last = journal.watermark();
    witness.catch_up().await.unwrap();
    let truth = WitnessTruth::of(witness);
    let verdict = judge(&Case { journal: &*journal, last, truth: &truth, until, durable: &[] }, Depth::Bodies).unwrap();
    let told: Vec<String> = verdict.violations.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}\n{verdict}", told.join("\n"));
}
