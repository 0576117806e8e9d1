//! Users of a real cluster see what its RBAC lets them list, and nothing else is told by any answer: looked for with canaries.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use proreus_testkit::{ControlPlane, ControlPlaneOptions};
use proreus_tests::reading::{changes_of, records_of, wait_for_records};
use proreus_tests::walk::{Answer, Door, Request, Subject};
use proreus_tests::{RecorderOptions, RecorderProcess, built_proreus};
use serde_json::{Value, json};

/// Stands in the name of everything that the limited user must not learn of.
const CANARY: &str = "kx7qw";
/// As long as the canary, and in no name at all: what is answered about it must be what is answered about the canary.
const TWIN: &str = "zz9ju";
/// Words of what is hidden that no question about it holds.
const HIDDEN: [&str; 4] = [CANARY, "registry.example/ledger-kx7qw", "kx7qw cannot be pulled", "ledger-kx7qw-pod"];
/// Words of what the limited user may see.
const SHOWN: [&str; 3] = ["web-config", "registry.example/web", "web-two"];
const FORBIDDEN: &str = "vault-kx7qw";
const OWN: &str = "shop";
/// The rules behind `view`, which is empty without the controller that gathers them.
const VIEW: &str = "system:aggregate-to-view";
const RECORDED_WITHIN: Duration = Duration::from_secs(120);
/// Rights are remembered for 10 s.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(60);

struct Bench {
    plane: ControlPlane,
    recorder: RecorderProcess,
    data_dir: std::path::PathBuf,
    _directory: tempfile::TempDir,
    /// Token of a service account that may view one namespace.
    limited: String,
    /// Token of a service account that may list everything.
    auditor: String,
    /// Token of a service account without any right.
    nobody: String,
}

async fn post(client: &kube::Client, path: &str, object: Value) -> Value {
    let request = http::Request::post(path).header("content-type", "application/json").body(object.to_string().into_bytes());
    client.request::<Value>(request.unwrap()).await.unwrap()
}

async fn patch(client: &kube::Client, path: &str, patch: Value) {
    let request = http::Request::patch(path).header("content-type", "application/merge-patch+json").body(patch.to_string().into_bytes());
    client.request::<Value>(request.unwrap()).await.unwrap();
}

async fn delete(client: &kube::Client, path: &str) {
    client.request::<Value>(http::Request::delete(path).body(Vec::new()).unwrap()).await.unwrap();
}

/// A service account of that name in `default`, with its token.
async fn account(client: &kube::Client, name: &str) -> String {
    let meta = json!({"name": name, "namespace": "default"});
    post(client, "/api/v1/namespaces/default/serviceaccounts", json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}))
        .await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}});
    let answer = post(client, &format!("/api/v1/namespaces/default/serviceaccounts/{name}/token"), request).await;
    answer["status"]["token"].as_str().unwrap().to_owned()
}

async fn bind(client: &kube::Client, namespace: Option<&str>, role: &str, account: &str) {
    let (path, kind) = match namespace {
        Some(namespace) => (format!("namespaces/{namespace}/rolebindings"), "RoleBinding"),
        None => ("clusterrolebindings".to_owned(), "ClusterRoleBinding"),
    };
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": account},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}]});
    post(client, &format!("/apis/rbac.authorization.k8s.io/v1/{path}"), binding).await;
}

