//! What changed before: the last changes of specification of what a workload hangs on.
//!
//! Pure and bounded. Status is left out: what matters here is what somebody wanted otherwise.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, FieldChange, ObjectId, Resource, Seq, Verb};
use proreus_observe::document::{Node, Shape};
use proreus_observe::{KindRef, Observed, Snapshot, changed_fields};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::incident::Cause;
use crate::check::Check;

/// Changes remembered of one namespace; a rollout of a large chart makes some hundred.
const CHANGES_LIMIT: usize = 512;
/// Changes remembered in all; of more the oldest go first.
const ALL_CHANGES_LIMIT: usize = 10_000;
/// Fields of one change that are told.
const FIELDS_LIMIT: usize = 20;
/// Bytes of a field's former or new value that are told; the journal has the whole, at the change's position.
const VALUE_BYTES: usize = 1_024;

/// Kinds whose change can be what an incident comes from.
const KINDS: [(&str, &str); 27] = [
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
    ("networking.k8s.io", "IngressClass"),
    ("storage.k8s.io", "StorageClass"),
    ("", "PersistentVolume"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("cert-manager.io", "Issuer"),
    ("cert-manager.io", "ClusterIssuer"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Vec<VecDeque<Upstream>>")]
pub(super) struct UpstreamChanges {
    places: BTreeMap<(String, String), VecDeque<Upstream>>,
}

impl From<Vec<VecDeque<Upstream>>> for UpstreamChanges {
    fn from(places: Vec<VecDeque<Upstream>>) -> Self {
        let named = places.into_iter().filter_map(|changes| Some((changes.front().map(|change| place_of(&change.object))?, changes)));
        Self { places: named.collect() }
    }
}

impl Serialize for UpstreamChanges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.places.values())
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
                let fields = changed_fields(&former.body().to_value(), &now).into_iter().filter(|field| is_wanted(&field.path));
                let fields: Vec<FieldChange> = fields.take(FIELDS_LIMIT).map(shortened).collect();
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
        while self.places.values().map(VecDeque::len).sum::<usize>() > ALL_CHANGES_LIMIT {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.places.iter().min_by_key(|(_, changes)| changes.front().map(|change| change.seq));
        let Some(place) = oldest.map(|(place, _)| place.clone()) else { return };
        if let Some(changes) = self.places.get_mut(&place) {
            changes.pop_front();
            if changes.is_empty() {
                self.places.remove(&place);
            }
        }
    }

    /// The last change before `before` of something that the incident hangs on.
    pub(super) fn before(&self, view: &Snapshot, about: &About<'_>, before: Timestamp, window: SignedDuration) -> Option<Cause> {
        let from = before.checked_sub(window).unwrap_or(Timestamp::MIN);
        let owner = about.owner;
        let spec = view.get(owner).map(|owner| owner.body()).and_then(pod_spec);
        let own = (owner.cluster.to_string(), owner.namespace.to_string());
        let wide = (owner.cluster.to_string(), String::new());
        let places = [&own, &wide];
        let distinct = if own == wide { &places[..1] } else { &places[..] };
        let all = distinct.iter().filter_map(|place| self.places.get(*place)).flatten();
        let within = all.filter(|change| change.at >= from && (change.at <= before || about.may_be_heard_late(change)));
        let ranked = within.filter_map(|change| Some((about.rank(change, spec)?, change)));
        // What stands nearer is the likelier cause; of equals, the newest.
        let (_, best) = ranked.min_by_key(|(rank, change)| (*rank, std::cmp::Reverse(change.seq)))?;
        Some(best.as_cause())
    }
}

/// What an incident is about, as far as it decides what it can come from.
pub(super) struct About<'a> {
    owner: &'a ObjectId,
    node: Option<&'a str>,
    /// When it was first heard of.
    heard: Timestamp,
    /// The kinds that the checks look at which found it.
    seen: BTreeSet<KindRef>,
}

impl<'a> About<'a> {
    pub(super) fn new(
        owner: &'a ObjectId,
        node: Option<&'a str>,
        heard: Timestamp,
        found_by: impl IntoIterator<Item = &'static Check>,
    ) -> Self {
        let kinds = |check: &'static Check| check.kinds.iter().chain(check.needs).chain(check.reads).copied();
        Self { owner, node, heard, seen: found_by.into_iter().flat_map(kinds).collect() }
    }

