//! An incident, as it is kept and as it goes over the wire.
//!
//! Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proreus_model::{FieldChange, Group, ObjectId, Resource, Seq};
use serde::{Deserialize, Serialize, Serializer};

use super::grouping::{IncidentKey, SymptomKey};
use super::record::IncidentRecord;
use crate::check::Severity;
use crate::finding::{Finding, Rank};

/// Findings kept in one incident; further ones are counted. A digest of a storm must not grow with the storm.
pub(super) const FINDINGS_LIMIT: usize = 100;
/// Changes named as evidence.
const EVIDENCE_LIMIT: usize = 50;

/// Open or resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// It goes on, or its hold-down does.
    Open,
    /// Everything has been well for the hold-down.
    Resolved,
}

/// What changed before an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The change.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Timestamp,
    /// API group of what changed.
    pub group: Group,
    /// Resource of what changed.
    pub resource: Resource,
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

/// A group of findings with one owner and one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Stable, and the same in a replay.
    pub id: String,
    /// Open or resolved.
    pub state: IncidentState,
    /// What it is wrong with.
    pub owner: ObjectId,
    /// Resource of that.
    pub resource: Resource,
    /// Why, as a word that programs read.
    pub reason: &'static str,
    /// How bad it is now; for a resolved one, how bad it was last.
    pub severity: Severity,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to do about it.
    pub remediation: String,
    /// The check that found what it opened with.
    pub check: &'static str,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When a finding of it was last confirmed.
    pub last_seen_at: Timestamp,
    /// How often it came back.
    pub flaps: u32,
    /// The incident that it turned out to be a part of.
    pub merged_into: Option<String>,
    /// What changed before it.
    pub cause: Option<Cause>,
    pub(super) findings: BTreeMap<SymptomKey, Finding>,
    pub(super) uncounted: u64,
    pub(super) evidence: Vec<Seq>,
}

impl IncidentState {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

impl Incident {
    pub(super) fn open(key: &IncidentKey, owner: ObjectId, first: &Finding, at: Timestamp) -> Self {
        // The resource of an owner that is another object is named by whoever knows the view.
        let resource = if owner == first.object { first.resource.clone() } else { Resource::default() };
        Self {
            id: key.id(at),
            state: IncidentState::Open,
            owner,
            resource,
            reason: key.reason,
            severity: first.severity,
            message: first.message.clone(),
            remediation: first.remediation.to_string(),
            check: first.check,
            opened_at: at,
            resolved_at: None,
            last_seen_at: at,
            flaps: 0,
            merged_into: None,
            cause: None,
            findings: BTreeMap::new(),
            uncounted: 0,
            evidence: Vec::new(),
        }
    }

    /// The findings that it consists of now, or consisted of last.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values()
    }

    /// How many findings it consists of, those that are not kept included.
    pub fn count(&self) -> u64 {
        self.findings.len() as u64 + self.uncounted
    }

    /// Takes in a finding, one that `is_new` or one that it knows.
    pub(super) fn take(&mut self, key: &SymptomKey, finding: &Finding, is_new: bool, at: Timestamp) {
        self.last_seen_at = self.last_seen_at.max(at);
        for seq in &finding.evidence {
            if !self.evidence.contains(seq) && self.evidence.len() < EVIDENCE_LIMIT {
                self.evidence.push(*seq);
            }
        }
        if self.findings.contains_key(key) || self.findings.len() < FINDINGS_LIMIT {
            let is_fresh = self.findings.insert(key.clone(), finding.clone()).is_none();
            if is_fresh && !is_new {
                // Room came for one that was only counted.
                self.uncounted = self.uncounted.saturating_sub(1);
            }
        } else if is_new {
            self.uncounted += 1;
        }
        self.retell();
    }

    /// Brings severity and words into step with the findings.
    pub(super) fn retell(&mut self) {
        let rank = |finding: &&Finding| {
            (finding.reason != self.reason, finding.rank != Rank::Cause, std::cmp::Reverse(finding.severity), finding.since)
        };
        let Some(first) = self.findings.values().min_by_key(rank) else { return };
        let severity = self.findings.values().map(|finding| finding.severity).max().unwrap_or(first.severity);
        let others = self.count().saturating_sub(1);
        let more = match others {
            0 => String::new(),
            1 => " (and 1 more finding)".to_owned(),
            others => format!(" (and {others} more findings)"),
        };
        // A group speaks of the group: its own words were given when it opened.
        if first.reason == self.reason {
            self.message = format!("{}{more}", first.message);
            self.remediation = first.remediation.to_string();
        }
        self.severity = severity;
    }
}

impl Serialize for Incident {
    /// In the words of the wire.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        IncidentRecord::from(self).wire().serialize(serializer)
    }
}

/// What a step brings about, for whoever keeps it or tells others.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// An incident opened, or one came back.
    Opened(Box<IncidentRecord>),
    /// Something about it changed that is worth telling.
    Changed(Box<IncidentRecord>),
    /// It is over.
    Resolved(Box<IncidentRecord>),
}

impl Effect {
    /// The incident.
    pub fn incident(&self) -> &IncidentRecord {
        match self {
            Self::Opened(incident) | Self::Changed(incident) | Self::Resolved(incident) => incident,
        }
    }
}
