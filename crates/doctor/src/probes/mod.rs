//! Active checks: what the doctor may do in a cluster to learn what looking does not show, and what the outcome means.
//!
//! Pure: a plan is data, and so is what came of it; whoever carries it out lives elsewhere. Everything that a plan creates carries a label
//! with the run it belongs to and a moment from which on anybody may remove it, so that what an interrupted run left is found by the next.

mod api_health;
mod ingress_answers;
mod pod_admission;
mod pod_run;
mod service_answers;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{ClusterId, Kind, ObjectId};
use proreus_observe::{KindRef, Snapshot};
use serde_json::{Value, json};

use crate::check::{Check, Mode, Verdict};

pub use api_health::CHECK as API_HEALTH;
pub use ingress_answers::CHECK as INGRESS_ANSWERS;
pub use pod_admission::CHECK as POD_ADMISSION;
pub use pod_run::CHECK as POD_RUN;
pub use service_answers::CHECK as SERVICE_ANSWERS;

/// The label of everything that a probe makes; its value is the run.
pub const RUN_LABEL: &str = "proreus.dev/probe";
/// The label that says from which moment on, in seconds since 1970, anybody may remove it.
pub const EXPIRY_LABEL: &str = "proreus.dev/probe-expires";
/// What the names of everything begin with that a probe makes.
const NAME: &str = "proreus-probe";
/// What a probe made may be removed by the next run after this: longer than any run takes.
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// Further time for a pod to pull and start within its own deadline: the kubelet ends it even if nobody else does.
const POD_OVERTIME_SECONDS: i64 = 60;
/// A request that a probe makes must be answered within this: a person waits.
pub const ANSWER_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// An active check: its definition, what it does, and what it makes of the outcome.
struct ActiveCheck {
    check: &'static Check,
    plan: fn(&Scene<'_>) -> Vec<Probe>,
    judge: fn(&Probe, &Outcome, Timestamp) -> Verdict,
}

/// Every active check, in the order in which they are run.
const ACTIVE: [ActiveCheck; 5] = [
    ActiveCheck { check: &api_health::CHECK, plan: api_health::plan, judge: api_health::judge },
    ActiveCheck { check: &pod_admission::CHECK, plan: pod_admission::plan, judge: pod_admission::judge },
    ActiveCheck { check: &service_answers::CHECK, plan: service_answers::plan, judge: service_answers::judge },
    ActiveCheck { check: &ingress_answers::CHECK, plan: ingress_answers::plan, judge: ingress_answers::judge },
    ActiveCheck { check: &pod_run::CHECK, plan: pod_run::plan, judge: pod_run::judge },
];

/// How probes are made.
#[derive(Clone, Debug)]
pub struct ProbeSettings {
    /// Names this run; letters, digits and dashes.
    pub run: String,
    /// Where pods are made; `None` for a namespace of the run's own.
    pub namespace: Option<String>,
    /// Only objects of these namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// The image of the pod that is made: small, and one that does nothing.
    pub image: String,
    /// How long the pod may take to run.
    pub within: SignedDuration,
}

/// What a plan is made from.
pub(crate) struct Scene<'a> {
    view: &'a Snapshot,
    cluster: &'a ClusterId,
    settings: &'a ProbeSettings,
    now: Timestamp,
}

impl Scene<'_> {
    fn is_wanted(&self, namespace: &str) -> bool {
        self.settings.namespaces.is_empty() || self.settings.namespaces.iter().any(|wanted| wanted == namespace)
    }

    /// The namespace in which pods are made.
    fn home(&self) -> String {
        self.settings.namespace.clone().unwrap_or_else(|| self.own_name())
    }

    fn own_name(&self) -> String {
        format!("{NAME}-{}", self.settings.run)
    }

    fn labels(&self) -> Value {
        let expires = self.now.checked_add(EXPIRES_AFTER).unwrap_or(self.now).as_second();
        json!({RUN_LABEL: self.settings.run, EXPIRY_LABEL: expires.to_string(), "app.kubernetes.io/managed-by": "proreus"})
    }

    /// A pod that the strictest pod security admits, and that does nothing.
    fn pod(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.own_name(), "namespace": namespace, "labels": self.labels()},
            "spec": {
                "restartPolicy": "Never",
                "activeDeadlineSeconds": self.settings.within.as_secs() + POD_OVERTIME_SECONDS,
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "probe",
                    "image": self.settings.image,
                    // The registry is asked even where the node has the image.
                    "imagePullPolicy": "Always",
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "50m", "memory": "32Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        })
    }
}

