//! No byte of a secret in any file, log line or answer, while the safe facts are there: looked for with canaries.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proreus_model::Verb;
use proreus_testkit::{ControlPlane, ControlPlaneOptions};
use proreus_tests::reading::{changes_of, records_of, wait_for_records};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};

/// Stands in every value that must not be kept.
const CANARY: &str = "canary-Xq7vR2mKpW9";
const RECORDED_WITHIN: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "default";

/// The canary as itself and as the part of its base64 that does not depend on what stands around it, for each of the three alignments.
fn needles() -> Vec<String> {
    let mut needles = vec![CANARY.to_owned()];
    for before in 0..3 {
        let encoded = STANDARD.encode(format!("{}{CANARY}", "x".repeat(before)));
        let (first, last) = ((before * 4).div_ceil(3), (before + CANARY.len()) / 3 * 4);
        needles.push(encoded[first..last].to_owned());
    }
    needles
}

fn assert_clean(what: &str, bytes: &[u8], needles: &[String]) {
    for needle in needles {
        let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!found, "{what} holds `{needle}`");
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

struct Certificate {
    chain: String,
    key: String,
}

fn certificate() -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["shop.example".to_owned(), "www.shop.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2031, 2, 3);
    Certificate { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// Everything that is written, each with canaries where they must vanish.
fn objects(certificate: &Certificate) -> Vec<(&'static str, Value)> {
    let meta = |name: &str| json!({"name": name, "namespace": NAMESPACE});
    let applied =
        json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"kind\":\"Deployment\",\"x\":\"{CANARY}-applied\"}}\n")});
    let secret = |name: &str, of: &str, field: &str, values: Value| {
        (
            "/api/v1/namespaces/default/secrets",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta(name), "type": of, field: values}),
        )
    };
    let pull = json!({"auths": {"registry.shop.example": {"username": format!("{CANARY}-user"), "password": format!("{CANARY}-pull"),
        "auth": STANDARD.encode(format!("{CANARY}-user:{CANARY}-pull"))}}});
    let env = json!([
        {"name": "DATABASE_PASSWORD", "value": format!("{CANARY}-env")},
        {"name": "DATABASE_URL", "value": format!("postgres://shop:{CANARY}-login@db/shop")},
        {"name": "GREETING", "value": "good morning"},
    ]);
    let mut annotated = meta("annotated");
    annotated["annotations"] = applied.clone();
    let mut deployed = meta("deployed");
    deployed["annotations"] = applied;
    let template = json!({"metadata": {"labels": {"app": "deployed"}},
        "spec": {"containers": [{"name": "web", "image": "registry.shop.example/web:1", "env": env}]}});
    vec![
        secret(
            "opaque",
            "Opaque",
            "data",
            json!({"password": STANDARD.encode(format!("{CANARY}-data")), "binary": STANDARD.encode([0_u8, 255, 7])}),
        ),
        secret(
            "plain",
            "Opaque",
            "stringData",
            json!({"token": format!("x{CANARY}-string"), "config.yaml": format!("a: 1\nsecret: {CANARY}\n")}),
        ),
        secret("tls", "kubernetes.io/tls", "stringData", json!({"tls.crt": certificate.chain, "tls.key": certificate.key})),
        secret("pull", "kubernetes.io/dockerconfigjson", "stringData", json!({".dockerconfigjson": pull.to_string()})),
        (
            "/api/v1/namespaces/default/configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": annotated, "data": {"a": "b"}}),
        ),
        (
            "/apis/apps/v1/namespaces/default/deployments",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": deployed,
            "spec": {"selector": {"matchLabels": {"app": "deployed"}}, "template": template}}),
        ),
    ]
}

