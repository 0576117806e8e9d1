//! Types that come and go, and types that are forbidden, while everything else is recorded.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use proreus_model::{MarkKind, Origin, Record, Verb};
use proreus_testkit::{ControlPlane, ControlPlaneOptions, FaultProxy, User};
use proreus_tests::reading::{changes, changes_of, marks, records_of, wait_for_records};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};

const RECORDED_WITHIN: Duration = Duration::from_secs(60);
/// "Within seconds", on a machine that is busy with other tests.
const SECONDS: Duration = Duration::from_secs(20);

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: orders.shop.example}
spec:
  group: shop.example
  scope: Namespaced
  names: {plural: orders, singular: order, kind: Order}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#;
const ORDER: &str = "apiVersion: shop.example/v1\nkind: Order\nmetadata: {name: first, namespace: default}\nspec: {amount: 3}\n";

/// Two roles of one account: everything but Secrets, and Secrets, so that the latter can be taken away.
const ROLES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: sees-most}
rules:
- {apiGroups: [""], resources: [namespaces, configmaps, nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: sees-secrets}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: sees-most}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sees-most}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: sees-secrets}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sees-secrets}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
"#;

struct Bench {
    plane: ControlPlane,
    directory: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let users = vec![User::named("limited")];
        let plane = ControlPlane::start(ControlPlaneOptions { users, ..ControlPlaneOptions::default() }).await.unwrap();
        Self { plane, directory: tempfile::tempdir().unwrap() }
    }

    fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    async fn record(&self, kubeconfig: PathBuf) -> RecorderProcess {
        let options = RecorderOptions {
            program: built_proreus().unwrap(),
            kubeconfig,
            data_dir: self.data_dir(),
            log: self.directory.path().join("recorder.log"),
            arguments: Vec::new(),
        };
        RecorderProcess::start(options).await.unwrap()
    }

    async fn apply(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        self.plane.kubectl(&["apply", "-f", path.to_str().unwrap()]).await.unwrap();
    }

    async fn wait_for<T>(&self, what: &str, within: Duration, find: impl FnMut(&[Record]) -> Option<T>) -> T {
        wait_for_records(what, within, || records_of(&self.data_dir()), find).await.unwrap()
    }

    /// Waits for a mark about a type behind a position, and gives its position.
    async fn wait_for_mark(&self, kind: MarkKind, resource: &str, after: u64, within: Duration) -> u64 {
        let wanted = |records: &[Record]| {
            marks(records)
                .find(|mark| mark.kind == kind && mark.scope.resource.as_str() == resource && mark.seq.0 > after)
                .map(|mark| mark.seq.0)
        };
        self.wait_for(&format!("`{}` of {resource} after {after}", kind.as_str()), within, wanted).await
    }
}

