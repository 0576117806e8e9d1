//! A journal with a small past, served in this process: what every test of the server asks.

#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part; a test stops at the first thing that does not hold")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use proreus_app::access::{Authenticator, TokenFile};
use proreus_app::monitors::{MonitorInputs, Monitors};
use proreus_app::questions::Questions;
use proreus_app::status::{Histogram, RecordingBoard, RecordingStatus, WatchState, WatchStatus};
use proreus_app::{Application, Clock};
use proreus_model::{Change, Gap, Mark, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};
use proreus_serve::{Exposure, ServeOptions, router};
use proreus_store::{Batch, Journal, MemoryJournal, WriterEpoch};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The moment at which the shop's past begins.
pub(crate) const BEGIN: &str = "2026-11-21T08:00:00Z";
/// The token that the guarded shop accepts.
pub(crate) const TOKEN: &str = "correct-horse-battery";

/// `BEGIN` and so many seconds.
pub(crate) fn time(second: i64) -> Timestamp {
    BEGIN.parse::<Timestamp>().unwrap().checked_add(SignedDuration::from_secs(second)).unwrap()
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        time(3_600)
    }
}

struct Board;

impl RecordingBoard for Board {
    fn status(&self) -> RecordingStatus {
        let watch = |resource: &str, state, reason: Option<&str>| WatchStatus {
            scope: WatchScope { cluster: "c1".into(), group: "".into(), resource: resource.into() },
            cluster_name: "prod".to_owned(),
            state,
            since: time(1),
            reason: reason.map(str::to_owned),
            resource_version: Some("77".into()),
            last_heard_at: Some(time(9)),
            recorded: 7,
            noise: 3,
            coalesced: 2,
            refused: 1,
            relists: 4,
            connects: 5,
        };
        RecordingStatus {
            watches: vec![watch("pods", WatchState::Synced, None), watch("nodes", WatchState::Stale, Some("connection refused"))],
            queue_records: 11,
            queue_bytes: 2_048,
            appended: 99,
            append_errors: 0,
            paused: None,
            lag: Histogram {
                count: 3,
                sum: std::time::Duration::from_millis(30),
                buckets: vec![(std::time::Duration::from_millis(5), 1), (std::time::Duration::from_millis(50), 3)],
            },
        }
    }
}

/// A served journal.
pub(crate) struct Shop {
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) app: Arc<Application>,
    pub(crate) router: Router,
    pub(crate) shutdown: CancellationToken,
    epoch: WriterEpoch,
    moved: watch::Sender<Seq>,
    second: Mutex<i64>,
}

/// What differs from shop to shop.
pub(crate) struct Setup {
    pub(crate) door: Authenticator,
    pub(crate) exposure: Exposure,
    pub(crate) max_query_limit: usize,
    pub(crate) clock: Arc<dyn Clock>,
    /// The shop's own journal, made before its door where the door looks into it.
    pub(crate) journal: Arc<MemoryJournal>,
    /// What is asked, when it is not the shop's own journal.
    pub(crate) asked: Option<Arc<dyn Journal>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            door: Authenticator::Open,
            exposure: Exposure::Network,
            max_query_limit: 1_000,
            clock: Arc::new(FixedClock),
            journal: Arc::new(MemoryJournal::new()),
            asked: None,
        }
    }
}

/// A change to record.
pub(crate) struct Step<'a> {
    pub(crate) verb: Verb,
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) manager: Option<&'a str>,
    pub(crate) regarding: Option<&'a str>,
    pub(crate) fields: Value,
}

impl Shop {
    /// Nothing recorded yet.
    pub(crate) fn empty(setup: Setup) -> Self {
        let journal = setup.journal;
        let epoch = journal.begin_epoch().unwrap();
        let (moved, watermark) = watch::channel(Seq(0));
        let questions = Questions::new(setup.asked.unwrap_or_else(|| journal.clone()));
        questions.set_aliases(vec![("prod".to_owned(), "c1".into())]);
        let monitors = Arc::new(Monitors::new(MonitorInputs::new(questions.clone(), setup.clock.clone())));
        let app = Arc::new(Application {
            questions,
            door: setup.door,
            clock: setup.clock,
            board: Arc::new(Board),
            emission: Arc::default(),
            watermark,
            watching: None,
            monitors,
            logs: None,
            max_query_limit: setup.max_query_limit,
        });
        let shutdown = CancellationToken::new();
        let router = router(app.clone(), ServeOptions::new(setup.exposure, shutdown.clone()));
        Self { journal, app, router, shutdown, epoch, moved, second: Mutex::new(0) }
    }

    /// Eleven records of a rollout: see `fill`.
    pub(crate) fn open() -> Self {
        let shop = Self::empty(Setup::default());
        shop.fill();
        shop
    }

    /// The same, behind a door that knows `TOKEN`.
    pub(crate) fn guarded() -> (Self, tempfile::NamedTempFile) {
        let tokens = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(tokens.path(), format!("alice:{TOKEN}\n")).unwrap();
        let door = Authenticator::Tokens(TokenFile::open(tokens.path().to_owned()).unwrap());
        let shop = Self::empty(Setup { door, ..Setup::default() });
        shop.fill();
        (shop, tokens)
    }

