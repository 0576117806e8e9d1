//! The doctor at a real API server: without a journal, with rights that are missing, beside a recorded outage, and trying things.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that does not hold")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proreus_model::Record;
use proreus_testkit::{ControlPlane, ControlPlaneOptions, User};
use proreus_tests::reading::{changes_of, records_of, wait_for_records};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};

/// A busy machine takes its time.
const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Stands in a value that must not be told.
const CANARY: &str = "canary-Wm4kT8zQ";

/// One account that sees pods and nodes and nothing else.
const ROLES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: sees-pods}
rules:
- {apiGroups: [""], resources: [pods, nodes], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: sees-pods}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sees-pods}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
"#;

/// A pod whose image is refused, bound long ago, and a Secret beside it.
const OUTAGE: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: default}
stringData: {password: canary-Wm4kT8zQ}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: default}
spec: {nodeName: worker-1, containers: [{name: web, image: "registry.example/shop/web:1.401", env: [{name: DB_PASSWORD, value: canary-Wm4kT8zQ}]}]}
"#;

struct Bench {
    plane: ControlPlane,
    directory: tempfile::TempDir,
}

/// What a run of `proreus` came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// `reason name` of each finding.
    fn findings(&self) -> Vec<String> {
        let found = self.json()["findings"].as_array().unwrap().clone();
        found.iter().map(|finding| format!("{} {}", finding["reason"].as_str().unwrap(), finding["name"].as_str().unwrap())).collect()
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(built_proreus().unwrap());
    command.args(arguments);
    for variable in ["KUBECONFIG", "CONFIG_PATH", "PROREUS_DATA_DIR", "PROREUS_SERVER"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Ran {
    Ran::of(command(arguments).output().unwrap())
}

impl Bench {
    async fn start(options: ControlPlaneOptions) -> Self {
        Self { plane: ControlPlane::start(options).await.unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    async fn apply(&self, text: &str) {
        let path = self.directory.path().join("applied.yaml");
        std::fs::write(&path, text).unwrap();
        self.plane.kubectl(&["apply", "-f", path.to_str().unwrap()]).await.unwrap();
    }

    async fn status(&self, pod: &str, status: Value) {
        let patch = json!({"status": status}).to_string();
        self.plane.kubectl(&["patch", "pod", pod, "--subresource=status", "--type=merge", "-p", &patch]).await.unwrap();
    }

    async fn break_the_image(&self) {
        self.apply(OUTAGE).await;
        let message = "failed to resolve reference: pull access denied, repository does not exist or may require authorization";
        self.status(
            "web-0",
            json!({
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "containerStatuses": [{
                    "name": "web", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": {"waiting": {"reason": "ErrImagePull", "message": message}},
                }],
            }),
        )
        .await;
    }

    fn doctor(&self, kubeconfig: &Path, more: &[&str]) -> Ran {
        run(&[&["doctor", "--kubeconfig", kubeconfig.to_str().unwrap(), "-o", "json"], more].concat())
    }

    async fn names(&self, kind: &str) -> String {
        self.plane.kubectl(&["get", kind, "-A", "-l", "proreus.dev/probe", "-o", "name"]).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_a_person_in_seconds_what_is_wrong_without_a_journal_and_without_a_secret() {
    let bench = Bench::start(ControlPlaneOptions { users: vec![User::named("limited")], ..ControlPlaneOptions::default() }).await;
    bench.break_the_image().await;
    let begun = Instant::now();
    let ran = bench.doctor(bench.plane.kubeconfig(), &[]);
    println!("examined in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!((ran.code, ran.findings()), (Some(1), vec!["ImagePullBackOff web-0".to_owned()]), "{}", ran.err);
    let (answer, uid) = (ran.json(), bench.plane.kubectl(&["get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}"]).await.unwrap());
    assert_eq!(answer["cluster"]["id"], json!(uid.trim()));
    assert_eq!(answer["findings"][0]["class"], "Auth", "the tag's digits are no status code");
    assert_eq!(answer["findings"][0]["evidence"], json!([]), "nothing was recorded that could be named");
    assert_eq!(answer.get("seq"), None);

    // Everything that may hold a value: data, progress, the objects that could not be judged.
    for more in [&["--all"][..], &["-o", "table", "--all"], &["-o", "yaml"], &["-o", "junit"]] {
        let arguments: Vec<&str> =
            ["doctor", "--kubeconfig", bench.plane.kubeconfig().to_str().unwrap()].into_iter().chain(more.iter().copied()).collect();
        let told = run(&arguments);
        assert!(!told.out.contains(CANARY) && !told.err.contains(CANARY), "{more:?} tells a secret");
    }

    // A question about other things is answered with yes, all is well there.
    let ran = bench.doctor(bench.plane.kubeconfig(), &["--check", "ingress-class", "--check", "pod-pending"]);
    assert_eq!((ran.code, ran.findings()), (Some(0), Vec::new()), "{}", ran.err);
    let ran = bench.doctor(bench.plane.kubeconfig(), &["--namespace", "kube-system"]);
    assert_eq!((ran.code, ran.findings()), (Some(0), Vec::new()), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_what_it_may_not_see_and_who_does_not_answer() {
    let bench = Bench::start(ControlPlaneOptions { users: vec![User::named("limited")], ..ControlPlaneOptions::default() }).await;
    bench.break_the_image().await;
    bench.apply(ROLES).await;
    let limited = bench.plane.kubeconfig_for("limited", bench.plane.apiserver_port()).unwrap();
    let ran = bench.doctor(&limited, &[]);
    assert_eq!((ran.code, ran.findings()), (Some(1), vec!["ImagePullBackOff web-0".to_owned()]), "{}", ran.err);
    let unsettled = ran.json()["unsettled"].as_array().unwrap().clone();
    let skips = |check: &str, reason: &str| {
        unsettled.iter().any(|one| one["check"] == check && one["state"] == "skipped" && one["reason"].as_str().unwrap().contains(reason))
    };
    assert!(skips("tls-secret", "secrets may not be read: forbidden"), "{unsettled:#?}");
    assert!(skips("argo-application", "the cluster does not serve the type"), "{unsettled:#?}");
    assert!(skips("condition-ready", "may not be read"), "a check of every kind says which kinds it does not see");
    assert!(ran.err.contains("does not tell who it is"), "{}", ran.err);
    let strict = bench.doctor(&limited, &["--strict"]);
    assert_eq!(strict.code, Some(2), "{}", strict.err);
    let strict = bench.doctor(&limited, &["--strict", "--check", "image-pull"]);
    assert_eq!(strict.code, Some(1), "what this check needs may be read: {}", strict.err);

    let nowhere = bench.plane.kubeconfig_for("limited", 1).unwrap();
    let ran = bench.doctor(&nowhere, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let error: Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
    assert!(error["error"].as_str().unwrap().contains("the cluster of context `"), "{error}");
    assert!(error["error"].as_str().unwrap().contains("does not answer"), "{error}");
    let ran = run(&["doctor", "--kubeconfig", limited.to_str().unwrap(), "--context", "other"]);
    assert_eq!(ran.code, Some(1), "a context that is not there is refused input: {}", ran.err);
    assert!(ran.err.contains("it has no context `other`"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_of_a_recorded_outage_what_it_said_then() {
    let bench = Bench::start(ControlPlaneOptions::default()).await;
    let options = RecorderOptions {
        program: built_proreus().unwrap(),
        kubeconfig: bench.plane.kubeconfig().to_owned(),
        data_dir: bench.data_dir(),
        log: bench.directory.path().join("recorder.log"),
        arguments: Vec::new(),
    };
    let mut recorder = RecorderProcess::start(options).await.unwrap();
    bench.break_the_image().await;
    // The first list may find the pod before or after it broke, so that the count of its versions says nothing.
    let shows = |word: &'static str| {
        move |records: &[Record]| {
            let pods = changes_of(records, "Pod", "web-0");
            let body = pods.last().and_then(|change| change.body.as_ref())?;
            String::from_utf8_lossy(body).contains(word).then_some(())
        }
    };
    wait_for_records("the broken pod", WITHIN, || records_of(&bench.data_dir()), shows("ErrImagePull")).await.unwrap();
    let (data_dir, journal) = (bench.data_dir(), ["doctor", "-o", "json", "--data-dir"]);
    let of_journal = |more: &[&str]| run(&[&journal[..], &[data_dir.to_str().unwrap()], more].concat());
    let then = of_journal(&[]);
    assert_eq!((then.code, then.findings()), (Some(1), vec!["ImagePullBackOff web-0".to_owned()]), "{}", then.err);
    let live = bench.doctor(bench.plane.kubeconfig(), &[]);
    for field in ["reason", "class", "severity", "message", "remediation", "uid", "owner"] {
        assert_eq!(live.json()["findings"][0][field], then.json()["findings"][0][field], "{field}: the cluster itself and its record");
    }
    // A pod does not say since when its container waits. Whoever saw it begin knows better, and never earlier.
    let since = |ran: &Ran| ran.json()["findings"][0]["since"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(since(&live) <= since(&then), "{} {}", live.out, then.out);

    let running = json!([{"name": "web", "ready": true, "restartCount": 0, "image": "", "imageID": "", "state": {"running": {}}}]);
    let ready = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]);
    bench.status("web-0", json!({"phase": "Running", "conditions": ready, "containerStatuses": running})).await;
    wait_for_records("the mended pod", WITHIN, || records_of(&bench.data_dir()), shows("\"running\"")).await.unwrap();
    assert_eq!(of_journal(&[]).findings(), Vec::<String>::new());
    let at = then.json()["seq"].to_string();
    let again = of_journal(&["--at", &at]);
    assert_eq!(again.json()["findings"], then.json()["findings"]);
    assert_eq!(again.code, Some(1));
    assert!(recorder.terminate().await, "the recorder ends in good order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_things_says_so_before_and_leaves_nothing_behind() {
    let bench = Bench::start(ControlPlaneOptions::full()).await;
    let admin = bench.plane.kubeconfig().to_owned();
    bench.apply(&leftover("proreus-probe-old", 1)).await;
    let ran = bench.doctor(&admin, &["--active", "--check", "pod-run", "--check", "api-health", "--probe-timeout-seconds", "3"]);
    assert_eq!((ran.code, ran.findings().len()), (Some(1), 1), "{}", ran.err);
    assert_eq!(ran.json()["findings"][0]["class"], "Unschedulable", "there is no node: {}", ran.out);
    assert_eq!(ran.json()["checks"]["api-health"]["healthy"], 2);
    assert!(ran.err.contains("create a pod of registry.k8s.io/pause:3.10 in proreus-probe-"), "{}", ran.err);
    assert!(ran.err.contains("removed what an earlier run left: namespaces/proreus-probe-old"), "{}", ran.err);
    until("nothing is left", || async { bench.names("namespaces").await.is_empty() && bench.names("pods").await.is_empty() }).await;

    bench.apply(&format!("{NODE}\n---\n{FULL}")).await;
    until("the quota counts", || async {
        !bench.plane.kubectl(&["get", "quota", "none", "-n", "full", "-o", "jsonpath={.status.hard.pods}"]).await.unwrap().is_empty()
    })
    .await;
    let ran = bench.doctor(&admin, &["--active", "--check", "pod-run", "--probe-timeout-seconds", "60"]);
    assert_eq!((ran.code, ran.findings()), (Some(0), Vec::new()), "{}\n{}", ran.out, ran.err);
    let ran = bench.doctor(&admin, &["--active", "--check", "pod-admission", "--namespace", "full"]);
    assert_eq!(ran.findings(), ["PodsRefused full"], "{}", ran.err);
    assert_eq!(ran.json()["findings"][0]["class"], "Quota");
    let ran = bench.doctor(&admin, &["--check", "pod-run"]);
    assert_eq!(ran.code, Some(1), "what does something is not done unasked: {}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clears_away_when_it_is_interrupted() {
    let bench = Bench::start(ControlPlaneOptions::full()).await;
    let admin = bench.plane.kubeconfig().to_str().unwrap().to_owned();
    let arguments = ["doctor", "--kubeconfig", &admin, "--active", "--check", "pod-run", "--probe-timeout-seconds", "300"];
    let mut child = command(&arguments).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    until("the pod is there", || async { !bench.names("pods").await.is_empty() }).await;
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it ends within ten seconds");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("interrupted"), "{}", ran.err);
    until("nothing is left", || async { bench.names("namespaces").await.is_empty() && bench.names("pods").await.is_empty() }).await;
}

/// A namespace as a killed run leaves it.
fn leftover(name: &str, expires: i64) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{proreus.dev/probe: old, proreus.dev/probe-expires: \"{expires}\"}}}}\n"
    )
}

const NODE: &str = r#"
apiVersion: v1
kind: Node
metadata: {name: worker-1, annotations: {kwok.x-k8s.io/node: fake}, labels: {type: kwok}}
status: {allocatable: {cpu: "4", memory: 8Gi, pods: "110"}, capacity: {cpu: "4", memory: 8Gi, pods: "110"}}
"#;
const FULL: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: full}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: none, namespace: full}
spec: {hard: {pods: "0"}}
"#;

/// Looks until something is so.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < WITHIN, "{what}: not within {} s", WITHIN.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
