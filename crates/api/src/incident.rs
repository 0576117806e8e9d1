//! Incidents on the wire.

use jiff::Timestamp;
use proreus_app::questions::{IncidentView, IncidentsAnswer, StateCursor};
use proreus_doctor as doctor;
use proreus_doctor::incidents as watch;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{FieldChange, Json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = IncidentSeverity)]
pub enum IncidentSeverity {
    /// Worth knowing; nobody is woken.
    Info,
    /// Something does not work as it should.
    Warning,
    /// Something that people use is down, or will be soon.
    Critical,
}

impl IncidentSeverity {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl From<doctor::Severity> for IncidentSeverity {
    fn from(severity: doctor::Severity) -> Self {
        match severity {
            doctor::Severity::Info => Self::Info,
            doctor::Severity::Warning => Self::Warning,
            doctor::Severity::Critical => Self::Critical,
        }
    }
}

/// Whether an incident goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// It goes on, or its hold-down does.
    Open,
    /// Everything has been well for the hold-down.
    Resolved,
}

impl From<watch::IncidentState> for IncidentState {
    fn from(state: watch::IncidentState) -> Self {
        match state {
            watch::IncidentState::Open => Self::Open,
            watch::IncidentState::Resolved => Self::Resolved,
        }
    }
}

/// Stands in the place of what the caller may not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    /// Always `true`.
    pub hidden: bool,
}

const HIDDEN: Hidden = Hidden { hidden: true };

/// Something, or a sign that it may not be read.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OrHidden<T> {
    /// It.
    Shown(T),
    /// That it is there and may not be read.
    Hidden(Hidden),
}

impl<T> OrHidden<T> {
    /// It, where it may be read.
    pub fn shown(&self) -> Option<&T> {
        match self {
            Self::Shown(shown) => Some(shown),
            Self::Hidden(_) => None,
        }
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for OrHidden<T> {
    /// By its text: numbers keep theirs, which a tree of serde's own would not let them.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        if let Ok(hidden) = serde_json::from_str::<Hidden>(json.as_str()) {
            return Ok(Self::Hidden(hidden));
        }
        serde_json::from_str(json.as_str()).map(Self::Shown).map_err(serde::de::Error::custom)
    }
}

fn or_hidden<T, U: From<T>>(shown: Vec<T>, hidden: usize) -> Vec<OrHidden<U>> {
    let hidden = std::iter::repeat_with(|| OrHidden::Hidden(HIDDEN)).take(hidden);
    shown.into_iter().map(|one| OrHidden::Shown(one.into())).chain(hidden).collect()
}

/// An owner, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingOwner {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A finding of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentFinding {
    /// How bad it is.
    pub severity: IncidentSeverity,
    /// The cluster.
    pub cluster: String,
    /// API group of the object, `""` for the core group.
    pub group: String,
    /// Lower-case plural.
    pub resource: String,
    /// Namespace, `""` when cluster-scoped.
    pub namespace: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Incarnation.
    pub uid: String,
    /// The part of the object, such as a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub part: Option<String>,
    /// Why, as a word that programs read.
    pub reason: String,
    /// What class of cause, where the reason has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub class: Option<String>,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to do about it.
    pub remediation: String,
    /// The check that found it.
    pub check: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// The owner at the top of the chain of controllers.
    pub owner: FindingOwner,
    /// The node it happens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<String>,
    /// True when nobody looks any more at the kind of the object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// Positions of the changes that show it.
    pub evidence: Vec<u64>,
}

impl From<watch::FindingRecord> for IncidentFinding {
    fn from(finding: watch::FindingRecord) -> Self {
        Self {
            severity: finding.severity.into(),
            cluster: finding.cluster.to_string(),
            group: finding.group.to_string(),
            resource: finding.resource.to_string(),
            namespace: finding.namespace.to_string(),
            kind: finding.kind.to_string(),
            name: finding.name.to_string(),
            uid: finding.uid.to_string(),
            part: finding.part,
            reason: finding.reason,
            class: finding.class,
            message: finding.message,
            remediation: finding.remediation,
            check: finding.check,
            since: finding.since,
            owner: FindingOwner { kind: finding.owner.kind.to_string(), name: finding.owner.name.to_string() },
            node: finding.node,
            stale: finding.stale,
            evidence: finding.evidence.into_iter().map(|seq| seq.0).collect(),
        }
    }
}

