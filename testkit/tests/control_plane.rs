//! The bench itself, tried against the real programs. Needs `cargo xtask bench-binaries`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, AsyncReadExt};
use http::Request;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use proreus_testkit::{ControlPlane, ControlPlaneOptions, Error, FaultProxy, ObjectPath, User, Witness};

// Generous: two cores may be building something else at the same time.
const SOON: Duration = Duration::from_secs(60);

fn core(resource: &str, name: &str) -> ObjectPath {
    ObjectPath { resource: resource.into(), namespace: "default".into(), name: name.into() }
}

fn is_alive(id: u32) -> bool {
    // A zombie has ended; only its parent has not looked yet.
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_its_objects_over_a_proper_and_an_improper_restart() {
    let mut plane = ControlPlane::start(ControlPlaneOptions::full()).await.unwrap();
    plane.kubectl(&["create", "configmap", "kept", "--from-literal=answer=42"]).await.unwrap();
    let port = plane.apiserver_port();

    assert!(plane.stop_apiserver().await, "it had to be killed");
    plane.start_apiserver().await.unwrap();
    plane.kill_apiserver();
    assert!(plane.kubectl(&["get", "configmap", "kept", "--request-timeout=2s"]).await.is_err());
    plane.start_apiserver().await.unwrap();

    let answer = plane.kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.data.answer}"]).await.unwrap();
    assert_eq!(answer, "42");
    assert_eq!(plane.apiserver_port(), port);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_an_old_watch_with_gone_after_a_compaction() {
    let mut plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let old = plane.revision().await.unwrap();
    for name in ["a", "b", "c"] {
        plane.kubectl(&["create", "configmap", name]).await.unwrap();
    }
    let compacted = plane.compact_etcd().await.unwrap();
    assert!(compacted > old);
    plane.restart_apiserver().await.unwrap();

    let path = format!("/api/v1/configmaps?watch=1&resourceVersion={old}&timeoutSeconds=5");
    let client = plane.client().await.unwrap();
    let answer = client.request_text(Request::get(path).body(Vec::new()).unwrap()).await;
    // Told as a failed request or as the first event of the stream, depending on how old it is.
    let told = format!("{answer:?}");
    assert!(told.contains("410") && told.contains("Expired"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lets_a_client_feel_a_dead_network_and_a_broken_watch_through_the_proxy() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let proxy = FaultProxy::start(plane.apiserver_port()).unwrap();
    let through = plane.kubeconfig_for("admin", proxy.port()).unwrap();
    let flag = format!("--kubeconfig={}", through.display());
    let ask = async || plane.kubectl(&[&flag, "get", "namespace", "default", "--request-timeout=2s"]).await;
    ask().await.unwrap();

    let config = Kubeconfig::read_from(&through).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let request = Request::get("/api/v1/namespaces?watch=1").body(Vec::new()).unwrap();
    let mut watch = Box::pin(client.request_stream(request).await.unwrap());
    let mut line = String::new();
    watch.read_line(&mut line).await.unwrap();
    assert!(line.contains("ADDED"), "{line}");

    proxy.stall().unwrap();
    let error = ask().await.unwrap_err().to_string();
    assert!(error.contains("timeout") || error.contains("deadline"), "{error}");
    proxy.refuse().unwrap();
    let error = ask().await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    let rest = watch.read_to_string(&mut line).await;
    assert!(rest.is_err(), "a cut watch must not look like one that came to its end: {line}");

    proxy.forward().unwrap();
    ask().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn witnesses_every_life_of_an_object_with_the_versions_the_api_shows() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let witness = Witness::start(plane.etcd_url()).unwrap();
    let shown = async || {
        let path = "jsonpath={.metadata.uid} {.metadata.resourceVersion}";
        plane.kubectl(&["get", "configmap", "life", "-o", path]).await.unwrap()
    };
    plane.kubectl(&["create", "configmap", "life"]).await.unwrap();
    let created = shown().await;
    plane.kubectl(&["patch", "configmap", "life", "-p", r#"{"data":{"k":"v"}}"#]).await.unwrap();
    let updated = shown().await;
    plane.kubectl(&["delete", "configmap", "life"]).await.unwrap();
    plane.kubectl(&["create", "configmap", "life"]).await.unwrap();
    let recreated = shown().await;
    witness.catch_up().await.unwrap();

    let history = witness.history(&core("configmaps", "life"));
    let told: Vec<String> = history.iter().map(|v| format!("{} {}", v.uid, v.mod_revision)).collect();
    assert_eq!(history.iter().map(|v| v.deleted).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!([&told[0], &told[1], &told[3]], [&created, &updated, &recreated]);
    assert_eq!(history[2].uid, history[0].uid);
    assert_ne!(history[3].uid, history[0].uid);
    let value = witness.value(&history[1]).unwrap().unwrap();
    assert!(String::from_utf8(value).unwrap().contains(r#""data":{"k":"v"}"#));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admits_that_it_is_no_witness_when_history_was_gone_before_it_came() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    plane.compact_etcd().await.unwrap();
    let late = Witness::start(plane.etcd_url()).unwrap();
    let error = late.catch_up().await.unwrap_err();
    assert!(matches!(error, Error::WitnessLost(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_a_further_user_nothing_but_what_rbac_says() {
    let users = vec![User::named("reader")];
    let plane = ControlPlane::start(ControlPlaneOptions { users, ..Default::default() }).await.unwrap();
    let own = plane.kubeconfig_for("reader", plane.apiserver_port()).unwrap();
    let flag = format!("--kubeconfig={}", own.display());
    let refused = plane.kubectl(&[&flag, "get", "configmaps"]).await.unwrap_err().to_string();
    assert!(refused.contains("forbidden"), "{refused}");

    // Not one of the default roles: kube-controller-manager would have to fill those first.
    for args in ["clusterrole lists --verb=list --resource=configmaps", "clusterrolebinding r --clusterrole=lists --user=reader"] {
        let args: Vec<&str> = std::iter::once("create").chain(args.split(' ')).collect();
        plane.kubectl(&args).await.unwrap();
    }
    // The API server's authorizer learns of a new binding by a watch of its own.
    let deadline = Instant::now() + SOON;
    while let Err(error) = plane.kubectl(&[&flag, "get", "configmaps"]).await {
        assert!(Instant::now() < deadline, "{error}");
    }
    assert!(matches!(plane.kubeconfig_for("nobody", 1), Err(Error::UserUnknown(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_a_deployment_to_ready_pods_without_machines() {
    let plane = ControlPlane::start(ControlPlaneOptions::full()).await.unwrap();
    let node = plane.dir().join("node.yaml");
    std::fs::write(&node, "{apiVersion: v1, kind: Node, metadata: {name: node-1}}").unwrap();
    plane.kubectl(&["apply", "-f", node.to_str().unwrap()]).await.unwrap();
    plane.kubectl(&["create", "deployment", "web", "--image=shop/web:1", "--replicas=3"]).await.unwrap();
    plane.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await.unwrap();
    let on = plane.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]).await.unwrap();
    assert_eq!(on, "node-1 node-1 node-1");

    plane.kubectl(&["delete", "deployment", "web", "--timeout=60s"]).await.unwrap();
    plane.kubectl(&["wait", "--for=delete", "pods", "--all", "--timeout=60s"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_no_process_and_no_file_behind() {
    let plane = ControlPlane::start(ControlPlaneOptions::full()).await.unwrap();
    let (ids, dir) = (plane.process_ids(), plane.dir().to_owned());
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|id| is_alive(*id)));
    drop(plane);
    assert!(ids.iter().all(|id| !is_alive(*id)));
    assert!(!dir.exists());
}

/// Started again by the test below in a process of its own, which is then killed.
const HELD_IN: &str = "PROREUS_TESTKIT_HELD_IN";

#[tokio::test]
async fn leaves_no_process_behind_when_its_own_process_is_killed() {
    if let Some(file) = std::env::var_os(HELD_IN) {
        return hold(Path::new(&file)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ids");
    let mut holder = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leaves_no_process_behind_when_its_own_process_is_killed"])
        .env(HELD_IN, &file)
        .env("TMPDIR", dir.path())
        .spawn()
        .unwrap();
    until("the held control plane is up", || file.exists()).await;
    let ids: Vec<u32> = std::fs::read_to_string(&file).unwrap().lines().map(|id| id.parse().unwrap()).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| is_alive(*id)));
    holder.kill().unwrap();
    holder.wait().unwrap();
    until("its children are gone", || ids.iter().all(|id| !is_alive(*id))).await;
}

/// Starts a control plane, writes its process ids to `file` and waits to be killed.
async fn hold(file: &Path) {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let ids: Vec<String> = plane.process_ids().iter().map(u32::to_string).collect();
    let aside = file.with_extension("new");
    std::fs::write(&aside, ids.join("\n")).unwrap();
    std::fs::rename(aside, file).unwrap();
    tokio::time::sleep(SOON).await;
}

async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_true() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
