//! A provisioning that the playground plays and the recorder records is told from the journal as the scenario meant it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use proreus_app::demo::{Demo, DemoOptions, PROVISIONING};
use proreus_app::open_reading;
use proreus_app::questions::{Phase, PhaseOptions, Progress};
use proreus_playground::Scenario;

/// Phases without repetitions.
fn phases(updates: &[Progress]) -> Vec<Phase> {
    let mut phases: Vec<Phase> = updates.iter().map(|update| update.phase).collect();
    phases.dedup();
    phases
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_provisioning_is_told_in_order_with_one_end() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("journal");
    let scenario = Scenario::parse(PROVISIONING).unwrap();
    let mut demo = Demo::start(DemoOptions { data_dir: data_dir.clone(), scenario }).await.unwrap();
    // A reader that stands beside the writer from the beginning, and one that comes when all is over.
    let questions = open_reading(&data_dir).unwrap();
    let (mut beside, _) = questions.monitoring(PhaseOptions::default()).unwrap();
    let mut followed = beside.catch_up(None).unwrap();
    demo.play(|_, _, _| {}).await.unwrap();
    followed.extend(beside.catch_up(None).unwrap());
    demo.finish().await.unwrap();
    followed.extend(beside.catch_up(None).unwrap());

    let (mut reader, _) = open_reading(&data_dir).unwrap().monitoring(PhaseOptions::default()).unwrap();
    let placed = reader.catch_up(None).unwrap();
    assert_eq!(followed, placed);
    let told: Vec<Progress> = placed.into_iter().map(|told| told.progress).collect();
    let lines: Vec<String> = told.iter().map(|update| format!("{:?} {}", update.phase, update.message)).collect();
    let wanted = [Phase::Initializing, Phase::Provisioning, Phase::Bootstrapping, Phase::Scaling, Phase::Installing, Phase::Ready];
    assert_eq!(phases(&told), wanted, "{lines:#?}");
    assert!(told.len() <= 14, "{lines:#?}");
    assert_eq!(told.iter().filter(|update| update.terminal).count(), 1, "{lines:#?}");
}
