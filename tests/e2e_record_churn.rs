//! A cluster of 100 nodes and 1,000 pods at work, recorded by the real binary. The large run is `cargo xtask load`.

use std::time::Duration;

use proreus_tests::built_proreus;
use proreus_tests::chaos::{ChaosOptions, Faults, run};

/// The target is 200 MB for ten times the pods; a build without optimisation uses the same structures.
const MAX_PEAK_BYTES: u64 = 200 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_everything_of_a_thousand_pods_at_work_in_bounded_memory() {
    let directory = tempfile::tempdir().unwrap();
    let options = ChaosOptions {
        rounds: 1,
        faults: Faults::None,
        seed: 7,
        changes_per_second: 40.0,
        round: Duration::from_secs(30),
        nodes: 100,
        pods: 1000,
        data_dir: directory.path().join("data"),
        proreus: built_proreus().unwrap(),
    };
    let report = run(&options, |line| println!("{line}")).await.unwrap();
    println!("{}", report.verdict);
    println!("{:.0} writes/s, peak memory {} KiB", report.churn.rate(), report.peak_bytes / 1024);
    let told: Vec<String> = report.verdict.violations.iter().take(20).map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(report.verdict.changes > 2500, "{}", report.verdict);
    assert!(report.peak_bytes > 0 && report.peak_bytes < MAX_PEAK_BYTES, "peak memory {} KiB", report.peak_bytes / 1024);
    assert!(report.ended_in_good_order);
}
