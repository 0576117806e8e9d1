//! A few rounds of chaos on the real control plane, with another seed each time. The large run is `cargo xtask chaos`.

use std::time::Duration;

use proreus_tests::built_proreus;
use proreus_tests::chaos::{ChaosOptions, Faults, run};

/// Repeats a run: the number that a failed one printed.
const SEED_VARIABLE: &str = "PROREUS_CHAOS_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loses_nothing_in_five_rounds_of_chaos() {
    let directory = tempfile::tempdir().unwrap();
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = std::env::var(SEED_VARIABLE).map_or(since_epoch.as_secs(), |seed| seed.parse().unwrap());
    println!("seed {seed}; repeat with {SEED_VARIABLE}={seed}");
    let options = ChaosOptions {
        rounds: 5,
        faults: Faults::Seeded,
        seed,
        changes_per_second: 20.0,
        round: Duration::from_secs(8),
        nodes: 10,
        pods: 60,
        data_dir: directory.path().join("data"),
        proreus: built_proreus().unwrap(),
    };
    let report = run(&options, |line| println!("{line}")).await.unwrap();
    println!("{}", report.verdict);
    let told: Vec<String> = report.verdict.violations.iter().take(20).map(ToString::to_string).collect();
    assert!(told.is_empty(), "seed {seed}:\n{}", told.join("\n"));
    assert!(report.ended_in_good_order, "seed {seed}: SIGTERM did not end the recorder in good order");
    assert!(report.verdict.changes > 200 && report.verdict.bodies > 200, "too little was recorded to prove anything: {}", report.verdict);
}
