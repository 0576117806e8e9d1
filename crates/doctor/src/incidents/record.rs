//! An incident as it is recorded, and as it goes over the wire.
//!
//! Pure. The recorded object is an API object of the group `proreus.dev`; the wire form has the primary object's words in its first level.
//! What is not here: the life of incidents. Invariant: what was recorded reads back as it was.

use jiff::{SignedDuration, Timestamp};
use proreus_model::{ClusterId, FieldChange, Group, Kind, Name, Namespace, ObjectId, Resource, Seq, Uid};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::incident::{Cause, Incident, IncidentState};
use crate::check::Severity;
use crate::finding::Finding;

/// API group of what Proreus records of itself.
pub const OWN_GROUP: &str = "proreus.dev";
/// Its version.
pub const OWN_VERSION: &str = "v1";
/// Kind of a recorded incident.
pub const INCIDENT_KIND: &str = "Incident";
/// Its resource.
pub const INCIDENT_RESOURCE: &str = "incidents";

/// An object, with the resource that access is given by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectWords {
    /// In which cluster.
    pub cluster: ClusterId,
    /// API group.
    pub group: Group,
    /// Lower-case plural.
    pub resource: Resource,
    /// Kind.
    pub kind: Kind,
    /// Namespace, empty when it has none.
    pub namespace: Namespace,
    /// Name.
    pub name: Name,
    /// Incarnation; empty for what is no object of a cluster.
    pub uid: Uid,
}

impl ObjectWords {
    pub(super) fn of(object: &ObjectId, resource: &Resource) -> Self {
        Self {
            cluster: object.cluster.clone(),
            group: object.group.clone(),
            resource: resource.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            uid: object.uid.clone(),
        }
    }

    /// Its identity.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            cluster: self.cluster.clone(),
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }
}

/// The owner of a finding, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerWords {
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: Name,
}

/// A finding of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingRecord {
    /// How bad it is.
    pub severity: Severity,
    /// In which cluster.
    pub cluster: ClusterId,
    /// API group of the object.
    pub group: Group,
    /// Its resource.
    pub resource: Resource,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its incarnation.
    pub uid: Uid,
    /// The part of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Why, as a word.
    pub reason: String,
    /// What class of cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remediation: String,
    /// Which check found it.
    pub check: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// The owner at the top of the chain of controllers.
    pub owner: OwnerWords,
    /// The node it happens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether nobody looks any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// The changes that show it.
    pub evidence: Vec<Seq>,
}

impl From<&Finding> for FindingRecord {
    fn from(finding: &Finding) -> Self {
        let object = &finding.object;
        Self {
            severity: finding.severity,
            cluster: object.cluster.clone(),
            group: object.group.clone(),
            resource: finding.resource.clone(),
            namespace: object.namespace.clone(),
            kind: object.kind.clone(),
            name: object.name.clone(),
            uid: object.uid.clone(),
            part: finding.part.clone(),
            reason: finding.reason.to_owned(),
            class: finding.class.map(str::to_owned),
            message: finding.message.clone(),
            remediation: finding.remediation.to_string(),
            check: finding.check.to_owned(),
            since: finding.since,
            owner: OwnerWords { kind: finding.owner.kind.clone(), name: finding.owner.name.clone() },
            node: finding.node.clone(),
            stale: finding.is_stale,
            evidence: finding.evidence.clone(),
        }
    }
}

/// What changed before an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CauseRecord {
    /// The change.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Timestamp,
    /// API group of what changed.
    pub group: Group,
    /// Its resource.
    pub resource: Resource,
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: Name,
    /// What happened to it, in a sentence.
    pub summary: String,
    /// The fields that changed.
    pub changed: Vec<FieldChange>,
}

impl From<&Cause> for CauseRecord {
    fn from(cause: &Cause) -> Self {
        Self {
            seq: cause.seq,
            at: cause.at,
            group: cause.group.clone(),
            resource: cause.resource.clone(),
            kind: cause.kind.as_str().into(),
            namespace: cause.namespace.as_str().into(),
            name: cause.name.as_str().into(),
            summary: cause.summary.clone(),
            changed: cause.changed.clone(),
        }
    }
}

/// An incident as it is told to others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentRecord {
    /// Stable, and the same in a replay.
    pub id: String,
    /// Open or resolved.
    pub state: IncidentState,
    /// The primary object: what it is wrong with.
    pub object: ObjectWords,
    /// How bad it is now.
    pub severity: Severity,
    /// Why, as a word that programs read.
    pub reason: String,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to do about it.
    pub remediation: String,
    /// The check that found what it opened with.
    pub check: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// When a finding of it was last confirmed.
    pub last_seen_at: Timestamp,
    /// How many findings it consists of.
    pub count: u64,
    /// The first of them.
    pub findings: Vec<FindingRecord>,
    /// What changed before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseRecord>,
    /// How often it came back.
    #[serde(default, skip_serializing_if = "is_never")]
    pub flaps: u32,
    /// The incident that it turned out to be a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// Changes that show it.
    pub evidence: Vec<Seq>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_never(flaps: &u32) -> bool {
    *flaps == 0
}