    /// What an object refers to may go long after the object was last written, which is all that the object itself tells of a since.
    fn may_be_heard_late(&self, change: &Upstream) -> bool {
        change.verb == Verb::Delete && change.at <= self.heard && change.object.kind != self.owner.kind
    }

    /// Whether it is about pods, and so about all that makes pods what they are.
    fn is_about_pods(&self) -> bool {
        const RUNNING: [KindRef; 7] = [
            KindRef::POD,
            KindRef::DEPLOYMENT,
            KindRef::REPLICA_SET,
            KindRef::STATEFUL_SET,
            KindRef::DAEMON_SET,
            KindRef::JOB,
            KindRef::CRON_JOB,
        ];
        RUNNING.iter().any(|kind| self.seen.contains(kind))
    }

    /// How near a change is: the owner itself, what it refers to, what governs its namespace, its node. `None`: it has nothing to do with
    /// it, because no check that found the incident looks at such a thing.
    fn rank(&self, change: &Upstream, spec: Option<Node<'_>>) -> Option<u8> {
        let (object, owner) = (&change.object, self.owner);
        let (kind, name) = (object.kind.as_str(), object.name.as_str());
        if kind == owner.kind.as_str() && object.group == owner.group && name == owner.name.as_str() {
            // That something is new says little beside that something is other than before.
            return Some(u8::from(change.verb == Verb::Create) * 3);
        }
        let is_referred = || spec.is_some_and(|spec| refers(spec, kind, name));
        if self.is_about_pods() {
            match kind {
                "ConfigMap" | "Secret" | "PersistentVolumeClaim" | "ServiceAccount" => return is_referred().then_some(1),
                "ResourceQuota" | "LimitRange" | "NetworkPolicy" => return Some(2),
                "Node" => return (self.node == Some(name)).then_some(2),
                "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => return Some(4),
                _ => {}
            }
        }
        let is_seen = self.seen.iter().any(|seen| seen.kind == kind && seen.group == object.group.as_str());
        (is_seen && is_referred()).then_some(1)
    }
}

/// A change of a field with the beginning of what is long.
fn shortened(field: FieldChange) -> FieldChange {
    let cut = |value: Value| {
        let text = match &value {
            Value::Null | Value::Bool(_) | Value::Number(_) => return value,
            Value::String(text) => text.clone(),
            Value::Array(_) | Value::Object(_) => value.to_string(),
        };
        if text.len() <= VALUE_BYTES {
            return value;
        }
        Value::String(format!("{}…", text.get(..text.floor_char_boundary(VALUE_BYTES)).unwrap_or_default()))
    };
    FieldChange { before: field.before.map(cut), after: field.after.map(cut), ..field }
}

fn is_wanted(path: &str) -> bool {
    !path.starts_with("status") && !NOISE.iter().any(|noise| path.starts_with(noise))
}

