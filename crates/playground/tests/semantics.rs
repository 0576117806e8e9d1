//! What holds of a playground with its controllers and its clock: cascades, definitions that come and go, lost history, faults, logs.
#![allow(clippy::unwrap_used)]

mod client;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_playground::differential::Request;
use proreus_playground::{Player, Playground, PlaygroundOptions, Scenario, ScenarioClock};
use serde_json::{Value, json};

/// A playground with a scenario on it.
struct Stage {
    playground: Playground,
    player: Player,
    start: Timestamp,
}

impl Stage {
    async fn new(steps: &str, history: usize) -> Self {
        let scenario =
            Scenario::parse(&format!("guarantee: a test\nseed: 3\n---\nplayground:\n- join: {{name: n1}}\n- join: {{name: n2}}\n{steps}"))
                .unwrap();
        let start = scenario.start;
        let clock = Arc::new(ScenarioClock::new(start));
        let mut options = PlaygroundOptions::new(clock.clone(), scenario.seed);
        options.history_limit = history;
        let playground = Playground::start(options).await.unwrap();
        let player = Player::new(&playground, clock, scenario);
        Self { playground, player, start }
    }

    fn advance(&mut self, seconds: i64) {
        self.player.advance_to(self.start.checked_add(SignedDuration::from_secs(seconds)).unwrap()).unwrap();
    }

    async fn ask(&self, action: &str, body: Option<Value>) -> (u16, Value) {
        let (status, text) = self.text(action, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn text(&self, action: &str, body: Option<Value>) -> (u16, String) {
        let address: SocketAddr = self.playground.url().trim_start_matches("http://").parse().unwrap();
        let (method, path) = action.split_once(' ').unwrap();
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            accept: "application/json".to_owned(),
            body: body.map(|body| body.to_string()),
            until: None,
        };
        let response = client::send(address, &request).await;
        (response.status, response.body)
    }

    async fn names(&self, path: &str) -> Vec<String> {
        let (_, list) = self.ask(&format!("GET {path}"), None).await;
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

const WEB: &str = r#"---
at: +1s
apply:
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: default}
  spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: web, image: "web:1"}]}
"#;
const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";

#[tokio::test]
async fn deletes_a_deployment_down_to_its_pods() {
    let mut stage = Stage::new(WEB, 10_000).await;
    stage.advance(30);
    assert_eq!(stage.names(PODS).await.len(), 2);
    let (status, _) = stage.ask(&format!("DELETE {DEPLOYMENT}"), None).await;
    assert_eq!(status, 200);
    assert!(stage.names("/apis/apps/v1/namespaces/default/replicasets").await.is_empty());
    // The kubelets still have to stop the containers.
    assert_eq!(stage.names(PODS).await.len(), 2);
    stage.advance(40);
    assert!(stage.names(PODS).await.is_empty());
}

#[tokio::test]
async fn keeps_an_owner_in_the_foreground_until_its_dependents_are_gone() {
    let mut stage = Stage::new(WEB, 10_000).await;
    stage.advance(30);
    stage.ask(&format!("DELETE {DEPLOYMENT}?propagationPolicy=Foreground"), None).await;
    let (status, deployment) = stage.ask(&format!("GET {DEPLOYMENT}"), None).await;
    assert_eq!((status, &deployment["metadata"]["finalizers"]), (200, &json!(["foregroundDeletion"])));
    stage.advance(60);
    assert_eq!(stage.ask(&format!("GET {DEPLOYMENT}"), None).await.0, 404);
    assert!(stage.names(PODS).await.is_empty());
}

#[tokio::test]
async fn leaves_orphans_alone() {
    let mut stage = Stage::new(WEB, 10_000).await;
    stage.advance(30);
    stage.ask(&format!("DELETE {DEPLOYMENT}?propagationPolicy=Orphan"), None).await;
    stage.advance(60);
    assert_eq!(stage.ask(&format!("GET {DEPLOYMENT}"), None).await.0, 404);
    let (_, sets) = stage.ask("GET /apis/apps/v1/namespaces/default/replicasets", None).await;
    assert_eq!(sets["items"][0]["metadata"].get("ownerReferences"), None);
    assert_eq!(stage.names(PODS).await.len(), 2);
}

#[tokio::test]
async fn empties_a_namespace_before_it_goes() {
    let steps = format!(
        "---\napply: {{apiVersion: v1, kind: Namespace, metadata: {{name: other}}}}\n{}",
        WEB.replace("namespace: default", "namespace: other")
    );
    let mut stage = Stage::new(&steps, 10_000).await;
    stage.advance(30);
    let (_, namespace) = stage.ask("DELETE /api/v1/namespaces/other", None).await;
    assert_eq!(namespace["status"]["phase"], "Terminating");
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}});
    assert_eq!(stage.ask("POST /api/v1/namespaces/other/configmaps", Some(body)).await.0, 403);
    stage.advance(60);
    assert_eq!(stage.ask("GET /api/v1/namespaces/other", None).await.0, 404);
    assert!(!stage.playground.latest_versions().values().flatten().any(|(key, _)| key.starts_with("other/")));
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [
            {"name": "v1", "served": true, "storage": true,
             "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
    })
}

