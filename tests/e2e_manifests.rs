//! What `proreus manifests` renders is accepted by a real API server, with validation, as a server-side dry run.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::process::Command;

use proreus_testkit::{ControlPlane, ControlPlaneOptions};
use proreus_tests::built_proreus;

const NAMESPACE: &str = "proreus";
/// Kinds of every rendering.
const KINDS: [&str; 7] = ["serviceaccount", "clusterrole", "clusterrolebinding", "configmap", "secret", "service", "statefulset"];
/// With everything that adds to them, and with what takes away.
const VARIANTS: [&[&str]; 3] = [
    &[],
    &["--kubernetes-identities", "--emit-events", "--pod-logs", "--max-disk-bytes", "20Gi"],
    &["--without-secrets", "--custom-group", "example.com"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_accepts_every_rendering() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    // A dry run makes no namespace for what is in it.
    plane.kubectl(&["create", "namespace", NAMESPACE]).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    for variant in VARIANTS {
        let fixed =
            ["manifests", "--namespace", NAMESPACE, "--name", "proreus", "--image", "registry.example.com/proreus:1", "--storage", "50Gi"];
        let rendered = Command::new(built_proreus().unwrap()).args(fixed).args(variant).output().unwrap();
        assert!(rendered.status.success(), "{variant:?}: {}", String::from_utf8_lossy(&rendered.stderr));
        let file = home.path().join("proreus.yaml");
        std::fs::write(&file, rendered.stdout).unwrap();
        let told = plane.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", file.to_str().unwrap()]).await.unwrap();
        for kind in KINDS {
            assert!(
                told.lines().any(|line| line.starts_with(kind) && line.ends_with("(server dry run)")),
                "{variant:?}: no {kind} in\n{told}"
            );
        }
    }
}
