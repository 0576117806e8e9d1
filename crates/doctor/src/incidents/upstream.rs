//! What changed before: the last changes of specification of what a workload hangs on.
//!
//! Pure and bounded. Status is left out: what matters here is what somebody wanted otherwise.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, FieldChange, ObjectId, Resource, Seq, Verb};
use proreus_observe::{Observed, Snapshot, changed_fields};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::incident::Cause;

/// Changes remembered of one namespace; a rollout of a large chart makes some hundred.
const CHANGES_LIMIT: usize = 512;
/// Fields of one change that are told.
const FIELDS_LIMIT: usize = 20;

/// Kinds whose change can be what an incident comes from.
const KINDS: [(&str, &str); 19] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
    ("", "Node"),
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("networking.k8s.io", "Ingress"),
    ("policy", "PodDisruptionBudget"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
];

/// Metadata that changes by itself.
const NOISE: [&str; 4] =
    ["metadata.annotations[\"deployment.kubernetes.io/", "metadata.ownerReferences", "metadata.finalizers", "metadata.deletion"];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upstream {
    object: ObjectId,
    resource: Resource,
    seq: Seq,
    at: Timestamp,
    verb: Verb,
    manager: Option<String>,
    changed: Vec<FieldChange>,
}

/// What changed lately, by cluster and namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<VecDeque<Upstream>>", into = "Vec<VecDeque<Upstream>>")]
pub(super) struct UpstreamChanges {
    places: BTreeMap<(String, String), VecDeque<Upstream>>,
}

impl From<Vec<VecDeque<Upstream>>> for UpstreamChanges {
    fn from(places: Vec<VecDeque<Upstream>>) -> Self {
        let named = places.into_iter().filter_map(|changes| Some((changes.front().map(|change| place_of(&change.object))?, changes)));
        Self { places: named.collect() }
    }
}

impl From<UpstreamChanges> for Vec<VecDeque<Upstream>> {
    fn from(changes: UpstreamChanges) -> Self {
        changes.places.into_values().collect()
    }
}

fn place_of(object: &ObjectId) -> (String, String) {
    (object.cluster.to_string(), object.namespace.to_string())
}

impl UpstreamChanges {
    /// Remembers a change, if it is one that somebody wanted; `former` is the object as it was.
    pub(super) fn note(&mut self, change: &Change, former: Option<&Observed>) {
        let object = &change.object;
        if !KINDS.contains(&(object.group.as_str(), object.kind.as_str())) {
            return;
        }
        let changed = match (change.verb, former, &change.body) {
            (Verb::Update, Some(former), Some(body)) => {
                let now: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
                let fields = changed_fields(former.body(), &now).into_iter().filter(|field| is_wanted(&field.path));
                let fields: Vec<FieldChange> = fields.take(FIELDS_LIMIT).collect();
                if fields.is_empty() {
                    return;
                }
                fields
            }
            (Verb::Create | Verb::Delete, _, _) => Vec::new(),
            (Verb::Update, _, _) => return,
        };
        let place = self.places.entry(place_of(object)).or_default();
        place.push_back(Upstream {
            object: object.clone(),
            resource: change.resource.clone(),
            seq: change.seq,
            at: change.recorded_at,
            verb: change.verb,
            manager: change.manager.as_ref().map(ToString::to_string),
            changed,
        });
        if place.len() > CHANGES_LIMIT {
            place.pop_front();
        }
    }

