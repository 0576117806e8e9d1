//! A change as the watch event service told it: its fields in its order, then what it left out.
//!
//! Kept as it was where clients rely on it: the constants, the synthetic message, the object without its bookkeeping fields. Two things are
//! set right on purpose: `requestURI` names the API group, and the message of a Kubernetes Event is the Event's own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proreus_app::questions::{AUDIT_USER, AuditObjectAnswer, ChangeView, parse_body};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{FieldChange, Json, Origin, Verb};

/// Fields of `metadata` that the older service left out of `objectChanges`.
const LEFT_OUT: [&str; 5] = ["managedFields", "resourceVersion", "generation", "selfLink", "uid"];

/// One change, as an audit event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// When it was recorded.
    pub timestamp: Timestamp,
    /// What happened.
    pub verb: Verb,
    /// Always `system:k8s-watcher`; see `manager` for what wrote.
    pub user: String,
    /// Namespace, `""` when cluster-scoped.
    pub namespace: String,
    /// Lower-case plural.
    pub resource_type: String,
    /// Name.
    pub resource_name: String,
    /// Always 200.
    pub response_status: u16,
    /// A sentence, such as `Create pods default/web`; for a Kubernetes Event its own message.
    pub message: String,
    /// The whole object, without `metadata`'s managedFields, resourceVersion, generation, selfLink and uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_changes: Option<Json>,
    /// The object's annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Always `ResponseComplete`.
    pub stage: String,
    /// Path of the object in the Kubernetes API.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// Position in the journal.
    pub seq: u64,
    /// Incarnation.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.generation`, where the type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub generation: Option<i64>,
    /// API group, `""` for the core group.
    pub api_group: String,
    /// API version without the group.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// How it became known.
    pub origin: Origin,
    /// Fields that differ from the version before.
    pub changed: Vec<FieldChange>,
    /// Newest field manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub manager: Option<String>,
    /// For a Kubernetes Event its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

/// The history of one object, with the Events about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditObject {
    /// As in the path; `""` for the cluster scope.
    pub namespace: String,
    /// As in the path.
    pub resource_type: String,
    /// As in the path.
    pub resource_name: String,
    /// Its changes, oldest first.
    pub watch_events: Vec<AuditEvent>,
    /// Changes of Events about it, oldest first.
    pub related_events: Vec<AuditEvent>,
}

impl AuditObject {
    /// From an answer about `namespace`, `resource_type` and `resource_name`.
    pub fn new(namespace: String, resource_type: String, resource_name: String, answer: AuditObjectAnswer) -> Self {
        let events = |views: Vec<ChangeView>| views.into_iter().map(audit_event).collect();
        let (watch_events, related_events) = (events(answer.watch_events), events(answer.related_events));
        Self { namespace, resource_type, resource_name, watch_events, related_events }
    }
}

/// A change as an audit event.
pub fn audit_event(view: ChangeView) -> AuditEvent {
    let ChangeView { change, changed, object } = view;
    let mut object = object.map(|bytes| parse_body(&bytes));
    let annotations = object.as_ref().and_then(annotations);
    let spoken = object.as_ref().filter(|_| change.regarding.is_some() || change.resource.as_str() == "events");
    let text = |field: &str| spoken.and_then(|event| event.get(field)).and_then(Value::as_str).filter(|text| !text.is_empty());
    // The newer Events API calls the message a note.
    let told = text("message").or_else(|| text("note")).map(str::to_owned);
    let reason = text("reason").map(str::to_owned);
    leave_out(object.as_mut());
    let id = change.object;
    let place = if id.namespace.is_empty() { id.name.to_string() } else { format!("{}/{}", id.namespace, id.name) };
    AuditEvent {
        timestamp: change.recorded_at,
        verb: change.verb.into(),
        user: AUDIT_USER.to_owned(),
        namespace: id.namespace.to_string(),
        resource_type: change.resource.to_string(),
        resource_name: id.name.to_string(),
        response_status: 200,
        message: told.unwrap_or_else(|| format!("{} {} {place}", capitalised(change.verb.as_str()), change.resource)),
        object_changes: object.as_ref().map(Json::from_value),
        annotations,
        stage: "ResponseComplete".to_owned(),
        request_uri: request_uri(
            id.group.as_str(),
            change.version.as_str(),
            id.namespace.as_str(),
            change.resource.as_str(),
            id.name.as_str(),
        ),
        seq: change.seq.0,
        uid: id.uid.to_string(),
        resource_version: change.resource_version.to_string(),
        generation: change.generation,
        api_group: id.group.to_string(),
        api_version: change.version.to_string(),
        kind: id.kind.to_string(),
        origin: change.origin.into(),
        changed: changed.into_iter().map(FieldChange::from).collect(),
        manager: change.manager.map(|manager| manager.to_string()),
        reason,
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

fn request_uri(group: &str, version: &str, namespace: &str, resource: &str, name: &str) -> String {
    let api = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let within = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    format!("{api}{within}/{resource}/{name}")
}

fn annotations(object: &Value) -> Option<BTreeMap<String, String>> {
    let of = object.get("metadata")?.get("annotations")?.as_object()?;
    let texts: BTreeMap<String, String> = of.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    Some(texts).filter(|texts| !texts.is_empty())
}

fn leave_out(object: Option<&mut Value>) {
    if let Some(metadata) = object.and_then(|object| object.get_mut("metadata")).and_then(Value::as_object_mut) {
        for field in LEFT_OUT {
            metadata.remove(field);
        }
    }
}