/// What changed before an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentCause {
    /// Position of the change.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// API group of what changed.
    pub group: String,
    /// Lower-case plural of what changed.
    pub resource: String,
    /// Kind of what changed.
    pub kind: String,
    /// Namespace of what changed.
    pub namespace: String,
    /// Name of what changed.
    pub name: String,
    /// What happened to it, in a sentence.
    pub summary: String,
    /// The fields that changed.
    pub changed: Vec<FieldChange>,
}

impl From<watch::CauseRecord> for IncidentCause {
    fn from(cause: watch::CauseRecord) -> Self {
        Self {
            seq: cause.seq.0,
            at: cause.at,
            group: cause.group.to_string(),
            resource: cause.resource.to_string(),
            kind: cause.kind.to_string(),
            namespace: cause.namespace.to_string(),
            name: cause.name.to_string(),
            summary: cause.summary,
            changed: cause.changed.into_iter().map(FieldChange::from).collect(),
        }
    }
}

/// A group of findings with one owner and one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Stable, and the same in a replay.
    pub id: String,
    /// The cluster.
    pub cluster: String,
    /// Open or resolved.
    pub state: IncidentState,
    /// Namespace of the primary object, `""` when it has none.
    pub namespace: String,
    /// API group of the primary object.
    pub group: String,
    /// Lower-case plural of the primary object.
    pub resource: String,
    /// Kind of the primary object.
    pub kind: String,
    /// Name of the primary object.
    pub name: String,
    /// Incarnation of the primary object; `""` for what is no object of a cluster.
    pub uid: String,
    /// How bad it is now; for a resolved one, how bad it was last.
    pub severity: IncidentSeverity,
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
    #[schema(nullable = false)]
    pub resolved_at: Option<Timestamp>,
    /// When a finding of it was last confirmed.
    pub last_seen_at: Timestamp,
    /// How many findings it consists of.
    pub count: u64,
    /// The first hundred of them.
    pub findings: Vec<OrHidden<IncidentFinding>>,
    /// What changed before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cause: Option<OrHidden<IncidentCause>>,
    /// How often it came back.
    #[serde(default, skip_serializing_if = "is_never")]
    pub flaps: u32,
    /// The incident that it turned out to be a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub merged_into: Option<String>,
    /// Positions of the changes that show it.
    pub evidence: Vec<OrHidden<u64>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_never(flaps: &u32) -> bool {
    *flaps == 0
}

impl From<IncidentView> for Incident {
    fn from(view: IncidentView) -> Self {
        let IncidentView { incident, hidden_findings, hides_cause, hidden_evidence } = view;
        let object = incident.object;
        let cause = incident.cause.map(|cause| OrHidden::Shown(cause.into()));
        let evidence: Vec<u64> = incident.evidence.into_iter().map(|seq| seq.0).collect();
        Self {
            id: incident.id,
            cluster: object.cluster.to_string(),
            state: incident.state.into(),
            namespace: object.namespace.to_string(),
            group: object.group.to_string(),
            resource: object.resource.to_string(),
            kind: object.kind.to_string(),
            name: object.name.to_string(),
            uid: object.uid.to_string(),
            severity: incident.severity.into(),
            reason: incident.reason,
            message: incident.message,
            remediation: incident.remediation,
            check: incident.check,
            opened_at: incident.opened_at,
            resolved_at: incident.resolved_at,
            last_seen_at: incident.last_seen_at,
            count: incident.count,
            findings: or_hidden(incident.findings, hidden_findings),
            cause: cause.or_else(|| hides_cause.then_some(OrHidden::Hidden(HIDDEN))),
            flaps: incident.flaps,
            merged_into: incident.merged_into,
            evidence: or_hidden(evidence, hidden_evidence),
        }
    }
}

/// A page of incidents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentPage {
    /// The incidents, by the moment of their opening.
    pub items: Vec<Incident>,
    /// Pass it back as `cursor` for the next page of the same moment; `null` when there is none.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// The moment, as a cursor of changes: pass it to the stream for what is recorded from then on.
    pub at: String,
    /// The moment, as a time.
    pub time: Timestamp,
}

impl From<IncidentsAnswer> for IncidentPage {
    fn from(answer: IncidentsAnswer) -> Self {
        let last = answer.items.last().filter(|_| answer.more).map(|view| view.incident.record_id());
        let next_cursor = last.map(|after| StateCursor { at: answer.at.clone(), after }.to_string());
        let at = answer.at.to_string();
        Self { items: answer.items.into_iter().map(Incident::from).collect(), next_cursor, at, time: answer.time }
    }
}