/// The specification of the pods that a workload makes.
fn pod_spec(body: Node<'_>) -> Option<Node<'_>> {
    ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"].iter().find_map(|path| body.pointer(path)).or_else(|| body.get("spec"))
}

/// Whether a specification refers to an object of this kind and name: `name` under a key that speaks of the kind, or a key that holds the
/// name itself. A container, a port or a volume of the same name is no reference.
fn refers(spec: Node<'_>, kind: &str, name: &str) -> bool {
    let (under, direct): (&[&str], &[&str]) = match kind {
        "ConfigMap" => (&["configMap", "configMapRef", "configMapKeyRef"], &[]),
        "Secret" => (
            &["secret", "secretRef", "secretKeyRef", "imagePullSecrets", "certificateRefs", "privateKeySecretRef", "nodePublishSecretRef"],
            &["secretName"],
        ),
        "PersistentVolumeClaim" => (&[], &["claimName"]),
        "ServiceAccount" => (&[], &["serviceAccountName", "serviceAccount"]),
        "PersistentVolume" => (&[], &["volumeName"]),
        "IngressClass" => (&[], &["ingressClassName"]),
        "StorageClass" => (&[], &["storageClassName"]),
        "GatewayClass" => (&[], &["gatewayClassName"]),
        "Issuer" | "ClusterIssuer" => (&["issuerRef"], &[]),
        "Gateway" => (&["parentRefs"], &[]),
        "Service" => (&["service", "backendRefs"], &["serviceName"]),
        _ => return false,
    };
    stands(spec, under, direct, name, false)
}

fn stands(value: Node<'_>, under: &[&str], direct: &[&str], name: &str, is_under: bool) -> bool {
    match value.shape() {
        Shape::Fields(fields) => fields.iter().any(|(key, value)| {
            let is_reference = direct.contains(&key) || (is_under && key == "name");
            (is_reference && value.as_str() == Some(name)) || stands(value, under, direct, name, under.contains(&key))
        }),
        // A list speaks of what its key speaks of.
        Shape::List(list) => list.iter().any(|entry| stands(entry, under, direct, name, is_under)),
        Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => false,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use proreus_observe::Document;

    use super::*;

    #[test]
    fn a_reference_is_told_from_a_name_that_happens_to_be_the_same() {
        let spec = json!({
            "containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "settings"}}], "ports": [{"name": "http"}],
                            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}]}],
            "volumes": [{"name": "tls", "secret": {"secretName": "web-tls"}}, {"name": "all", "projected": {"sources": [{"configMap": {"name": "ca"}}]}}],
            "imagePullSecrets": [{"name": "pull"}],
            "serviceAccountName": "web",
        });
        let document = Document::of(&spec);
        let spec = document.root();
        for (kind, name) in [
            ("ConfigMap", "settings"),
            ("ConfigMap", "ca"),
            ("Secret", "token"),
            ("Secret", "web-tls"),
            ("Secret", "pull"),
            ("ServiceAccount", "web"),
        ] {
            assert!(refers(spec, kind, name), "{kind} {name}");
        }
        for (kind, name) in [("ConfigMap", "web"), ("Secret", "TOKEN"), ("Secret", "tls"), ("ConfigMap", "http"), ("Secret", "web")] {
            assert!(!refers(spec, kind, name), "{kind} {name}");
        }
    }

    fn created(seq: u64, namespace: &str) -> Change {
        Change {
            seq: Seq(seq),
            recorded_at: Timestamp::from_second(seq as i64).expect("a time"),
            event_time: None,
            verb: Verb::Create,
            origin: proreus_model::Origin::Watch,
            gap: None,
            object: ObjectId {
                cluster: "c".into(),
                group: "".into(),
                kind: "ConfigMap".into(),
                namespace: namespace.into(),
                name: seq.to_string().into(),
                uid: seq.to_string().into(),
            },
            version: "v1".into(),
            resource: "configmaps".into(),
            resource_version: "1".into(),
            generation: None,
            manager: None,
            regarding: None,
            body: None,
        }
    }

    #[test]
    fn of_a_long_value_the_beginning_is_told() {
        let field = |after: Value| FieldChange { path: "data.a".into(), op: proreus_model::FieldOp::Add, before: None, after: Some(after) };
        let long = shortened(field(json!("é".repeat(VALUE_BYTES)))).after;
        assert_eq!(long, Some(json!(format!("{}…", "é".repeat(VALUE_BYTES / 2)))));
        let map = shortened(field(json!({ "a": "x".repeat(VALUE_BYTES) }))).after;
        assert!(
            map.and_then(|map| map.as_str().map(str::to_owned)).is_some_and(|text| text.starts_with("{\"a\":\"xxx") && text.ends_with('…'))
        );
        assert_eq!(shortened(field(json!({ "a": [1] }))).after, Some(json!({ "a": [1] })));
    }

    #[test]
    fn what_is_remembered_is_bounded_in_all() {
        let mut changes = UpstreamChanges::default();
        for number in 0..ALL_CHANGES_LIMIT as u64 + 50 {
            changes.note(&created(number, &format!("n{}", number % 100)), None);
        }
        assert_eq!(changes.places.values().map(VecDeque::len).sum::<usize>(), ALL_CHANGES_LIMIT);
        assert_eq!(changes.places.values().filter_map(|place| place.front()).map(|change| change.seq).min(), Some(Seq(50)));
    }
}
