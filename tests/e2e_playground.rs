//! The playground is a double: here the same operations go to it and to a real API server, and kubectl talks to it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use kube::client::Body;
use proreus_playground::differential::{Request, Response, SUITES, Walk, parse};
use proreus_playground::{Playground, PlaygroundOptions, ScenarioClock};
use proreus_testkit::{Binaries, ControlPlane, ControlPlaneOptions, Program};
use proreus_tests::built_proreus;

/// How long an answer may take, one that is asked for again and again included.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// Becomes the field manager, and so is part of the transcripts.
const USER_AGENT: &str = "differential/1";

async fn send(client: &Client, request: &Request) -> Response {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let response = tokio::time::timeout(PATIENCE, once(client, request)).await.expect("no answer");
        if request.until.is_none_or(|wanted| wanted == response.status) || Instant::now() > deadline {
            return response;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(client: &Client, request: &Request) -> Response {
    let mut asked = http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.path)
        .header(http::header::USER_AGENT, USER_AGENT)
        .header(http::header::ACCEPT, &request.accept);
    if request.body.is_some() {
        asked = asked.header(http::header::CONTENT_TYPE, &request.content_type);
    }
    let asked = asked.body(Body::from(request.body.clone().unwrap_or_default().into_bytes())).unwrap();
    let answer = client.send(asked).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await.unwrap();
    Response { status, body: String::from_utf8_lossy(&body).into_owned() }
}

async fn walk(client: &Client, operations: &str) -> String {
    let mut walk = Walk::default();
    for operation in parse(operations).unwrap() {
        let response = send(client, &walk.request(&operation)).await;
        walk.answer(&operation, &response);
    }
    walk.transcript().to_owned()
}

async fn playground() -> Playground {
    let mut options = PlaygroundOptions::new(Arc::new(ScenarioClock::new("2026-03-02T09:00:00Z".parse().unwrap())), 1);
    options.controllers = false;
    Playground::start(options).await.unwrap()
}

fn first_difference(ours: &str, theirs: &str) -> Option<String> {
    let (mut ours, mut theirs) = (ours.lines(), theirs.lines());
    for number in 1.. {
        match (ours.next(), theirs.next()) {
            (None, None) => return None,
            (ours, theirs) if ours == theirs => {}
            (ours, theirs) => return Some(format!("line {number}: the playground says {ours:?}, the real server {theirs:?}")),
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_every_operation_as_the_real_server_does_today() {
    // One of the suites asks for an address of this range.
    let options = ControlPlaneOptions {
        apiserver_flags: vec!["--service-cluster-ip-range=10.96.0.0/16".to_owned()],
        ..ControlPlaneOptions::default()
    };
    let plane = ControlPlane::start(options).await.unwrap();
    let real = plane.client().await.unwrap();
    let mut differences = Vec::new();
    for (name, operations, kept) in SUITES {
        let playground = playground().await;
        let double = Client::try_from(kube::Config::new(playground.url().parse().unwrap())).unwrap();
        let (ours, theirs) = (walk(&double, operations).await, walk(&real, operations).await);
        playground.shutdown().await;
        assert!(theirs.lines().count() > 20, "{name}: hardly anything was asked:\n{theirs}");
        differences.extend(first_difference(&ours, &theirs).map(|difference| format!("{name}: {difference}")));
        differences.extend(first_difference(kept, &theirs).map(|difference| format!("{name}, the transcript kept: {difference}")));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_kubectl_as_a_cluster_does() {
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("kubeconfig");
    let mut playing = tokio::process::Command::new(built_proreus().unwrap())
        .args(["playground", "--listen", "127.0.0.1:0", "--speed", "20", "--kubeconfig", kubeconfig.to_str().unwrap()])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&kubeconfig).is_ok_and(|text| text.contains("current-context")) {
        assert!(Instant::now() < deadline, "the playground wrote no kubeconfig");
        tokio::time::sleep(PAUSE).await;
    }
    let program = Binaries::locate().unwrap().path(Program::Kubectl);
    let kubectl = async |line: &str, input: &str| {
        let given = home.path().join("given.yaml");
        std::fs::write(&given, input).unwrap();
        let mut command = tokio::process::Command::new(&program);
        command.args(line.split(' ')).current_dir(home.path());
        command.env("HOME", home.path()).env("KUBECONFIG", &kubeconfig).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap_or_else(|_| panic!("kubectl {line}: no end")).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "kubectl {line}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let nodes = kubectl("get nodes", "").await;
    assert!(nodes.starts_with("NAME") && nodes.contains("Ready"), "{nodes}");
    assert!(kubectl("create namespace till", "").await.contains("namespace/till created"));
    let applied = kubectl("apply -n till -f given.yaml", DEPLOYMENT).await;
    assert!(applied.contains("deployment.apps/till created"), "{applied}");
    assert!(kubectl("apply -n till -f given.yaml", DEPLOYMENT).await.contains("unchanged"));
    assert!(kubectl("apply --server-side --force-conflicts -n till -f given.yaml", DEPLOYMENT).await.contains("serverside-applied"));
    assert!(kubectl("scale -n till deployment/till --replicas=3", "").await.contains("scaled"));
    kubectl("rollout status -n till deployment/till --timeout=25s", "").await;
    assert_eq!(kubectl("get pods -n till -l app=till -o name", "").await.lines().count(), 3);
    assert!(kubectl("describe deployment till -n till", "").await.contains("3 desired | 3 updated | 3 total | 3 available"));
    assert!(kubectl("get deployment till -n till -o jsonpath={.spec.replicas}", "").await == "3");
    kubectl("set image -n till deployment/till till=registry.example/till:2", "").await;
    kubectl("rollout status -n till deployment/till --timeout=25s", "").await;
    assert!(kubectl("rollout history -n till deployment/till", "").await.contains('2'));
    kubectl("label -n till deployment/till team=front", "").await;
    kubectl("annotate -n till deployment/till note=seen", "").await;
    assert!(kubectl("get events -n till", "").await.contains("ScalingReplicaSet"));
    assert!(kubectl("api-resources", "").await.contains("deployments"));
    assert!(kubectl("explain deployment", "").await.contains("KIND:       Deployment"));
    kubectl("delete deployment till -n till --wait=true --timeout=25s", "").await;
    kubectl("delete namespace till --wait=true --timeout=25s", "").await;
    assert!(!kubectl("get namespaces -o name", "").await.contains("till"));
    playing.kill().await.unwrap();
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: till}
spec:
  replicas: 2
  selector: {matchLabels: {app: till}}
  template:
    metadata: {labels: {app: till}}
    spec:
      containers: [{name: till, image: 'registry.example/till:1'}]
";