async fn send(client: &kube::Client, method: &str, path: &str, content_type: &str, body: &Value) {
    let request =
        http::Request::builder().method(method).uri(path).header("content-type", content_type).body(body.to_string().into_bytes());
    client.request::<Value>(request.unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_no_byte_of_a_secret_anywhere_and_keeps_the_safe_facts() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = plane.client().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (data_dir, log) = (directory.path().join("data"), directory.path().join("recorder.log"));
    let certificate = certificate();
    let objects = objects(&certificate);
    // One half is there before the recorder, the other comes while it watches.
    let (early, late) = objects.split_at(3);
    for (path, object) in early {
        send(&client, "POST", path, "application/json", object).await;
    }
    let mut recorder = RecorderProcess::start(RecorderOptions {
        program: built_proreus().unwrap(),
        kubeconfig: plane.kubeconfig().to_owned(),
        data_dir: data_dir.clone(),
        log: log.clone(),
        arguments: vec!["--log-level=debug".to_owned()],
    })
    .await
    .unwrap();
    // Recorded before it is rotated, else there is only one version to be recorded.
    let is_recorded = |records: &[proreus_model::Record]| (!changes_of(records, "Secret", "opaque").is_empty()).then_some(());
    wait_for_records("the first secret", RECORDED_WITHIN, || records_of(&data_dir), is_recorded).await.unwrap();
    for (path, object) in late {
        send(&client, "POST", path, "application/json", object).await;
    }
    let rotated = json!({"stringData": {"password": format!("{CANARY}-rotated")}});
    send(&client, "PATCH", "/api/v1/namespaces/default/secrets/opaque", "application/merge-patch+json", &rotated).await;
    let names = ["opaque", "plain", "tls", "pull", "annotated", "deployed"];
    let all_there = |records: &[proreus_model::Record]| {
        let count = |name| {
            changes_of(records, "Secret", name).len()
                + changes_of(records, "ConfigMap", name).len()
                + changes_of(records, "Deployment", name).len()
        };
        (names.iter().all(|name| count(name) > 0) && count("opaque") == 2).then_some(())
    };
    wait_for_records("every object", RECORDED_WITHIN, || records_of(&data_dir), all_there).await.unwrap();

    let mut needles = needles();
    // The private key as PEM and as the middle of its base64 once more.
    needles.push(certificate.key.lines().nth(1).unwrap().to_owned());
    needles.push(STANDARD.encode(certificate.key.as_bytes())[40..120].to_owned());
    answers_are_clean(&recorder, &needles).await;
    assert!(recorder.terminate().await, "the recorder ends in good order, which writes back the WAL");

    let records = records_of(&data_dir).unwrap();
    for record in &records {
        assert_clean(&format!("record {}", record.seq()), format!("{record:?}").as_bytes(), &needles);
        if let proreus_model::Record::Change(change) = record {
            assert_clean(&format!("body of record {}", change.seq), change.body.as_deref().unwrap_or_default(), &needles);
        }
    }
    for file in files_below(&data_dir).into_iter().chain([log]) {
        assert_clean(&file.display().to_string(), &std::fs::read(&file).unwrap(), &needles);
    }
    facts_are_kept(&records);
}

async fn answers_are_clean(recorder: &RecorderProcess, needles: &[String]) {
    let mut length = 0;
    for path in [
        "/api/v1/changes?full=true&limit=1000".to_owned(),
        "/api/v1/state?full=true&limit=1000".to_owned(),
        "/api/v1/events?limit=1000".to_owned(),
        "/api/v1/objects/core/Secret/default/opaque".to_owned(),
        "/api/v1/objects/core/Secret/default/opaque/history".to_owned(),
        "/api/v1/objects/core/Secret/default/pull".to_owned(),
        "/api/v1/objects/apps/Deployment/default/deployed".to_owned(),
        "/api/v1/watches".to_owned(),
        "/metrics".to_owned(),
    ] {
        match recorder.get(&path).await {
            Ok(answer) => {
                length += answer.len();
                assert_clean(&path, answer.as_bytes(), needles);
            }
            // The older endpoint tells of nothing found by a 404.
            Err(error) => assert!(path.contains("/events"), "{path}: {error:#}"),
        }
    }
    assert!(length > 50_000, "the answers were too short to prove anything: {length} bytes");
}

fn facts_are_kept(records: &[proreus_model::Record]) {
    let body = |kind: &str, name: &str, index: usize| -> Value {
        let found = changes_of(records, kind, name);
        serde_json::from_slice(found[index].body.as_deref().unwrap()).unwrap()
    };
    let (before, after) = (body("Secret", "opaque", 0), body("Secret", "opaque", 1));
    assert_eq!(changes_of(records, "Secret", "opaque")[1].verb, Verb::Update);
    let tag = |object: &Value, key: &str| object["data"][key].as_str().unwrap().to_owned();
    assert!(tag(&before, "password").starts_with("redacted:"));
    assert_ne!(tag(&before, "password"), tag(&after, "password"), "a rotation shows");
    assert_eq!(tag(&before, "binary"), tag(&after, "binary"), "what did not change shows no change");

    let tls = body("Secret", "tls", 0);
    let said = tls["safeFacts"].to_string();
    assert_eq!(tls["type"], "kubernetes.io/tls");
    for fact in ["shop.example", "www.shop.example", "2031-02-03", "\"keyMatches\":true"] {
        assert!(said.contains(fact), "{fact} in {said}");
    }
    assert_eq!(body("Secret", "pull", 0)["safeFacts"]["registries"]["hosts"], json!(["registry.shop.example"]));
    let deployed = body("Deployment", "deployed", 0);
    let env = &deployed["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(env[2], json!({"name": "GREETING", "value": "good morning"}));
    assert!(
        env[0]["value"].as_str().unwrap().starts_with("redacted:") && env[1]["value"].as_str().unwrap().starts_with("redacted:"),
        "{env}"
    );
}

#[test]
fn finds_the_canary_in_base64_at_every_alignment() {
    for around in ["", "a", "ab", "abc", "abcd"] {
        let encoded = STANDARD.encode(format!("{around}{CANARY}{around}"));
        assert!(needles().iter().any(|needle| encoded.contains(needle.as_str())), "{around}");
    }
}