async fn write_objects(client: &kube::Client) {
    for (namespace, mark) in [(OWN, "web"), (FORBIDDEN, "ledger-kx7qw")] {
        post(client, "/api/v1/namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        let meta = |name: &str| json!({"name": format!("{mark}-{name}"), "namespace": namespace, "labels": {"app": mark}});
        let of = |plural: &str| format!("/api/v1/namespaces/{namespace}/{plural}");
        post(client, &of("configmaps"), json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("config"), "data": {"a": mark}}))
            .await;
        patch(client, &format!("{}/{mark}-config", of("configmaps")), json!({"data": {"a": format!("{mark}-two")}})).await;
        let pod = post(
            client,
            &of("pods"),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta("pod"),
            "spec": {"containers": [{"name": "c", "image": format!("registry.example/{mark}:1")}]}}),
        )
        .await;
        let regarding = json!({"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]});
        post(
            client,
            &of("events"),
            json!({"apiVersion": "v1", "kind": "Event", "metadata": meta("event"), "involvedObject": regarding,
            "reason": "Failed", "type": "Warning", "message": format!("{mark} cannot be pulled")}),
        )
        .await;
        post(
            client,
            &of("services"),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("gone"), "spec": {"ports": [{"port": 80}]}}),
        )
        .await;
    }
    // A viewer may not see secrets, nor what belongs to no namespace.
    post(
        client,
        "/api/v1/namespaces/shop/secrets",
        json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "own-kx7qw", "namespace": OWN}, "stringData": {"a": "b"}}),
    )
    .await;
    post(client, "/api/v1/nodes", json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-kx7qw"}})).await;
}

async fn bench() -> Bench {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = plane.client().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("proreus.yaml");
    std::fs::write(&config, "auth:\n  kubernetes: {}\n").unwrap();
    let data_dir = directory.path().join("data");
    let recorder = RecorderProcess::start(RecorderOptions {
        program: built_proreus().unwrap(),
        kubeconfig: plane.kubeconfig().to_owned(),
        data_dir: data_dir.clone(),
        log: directory.path().join("recorder.log"),
        arguments: vec![format!("--config={}", config.display())],
    })
    .await
    .unwrap();
    write_objects(&client).await;
    let (limited, auditor, nobody) =
        (account(&client, "limited").await, account(&client, "auditor").await, account(&client, "nobody").await);
    bind(&client, Some(OWN), VIEW, "limited").await;
    bind(&client, None, "cluster-admin", "auditor").await;
    // Deleted only after it was recorded, else there is nothing to be told of it.
    let written = |records: &[proreus_model::Record]| {
        let is_there = |(kind, name): (&str, &str)| !changes_of(records, kind, name).is_empty();
        let last = [("Service", "ledger-kx7qw-gone"), ("Service", "web-gone"), ("Secret", "own-kx7qw"), ("Node", "node-kx7qw")];
        let events = [("Event", "ledger-kx7qw-event"), ("Event", "web-event"), ("ConfigMap", "web-config"), ("Pod", "ledger-kx7qw-pod")];
        last.into_iter().chain(events).all(is_there).then_some(())
    };
    wait_for_records("what was written", RECORDED_WITHIN, || records_of(&data_dir), written).await.unwrap();
    delete(&client, &format!("/api/v1/namespaces/{FORBIDDEN}/services/ledger-kx7qw-gone")).await;
    let deleted = |records: &[proreus_model::Record]| {
        let gone = changes_of(records, "Service", "ledger-kx7qw-gone");
        gone.iter().any(|change| change.verb == proreus_model::Verb::Delete).then_some(())
    };
    wait_for_records("what was deleted", RECORDED_WITHIN, || records_of(&data_dir), deleted).await.unwrap();
    Bench { plane, recorder, data_dir, _directory: directory, limited, auditor, nobody }
}

/// The objects to ask about: each that was recorded of these names.
fn subjects(data_dir: &Path, wanted: impl Fn(&str, &str) -> bool) -> Vec<Subject> {
    let mut found: BTreeMap<(String, String, String), Subject> = BTreeMap::new();
    for record in records_of(data_dir).unwrap() {
        let proreus_model::Record::Change(change) = record else { continue };
        let object = &change.object;
        if !wanted(object.namespace.as_str(), object.name.as_str()) {
            continue;
        }
        let words = BTreeMap::from([
            ("group", object.group.to_string()),
            ("kind", object.kind.to_string()),
            ("namespace", object.namespace.to_string()),
            ("name", object.name.to_string()),
            ("uid", object.uid.to_string()),
            ("resource", change.resource.to_string()),
            ("seq", change.seq.0.to_string()),
        ]);
        found.insert((object.kind.to_string(), object.namespace.to_string(), object.name.to_string()), Subject { words });
    }
    found.into_values().collect()
}

