//! What the doctor that watches costs: a full pass, a pass after one change, a storm, and its memory.
//!
//! On a cluster that is made here, so that its size can be chosen: deployments of ten pods, with their replica sets, services and slices,
//! spread over namespaces. What is compared is the same at a tenth of the size: a cost that is proportional to what changed is the same in
//! both.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use proreus_api::DoctorReport;
use proreus_app::doctor::DoctorAnswer;
use proreus_doctor::incidents::{IncidentSettings, KeptWatch, Watch, WatchRestoring};
use proreus_doctor::{DoctorSettings, examine};
use proreus_model::{Change, Mark, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};
use serde_json::{Value, json};

use crate::report::{Report, Row};
use crate::timing::{once, percentiles};

/// Pods of one deployment.
const REPLICAS: usize = 10;
/// Deployments of one namespace.
const DEPLOYMENTS: usize = 20;
/// Objects that stand for each pod: itself, and a tenth of a deployment, a replica set, a service and a slice.
const OBJECTS_OF_TEN_PODS: usize = REPLICAS + 4;
/// Answers of the doctor that are measured.
const ANSWERS: usize = 5;
/// Changes that are measured one by one.
const SINGLE_CHANGES: usize = 500;

/// Adds the rows.
pub(crate) fn measure(objects: usize, report: &mut Report) -> Result<()> {
    let small = Cluster::of(objects / 10);
    let large = Cluster::of(objects);
    crate::tell(&format!("watching {objects} objects, and a tenth of them"));
    let before = resident();
    let mut few = Watched::begin(&small)?;
    let mut many = Watched::begin(&large)?;
    let took = resident().saturating_sub(before);
    let bytes: usize = large.records.iter().chain(&small.records).map(body_bytes).sum();
    report.push(Row::new(format!("first look at {objects} objects, every check"), many.first.as_secs_f64() * 1e3, "ms"));
    report.push(
        Row::new(format!("resident memory of watching {objects} objects and a tenth of them"), took as f64, "bytes")
            .against("JSON of these objects", bytes as f64),
    );
    let times = (0..ANSWERS).map(|_| once(|| answer(&many)).1).collect();
    let row = format!("the answer of `/api/v1/doctor` over {objects} objects, p50 of {ANSWERS}");
    report.push(Row::new(row, percentiles(times).p50_micros / 1e3, "ms").at_most(1_000.0));
    let of_few = percentiles(few.single_changes(&small));
    let of_many = percentiles(many.single_changes(&large));
    report.push(
        Row::new(format!("look again after one pod changed, {objects} objects, p50 of {SINGLE_CHANGES}"), of_many.p50_micros, "µs")
            .against("the same at a tenth of the objects", of_few.p50_micros),
    );
    report.push(Row::new(format!("look again after one pod changed, {objects} objects, p99"), of_many.p99_micros, "µs"));
    keep(&many, &large, report)?;
    storm(&mut many, &large, report);
    Ok(())
}

/// The state over a restart.
fn keep(many: &Watched, large: &Cluster, report: &mut Report) -> Result<()> {
    let (bytes, kept) = once(|| many.watch.keep().to_bytes());
    report.push(Row::new("state kept over a restart", bytes.len() as f64, "bytes"));
    report.push(Row::new("keeping it", kept.as_secs_f64() * 1e3, "ms"));
    let (restored, took) = once(|| -> Result<Watch> {
        let mut restoring = WatchRestoring::new(KeptWatch::from_bytes(&bytes)?)?;
        for record in &large.records {
            if let Record::Change(change) = record {
                restoring.take(change);
            }
        }
        Ok(restoring.finish())
    });
    anyhow::ensure!(restored?.view().len() == many.watch.view().len(), "not every object came back");
    report.push(Row::new("bringing it back, without reading the journal", took.as_secs_f64() * 1e3, "ms"));
    Ok(())
}

