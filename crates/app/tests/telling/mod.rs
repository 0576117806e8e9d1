//! A journal in memory in which incidents are recorded by the test, and the telling over it.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod alertmanager;
pub(crate) mod hook;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use proreus_app::config::{EmitSettings, EndpointSettings, Receiver};
use proreus_app::emission::{Emission, EmissionBoard, EmissionInputs, EndpointFigures, Keep};
use proreus_app::service::SystemClock;
use proreus_doctor::emission::{EndpointRules, RetryRules};
use proreus_emit::{Address, Target, checked_url};
use proreus_model::{Change, Clock as _, ObjectId, Origin, Record, Seq, Verb};
use proreus_store::{Batch, ConsumerCursor, Journal, MemoryJournal, WriterEpoch};
use serde_json::json;
use tokio::sync::watch;

/// Longest wait for anything: a busy machine takes seconds, and this is a hang.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// Waits for something to hold.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + WITHIN;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not within {} s: {what}", WITHIN.as_secs());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A webhook at an address, which is waited for longer than any test takes.
pub(crate) fn endpoint(name: &str, url: &str, rules: EndpointRules) -> EndpointSettings {
    EndpointSettings { name: name.to_owned(), receiver: Receiver::Webhook(target(url, WITHIN * 2)), rules }
}

/// A webhook that is waited for only shortly.
pub(crate) fn impatient(name: &str, url: &str, rules: EndpointRules) -> EndpointSettings {
    EndpointSettings { name: name.to_owned(), receiver: Receiver::Webhook(target(url, Duration::from_millis(300))), rules }
}

pub(crate) fn target(url: &str, timeout: Duration) -> Target {
    Target {
        address: Address::Plain(checked_url(url).unwrap()),
        timeout,
        ca_file: None,
        bearer_token: None,
        api_key: None,
        signing_secret: None,
    }
}

/// Waits of milliseconds, so that many failures fit into a test.
pub(crate) fn quick_retries() -> RetryRules {
    RetryRules { first: SignedDuration::from_millis(5), longest: SignedDuration::from_millis(40), ..RetryRules::default() }
}

struct ByJournal(Arc<MemoryJournal>, WriterEpoch);

impl Keep for ByJournal {
    fn keep(&self, cursor: ConsumerCursor) -> BoxFuture<'static, Result<(), String>> {
        let kept = self.0.append(self.1, &Batch { cursors: vec![cursor], ..Batch::default() });
        async move { kept.map(drop).map_err(|error| error.to_string()) }.boxed()
    }
}

/// A journal of incidents.
pub(crate) struct Bench {
    journal: Arc<MemoryJournal>,
    epoch: WriterEpoch,
    moved: watch::Sender<Seq>,
    known: Mutex<BTreeMap<String, u64>>,
    board: Mutex<Arc<EmissionBoard>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let journal = Arc::new(MemoryJournal::default());
        let epoch = journal.begin_epoch().unwrap();
        Self { journal, epoch, moved: watch::channel(Seq(0)).0, known: Mutex::default(), board: Mutex::default() }
    }

    /// Starts telling, within the runtime that is entered.
    pub(crate) fn tell(&self, endpoints: Vec<EndpointSettings>) -> Emission {
        let emission = Emission::start(EmissionInputs {
            journal: self.journal.clone(),
            watermark: self.moved.subscribe(),
            keep: Arc::new(ByJournal(self.journal.clone(), self.epoch)),
            clock: Arc::new(SystemClock),
            clusters: Vec::new(),
            aliases: Box::new(|| vec![("prod".to_owned(), "c1".into())]),
            settings: EmitSettings { external_url: None, endpoints },
            instance: "test".to_owned(),
        });
        *self.board.lock().unwrap() = emission.board();
        emission
    }

    pub(crate) fn reconfigure(&self, emission: &Emission, endpoints: Vec<EndpointSettings>) {
        emission.reconfigure().send_replace(EmitSettings { external_url: None, endpoints });
    }

    /// Ends the telling.
    pub(crate) async fn stop(&self, emission: Emission) {
        emission.end().await;
    }

    pub(crate) fn figures(&self, name: &str) -> EndpointFigures {
        self.board.lock().unwrap().figures().remove(name).unwrap_or_default()
    }

    /// Records an incident of the Deployment `web-ID` as it stands.
    pub(crate) fn record(&self, id: &str, severity: &str, state: &str) {
        let now = SystemClock.now();
        let mut known = self.known.lock().unwrap();
        let version = known.entry(id.to_owned()).or_default();
        *version += 1;
        let verb = if *version == 1 { Verb::Create } else { Verb::Update };
        let change = change(id, severity, state, now, *version, verb);
        let appended = self.journal.append(self.epoch, &Batch { records: vec![Record::Change(change)], ..Batch::default() }).unwrap();
        self.moved.send_replace(appended.watermark);
    }
}

fn change(id: &str, severity: &str, state: &str, now: Timestamp, version: u64, verb: Verb) -> Change {
    let mut body = json!({
        "apiVersion": "proreus.dev/v1", "kind": "Incident", "metadata": { "name": id, "uid": id, "namespace": "shop" },
        "id": id, "state": state, "severity": severity, "reason": "DeploymentUnavailable", "check": "deployment-unavailable",
        "object": {
            "cluster": "c1", "group": "apps", "resource": "deployments", "kind": "Deployment", "namespace": "shop",
            "name": format!("web-{id}"), "uid": format!("u-{id}")
        },
        "message": "0 of 3 replicas are available", "remediation": "look at the pods", "openedAt": now.to_string(),
        "lastSeenAt": now.to_string(), "count": 1, "findings": [], "evidence": [version],
    });
    if state == "resolved" {
        body["resolvedAt"] = json!(now.to_string());
    }
    Change {
        seq: Seq(0),
        recorded_at: now,
        event_time: None,
        verb,
        origin: Origin::Watch,
        gap: None,
        object: ObjectId {
            cluster: "c1".into(),
            group: "proreus.dev".into(),
            kind: "Incident".into(),
            namespace: "shop".into(),
            name: id.into(),
            uid: id.into(),
        },
        version: "v1".into(),
        resource: "incidents".into(),
        resource_version: version.to_string().into(),
        generation: None,
        manager: Some("proreus".into()),
        regarding: None,
        body: Some(Arc::from(body.to_string().into_bytes())),
    }
}