fn is_secret(namespace: &str, name: &str) -> bool {
    namespace.contains(CANARY) || name.contains(CANARY)
}

/// The same question about something that never was.
fn twin(request: &Request, uids: &BTreeMap<String, String>) -> Option<Request> {
    let other = |text: &str| uids.iter().fold(text.replace(CANARY, TWIN), |text, (uid, other)| text.replace(uid, other));
    let twin = Request { url: other(&request.url), body: request.body.as_deref().map(other), ..request.clone() };
    (twin != *request).then_some(twin)
}

/// An answer in the words of the question about the canary, without moments: some answers tell when they were asked.
fn in_the_canarys_words(answer: &Answer, uids: &BTreeMap<String, String>) -> String {
    let text = uids.iter().fold(answer.text.replace(TWIN, CANARY), |text, (uid, other)| text.replace(other, uid));
    // The length says what the body says, and a moment may be written shorter.
    let lines = text.lines().filter(|line| !line.starts_with("content-length: "));
    format!("{} {}", answer.status, without_moments(&lines.collect::<Vec<_>>().join("\n")))
}

/// The text with each RFC 3339 time in UTC replaced.
fn without_moments(text: &str) -> String {
    let is_date = |from: usize| {
        let shape = text.as_bytes().get(from..from + 11).unwrap_or_default();
        shape.len() == 11 && shape.iter().zip(b"dddd-dd-ddT").all(|(byte, of)| if *of == b'd' { byte.is_ascii_digit() } else { byte == of })
    };
    let mut without = String::new();
    let mut from = 0;
    while let Some(letter) = text[from..].chars().next() {
        if is_date(from) {
            from += text[from..].find(|of: char| !(of.is_ascii_digit() || "-:.TZ".contains(of))).unwrap_or(text.len() - from);
            without.push_str("MOMENT");
        } else {
            without.push(letter);
            from += letter.len_utf8();
        }
    }
    without
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_a_limited_user_nothing_of_what_they_may_not_list() {
    let bench = bench().await;
    let hidden = subjects(&bench.data_dir, is_secret);
    let own = subjects(&bench.data_dir, |namespace, name| namespace == OWN && !is_secret(namespace, name));
    assert!(hidden.len() >= 7 && own.len() >= 4, "{} and {} objects to ask about", hidden.len(), own.len());
    let door = |token: Option<&str>| Door::new(bench.recorder.url(""), token).unwrap();
    let everything: Vec<Subject> = hidden.iter().chain(&own).cloned().collect();
    let requests = door(Some(&bench.auditor)).requests(&everything).await.unwrap();

    // Somebody who may list everything is shown the canaries by every kind of question, or the walk below proves nothing.
    let shown = showing(&door(Some(&bench.auditor)).ask_all(&requests).await.unwrap(), &HIDDEN);
    for template in [
        "/api/v1/changes",
        "/api/v1/changes/stream",
        "/api/v1/diff",
        "/api/v1/events",
        "/api/v1/events/{namespace}/{resourceType}/{name}",
        "/api/v1/objects/{group}/{kind}/{namespace}/{name}",
        "/api/v1/objects/{group}/{kind}/{namespace}/{name}/history",
        "/api/v1/state",
    ] {
        assert!(shown.contains(template), "the auditor is shown no canary by {template}: {shown:?}");
    }

    let of_nobody = walk_sees_nothing("nobody", &door(Some(&bench.nobody)), &requests, &hidden).await;
    assert!(showing(&of_nobody, &SHOWN).is_empty());
    let seen = showing(&walk_sees_nothing("limited", &door(Some(&bench.limited)), &requests, &hidden).await, &SHOWN);
    for template in ["/api/v1/changes", "/api/v1/changes/stream", "/api/v1/events", "/api/v1/state"] {
        assert!(seen.contains(template), "the limited user is not shown their own by {template}: {seen:?}");
    }
    for path in ["/metrics", "/api/v1/store/stats"] {
        assert_eq!(status(&door(Some(&bench.limited)), path).await, 403, "{path}");
        assert_eq!(status(&door(Some(&bench.auditor)), path).await, 200, "{path}");
    }
    strangers_are_turned_away(&bench, &requests).await;
    agents_are_told_no_more(&bench, &hidden, &own).await;
    logs_need_a_right_of_their_own(&bench).await;
    rights_are_followed(&bench).await;
}

/// The same over MCP, about one object of each kind: every tool, resource, prompt and completion.
async fn agents_are_told_no_more(bench: &Bench, hidden: &[Subject], own: &[Subject]) {
    let door = |token: &str| Door::new(bench.recorder.url(""), Some(token)).unwrap();
    let few = |of: &[Subject], kinds: &[&str]| -> Vec<Subject> {
        of.iter().filter(|subject| kinds.contains(&subject.words["kind"].as_str())).cloned().collect()
    };
    let about: Vec<Subject> = few(hidden, &["Pod"]).into_iter().chain(few(own, &["ConfigMap"])).collect();
    let requests = door(&bench.auditor).agents_requests(&about).await.unwrap();
    let shown = showing(&door(&bench.auditor).ask_all(&requests).await.unwrap(), &HIDDEN);
    for template in [
        "tools/call changes",
        "tools/call history",
        "tools/call object",
        "tools/call state",
        "tools/call diff",
        "tools/call analyze_recent_changes",
        "tools/call k0rdent.mgmt.events.list",
        "resources/read k0rdent://events/{namespace}",
        "resources/read audit://events/{namespace}/{resource_type}",
        "completion/complete investigate_pod_failure pod_name",
    ] {
        assert!(shown.contains(template), "the auditor is shown no canary by {template}: {shown:?}");
    }
    let answers = walk_sees_nothing("limited", &door(&bench.limited), &requests, hidden).await;
    let seen = showing(&answers, &SHOWN);
    for template in ["tools/call changes", "tools/call history", "tools/call state", "tools/call object"] {
        assert!(seen.contains(template), "the limited user is not shown their own by {template}: {seen:?}");
    }
}

/// Whoever may list pods may not read their logs by that. The bench has no kubelets: of a pod without a node the log is empty.
async fn logs_need_a_right_of_their_own(bench: &Bench) {
    let client = bench.plane.client().await.unwrap();
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "lists-pods"}, "rules": rules});
    post(&client, "/apis/rbac.authorization.k8s.io/v1/clusterroles", role).await;
    let lister = account(&client, "lister").await;
    bind(&client, Some(OWN), "lists-pods", "lister").await;
    let request = Request::tool("k0rdent.mgmt.podLogs.get", &json!({"namespace": OWN, "pod": "web-pod"}));
    let told = async |token: &str| Door::new(bench.recorder.url(""), Some(token)).unwrap().ask(&request).await.unwrap().text;
    until("the right to list pods", || async { told(&lister).await.contains("may not read the log of pod `shop/web-pod`") }).await;
    let of_limited = told(&bench.limited).await;
    assert!(of_limited.contains("0 lines of the log of pod shop/web-pod"), "{of_limited}");
    let of_nobody = told(&bench.nobody).await;
    assert!(of_nobody.contains("pod `shop/web-pod` not found"), "{of_nobody}");
}