    /// Appends records, each one second after the last.
    pub(crate) fn append(&self, records: Vec<Record>) -> Seq {
        let mut second = self.second.lock().unwrap();
        let stamped = records.into_iter().map(|mut record| {
            *second += 1;
            match &mut record {
                Record::Change(change) => change.recorded_at = time(*second),
                Record::Mark(mark) => mark.recorded_at = time(*second),
            }
            record
        });
        let batch = Batch { records: stamped.collect(), ..Batch::default() };
        let watermark = self.journal.append(self.epoch, &batch).unwrap().watermark;
        self.moved.send_replace(watermark);
        watermark
    }

    /// Lets time pass without a record.
    pub(crate) fn pass(&self, seconds: i64) {
        *self.second.lock().unwrap() += seconds;
    }

    pub(crate) fn record(&self, step: Step<'_>) -> Seq {
        self.append(vec![Record::Change(change(step))])
    }

    pub(crate) fn mark(&self, kind: MarkKind, resource: &str) -> Seq {
        self.append(vec![Record::Mark(Mark {
            seq: Seq(0),
            recorded_at: time(0),
            kind,
            scope: WatchScope { cluster: "c1".into(), group: "".into(), resource: resource.into() },
            reason: "the watch began".to_owned(),
            detail: json!({"resumed": false}),
        })])
    }

    /// 1 mark, 2 Deployment web created, 3 its image replaced, 4 Pod web-1 (p1) created, 5 an Event about p1, 6 p1 deleted, 7 Pod web-1 (p2)
    /// created, 8 Node n1 created, 9 Secret created by another manager, 10 Pod web-1 in another namespace, 11 an Event of the newer API about
    /// p2.
    pub(crate) fn fill(&self) {
        self.mark(MarkKind::Synced, "pods");
        let web = |verb, image: &str| Step {
            group: "apps",
            manager: Some("kubectl"),
            fields: json!({"spec": {"image": image, "replicas": 2, "big": 12345678901234567890_u128.to_string().parse::<serde_json::Number>().unwrap()}}),
            ..pod(verb, "shop", "web", "d1")
        };
        let deployment = |step: Step<'static>| Step { kind: "Deployment", resource: "deployments", ..step };
        self.record(deployment(web(Verb::Create, "web:1")));
        self.record(deployment(web(Verb::Update, "web:2")));
        self.record(pod(Verb::Create, "shop", "web-1", "p1"));
        self.record(Step {
            kind: "Event",
            resource: "events",
            regarding: Some("p1"),
            fields: json!({"reason": "Pulled", "message": "Successfully pulled image", "count": 1}),
            ..pod(Verb::Create, "shop", "web-1.17a", "e1")
        });
        self.record(pod(Verb::Delete, "shop", "web-1", "p1"));
        self.record(pod(Verb::Create, "shop", "web-1", "p2"));
        self.record(Step { kind: "Node", resource: "nodes", ..pod(Verb::Create, "", "n1", "n1") });
        self.record(Step { kind: "Secret", resource: "secrets", manager: Some("helm"), ..pod(Verb::Create, "shop", "password", "s1") });
        self.record(pod(Verb::Create, "bank", "web-1", "p9"));
        self.record(Step {
            group: "events.k8s.io",
            kind: "Event",
            resource: "events",
            regarding: Some("p2"),
            fields: json!({"reason": "Killing", "note": "Stopping container web"}),
            ..pod(Verb::Create, "shop", "web-1.17b", "e2")
        });
    }

    /// Asks with GET.
    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// The 200 JSON of `uri`.
    pub(crate) async fn json(&self, uri: &str) -> Value {
        let answer = self.get(uri).await;
        assert_eq!(answer.status, StatusCode::OK, "{uri}: {}", answer.text);
        answer.json()
    }

    /// The positions of a page.
    pub(crate) async fn seqs(&self, uri: &str) -> Vec<u64> {
        seqs(&self.json(uri).await["items"])
    }
}

/// The positions of changes, marks or audit events.
pub(crate) fn seqs(items: &Value) -> Vec<u64> {
    items.as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect()
}

/// A pod's step.
pub(crate) fn pod<'a>(verb: Verb, namespace: &'a str, name: &'a str, uid: &'a str) -> Step<'a> {
    Step {
        verb,
        group: "",
        kind: "Pod",
        resource: "pods",
        namespace,
        name,
        uid,
        manager: None,
        regarding: None,
        fields: json!({"spec": {"image": "web:1"}}),
    }
}

fn change(step: Step<'_>) -> Change {
    let mut body = json!({
        "kind": step.kind,
        "metadata": {
            "name": step.name, "namespace": step.namespace, "uid": step.uid, "resourceVersion": "7", "generation": 3,
            "annotations": {"team": "shop"}, "managedFields": [], "selfLink": "/x"
        }
    });
    for (field, value) in step.fields.as_object().unwrap() {
        body[field] = value.clone();
    }
    let gap = (step.verb == Verb::Delete).then(|| Gap { from: time(0), to: time(1) });
    Change {
        seq: Seq(0),
        recorded_at: time(0),
        event_time: Some(time(0)),
        verb: step.verb,
        origin: if step.verb == Verb::Delete { Origin::Relist } else { Origin::Watch },
        gap,
        object: ObjectId {
            cluster: "c1".into(),
            group: step.group.into(),
            kind: step.kind.into(),
            namespace: step.namespace.into(),
            name: step.name.into(),
            uid: step.uid.into(),
        },
        version: "v1".into(),
        resource: step.resource.into(),
        resource_version: "7".into(),
        generation: Some(3),
        manager: step.manager.map(Into::into),
        regarding: step.regarding.map(Into::into),
        body: Some(Arc::from(serde_json::to_vec(&body).unwrap())),
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