#[tokio::test]
async fn serves_a_new_kind_at_once_and_ends_its_watches_with_it() {
    let stage = Stage::new("", 10_000).await;
    assert_eq!(stage.ask("GET /apis/example.com/v1", None).await.0, 404);
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (_, made) = stage.ask(&format!("POST {crds}"), Some(definition())).await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let (_, resources) = stage.ask("GET /apis/example.com/v1", None).await;
    assert_eq!(resources["resources"][0]["name"], "things");
    let (_, index) = stage.ask("GET /openapi/v3", None).await;
    assert!(index["paths"].get("apis/example.com/v1").is_some());
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"any": 1}});
    assert_eq!(stage.ask("POST /apis/example.com/v1/namespaces/default/things", Some(thing)).await.0, 201);
    let path = format!("GET /apis/example.com/v1/things?watch=1&resourceVersion={version}");
    let (watched, _) = tokio::join!(stage.text(&path, None), async { stage.ask(&format!("DELETE {crds}/things.example.com"), None).await });
    // The watch ended by itself, after it told of the end of the last object.
    assert!(watched.1.contains("\"type\":\"ADDED\""), "{}", watched.1);
    assert!(watched.1.contains("\"type\":\"DELETED\""), "{}", watched.1);
    assert_eq!(stage.ask("GET /apis/example.com/v1/things", None).await.0, 404);
    assert_eq!(stage.ask(&format!("GET {crds}/things.example.com"), None).await.0, 404);
}

#[tokio::test]
async fn says_gone_to_a_watch_from_before_the_history() {
    let stage = Stage::new("", 10_000).await;
    let watch = "GET /api/v1/configmaps?watch=1&timeoutSeconds=1&resourceVersion=5";
    assert!(!stage.text(watch, None).await.1.contains("ERROR"));
    stage.playground.compact();
    let (status, text) = stage.text(watch, None).await;
    let event: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((status, event["type"].as_str(), event["object"]["code"].as_u64()), (200, Some("ERROR"), Some(410)));
    assert_eq!(event["object"]["reason"], "Expired");
}

#[tokio::test]
async fn expires_a_page_whose_revision_is_forgotten_and_offers_the_rest() {
    let stage = Stage::new("", 10_000).await;
    let (_, page) = stage.ask("GET /api/v1/namespaces?limit=1", None).await;
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    stage.ask("POST /api/v1/namespaces/default/configmaps", Some(body)).await;
    stage.playground.compact();
    let next = page["metadata"]["continue"].as_str().unwrap();
    let (status, refusal) = stage.ask(&format!("GET /api/v1/namespaces?limit=1&continue={next}"), None).await;
    assert_eq!((status, refusal["reason"].as_str()), (410, Some("Expired")));
    let next = refusal["metadata"]["continue"].as_str().unwrap();
    let (status, rest) = stage.ask(&format!("GET /api/v1/namespaces?continue={next}"), None).await;
    assert_eq!((status, rest["items"].as_array().unwrap().len()), (200, 3));
}

#[tokio::test]
async fn forgets_the_oldest_commits_beyond_the_limit() {
    let mut stage = Stage::new(WEB, 20).await;
    stage.advance(60);
    assert_eq!(stage.playground.transcript().len(), 20);
    // Controllers that lost their place start over from what is there.
    assert_eq!(stage.names(PODS).await.len(), 2);
}

#[tokio::test]
async fn refuses_one_kind_and_heals_again() {
    let stage = Stage::new("", 10_000).await;
    stage.playground.deny("", "secrets", true);
    assert_eq!(stage.ask("GET /api/v1/secrets", None).await.0, 403);
    assert_eq!(stage.ask("GET /api/v1/configmaps", None).await.0, 200);
    stage.playground.deny("", "secrets", false);
    assert_eq!(stage.ask("GET /api/v1/secrets", None).await.0, 200);
    stage.playground.set_unavailable(true);
    assert_eq!(stage.ask("GET /api/v1/configmaps", None).await.0, 503);
    stage.playground.set_unavailable(false);
    assert_eq!(stage.ask("GET /api/v1/configmaps", None).await.0, 200);
}

#[tokio::test]
async fn answers_logs_of_this_run_and_of_the_one_before() {
    let steps = format!(
        "- crash: {{namespace: default, pod: web-, container: web, afterSeconds: 5, exitCode: 1, log: last words}}\n\
         - startLog: {{namespace: default, pod: web-, container: web, text: \"first\\nsecond\"}}\n{WEB}"
    );
    let mut stage = Stage::new(&steps, 10_000).await;
    stage.advance(11);
    let pod = stage.names(PODS).await.remove(0);
    let (_, text) = stage.text(&format!("GET {PODS}/{pod}/log?previous=true"), None).await;
    assert_eq!(text, "first\nsecond\nlast words\n");
    let (_, text) = stage.text(&format!("GET {PODS}/{pod}/log?tailLines=1&timestamps=true"), None).await;
    assert!(text.starts_with("2026-03-02T09:00:") && text.ends_with("Z second\n"), "{text}");
    assert_eq!(stage.text(&format!("GET {PODS}/{pod}/log?container=none"), None).await.0, 400);
}

#[tokio::test]
async fn refuses_a_body_beyond_the_limit() {
    let stage = Stage::new("", 10_000).await;
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "x".repeat(4 << 20)}});
    let (status, refusal) = stage.ask("POST /api/v1/namespaces/default/configmaps", Some(body)).await;
    assert_eq!((status, refusal["reason"].as_str()), (413, Some("RequestEntityTooLarge")));
}
