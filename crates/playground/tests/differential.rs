//! The playground answers as the real API server did when the transcripts were taken. `UPDATE_FROM=host:port` takes them anew, from a real
//! server behind a plain HTTP proxy such as `kubectl proxy`.
#![allow(clippy::unwrap_used)]

mod client;

use std::net::SocketAddr;
use std::sync::Arc;

use proreus_playground::differential::{SUITES, Walk, parse};
use proreus_playground::{Playground, PlaygroundOptions, ScenarioClock};

async fn walk(address: SocketAddr, operations: &str) -> String {
    let mut walk = Walk::default();
    for operation in parse(operations).unwrap() {
        let request = walk.request(&operation);
        let response = client::send(address, &request).await;
        walk.answer(&operation, &response);
    }
    walk.transcript().to_owned()
}

async fn check(name: &str) {
    let (_, operations, golden) = SUITES.iter().find(|(known, _, _)| *known == name).unwrap();
    if let Ok(real) = std::env::var("UPDATE_FROM") {
        let transcript = walk(real.parse().unwrap(), operations).await;
        let path = format!("{}/differential/{name}.golden", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, transcript).unwrap();
        return;
    }
    let clock = Arc::new(ScenarioClock::new("2026-03-02T09:00:00Z".parse().unwrap()));
    let mut options = PlaygroundOptions::new(clock, 1);
    options.controllers = false;
    let playground = Playground::start(options).await.unwrap();
    let address = playground.url().trim_start_matches("http://").parse().unwrap();
    let transcript = walk(address, operations).await;
    playground.shutdown().await;
    if let Ok(directory) = std::env::var("TRANSCRIPTS") {
        std::fs::write(format!("{directory}/{name}.txt"), &transcript).unwrap();
    }
    for (at, (ours, theirs)) in transcript.lines().zip(golden.lines()).enumerate() {
        assert_eq!(ours, theirs, "{name}: line {} differs from the real server", at + 1);
    }
    assert_eq!(transcript.lines().count(), golden.lines().count(), "{name}: one transcript is longer");
}

macro_rules! suites {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            check($name).await;
        })+

        #[test]
        fn runs_every_suite() {
            let here = [$($name),+];
            assert!(SUITES.iter().all(|(name, _, _)| here.contains(name)));
        }
    };
}

suites! {
    answers_about_config_maps_as_the_real_server: "configmaps",
    answers_about_deployments_as_the_real_server: "deployments",
    applies_as_the_real_server: "apply",
    watches_as_the_real_server: "watches",
    answers_about_pods_as_the_real_server: "pods",
    ends_objects_as_the_real_server: "endings",
    serves_custom_resources_as_the_real_server: "custom",
    speaks_both_event_dialects_as_the_real_server: "events",
    answers_about_other_kinds_as_the_real_server: "kinds",
}