/// Templates of the requests whose answers hold a word that the requests themselves do not.
fn showing(answers: &[Answer], words: &[&str]) -> BTreeSet<String> {
    let is_named = |request: &Request, word: &str| request.url.contains(word) || request.body.as_deref().unwrap_or_default().contains(word);
    let of = |answer: &&Answer| words.iter().any(|word| answer.text.contains(word) && !is_named(&answer.request, word));
    answers.iter().filter(|answer| answer.status == 200).filter(of).map(|answer| answer.request.template.clone()).collect()
}

/// Asks everything, and of each question that names a canary whether its answer is that to a name that never was; gives the answers.
async fn walk_sees_nothing(who: &str, door: &Door, requests: &[Request], hidden: &[Subject]) -> Vec<Answer> {
    let uids: BTreeMap<String, String> = hidden
        .iter()
        .enumerate()
        .map(|(index, subject)| (subject.words["uid"].clone(), format!("00000000-0000-4000-8000-{index:012}")))
        .collect();
    let answers = door.ask_all(requests).await.unwrap();
    let (mut named, mut twins) = (Vec::new(), Vec::new());
    for answer in &answers {
        match twin(&answer.request, &uids) {
            Some(twin) => {
                named.push(answer);
                twins.push(twin);
            }
            None => assert!(!answer.text.contains(CANARY), "{who} is told of a canary by {:?}:\n{}", answer.request, answer.text),
        }
    }
    for (answer, of_twin) in named.iter().zip(door.ask_all(&twins).await.unwrap()) {
        // The name was in the question, so that it may be in the answer; but nothing may differ from a name that never was. Asked again
        // where the watermark moved between the two.
        let mut pair = (in_the_canarys_words(answer, &uids), in_the_canarys_words(&of_twin, &uids));
        for _ in 0..5 {
            if pair.0 == pair.1 {
                break;
            }
            pair.0 = in_the_canarys_words(&door.ask(&answer.request).await.unwrap(), &uids);
            pair.1 = in_the_canarys_words(&door.ask(&of_twin.request).await.unwrap(), &uids);
        }
        assert_eq!(pair.0, pair.1, "{who} can tell a canary from nothing by {:?}", answer.request);
    }
    let asked = named.len();
    assert!(asked > 100, "only {asked} questions named a canary");
    answers
}