/// Something that is done to learn something.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// For which check.
    pub check: &'static str,
    /// What it says something about.
    pub about: ObjectId,
    /// What is done, for whoever is told before.
    pub says: String,
    /// What is done.
    pub action: Action,
    /// How long it may take.
    pub within: SignedDuration,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A GET of the API server; changes nothing.
    Ask {
        /// With its query.
        path: String,
    },
    /// A create as a server-side dry run; changes nothing.
    Rehearse {
        /// Of the collection.
        path: String,
        /// What would be created.
        object: Value,
    },
    /// Creates a pod, follows it until `is_settled`, and deletes it.
    Run {
        /// Of the collection.
        path: String,
        /// The pod.
        object: Value,
    },
    /// A GET past the API server, as a client outside of the cluster makes it.
    Call {
        /// Address or host name to connect to.
        address: String,
        /// Whether over TLS; certificates are not judged here.
        is_tls: bool,
        /// The host that is asked for.
        host: String,
        /// The path that is asked for.
        path: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An answer, with the beginning of its body.
    Answered {
        /// HTTP status.
        status: u16,
        /// Text.
        body: String,
    },
    /// The pod as it was seen last.
    Seen {
        /// The pod.
        pod: Value,
    },
    /// No answer.
    Silent {
        /// Why.
        reason: String,
    },
    /// Not done.
    NotDone {
        /// Why.
        reason: String,
    },
}

/// Everything that a run will do, complete before it begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbePlan {
    /// A namespace to create first and to delete at the end.
    pub namespace: Option<Value>,
    /// In this order.
    pub probes: Vec<Probe>,
}

impl ProbePlan {
    /// What will be done, a line each.
    pub fn lines(&self) -> Vec<String> {
        let name = self.namespace.as_ref().and_then(|object| object.pointer("/metadata/name")).and_then(Value::as_str);
        let made = name.map(|name| format!("create the namespace {name}, and delete it at the end"));
        made.into_iter().chain(self.probes.iter().map(|probe| probe.says.clone())).collect()
    }
}

/// Plans a run of the active checks for which `wanted` says so.
pub fn plan(view: &Snapshot, cluster: &ClusterId, settings: &ProbeSettings, now: Timestamp, wanted: impl Fn(&Check) -> bool) -> ProbePlan {
    let scene = Scene { view, cluster, settings, now };
    let probes: Vec<Probe> = ACTIVE.iter().filter(|active| wanted(active.check)).flat_map(|active| (active.plan)(&scene)).collect();
    let makes_pods = probes.iter().any(|probe| matches!(probe.action, Action::Run { .. }));
    let namespace = (makes_pods && settings.namespace.is_none())
        .then(|| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scene.own_name(), "labels": scene.labels()}}));
    ProbePlan { namespace, probes }
}

/// What an outcome means.
pub fn judge(probe: &Probe, outcome: &Outcome, now: Timestamp) -> Verdict {
    if let Outcome::NotDone { reason } = outcome {
        return Err(crate::check::Undecided::Skipped(reason.clone()));
    }
    match ACTIVE.iter().find(|active| active.check.id == probe.check) {
        Some(active) => (active.judge)(probe, outcome, now),
        None => Ok(Vec::new()),
    }
}

/// Whether a pod that was made has come to where more waiting shows nothing new.
pub fn is_settled(pod: &Value) -> bool {
    matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Running" | "Succeeded" | "Failed"))
}

/// Whether something that carries these labels was left by a run that is over.
pub fn is_leftover(labels: &Value, now: Timestamp) -> bool {
    let text = |key: &str| labels.get(key).and_then(Value::as_str);
    let expires = text(EXPIRY_LABEL).and_then(|text| text.parse::<i64>().ok());
    text(RUN_LABEL).is_some() && expires.is_some_and(|expires| expires <= now.as_second())
}

/// The checks that do something.
pub fn active_checks() -> impl Iterator<Item = &'static Check> {
    ACTIVE.iter().map(|active| active.check).inspect(|check| debug_assert_eq!(check.mode, Mode::Active))
}

fn object(cluster: &ClusterId, kind: KindRef, namespace: &str, name: &str) -> ObjectId {
    ObjectId {
        cluster: cluster.clone(),
        group: kind.group.into(),
        kind: Kind::from(kind.kind),
        namespace: namespace.into(),
        name: name.into(),
        uid: "".into(),
    }
}

/// The message of the API server's own refusal or failure; `None` for an answer of somebody behind it.
fn status_message(body: &str) -> Option<String> {
    let status: Value = serde_json::from_str(body).ok()?;
    let is_status = status.get("kind").and_then(Value::as_str) == Some("Status");
    is_status.then(|| status.get("message").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Whether the API server refused because of who asks, which says nothing about what was asked for.
fn is_not_allowed(status: u16, message: &str) -> bool {
    status == 401 || (status == 403 && message.contains("cannot "))
}
