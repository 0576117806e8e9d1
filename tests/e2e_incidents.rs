//! Incidents on the real control plane: faults open them after their grace, recoveries resolve them after the hold-down, a kill in between
//! changes nothing, and a replay of the journal gives the same.
//!
//! Kubelets are played by KWOK, so what a kubelet would say of a fault is written into the status by the test.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Record, Verb};
use proreus_testkit::{ControlPlane, ControlPlaneOptions};
use proreus_tests::reading::{changes, records_of};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};
use tokio::process::Command;

const GRACE: SignedDuration = SignedDuration::from_secs(4);
const HOLD_DOWN: SignedDuration = SignedDuration::from_secs(5);
/// How much later than its moment an incident may be recorded.
const LATE: SignedDuration = SignedDuration::from_secs(1);
/// How long a condition is waited for, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

const CONFIG: &str = "doctor: {graceSeconds: 4}\nincidents: {holdDownSeconds: 5}\n";

const NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: worker-1}
";

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: web, image: registry.example/web:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: api, image: registry.example/api:1}]}
";

const MCP: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: mcpservers.mcpruntime.org}
spec:
  group: mcpruntime.org
  scope: Namespaced
  names: {plural: mcpservers, singular: mcpserver, kind: MCPServer}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const SERVER: &str = "
apiVersion: mcpruntime.org/v1alpha1
kind: MCPServer
metadata: {name: weather, namespace: shop}
spec: {image: registry.example/weather:1}
";

struct Bench {
    plane: ControlPlane,
    recorder: RecorderProcess,
    directory: tempfile::TempDir,
}

impl Bench {
    async fn start(options: ControlPlaneOptions) -> Self {
        let plane = ControlPlane::start(options).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("proreus.yaml");
        std::fs::write(&config, CONFIG).unwrap();
        let options = RecorderOptions {
            program: built_proreus().unwrap(),
            kubeconfig: plane.kubeconfig().to_owned(),
            data_dir: directory.path().join("data"),
            log: directory.path().join("recorder.log"),
            arguments: vec!["--config".to_owned(), config.display().to_string()],
        };
        let recorder = RecorderProcess::start(options).await.unwrap();
        Self { plane, recorder, directory }
    }

    fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    async fn apply(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        self.plane.kubectl(&["apply", "-f", path.to_str().unwrap()]).await.unwrap();
    }

    async fn patch_status(&self, kind: &str, name: &str, status: &Value) {
        let patch = json!({ "status": status }).to_string();
        let args = ["patch", kind, name, "-n", "shop", "--subresource=status", "--type=merge", "-p", &patch];
        self.plane.kubectl(&args).await.unwrap();
    }

    async fn incidents(&self, query: &str) -> Vec<Value> {
        let text = self.recorder.get(&format!("/api/v1/incidents?limit=1000{query}")).await.unwrap();
        let page: Value = serde_json::from_str(&text).unwrap();
        page.get("items").and_then(Value::as_array).cloned().unwrap()
    }

