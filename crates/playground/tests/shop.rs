//! The demo scenario as a whole: what it must contain, and that it is the same every time.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proreus_playground::{Player, Playground, PlaygroundOptions, ScenarioClock, shop};

/// Plays the demo to its end and returns the history: (happening, kind, name) in order, with the objects as text.
async fn transcript() -> Vec<String> {
    let scenario = shop().unwrap();
    let clock = Arc::new(ScenarioClock::new(scenario.start));
    let playground = Playground::start(PlaygroundOptions::new(clock.clone(), scenario.seed)).await.unwrap();
    let mut player = Player::new(&playground, clock, scenario);
    let end = player.end();
    player.advance_to(end).unwrap();
    assert!(player.is_over());
    let lines = playground.transcript();
    playground.shutdown().await;
    lines
}

#[tokio::test]
async fn plays_the_same_to_the_byte_every_time() {
    let (first, second) = (transcript().await, transcript().await);
    assert_eq!(first.len(), second.len());
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(a, b);
    }
}

#[tokio::test]
async fn holds_every_trouble_that_the_demo_promises() {
    let lines = transcript().await;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut bytes = 0;
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        *kinds.entry(format!("{} {}", value["type"].as_str().unwrap(), value["object"]["kind"].as_str().unwrap())).or_default() += 1;
        bytes += line.len();
    }
    assert!(lines.len() > 1_500, "only {} changes", lines.len());
    let mean = bytes / lines.len();
    assert!(mean > 2_500, "objects are smaller than real ones: {mean} bytes");
    let all = lines.join("\n");
    for sign in [
        "ImagePullBackOff",
        "ErrImagePull",
        "OOMKilled",
        "CrashLoopBackOff",
        "NodeStatusUnknown",
        "node.kubernetes.io/unreachable",
        "TaintManagerEviction",
        "SuccessfulRescale",
        "\"kind\":\"Promotion\"",
        "ProgressDeadline",
        "has successfully progressed",
        "Completed",
        "SuccessfulDelete",
        "\"phase\":\"Terminating\"",
        "\"series\":",
        "kubernetes.io/tls",
    ] {
        assert!(all.contains(sign), "the demo has no {sign}");
    }
    for gone in ["DELETED Namespace", "DELETED CustomResourceDefinition", "DELETED Promotion", "DELETED Pod", "DELETED ReplicaSet"] {
        assert!(kinds.contains_key(gone), "the demo has no {gone}: {kinds:?}");
    }
}