/// Every pod fails at once.
fn storm(many: &mut Watched, large: &Cluster, report: &mut Report) {
    let before = resident();
    let pods: Vec<Record> = large.pods.iter().filter_map(|index| large.records.get(*index)).cloned().collect();
    let count = pods.len();
    many.now = later(many.now, 60);
    let ((), took) = once(|| {
        for record in &pods {
            let record = many.at_now(failing(record));
            drop(many.watch.fold(&record));
        }
        drop(many.watch.advance(later(many.now, 600)));
    });
    many.now = later(many.now, 600);
    report.push(Row::new(format!("{count} pods fail at once: until everything is told"), took.as_secs_f64() * 1e3, "ms"));
    report.push(Row::new("open incidents of it", many.watch.incidents().len() as f64, "incidents"));
    report.push(Row::new("resident memory of it", resident().saturating_sub(before) as f64, "bytes"));
    let times = (0..ANSWERS).map(|_| once(|| answer(many)).1).collect();
    let row = format!("the answer of `/api/v1/doctor` during it, p50 of {ANSWERS}");
    report.push(Row::new(row, percentiles(times).p50_micros / 1e3, "ms").at_most(1_000.0));
}

/// What the server does for who may read everything: the view is taken, judged, and written down.
fn answer(many: &Watched) -> usize {
    let view = many.watch.view().clone();
    let report = examine(&view, &DoctorSettings::default(), many.now, |_| true);
    let answer = DoctorAnswer { time: many.now, seq: view.seq(), objects: view.len(), report };
    serde_json::to_vec(&DoctorReport::from(answer)).map_or(0, |bytes| bytes.len())
}

/// A watch under way.
struct Watched {
    watch: Watch,
    now: Timestamp,
    first: Duration,
}

impl Watched {
    fn begin(cluster: &Cluster) -> Result<Self> {
        let mut watch = Watch::new(DoctorSettings::default(), IncidentSettings::default());
        let ((), first) = once(|| {
            for record in &cluster.records {
                drop(watch.fold(record));
            }
            drop(watch.advance(later(cluster.start, 1)));
        });
        anyhow::ensure!(watch.incidents().is_empty(), "a healthy cluster has incidents: {:?}", watch.incidents());
        Ok(Self { watch, now: later(cluster.start, 1), first })
    }

    /// The times of single changes of pods, each a moment of its own.
    fn single_changes(&mut self, cluster: &Cluster) -> Vec<Duration> {
        let step = (cluster.pods.len() / SINGLE_CHANGES).max(1);
        let chosen = cluster.pods.iter().step_by(step).filter_map(|index| cluster.records.get(*index)).take(SINGLE_CHANGES);
        let mut times = Vec::new();
        for record in chosen.cloned().collect::<Vec<_>>() {
            self.now = later(self.now, 1);
            let record = self.at_now(record);
            let after = self.now.checked_add(SignedDuration::from_millis(1)).unwrap_or(self.now);
            let ((), took) = once(|| {
                drop(self.watch.fold(&record));
                drop(self.watch.advance(after));
            });
            times.push(took);
        }
        times
    }

    fn at_now(&self, mut record: Record) -> Record {
        record.raise(self.now);
        record
    }
}

/// A cluster at rest.
struct Cluster {
    start: Timestamp,
    records: Vec<Record>,
    /// Where the pods are among the records.
    pods: Vec<usize>,
}