    /// Waits for an incident of that state about that object.
    async fn wait_for(&self, state: &str, kind: &str, name: &str) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let all = self.incidents("").await;
            let found = all.iter().find(|one| text(one, "state") == state && text(one, "kind") == kind && text(one, "name") == name);
            if let Some(found) = found {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "no {state} incident about {kind} {name} among {all:#?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until an incident has that state.
    async fn wait_until(&self, state: &str, id: &str) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let all = self.incidents("").await;
            if let Some(found) = all.iter().find(|one| text(one, "id") == id && text(one, "state") == state) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "{id} is not {state}: {all:#?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until nothing is wrong any more: on a busy machine the first rollouts take longer than their grace.
    async fn come_to_rest(&self) {
        let deadline = Instant::now() + SOON;
        loop {
            let open = self.incidents("&state=open").await;
            if open.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "something stays wrong: {open:#?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn pods(&self, app: &str) -> Vec<String> {
        let deadline = Instant::now() + SOON;
        loop {
            let args = [
                "get",
                "pods",
                "-n",
                "shop",
                "-l",
                &format!("app={app}"),
                "-o",
                "jsonpath={.items[?(@.status.phase=='Running')].metadata.name}",
            ];
            let names: Vec<String> = self.plane.kubectl(&args).await.unwrap().split_whitespace().map(str::to_owned).collect();
            if !names.is_empty() {
                return names;
            }
            assert!(Instant::now() < deadline, "no pod of {app} runs");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn time(of: &Value, key: &str) -> Timestamp {
    text(of, key).parse().unwrap()
}

fn pulls(container: &str) -> Value {
    json!({
        "conditions": [{ "type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": now() }],
        "containerStatuses": [{
            "name": container, "image": "registry.example/x:1", "imageID": "", "ready": false, "started": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ErrImagePull", "message": "manifest unknown" } }
        }]
    })
}

fn runs(container: &str) -> Value {
    json!({
        "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": now() }],
        "containerStatuses": [{
            "name": container, "image": "registry.example/x:1", "imageID": "x", "ready": true, "started": true, "restartCount": 0,
            "state": { "running": { "startedAt": now() } }
        }]
    })
}

fn now() -> String {
    let now = Timestamp::now();
    now.checked_sub(SignedDuration::from_nanos(now.subsec_nanosecond().into())).unwrap().to_string()
}

/// The records of an incident, as verb, time of record and body.
fn recorded(data_dir: &Path, id: &str) -> Vec<(Verb, Timestamp, Value)> {
    let records: Vec<Record> = records_of(data_dir).unwrap();
    let of_it = changes(&records).filter(|change| change.object.name.as_str() == id);
    of_it.map(|change| (change.verb, change.recorded_at, serde_json::from_slice(change.body.as_deref().unwrap()).unwrap())).collect()
}

/// Opened once, within its time after the moment it was due, or after the change that shows it where that came later; resolved within its
/// time after the moment that was due.
fn assert_in_time(data_dir: &Path, id: &str) {
    let records = recorded(data_dir, id);
    assert_eq!(records.iter().filter(|(verb, ..)| *verb == Verb::Create).count(), 1, "{id} was created more than once");
    let (_, at, first) = records.first().unwrap();
    assert!(at.duration_since(time(first, "openedAt")) <= LATE, "{id} was due at {} and recorded at {at}", text(first, "openedAt"));
    let since = first.pointer("/findings/0/since").and_then(Value::as_str).unwrap().parse::<Timestamp>().unwrap();
    let shown_by = first.pointer("/evidence/0").and_then(Value::as_u64).unwrap();
    let all = records_of(data_dir).unwrap();
    let shown_at = all.iter().find(|record| record.seq().0 == shown_by).unwrap().recorded_at();
    let due = since.checked_add(GRACE).unwrap().max(shown_at);
    assert!(time(first, "openedAt").duration_since(due) <= LATE, "{id} was due at {due} and opened late: {first}");
    let (_, at, last) = records.iter().find(|(_, _, body)| text(body, "state") == "resolved").unwrap();
    assert!(at.duration_since(time(last, "resolvedAt")) <= LATE, "{id} was over at {} and recorded at {at}", text(last, "resolvedAt"));
}

async fn listed(program: &Path, data_dir: &Path, more: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(["incidents", "-o", "json", "--data-dir"]).arg(data_dir).args(more);
    let out = command.output().await.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_open_incidents_recoveries_resolve_them_and_a_kill_changes_nothing() {
    let mut bench = Bench::start(ControlPlaneOptions::full()).await;
    bench.apply("node.yaml", NODE).await;
    bench.apply("shop.yaml", SHOP).await;
    bench.apply("mcp.yaml", MCP).await;
    bench.plane.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd/mcpservers.mcpruntime.org"]).await.unwrap();
    bench.apply("server.yaml", SERVER).await;
    bench.plane.kubectl(&["wait", "--for=condition=Available", "--timeout=90s", "-n", "shop", "deploy/web", "deploy/api"]).await.unwrap();
    bench.come_to_rest().await;

    // An image that cannot be pulled: the deployment is the owner, and that it is unavailable is explained by it.
    let web = bench.pods("web").await;
    for pod in &web {
        bench.patch_status("pod", pod, &pulls("web")).await;
    }
    let pull = bench.wait_for("open", "Deployment", "web").await;
    assert_eq!(text(&pull, "reason"), "ImagePullBackOff", "{pull:#}");

    // Within the grace of the next fault, the process dies.
    let api = bench.pods("api").await;
    for pod in &api {
        let status =
            json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": now() }] });
        bench.patch_status("pod", pod, &status).await;
    }
    let not_ready = json!({
        "phase": "PartiallyReady", "message": "All resources reconciled", "deploymentReady": false, "serviceReady": true, "ingressReady": true,
        "conditions": [{ "type": "DeploymentReady", "status": "False", "reason": "PartiallyReady", "lastTransitionTime": now() }]
    });
    bench.patch_status("mcpserver", "weather", &not_ready).await;
    bench.recorder.kill().unwrap();
    bench.recorder.start_again().await.unwrap();
    let unavailable = bench.wait_for("open", "Deployment", "api").await;
    let server = bench.wait_for("open", "MCPServer", "weather").await;
    assert_eq!(text(&server, "check"), "mcp-server", "{server:#}");
    let still = bench.wait_for("open", "Deployment", "web").await;
    assert_eq!(text(&still, "id"), text(&pull, "id"), "the restart opened another one");

    // Everything recovers; within the hold-down the process dies again.
    for pod in &web {
        bench.patch_status("pod", pod, &runs("web")).await;
    }
    for pod in &api {
        bench.patch_status("pod", pod, &runs("api")).await;
    }
    let ready = json!({
        "phase": "Ready", "deploymentReady": true, "serviceReady": true, "ingressReady": true,
        "conditions": [{ "type": "DeploymentReady", "status": "True", "reason": "Ready", "lastTransitionTime": now() }]
    });
    bench.patch_status("mcpserver", "weather", &ready).await;
    bench.recorder.kill().unwrap();
    bench.recorder.start_again().await.unwrap();
    for incident in [&pull, &unavailable, &server] {
        let resolved = bench.wait_until("resolved", text(incident, "id")).await;
        let held = time(&resolved, "resolvedAt").duration_since(time(&resolved, "openedAt"));
        assert!(held >= HOLD_DOWN, "{resolved:#}");
    }

    replays_to_the_same(&mut bench, &[&pull, &unavailable, &server]).await;
}

/// What was recorded is what a replay of the journal gives, and what REST said.
async fn replays_to_the_same(bench: &mut Bench, told: &[&Value]) {
    let rest = bench.incidents("").await;
    assert!(bench.recorder.terminate().await);
    let program = built_proreus().unwrap();
    let config = bench.directory.path().join("proreus.yaml");
    let recorded_text = listed(&program, &bench.data_dir(), &[]).await;
    let replayed = listed(&program, &bench.data_dir(), &["--config", config.to_str().unwrap()]).await;
    assert_eq!(recorded_text, replayed);
    let of_files: Vec<Value> = serde_json::from_str(&recorded_text).unwrap();
    for incident in &rest {
        assert!(of_files.iter().any(|other| text(other, "id") == text(incident, "id")), "{incident:#}");
    }
    for incident in told {
        let records = recorded(&bench.data_dir(), text(incident, "id"));
        assert_eq!(records.iter().filter(|(verb, ..)| *verb == Verb::Create).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_recorded_within_a_second_of_its_moment() {
    let bench = Bench::start(ControlPlaneOptions::full()).await;
    bench.apply("node.yaml", NODE).await;
    bench.apply("shop.yaml", SHOP).await;
    bench.plane.kubectl(&["wait", "--for=condition=Available", "--timeout=90s", "-n", "shop", "deploy/web"]).await.unwrap();
    bench.come_to_rest().await;
    let web = bench.pods("web").await;
    for pod in &web {
        bench.patch_status("pod", pod, &pulls("web")).await;
    }
    let pull = bench.wait_for("open", "Deployment", "web").await;
    for pod in &web {
        bench.patch_status("pod", pod, &runs("web")).await;
    }
    bench.wait_until("resolved", text(&pull, "id")).await;
    assert_in_time(&bench.data_dir(), text(&pull, "id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pods_that_fail_with_their_node_are_one_incident() {
    const DEPLOYMENTS: usize = 10;
    const REPLICAS: usize = 100;
    let options = ControlPlaneOptions { node_lease_seconds: 12, ..ControlPlaneOptions::full() };
    let mut bench = Bench::start(options).await;
    bench.apply("node.yaml", NODE).await;
    let mut apps = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n".to_owned();
    for index in 0..DEPLOYMENTS {
        apps.push_str(&format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{index}, namespace: shop}}\nspec:\n  replicas: {REPLICAS}\n  \
             selector: {{matchLabels: {{app: app-{index}}}}}\n  template:\n    metadata: {{labels: {{app: app-{index}}}}}\n    \
             spec: {{nodeName: worker-1, terminationGracePeriodSeconds: 0, containers: [{{name: a, image: registry.example/a:1}}]}}\n"
        ));
    }
    bench.apply("apps.yaml", &apps).await;
    bench.plane.kubectl(&["wait", "--for=condition=Available", "--timeout=600s", "-n", "shop", "deploy", "--all"]).await.unwrap();
    bench.plane.kill_kwok();
    let node = bench.wait_for("open", "Node", "worker-1").await;
    let unready = "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}";
    let deadline = Instant::now() + SOON;
    loop {
        let ready = bench.plane.kubectl(&["get", "pods", "-n", "shop", "-o", unready]).await.unwrap();
        // A deployment is available with three quarters of its pods: the others never became ready.
        let unready = ready.lines().filter(|status| *status != "True").count();
        let all = bench.incidents("&state=open").await;
        let count = all.iter().find(|one| text(one, "id") == text(&node, "id")).and_then(|one| one.get("count")).and_then(Value::as_u64);
        // The pods' own containers last said that they were well: who finds them gone are their owners.
        if unready == DEPLOYMENTS * REPLICAS && count.unwrap_or(0) > DEPLOYMENTS as u64 {
            assert_eq!(all.len(), 1, "{all:#?}");
            return;
        }
        assert!(Instant::now() < deadline, "{unready} pods are not ready, the node's incident has {count:?} findings");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