impl From<&Incident> for IncidentRecord {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            state: incident.state,
            object: ObjectWords::of(&incident.owner, &incident.resource),
            severity: incident.severity,
            reason: incident.reason.to_owned(),
            message: incident.message.clone(),
            remediation: incident.remediation.clone(),
            check: incident.check.to_owned(),
            opened_at: incident.opened_at,
            resolved_at: incident.resolved_at,
            last_seen_at: incident.last_seen_at,
            count: incident.count(),
            findings: incident.findings().map(FindingRecord::from).collect(),
            cause: incident.cause.as_ref().map(CauseRecord::from),
            flaps: incident.flaps,
            merged_into: incident.merged_into.clone(),
            evidence: incident.evidence.clone(),
        }
    }
}

impl IncidentRecord {
    /// The identity of the record in the journal.
    pub fn record_id(&self) -> ObjectId {
        ObjectId {
            cluster: self.object.cluster.clone(),
            group: OWN_GROUP.into(),
            kind: INCIDENT_KIND.into(),
            namespace: self.object.namespace.clone(),
            name: self.id.as_str().into(),
            uid: self.id.as_str().into(),
        }
    }

    /// The object that is recorded, as canonical JSON.
    pub fn body(&self) -> Vec<u8> {
        let mut body = match serde_json::to_value(self) {
            Ok(Value::Object(body)) => body,
            Ok(_) | Err(_) => Map::new(),
        };
        let created = self.opened_at.checked_sub(SignedDuration::from_nanos(i64::from(self.opened_at.subsec_nanosecond())));
        let mut metadata = Map::new();
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), Value::String(value));
        put("creationTimestamp", created.unwrap_or(self.opened_at).to_string());
        put("name", self.id.clone());
        put("namespace", self.object.namespace.to_string());
        put("uid", self.id.clone());
        body.insert("apiVersion".to_owned(), Value::String(format!("{OWN_GROUP}/{OWN_VERSION}")));
        body.insert("kind".to_owned(), Value::String(INCIDENT_KIND.to_owned()));
        body.insert("metadata".to_owned(), Value::Object(metadata));
        // A map of `serde_json` is sorted, and writing one to memory cannot fail.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// Reads a recorded object.
    ///
    /// # Errors
    /// What is no incident, or one of a later form.
    pub fn from_body(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The form of the wire.
    pub fn wire(&self) -> IncidentWire<'_> {
        IncidentWire(self)
    }
}

/// An incident in the words of the wire.
pub struct IncidentWire<'a>(&'a IncidentRecord);

impl Serialize for IncidentWire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let incident = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &incident.id)?;
        map.serialize_entry("cluster", &incident.object.cluster)?;
        map.serialize_entry("state", &incident.state)?;
        map.serialize_entry("namespace", &incident.object.namespace)?;
        map.serialize_entry("group", &incident.object.group)?;
        map.serialize_entry("resource", &incident.object.resource)?;
        map.serialize_entry("kind", &incident.object.kind)?;
        map.serialize_entry("name", &incident.object.name)?;
        map.serialize_entry("uid", &incident.object.uid)?;
        map.serialize_entry("severity", &incident.severity)?;
        map.serialize_entry("reason", &incident.reason)?;
        map.serialize_entry("message", &incident.message)?;
        map.serialize_entry("remediation", &incident.remediation)?;
        map.serialize_entry("check", &incident.check)?;
        map.serialize_entry("openedAt", &incident.opened_at)?;
        if let Some(resolved) = &incident.resolved_at {
            map.serialize_entry("resolvedAt", resolved)?;
        }
        map.serialize_entry("lastSeenAt", &incident.last_seen_at)?;
        map.serialize_entry("count", &incident.count)?;
        map.serialize_entry("findings", &incident.findings)?;
        if let Some(cause) = &incident.cause {
            map.serialize_entry("cause", cause)?;
        }
        if incident.flaps > 0 {
            map.serialize_entry("flaps", &incident.flaps)?;
        }
        if let Some(merged) = &incident.merged_into {
            map.serialize_entry("mergedInto", merged)?;
        }
        map.serialize_entry("evidence", &incident.evidence)?;
        map.end()
    }
}