impl Cluster {
    fn of(objects: usize) -> Self {
        let start = Timestamp::from_second(1_795_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut cluster = Self { start, records: Vec::new(), pods: Vec::new() };
        cluster.mark();
        for index in 0..(objects / OBJECTS_OF_TEN_PODS).max(1) {
            cluster.deployment(index);
        }
        cluster
    }

    /// Everything is watched.
    fn mark(&mut self) {
        let scope = WatchScope { cluster: "c".into(), ..WatchScope::default() };
        let (reason, detail) = (String::new(), Value::Null);
        self.records.push(Record::Mark(Mark { seq: Seq(1), recorded_at: self.start, kind: MarkKind::Synced, scope, reason, detail }));
    }

    fn deployment(&mut self, index: usize) {
        let (namespace, name) = (format!("ns-{}", index / DEPLOYMENTS), format!("app-{index}"));
        let labels = json!({ "app": name });
        let template = json!({ "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "a", "image": "r.example/a:1" }] } });
        let available = json!([{ "type": "Available", "status": "True" }, { "type": "Progressing", "status": "True" }]);
        let counts = json!({ "replicas": REPLICAS, "readyReplicas": REPLICAS, "availableReplicas": REPLICAS, "updatedReplicas": REPLICAS, "observedGeneration": 1, "conditions": available });
        let spec = json!({ "replicas": REPLICAS, "selector": { "matchLabels": labels }, "template": template });
        self.put("apps", "Deployment", "deployments", &namespace, &name, &Value::Null, json!({ "spec": spec, "status": counts }));
        let set = format!("{name}-6d4cf56db6");
        self.put(
            "apps",
            "ReplicaSet",
            "replicasets",
            &namespace,
            &set,
            &owner("apps/v1", "Deployment", &name),
            json!({ "spec": spec, "status": counts }),
        );
        for replica in 0..REPLICAS {
            self.pods.push(self.records.len());
            let pod = json!({
                "spec": { "nodeName": format!("node-{}", (index + replica) % 500), "containers": [{ "name": "a", "image": "r.example/a:1" }] },
                "status": {
                    "phase": "Running",
                    "conditions": [{ "type": "Ready", "status": "True" }, { "type": "PodScheduled", "status": "True" }],
                    "containerStatuses": [{ "name": "a", "ready": true, "restartCount": 0, "state": { "running": { "startedAt": self.start.to_string() } } }]
                }
            });
            self.put("", "Pod", "pods", &namespace, &format!("{set}-{replica}"), &owner("apps/v1", "ReplicaSet", &set), pod);
        }
        let service = json!({ "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": 80 }], "type": "ClusterIP" } });
        self.put("", "Service", "services", &namespace, &name, &Value::Null, service);
        let endpoints: Vec<Value> =
            (0..REPLICAS).map(|replica| json!({ "addresses": [format!("10.0.0.{replica}")], "conditions": { "ready": true } })).collect();
        let slice = json!({ "addressType": "IPv4", "endpoints": endpoints, "ports": [{ "port": 80 }] });
        self.put("discovery.k8s.io", "EndpointSlice", "endpointslices", &namespace, &format!("{name}-x"), &Value::Null, slice);
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of an object, each once")]
    fn put(&mut self, group: &str, kind: &str, resource: &str, namespace: &str, name: &str, owner: &Value, mut body: Value) {
        let label = name.split("-6d").next().unwrap_or(name).trim_end_matches("-x");
        let mut metadata = json!({
            "name": name, "namespace": namespace, "uid": format!("{kind}/{name}"), "generation": 1, "creationTimestamp": self.start.to_string(),
            "labels": { "app": label, "kubernetes.io/service-name": label }
        });
        if !owner.is_null()
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.insert("ownerReferences".to_owned(), json!([owner]));
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("metadata".to_owned(), metadata);
        }
        let seq = Seq(self.records.len() as u64 + 1);
        self.records.push(Record::Change(Change {
            seq,
            recorded_at: self.start,
            event_time: None,
            verb: Verb::Create,
            origin: Origin::Watch,
            gap: None,
            object: ObjectId {
                cluster: "c".into(),
                group: group.into(),
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
                uid: format!("{kind}/{name}").as_str().into(),
            },
            version: "v1".into(),
            resource: resource.into(),
            resource_version: "1".into(),
            generation: Some(1),
            manager: None,
            regarding: None,
            body: Some(body.to_string().into_bytes().into()),
        }));
    }
}

fn owner(version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": version, "kind": kind, "name": name, "uid": format!("{kind}/{name}"), "controller": true })
}

/// The pod of a record, its container failing.
fn failing(record: &Record) -> Record {
    let Record::Change(change) = record else { return record.clone() };
    let mut body: Value = change.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null);
    let state = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "configmap \"a\" not found" } });
    if let Some(status) = body.get_mut("status") {
        *status = json!({
            "phase": "Pending",
            "conditions": [{ "type": "Ready", "status": "False" }, { "type": "PodScheduled", "status": "True" }],
            "containerStatuses": [{ "name": "a", "ready": false, "restartCount": 0, "state": state }]
        });
    }
    Record::Change(Change { verb: Verb::Update, body: Some(body.to_string().into_bytes().into()), ..change.clone() })
}

fn body_bytes(record: &Record) -> usize {
    match record {
        Record::Change(change) => change.body.as_ref().map_or(0, |body| body.len()),
        Record::Mark(_) => 0,
    }
}

fn later(than: Timestamp, seconds: i64) -> Timestamp {
    than.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(than)
}

/// Resident memory of this process in bytes; 0 where the kernel does not say.
fn resident() -> u64 {
    let read = || -> Result<u64> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.split_whitespace().next().context("no figure")?.parse::<u64>()? * 1024)
    };
    read().unwrap_or(0)
}
