//! A small story in a journal: a shop whose rollout breaks, a Secret rotated, a pod made again under its old name, a gap in the watching.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use proreus_app::{AppError, Clock, Questions};
use proreus_cli::{Surroundings, run};
use proreus_model::{Change, Gap, JournalId, Mark, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};
use proreus_store::{Batch, Journal, MemoryJournal};
use serde_json::{Value, json};

/// The one cluster of the story.
pub const CLUSTER: &str = "5f1d6f0e-1f3b-4c8e-9a55-0c5f6c6f2a11";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One step: when, verb, object, who.
struct Step {
    at: &'static str,
    verb: Verb,
    origin: Origin,
    gap: Option<Gap>,
    manager: Option<&'static str>,
    uid: &'static str,
    regarding: Option<&'static str>,
    object: Value,
}

impl Step {
    fn new(at: &'static str, verb: Verb, uid: &'static str, manager: &'static str, object: Value) -> Self {
        Self { at, verb, origin: Origin::Watch, gap: None, manager: Some(manager), uid, regarding: None, object }
    }

    fn record(self, version: u64) -> Record {
        let text = |pointer: &str| self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let api = text("/apiVersion");
        let (group, version_name) = api.split_once('/').map_or(("", api.as_str()), |(group, version)| (group, version));
        let kind = text("/kind");
        Record::Change(Change {
            seq: Seq(0),
            recorded_at: time(self.at),
            event_time: None,
            verb: self.verb,
            origin: self.origin,
            gap: self.gap,
            object: ObjectId {
                cluster: CLUSTER.into(),
                group: group.into(),
                kind: kind.as_str().into(),
                namespace: text("/metadata/namespace").into(),
                name: text("/metadata/name").into(),
                uid: self.uid.into(),
            },
            version: version_name.into(),
            resource: format!("{}s", kind.to_lowercase()).into(),
            resource_version: version.to_string().into(),
            generation: None,
            manager: self.manager.map(Into::into),
            regarding: self.regarding.map(Into::into),
            body: Some(Arc::from(self.object.to_string().into_bytes())),
        })
    }
}

fn deployment(image: &str, replicas: u64, ready: u64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-11-20T09:00:00Z", "labels": {"app": "web"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
        "status": {"readyReplicas": ready, "conditions": [{"type": "Available", "status": if ready > 0 { "True" } else { "False" }}]}
    })
}

fn pod(name: &str, image: &str, waiting: Option<&str>) -> Value {
    let state = waiting.map_or_else(|| json!({"running": {}}), |reason| json!({"waiting": {"reason": reason}}));
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-11-21T08:03:12Z"},
        "spec": {"nodeName": "worker-2", "containers": [{"name": "web", "image": image}]},
        "status": {"phase": if waiting.is_some() { "Pending" } else { "Running" }, "containerStatuses": [{"name": "web", "state": state}]}
    })
}

fn event(name: &str, kind: &str, of: &str, typ: &str, reason: &str, message: &str, count: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "shop"},
        "involvedObject": {"kind": kind, "name": of, "namespace": "shop"},
        "type": typ, "reason": reason, "message": message, "count": count, "reportingComponent": "deployment-controller"
    })
}

fn mark(at: &str, kind: MarkKind, resource: &str, reason: &str, detail: Value) -> Record {
    Record::Mark(Mark {
        seq: Seq(0),
        recorded_at: time(at),
        kind,
        scope: WatchScope { cluster: CLUSTER.into(), group: "".into(), resource: resource.into() },
        reason: reason.to_owned(),
        detail,
    })
}

const BAD: &str = "registry.example.com/team/shop:1.5.0-rc1";
const GOOD: &str = "registry.example.com/team/shop:1.4.2";

fn config(level: &str, extra: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-config", "namespace": "shop", "creationTimestamp": "2026-11-20T09:00:00Z"},
        "data": {"app.conf": format!("listen = 8080\nlog.level = {level}\n{extra}timeout = 30s\n")}
    })
}

fn secret(tag: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-db", "namespace": "shop", "creationTimestamp": "2026-11-20T09:00:00Z"},
        "type": "Opaque", "data": {"password": format!("hmac-sha256:{tag}")}
    })
}

fn node(ready: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker-2", "creationTimestamp": "2026-11-01T00:00:00Z"},
        "status": {"conditions": [{"type": "Ready", "status": ready, "reason": if ready == "True" { "KubeletReady" } else { "NodeStatusUnknown" }}]}
    })
}

fn steps() -> Vec<Step> {
    let mut steps = trouble();
    steps.extend(recovery());
    steps
}

