//! Events on a real API server, and the promise that whatever happens to Proreus every other controller goes on.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proreus_app::config::{EmitSettings, EndpointSettings, Receiver};
use proreus_app::emission::{Emission, EmissionBoard, EmissionInputs, EndpointFigures, Keep};
use proreus_app::service::SystemClock;
use proreus_doctor::emission::{EndpointRules, RetryRules};
use proreus_model::{Change, Clock as _, ClusterId, ObjectId, Origin, Record, Seq, Verb};
use proreus_record::{ClusterSource, Connection, connect};
use proreus_store::{Batch, ConsumerCursor, Journal, MemoryJournal, WriterEpoch};
use proreus_testkit::{ControlPlane, ControlPlaneOptions, User};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};
use tokio::sync::watch;

const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const ALIAS: &str = "bench";
const ENDPOINT: &str = "events";

struct ByJournal(Arc<MemoryJournal>, WriterEpoch);

impl Keep for ByJournal {
    fn keep(&self, cursor: ConsumerCursor) -> futures::future::BoxFuture<'static, Result<(), String>> {
        let kept = self.0.append(self.1, &Batch { cursors: vec![cursor], ..Batch::default() });
        Box::pin(async move { kept.map(drop).map_err(|error| error.to_string()) })
    }
}

/// A journal in memory, and the telling from it into a real cluster.
struct Telling {
    journal: Arc<MemoryJournal>,
    epoch: WriterEpoch,
    moved: watch::Sender<Seq>,
    emission: Emission,
    board: Arc<EmissionBoard>,
}

/// What an incident is about.
#[derive(Clone)]
struct About {
    kind: &'static str,
    namespace: &'static str,
    name: String,
    uid: String,
}

impl Telling {
    fn start(source: ClusterSource, retry: RetryRules) -> Self {
        let journal = Arc::new(MemoryJournal::default());
        let epoch = journal.begin_epoch().unwrap();
        let moved = watch::channel(Seq(0)).0;
        let endpoint = EndpointSettings {
            name: ENDPOINT.to_owned(),
            receiver: Receiver::KubernetesEvents,
            rules: EndpointRules { retry, repeat: Some(SignedDuration::from_hours(1)), ..EndpointRules::default() },
        };
        let emission = Emission::start(EmissionInputs {
            journal: journal.clone(),
            watermark: moved.subscribe(),
            keep: Arc::new(ByJournal(journal.clone(), epoch)),
            clock: Arc::new(SystemClock),
            clusters: vec![source],
            aliases: Box::new(|| vec![(ALIAS.to_owned(), ClusterId::from("c1"))]),
            settings: EmitSettings { external_url: None, endpoints: vec![endpoint] },
            instance: "proreus-0".to_owned(),
        });
        let board = emission.board();
        Self { journal, epoch, moved, emission, board }
    }

    fn record(&self, id: &str, about: &About, severity: &str, state: &str) {
        let now = SystemClock.now();
        let change = incident(id, about, severity, state, now);
        let appended = self.journal.append(self.epoch, &Batch { records: vec![Record::Change(change)], ..Batch::default() }).unwrap();
        self.moved.send_replace(appended.watermark);
    }

    fn figures(&self) -> EndpointFigures {
        self.board.figures().remove(ENDPOINT).unwrap_or_default()
    }
}