fn verbs(records: &[Record], kind: &str, name: &str) -> Vec<&'static str> {
    changes_of(records, kind, name).iter().map(|change| change.verb.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_a_custom_type_within_seconds_and_says_when_it_went() {
    let bench = Bench::start().await;
    let _recorder = bench.record(bench.plane.kubeconfig().to_owned()).await;
    bench.wait_for_mark(MarkKind::Synced, "customresourcedefinitions", 0, RECORDED_WITHIN).await;

    bench.apply("definition.yaml", DEFINITION).await;
    bench.plane.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd/orders.shop.example"]).await.unwrap();
    let served = Instant::now();
    bench.apply("order.yaml", ORDER).await;
    bench.wait_for("the order", SECONDS, |records| (verbs(records, "Order", "first") == ["create"]).then_some(())).await;
    println!("recorded {:.1} s after the type was served", served.elapsed().as_secs_f64());
    bench.wait_for_mark(MarkKind::Synced, "orders", 0, SECONDS).await;

    bench.plane.kubectl(&["delete", "crd", "orders.shop.example", "--timeout=60s"]).await.unwrap();
    let stopped = bench.wait_for_mark(MarkKind::Stopped, "orders", 0, SECONDS).await;
    // The API server deletes the objects before the type, so their ends are seen.
    bench.wait_for("the order's end", SECONDS, |records| (verbs(records, "Order", "first") == ["create", "delete"]).then_some(())).await;

    // It comes back as another type of the same name.
    bench.apply("definition.yaml", DEFINITION).await;
    bench.wait_for_mark(MarkKind::Synced, "orders", stopped, RECORDED_WITHIN).await;
    bench.apply("order.yaml", ORDER).await;
    bench
        .wait_for("the second order", SECONDS, |records| (verbs(records, "Order", "first") == ["create", "delete", "create"]).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_the_objects_of_a_custom_type_that_went_while_it_was_away_and_says_so() {
    let bench = Bench::start().await;
    bench.apply("definition.yaml", DEFINITION).await;
    bench.plane.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd/orders.shop.example"]).await.unwrap();
    bench.apply("order.yaml", ORDER).await;
    let mut recorder = bench.record(bench.plane.kubeconfig().to_owned()).await;
    let synced = bench.wait_for_mark(MarkKind::Synced, "orders", 0, RECORDED_WITHIN).await;
    recorder.kill().unwrap();
    bench.plane.kubectl(&["delete", "crd", "orders.shop.example", "--timeout=60s"]).await.unwrap();
    recorder.start_again().await.unwrap();
    // The 404 of the watch may be told before discovery shows that the type is gone for good.
    let ended = |records: &[Record]| (changes_of(records, "Order", "first").len() == 2).then(|| records.to_vec());
    let records = bench.wait_for("the order's end", RECORDED_WITHIN, ended).await;
    let orders = changes_of(&records, "Order", "first");
    assert_eq!(
        orders.iter().map(|change| (change.verb, change.origin)).collect::<Vec<_>>(),
        [(Verb::Create, Origin::Snapshot), (Verb::Delete, Origin::Relist)]
    );
    assert!(orders[1].gap.is_some(), "nobody saw its end");
    bench.wait_for_mark(MarkKind::Stopped, "orders", synced, RECORDED_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_no_delete_for_what_it_may_not_see_and_says_that_it_may_not() {
    let bench = Bench::start().await;
    let proxy = FaultProxy::start(bench.plane.apiserver_port()).unwrap();
    bench.apply("roles.yaml", ROLES).await;
    for name in ["stays", "goes"] {
        bench.plane.kubectl(&["create", "secret", "generic", name, "--from-literal=a=b"]).await.unwrap();
    }
    let _recorder = bench.record(bench.plane.kubeconfig_for("limited", proxy.port()).unwrap()).await;
    let synced = bench.wait_for_mark(MarkKind::Synced, "secrets", 0, RECORDED_WITHIN).await;
    // What it may never see is told as well.
    bench.wait_for_mark(MarkKind::Stopped, "pods", 0, RECORDED_WITHIN).await;

    bench.plane.kubectl(&["delete", "clusterrolebinding", "sees-secrets"]).await.unwrap();
    // A watch that is open goes on; a new one is refused.
    proxy.cut().unwrap();
    let stopped = bench.wait_for_mark(MarkKind::Stopped, "secrets", synced, RECORDED_WITHIN).await;
    bench.plane.kubectl(&["delete", "secret", "goes"]).await.unwrap();
    bench.plane.kubectl(&["create", "configmap", "seen", "--from-literal=a=b"]).await.unwrap();
    bench
        .wait_for("another type's change", RECORDED_WITHIN, |records| (!verbs(records, "ConfigMap", "seen").is_empty()).then_some(()))
        .await;
    let records = records_of(&bench.data_dir()).unwrap();
    assert!(changes(&records).all(|change| change.verb != Verb::Delete || change.object.kind.as_str() != "Secret"));

    // Allowed again, it finds out what happened.
    bench.apply("roles.yaml", ROLES).await;
    bench.wait_for_mark(MarkKind::Synced, "secrets", stopped, RECORDED_WITHIN).await;
    bench.wait_for("the end", RECORDED_WITHIN, |records| (verbs(records, "Secret", "goes") == ["create", "delete"]).then_some(())).await;
    let records = records_of(&bench.data_dir()).unwrap();
    assert_eq!(verbs(&records, "Secret", "stays"), ["create"]);
}
