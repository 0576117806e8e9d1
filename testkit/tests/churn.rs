//! The churn against the real control plane, small, with the witness looking on.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use proreus_testkit::{Churn, ChurnOptions, ControlPlane, ControlPlaneOptions, Population, Witness};

fn options() -> ChurnOptions {
    ChurnOptions { nodes: 5, pods: 40, changes_per_second: 40.0, duration: Duration::from_secs(15), ..ChurnOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_objects_of_every_kind_and_lets_the_dead_return_under_their_names() {
    let plane = ControlPlane::start(ControlPlaneOptions::full()).await.unwrap();
    let witness = Witness::start(plane.etcd_url()).unwrap();
    let mut churn = Churn::new(plane.kubeconfig(), options()).await.unwrap();
    let mut made = 0;
    let population = churn.populate(|so_far| made = so_far).await.unwrap();
    assert_eq!(made, population.total());
    assert_eq!(population, Population::of(&options()));

    let report = churn.run().await;
    assert!(report.accepted.len() >= 13, "{report:?}");
    assert!(report.rate() > 30.0, "{report:?}");
    assert_eq!(report.failed, 0, "{report:?}");
    // Custom resources go with their definition, and a delete may meet what is already away.
    assert!(report.refused * 10 < report.accepted_total(), "{report:?}");

    witness.catch_up().await.unwrap();
    let histories = witness.histories();
    let of = |resource: &'static str| histories.iter().filter(move |(path, _)| path.resource == resource);
    assert_eq!(of("minions").count(), 5);
    let churned: Vec<_> = of("pods").filter(|(path, _)| path.name.starts_with("web-")).collect();
    assert_eq!(churned.len(), 40);
    for (_, versions) in &churned {
        let first = witness.value(&versions[0]).unwrap().unwrap();
        assert!(first.len() >= 4096);
    }
    let lives = |versions: &[proreus_testkit::Version]| {
        let mut uids: Vec<String> = versions.iter().map(|version| version.uid.clone()).collect();
        uids.dedup();
        uids.len()
    };
    assert!(churned.iter().any(|(_, versions)| lives(versions) > 1), "{report:?}");
    // Pods of the Deployments, which only the controller manager makes.
    assert!(of("pods").any(|(path, _)| path.name.starts_with("cart-")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_no_kwok_when_it_writes_the_statuses_itself() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let options = ChurnOptions { owns_statuses: true, ..options() };
    let churn = Churn::new(plane.kubeconfig(), options).await.unwrap();
    churn.populate(|_| {}).await.unwrap();
    let phases = plane.kubectl(&["get", "pods", "-A", "-o", "jsonpath={.items[*].status.phase}"]).await.unwrap();
    assert_eq!(phases.split(' ').filter(|phase| *phase == "Running").count(), 40);
    let ready = plane.kubectl(&["get", "nodes", "--no-headers"]).await.unwrap();
    assert_eq!(ready.lines().filter(|line| line.contains(" Ready ")).count(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_through_an_outage_of_the_api_server_and_counts_what_it_cost() {
    let mut plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let options = ChurnOptions { owns_statuses: true, duration: Duration::from_secs(120), ..options() };
    let mut churn = Churn::new(plane.kubeconfig(), options).await.unwrap();
    churn.populate(|_| {}).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move { churn.run_until(async { drop(stopped.await) }).await });
    plane.kill_apiserver();
    plane.start_apiserver().await.unwrap();
    let before = plane.revision().await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while plane.revision().await.unwrap() < before + 100 {
        assert!(std::time::Instant::now() < deadline, "the churn does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(stop);
    let report = running.await.unwrap();
    assert!(report.failed > 0 && !report.examples.is_empty(), "{report:?}");
    assert!(report.accepted_total() > 50, "{report:?}");
    assert!(report.elapsed < Duration::from_secs(60), "{report:?}");
}
