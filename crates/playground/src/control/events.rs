//! Kubernetes Events: written in the dialect that their component really uses, counted up when they repeat, swept when they are old.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Duty, Place, Step, after};
use crate::cluster::{Cluster, Writer};
use crate::status::ApiError;
use crate::store::{Object, key_of};
use crate::{ids, time, tree};

/// Events live this long, as on a real API server.
const LIFETIME_SECONDS: i64 = 3600;
/// How often old ones are looked for.
const SWEEP_SECONDS: i64 = 300;

/// What an Event says.
#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    pub(super) component: &'a str,
    /// Node the component runs on, `""` for none.
    pub(super) host: &'a str,
    pub(super) warning: bool,
    pub(super) reason: &'a str,
    pub(super) text: String,
    /// `spec.containers{web}` for an Event about a container.
    pub(super) field_path: String,
    /// The action of an Event in the newer dialect; `""` writes the older one.
    pub(super) action: &'a str,
}

impl<'a> Message<'a> {
    /// A plain message of a component.
    pub(crate) fn normal(component: &'a str, reason: &'a str, text: String) -> Self {
        Self { component, host: "", warning: false, reason, text, field_path: String::new(), action: "" }
    }

    /// A warning of a component.
    pub(crate) fn warning(component: &'a str, reason: &'a str, text: String) -> Self {
        Self { warning: true, ..Self::normal(component, reason, text) }
    }
}

fn reference(about: &Value, field_path: &str) -> Value {
    let mut out = json!({
        "kind": tree::text(about, "/kind"),
        "apiVersion": tree::text(about, "/apiVersion"),
        "name": tree::text(about, "/metadata/name"),
        "uid": tree::text(about, "/metadata/uid"),
        "resourceVersion": tree::text(about, "/metadata/resourceVersion"),
    });
    let namespace = tree::text(about, "/metadata/namespace");
    if !namespace.is_empty() {
        out["namespace"] = namespace.into();
    }
    if !field_path.is_empty() {
        out["fieldPath"] = field_path.into();
    }
    out
}

/// Writes an Event about an object, or counts up the one that says the same.
pub(super) fn emit(cluster: &mut Cluster, now: Timestamp, about: &Value, message: &Message<'_>) {
    if let Err(refusal) = try_emit(cluster, now, about, message) {
        // A namespace that went away takes its Events with it.
        tracing::debug!(reason = message.reason, refusal = refusal.message, "an event was refused");
    }
}