async fn status(door: &Door, path: &str) -> u16 {
    door.ask(&Request::of(path, false)).await.unwrap().status
}

async fn strangers_are_turned_away(bench: &Bench, requests: &[Request]) {
    let forged = format!("{}x", bench.limited);
    for token in [None, Some("no-token-of-the-cluster"), Some(forged.as_str())] {
        let door = Door::new(bench.recorder.url(""), token).unwrap();
        for answer in door.ask_all(requests).await.unwrap() {
            let open = !answer.request.url.starts_with("/api/") && !answer.request.url.starts_with("/metrics");
            assert!(open || answer.status == 401, "{token:?} gets {} from {}", answer.status, answer.request.url);
            assert!(!answer.text.contains(CANARY) || answer.request.url.contains(CANARY), "{}", answer.request.url);
        }
    }
}

/// A right that is taken away or given counts within seconds, and a type that is recorded for the first time is shown to those who may
/// list it, also by a stream that was open before.
async fn rights_are_followed(bench: &Bench) {
    let client = bench.plane.client().await.unwrap();
    let door = Door::new(bench.recorder.url(""), Some(&bench.limited)).unwrap();
    let listening = door.clone();
    let stream = tokio::spawn(async move {
        // Open before anything of the type is recorded in the namespace; asked again and again, each time from where it ended.
        let begun = Instant::now();
        let mut url = "/api/v1/changes/stream?since=2020-01-01T00:00:00Z".to_owned();
        while begun.elapsed() < FOLLOWED_WITHIN {
            let answer = listening.ask(&Request::of(&url, true)).await.unwrap();
            assert!(!answer.text.contains(CANARY), "{}", answer.text);
            if answer.text.contains("first-of-its-kind") {
                return true;
            }
            let last = answer.text.lines().rev().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned);
            url = last.map_or(url, |cursor| format!("/api/v1/changes/stream?cursor={cursor}"));
        }
        false
    });
    for (namespace, name) in [(FORBIDDEN, "first-kx7qw"), (OWN, "first-of-its-kind")] {
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        post(&client, &format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims"), claim).await;
    }
    assert!(stream.await.unwrap(), "a stream misses the first object of a type");

    let all = Request::of("/api/v1/changes?limit=1000", false);
    let shows = |text: &str| text.contains("web-config");
    assert!(shows(&door.ask(&all).await.unwrap().text));
    delete(&client, "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/limited").await;
    until("the right is gone", || async { !shows(&door.ask(&all).await.unwrap().text) }).await;
    bind(&client, Some(OWN), VIEW, "limited").await;
    until("the right is back", || async { shows(&door.ask(&all).await.unwrap().text) }).await;
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "{what} is not followed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