    /// The last change before `before` of something that `owner` hangs on.
    pub(super) fn before(
        &self,
        view: &Snapshot,
        owner: &ObjectId,
        node: Option<&str>,
        before: Timestamp,
        window: SignedDuration,
    ) -> Option<Cause> {
        let from = before.checked_sub(window).unwrap_or(Timestamp::MIN);
        let template = view.get(owner).map(|owner| owner.body()).and_then(pod_spec);
        let own = (owner.cluster.to_string(), owner.namespace.to_string());
        let wide = (owner.cluster.to_string(), String::new());
        let places = [&own, &wide];
        let distinct = if own == wide { &places[..1] } else { &places[..] };
        let all = distinct.iter().filter_map(|place| self.places.get(*place)).flatten();
        let within = all.filter(|change| change.at >= from && change.at <= before);
        let ranked = within.filter_map(|change| Some((rank(change, owner, template, node)?, change)));
        // What stands nearer is the likelier cause; of equals, the newest.
        let (_, best) = ranked.min_by_key(|(rank, change)| (*rank, std::cmp::Reverse(change.seq)))?;
        Some(best.as_cause())
    }
}

/// How near a change is to an owner: itself, what its pods refer to, what governs its namespace, its node. `None`: it has nothing to do with it.
fn rank(change: &Upstream, owner: &ObjectId, template: Option<&Value>, node: Option<&str>) -> Option<u8> {
    let (object, name) = (&change.object, change.object.name.as_str());
    // That something is new says little beside that something is other than before.
    let novelty = u8::from(change.verb == Verb::Create && object.kind == owner.kind);
    match object.kind.as_str() {
        kind if kind == owner.kind.as_str() && name == owner.name.as_str() => Some(novelty * 3),
        "ConfigMap" | "Secret" | "PersistentVolumeClaim" | "ServiceAccount" => template.is_some_and(|spec| refers(spec, name)).then_some(1),
        "ResourceQuota" | "LimitRange" | "NetworkPolicy" => Some(2),
        "Node" => (node == Some(name)).then_some(2),
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => Some(4),
        _ => None,
    }
}

fn is_wanted(path: &str) -> bool {
    !path.starts_with("status") && !NOISE.iter().any(|noise| path.starts_with(noise))
}

/// The specification of the pods that a workload makes.
fn pod_spec(body: &Value) -> Option<&Value> {
    ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"].iter().find_map(|path| body.pointer(path)).or_else(|| body.get("spec"))
}

/// Whether a name stands in the specification where it refers to something.
fn refers(spec: &Value, name: &str) -> bool {
    const REFERRING: [&str; 5] = ["name", "secretName", "claimName", "serviceAccountName", "serviceAccount"];
    match spec {
        Value::Object(map) => {
            map.iter().any(|(key, value)| (REFERRING.contains(&key.as_str()) && value.as_str() == Some(name)) || refers(value, name))
        }
        Value::Array(list) => list.iter().any(|entry| refers(entry, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

impl Upstream {
    fn as_cause(&self) -> Cause {
        let what = format!("{} `{}`", self.object.kind, self.object.name);
        let by = self.manager.as_ref().map(|manager| format!(" through {manager}")).unwrap_or_default();
        let summary = match (self.verb, self.changed.as_slice()) {
            (Verb::Create, _) => format!("{what} was created{by}"),
            (Verb::Delete, _) => format!("{what} was deleted{by}"),
            (Verb::Update, [one]) => format!("{what} was changed{by}: {}{}", one.path, values(one)),
            (Verb::Update, [first, rest @ ..]) => {
                format!("{what} was changed{by}: {}{} and {} more", first.path, values(first), rest.len())
            }
            (Verb::Update, []) => format!("{what} was changed{by}"),
        };
        Cause {
            seq: self.seq,
            at: self.at,
            group: self.object.group.clone(),
            resource: self.resource.clone(),
            kind: self.object.kind.to_string(),
            namespace: self.object.namespace.to_string(),
            name: self.object.name.to_string(),
            summary,
            changed: self.changed.clone(),
        }
    }
}

/// ` from a to b`, where both are short.
fn values(field: &FieldChange) -> String {
    const SHORT: usize = 60;
    let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_else(|| "nothing".to_owned());
    let (before, after) = (text(&field.before), text(&field.after));
    if before.len() > SHORT || after.len() > SHORT { String::new() } else { format!(" from {before} to {after}") }
}