fn try_emit(cluster: &mut Cluster, now: Timestamp, about: &Value, message: &Message<'_>) -> Result<(), ApiError> {
    let namespace = match tree::text(about, "/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    };
    let group = if message.action.is_empty() { "" } else { "events.k8s.io" };
    let mut target = cluster.target("", "events", namespace, "").ok_or_else(ApiError::no_such_path)?;
    if let Some(dialect) = cluster.registry.get(group, "events") {
        target.def = dialect.clone();
    }
    let identity = format!(
        "{}|{}|{}|{}|{}|{}",
        tree::text(about, "/metadata/uid"),
        message.field_path,
        message.component,
        message.reason,
        message.text,
        message.host
    );
    let manager = if message.component == "default-scheduler" { "kube-scheduler" } else { manager_of(message.component) };
    let writer = Writer::component(manager, now);
    let hash = format!("{:08x}{:08x}", ids::fnv32(identity.as_bytes()), ids::fnv32(format!("{identity}#").as_bytes()));
    target.name = format!("{}.{hash}", tree::text(about, "/metadata/name"));
    if let Some(existing) = cluster.store.get(&target.def.table, &target.key()).cloned() {
        let mut value = crate::convert::from_storage(&target.def, &target.version, existing.value().clone());
        count_up(&mut value, now, group.is_empty());
        let value = crate::write::decode(&target, value)?;
        return cluster.replace(&target, &existing, value, &writer).map(|_| ());
    }
    let body = if group.is_empty() { core_event(about, now, message) } else { new_event(about, now, message) };
    let mut body = body;
    tree::put(&mut body, &["metadata"], json!({"name": target.name, "namespace": namespace}));
    cluster.create(&target, body, &writer).map(|_| ())
}

fn manager_of(component: &str) -> &str {
    match component {
        "kubelet" | "kube-proxy" | "kube-scheduler" => component,
        _ if component.ends_with("-controller") || component == "horizontal-pod-autoscaler" => "kube-controller-manager",
        other => other,
    }
}

fn core_event(about: &Value, now: Timestamp, message: &Message<'_>) -> Value {
    let mut source = json!({"component": message.component});
    if !message.host.is_empty() {
        source["host"] = message.host.into();
    }
    let moment = time::seconds(now);
    json!({
        "involvedObject": reference(about, &message.field_path),
        "reason": message.reason,
        "message": message.text,
        "source": source,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "type": if message.warning { "Warning" } else { "Normal" },
        "eventTime": null,
        "reportingComponent": message.component,
        "reportingInstance": message.host,
    })
}

fn new_event(about: &Value, now: Timestamp, message: &Message<'_>) -> Value {
    json!({
        "eventTime": time::micros(now),
        "reportingController": message.component,
        "reportingInstance": format!("{}-control-plane", message.component),
        "action": message.action,
        "reason": message.reason,
        "regarding": reference(about, &message.field_path),
        "note": message.text,
        "type": if message.warning { "Warning" } else { "Normal" },
    })
}

fn count_up(value: &mut Value, now: Timestamp, core: bool) {
    if core {
        let count = tree::number(value, "/count").unwrap_or(1);
        tree::put(value, &["count"], count + 1);
        tree::put(value, &["lastTimestamp"], time::seconds(now));
    } else {
        // A series begins with its second occurrence.
        let count = tree::number(value, "/series/count").unwrap_or(1);
        tree::put(value, &["series"], json!({"count": count + 1, "lastObservedTime": time::micros(now)}));
    }
}

/// Writes an Event that a scenario spells out: `for`, `type`, `reason`, `message`, `component`, `api`.
pub(crate) fn emit_scripted(cluster: &mut Cluster, now: Timestamp, event: &Value) -> Result<(), ApiError> {
    let regarding = event.get("for").cloned().unwrap_or(Value::Null);
    let (api_version, kind) = (tree::text(&regarding, "/apiVersion"), tree::text(&regarding, "/kind"));
    let (group, _) = api_version.split_once('/').unwrap_or(("", api_version));
    let def = cluster.registry.by_kind(group, kind).cloned();
    let def = def.ok_or_else(|| ApiError::bad_request(format!("event for: no kind {kind:?} is served in {api_version:?}")))?;
    let key = key_of(tree::text(&regarding, "/namespace"), tree::text(&regarding, "/name"));
    let object: Arc<Object> = cluster
        .store
        .get(&def.table, &key)
        .cloned()
        .ok_or_else(|| ApiError::bad_request(format!("event for: there is no {kind} {key:?}")))?;
    let component = Some(tree::text(event, "/component")).filter(|text| !text.is_empty()).unwrap_or("playground");
    let action = match tree::text(event, "/api") {
        "events.k8s.io" => Some(tree::text(event, "/action")).filter(|text| !text.is_empty()).unwrap_or("Report"),
        "" | "core" => "",
        other => return Err(ApiError::bad_request(format!("event api {other:?}; core or events.k8s.io is needed"))),
    };
    let message = Message {
        component,
        host: tree::text(event, "/host"),
        warning: tree::text(event, "/type") == "Warning",
        reason: tree::text(event, "/reason"),
        text: tree::text(event, "/message").to_owned(),
        field_path: tree::text(event, "/fieldPath").to_owned(),
        action,
    };
    try_emit(cluster, now, object.value(), &message)
}

/// Removes Events that nobody repeated for an hour.
pub(super) fn sweep(step: &mut Step<'_>) {
    let last = |value: &Value| {
        let places = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
        places.iter().find_map(|place| time::parse(tree::text(value, place)))
    };
    let old: Vec<String> = step
        .cluster
        .objects("", "events", "")
        .filter(|event| last(event.value()).is_some_and(|last| after(last, LIFETIME_SECONDS) <= step.now))
        .map(|event| key_of(event.namespace(), event.name()))
        .collect();
    let table = crate::resource::table_name("", "events");
    for key in old {
        step.cluster.store.commit(&table, &key, None);
    }
    step.again_in(SWEEP_SECONDS, Duty::Sweep, "");
}

impl Step<'_> {
    /// Writes an Event about an object.
    pub(super) fn tell(&mut self, about: &Value, message: &Message<'_>) {
        emit(self.cluster, self.now, about, message);
    }
}

/// The status part of an object.
pub(super) fn status_of<'a>(group: &'a str, plural: &'a str, key: &'a str) -> Place<'a> {
    Place { group, plural, key, subresource: "status" }
}