/// Up to the pod whose image cannot be pulled.
fn trouble() -> Vec<Step> {
    vec![
        Step {
            origin: Origin::Snapshot,
            ..Step::new("2026-11-21T07:59:58Z", Verb::Create, "d-1", "kubectl-create", deployment(GOOD, 3, 3))
        },
        Step { origin: Origin::Snapshot, ..Step::new("2026-11-21T07:59:58Z", Verb::Create, "n-2", "kubelet", node("True")) },
        Step { origin: Origin::Snapshot, ..Step::new("2026-11-21T07:59:59Z", Verb::Create, "c-1", "helm", config("info", "")) },
        Step { origin: Origin::Snapshot, ..Step::new("2026-11-21T07:59:59Z", Verb::Create, "s-1", "vault", secret("9f2c")) },
        Step::new("2026-11-21T08:01:10Z", Verb::Update, "c-1", "helm", config("debug", "trace = true\n")),
        Step::new("2026-11-21T08:02:00Z", Verb::Update, "s-1", "vault", secret("41aa")),
        Step::new("2026-11-21T08:03:11.250Z", Verb::Update, "d-1", "kubectl-set", deployment(BAD, 3, 3)),
        Step {
            regarding: Some("d-1"),
            ..Step::new(
                "2026-11-21T08:03:12Z",
                Verb::Create,
                "e-1",
                "kube-controller-manager",
                event("web.17f3", "Deployment", "web", "Normal", "ScalingReplicaSet", "Scaled up replica set web-7c9d8f5b6 to 1", 1),
            )
        },
        Step::new(
            "2026-11-21T08:03:12.100Z",
            Verb::Create,
            "p-1",
            "kube-controller-manager",
            pod("web-7c9d8f5b6-x2x4k", BAD, Some("ContainerCreating")),
        ),
        Step::new("2026-11-21T08:03:14Z", Verb::Update, "p-1", "kubelet", pod("web-7c9d8f5b6-x2x4k", BAD, Some("ImagePullBackOff"))),
    ]
}

/// What the cluster says of it, and how it ends.
fn recovery() -> Vec<Step> {
    vec![
        Step {
            regarding: Some("p-1"),
            ..Step::new(
                "2026-11-21T08:03:15Z",
                Verb::Create,
                "e-2",
                "kubelet",
                event(
                    "web-7c9d8f5b6-x2x4k.17f4",
                    "Pod",
                    "web-7c9d8f5b6-x2x4k",
                    "Warning",
                    "Failed",
                    "Failed to pull image \"registry.example.com/team/shop:1.5.0-rc1\": not found",
                    1,
                ),
            )
        },
        Step {
            regarding: Some("p-1"),
            ..Step::new(
                "2026-11-21T08:05:45Z",
                Verb::Update,
                "e-2",
                "kubelet",
                event(
                    "web-7c9d8f5b6-x2x4k.17f4",
                    "Pod",
                    "web-7c9d8f5b6-x2x4k",
                    "Warning",
                    "Failed",
                    "Failed to pull image \"registry.example.com/team/shop:1.5.0-rc1\": not found",
                    4,
                ),
            )
        },
        Step {
            origin: Origin::Relist,
            gap: Some(Gap { from: time("2026-11-21T08:05:50Z"), to: time("2026-11-21T08:07:02Z") }),
            ..Step::new("2026-11-21T08:07:02Z", Verb::Update, "n-2", "kubelet", node("Unknown"))
        },
        Step::new("2026-11-21T08:09:30Z", Verb::Update, "d-1", "kubectl-rollout", deployment(GOOD, 3, 2)),
        Step::new("2026-11-21T08:09:31Z", Verb::Delete, "p-1", "kubelet", pod("web-7c9d8f5b6-x2x4k", BAD, Some("ImagePullBackOff"))),
        Step::new("2026-11-21T08:10:00Z", Verb::Create, "p-2", "kube-controller-manager", pod("web-7c9d8f5b6-x2x4k", GOOD, None)),
    ]
}

/// The journal of the story.
pub fn journal() -> MemoryJournal {
    let journal = MemoryJournal::with_id(JournalId::from_bytes([0xab; 16]));
    let epoch = journal.begin_epoch().unwrap();
    let mut records = vec![mark("2026-11-21T07:59:57Z", MarkKind::WatchStarted, "", "watching begins", json!({"alias": "prod"}))];
    for (index, step) in steps().into_iter().enumerate() {
        if step.at == "2026-11-21T08:07:02Z" {
            records.push(mark("2026-11-21T08:05:50Z", MarkKind::Stale, "nodes", "the connection was lost, retrying", Value::Null));
        }
        records.push(step.record(100 + index as u64));
    }
    records.push(mark("2026-11-21T08:10:01Z", MarkKind::Synced, "nodes", "the list equals what is stored", Value::Null));
    journal.append(epoch, &Batch { records, ..Batch::default() }).unwrap();
    journal
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        time("2026-11-21T12:00:00Z")
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: u8,
    pub stdout: String,
    pub stderr: String,
}

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct With {
    pub columns: Option<usize>,
    pub env: Vec<(&'static str, String)>,
}

/// Runs a command line against the story, which is the journal in `DIR`.
pub fn ran_with(line: &str, with: &With) -> Ran {
    let words = std::iter::once("proreus").chain(line.split_whitespace()).map(OsString::from);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let env = |name: &str| with.env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let story = journal();
    let open = |dir: &Path| match dir.to_str() {
        Some("DIR") => Ok(Questions::new(Arc::new(story.clone()))),
        _ => Err(AppError::Store(proreus_store::StoreError::NoJournal { dir: dir.display().to_string() })),
    };
    let mut around = Surroundings {
        stdin: &mut io::empty(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        columns: with.columns,
        stderr_terminal: false,
        env: &env,
        clock: Arc::new(Stopped),
        open: &open,
    };
    let code = run(words, &mut around);
    Ran { code, stdout: String::from_utf8(stdout).unwrap(), stderr: String::from_utf8(stderr).unwrap() }
}

/// Runs with stdout and stderr going to files or pipes.
pub fn ran(line: &str) -> Ran {
    ran_with(line, &With::default())
}

/// Compares with the golden text `tests/golden/NAME`, which `UPDATE=1` rewrites.
pub fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{} differs; UPDATE=1 rewrites it", path.display());
}