fn incident(id: &str, about: &About, severity: &str, state: &str, now: Timestamp) -> Change {
    let mut body = json!({
        "apiVersion": "proreus.dev/v1", "kind": "Incident", "metadata": { "name": id, "uid": id, "namespace": about.namespace },
        "id": id, "state": state, "severity": severity, "reason": "DeploymentUnavailable", "check": "deployment-unavailable",
        "object": { "cluster": "c1", "kind": about.kind, "namespace": about.namespace, "name": about.name, "uid": about.uid },
        "message": "0 of 3 replicas are available", "remediation": "look at its pods", "openedAt": "2026-11-21T08:00:00Z",
        "lastSeenAt": now.to_string(), "findings": [], "evidence": [],
    });
    if state == "resolved" {
        body["resolvedAt"] = json!(now.to_string());
    }
    Change {
        seq: Seq(0),
        recorded_at: now,
        event_time: None,
        verb: Verb::Update,
        origin: Origin::Watch,
        gap: None,
        object: ObjectId {
            cluster: "c1".into(),
            group: "proreus.dev".into(),
            kind: "Incident".into(),
            namespace: about.namespace.into(),
            name: id.into(),
            uid: id.into(),
        },
        version: "v1".into(),
        resource: "incidents".into(),
        resource_version: now.to_string().into(),
        generation: None,
        manager: Some("proreus".into()),
        regarding: None,
        body: Some(Arc::from(body.to_string().into_bytes())),
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {} s: {what}", WITHIN.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Our Events about a name: type, reason, count, message.
async fn events(plane: &ControlPlane, namespace: &str, name: &str) -> Vec<(String, String, i64, String)> {
    let selector = format!("involvedObject.name={name},reportingComponent=proreus");
    let text = plane.kubectl(&["get", "events", "-n", namespace, "--field-selector", &selector, "-o", "json"]).await.unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let word = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let read = |item: &Value| (word(item, "type"), word(item, "reason"), item["count"].as_i64().unwrap_or_default(), word(item, "message"));
    let mut found: Vec<_> = list["items"].as_array().unwrap().iter().map(read).collect();
    found.sort();
    found
}

async fn uid(plane: &ControlPlane, kind: &str, name: &str) -> String {
    plane.kubectl(&["get", kind, name, "-o", "jsonpath={.metadata.uid}"]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_written_on_the_object_and_brought_up_to_date() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    plane.kubectl(&["create", "configmap", "web"]).await.unwrap();
    let web = About { kind: "ConfigMap", namespace: "default", name: "web".to_owned(), uid: uid(&plane, "configmap", "web").await };
    let whole =
        About { kind: "Namespace", namespace: "", name: "kube-public".to_owned(), uid: uid(&plane, "namespace", "kube-public").await };
    let telling = Telling::start(ClusterSource { alias: ALIAS.to_owned(), client: plane.client().await.unwrap() }, RetryRules::default());

    let said = |level: &str, count: i64, message: &str| (level.to_owned(), "DeploymentUnavailable".to_owned(), count, message.to_owned());
    let trouble = "0 of 3 replicas are available\nlook at its pods";
    telling.record("a", &web, "warning", "open");
    until("the Event is there", async || events(&plane, "default", "web").await == [said("Warning", 1, trouble)]).await;
    telling.record("a", &web, "critical", "open");
    until("its count is raised", async || events(&plane, "default", "web").await == [said("Warning", 2, trouble)]).await;
    telling.record("a", &web, "critical", "resolved");
    let end = said("Normal", 1, "resolved: 0 of 3 replicas are available");
    until("the end is told beside it", async || events(&plane, "default", "web").await == [end.clone(), said("Warning", 2, trouble)]).await;

    telling.record("b", &whole, "warning", "open");
    until("an Event about what has no namespace", async || events(&plane, "default", "kube-public").await.len() == 1).await;
    let described = plane.kubectl(&["describe", "configmap", "web"]).await.unwrap();
    assert!(described.contains("DeploymentUnavailable") && described.contains("proreus"), "{described}");

    // About what no cluster holds there is no Event, and the others are not held up by it.
    telling.record(
        "c",
        &About { kind: "Registry", namespace: "", name: "r.example.com".to_owned(), uid: String::new() },
        "critical",
        "open",
    );
    telling.record("d", &About { namespace: "gone", ..web.clone() }, "critical", "open");
    telling.record("e", &web, "critical", "open");
    until("what comes after is told", async || events(&plane, "default", "web").await.len() == 3).await;
    let figures = telling.figures();
    assert!(figures.delivered >= 6, "{figures:?}");
    telling.emission.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_not_asked_about_hot_and_works_once_it_is_given() {
    let options = ControlPlaneOptions { users: vec![User::named("limited")], ..ControlPlaneOptions::default() };
    let plane = ControlPlane::start(options).await.unwrap();
    plane.kubectl(&["create", "configmap", "web"]).await.unwrap();
    let web = About { kind: "ConfigMap", namespace: "default", name: "web".to_owned(), uid: uid(&plane, "configmap", "web").await };
    let kubeconfig = plane.kubeconfig_for("limited", plane.apiserver_port()).unwrap();
    let connection = Connection::Kubeconfig { path: Some(kubeconfig), context: None };
    let source = connect(&connection, Some(ALIAS)).await.unwrap();

    let telling = Telling::start(source.clone(), RetryRules::default());
    for number in 0..20 {
        telling.record(&format!("i{number}"), &web, "critical", "open");
    }
    until("it was refused", async || telling.figures().failed > 0).await;
    until("everything waits", async || telling.figures().waiting == 20).await;
    let figures = telling.figures();
    assert!(figures.failed <= 4, "no more than were on their way when the first was refused: {figures:?}");
    assert!(figures.trouble.is_some_and(|trouble| trouble.contains("cannot patch resource \"events\"")));
    telling.emission.end().await;

    let soon = RetryRules { longest: SignedDuration::from_secs(1), ..RetryRules::default() };
    let telling = Telling::start(source, soon);
    telling.record("a", &web, "critical", "open");
    until("it was refused", async || telling.figures().failed > 0).await;
    plane.kubectl(&["create", "clusterrole", "events", "--verb=create,patch", "--resource=events"]).await.unwrap();
    plane.kubectl(&["create", "clusterrolebinding", "events", "--clusterrole=events", "--user=limited"]).await.unwrap();
    until("the Event is there", async || events(&plane, "default", "web").await.len() == 1).await;
    telling.emission.end().await;
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(sent.success(), "kill -{name} {process}");
}

/// Rolls the Deployment out anew, and waits until that is done.
async fn roll(plane: &ControlPlane, version: &str) {
    let patch = json!({ "spec": { "template": { "metadata": { "labels": { "version": version } } } } }).to_string();
    plane.kubectl(&["patch", "deployment", "web", "-p", &patch]).await.unwrap();
    plane.kubectl(&["rollout", "status", "deployment/web", "--timeout=100s"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_proreus_a_deployment_rolls_on() {
    let plane = ControlPlane::start(ControlPlaneOptions::full()).await.unwrap();
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": "n1", "annotations": { "kwok.x-k8s.io/node": "fake" }, "labels": { "type": "kwok" } },
        "status": { "allocatable": { "cpu": "8", "memory": "16Gi", "pods": "110" }, "capacity": { "cpu": "8", "memory": "16Gi", "pods": "110" } }
    });
    let file = plane.dir().join("node.json");
    std::fs::write(&file, node.to_string()).unwrap();
    plane.kubectl(&["apply", "-f", &file.display().to_string()]).await.unwrap();
    let config = plane.dir().join("proreus.yaml");
    std::fs::write(&config, "emit: {endpoints: [{name: events, type: kubernetesEvents}]}\n").unwrap();
    let options = RecorderOptions {
        program: built_proreus().unwrap(),
        kubeconfig: plane.kubeconfig().to_path_buf(),
        data_dir: plane.dir().join("journal"),
        log: plane.dir().join("proreus.log"),
        arguments: vec!["--config".to_owned(), config.display().to_string()],
    };
    let mut proreus = RecorderProcess::start(options).await.unwrap();
    plane.kubectl(&["create", "deployment", "web", "--image=registry.example.com/web:v1", "--replicas=2"]).await.unwrap();
    plane.kubectl(&["rollout", "status", "deployment/web", "--timeout=100s"]).await.unwrap();
    until("it is recording", async || proreus.unsynced().await.is_ok_and(|waiting| waiting.is_some_and(|waiting| waiting.is_empty())))
        .await;

    let process = proreus.pid().unwrap();
    signal(process, "STOP");
    roll(&plane, "while-stopped").await;
    signal(process, "CONT");
    proreus.kill().unwrap();
    roll(&plane, "while-dead").await;

    // Nothing of ours stands in the way of anybody: no webhook, no finalizer, no owner.
    for kind in ["validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies"] {
        let found = plane.kubectl(&["get", kind, "-o", "name"]).await.unwrap();
        assert!(!found.contains("proreus"), "{found}");
    }
    let text = plane.kubectl(&["get", "all", "-A", "-o", "json", "--show-managed-fields"]).await.unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    for item in all["items"].as_array().unwrap() {
        let metadata = &item["metadata"];
        let managers = metadata["managedFields"].as_array().into_iter().flatten().filter_map(|entry| entry["manager"].as_str());
        assert!(!managers.into_iter().any(|manager| manager == "proreus"), "{metadata}");
        assert!(!metadata["finalizers"].to_string().contains("proreus"), "{metadata}");
    }
}
