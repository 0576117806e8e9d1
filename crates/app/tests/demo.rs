//! The demo records its story through the production pipeline.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use proreus_app::demo::{Demo, DemoError, DemoOptions, SHOP};
use proreus_playground::Scenario;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_story_is_recorded_the_same_and_never_over_another_journal() {
    let dir = tempfile::tempdir().unwrap();
    let mut reports = Vec::new();
    for run in ["one", "two"] {
        let data_dir = dir.path().join(run);
        let options = || DemoOptions { data_dir: data_dir.clone(), scenario: Scenario::parse(SHOP).unwrap() };
        let mut demo = Demo::start(options()).await.unwrap();
        demo.play(|_, _, _| {}).await.unwrap();
        let report = demo.finish().await.unwrap();
        assert!(report.changes > 0);
        reports.push((report.changes, report.kinds, report.verbs));
        assert!(matches!(Demo::start(options()).await.err(), Some(DemoError::Occupied { .. })));
    }
    assert_eq!(reports[0], reports[1]);
}
