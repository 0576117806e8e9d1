//! A watch over a restart: what is kept of it, and how it comes back.
//!
//! Pure. The objects are not kept: they are in the journal. Invariant: a watch that came back tells what the one that was kept would have
//! told; a state of another form, or one that names what this program does not know, is refused whole.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, ObjectId, Resource, Seq};
use proreus_observe::{Restoring, SnapshotMemory};
use serde::{Deserialize, Serialize};

use super::agenda::Agenda;
use super::grouping::{IncidentKey, SymptomKey};
use super::incident::{Cause, Incident, IncidentState};
use super::lifecycle::{Due, Lifecycle, Symptom, Told};
use super::settings::IncidentSettings;
use super::upstream::UpstreamChanges;
use super::watch::{Looks, Watch};
use super::words::{self, Word};
use crate::check::Severity;
use crate::checks::by_id;
use crate::finding::{Finding, Rank};
use crate::settings::DoctorSettings;

/// Raised when the form changes; what another version wrote is not read.
const VERSION: u32 = 1;

/// Why a kept state cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another version wrote it.
    #[error("the state has version {found}, this program reads {}", VERSION)]
    Version {
        /// Its version.
        found: u32,
    },
    /// It does not read.
    #[error("the state cannot be read: {0}")]
    Unreadable(String),
}

/// What is kept of a watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptWatch {
    version: u32,
    doctor: DoctorSettings,
    incidents: IncidentSettings,
    now: Option<Timestamp>,
    view: SnapshotMemory,
    lifecycle: KeptLifecycle,
    upstream: UpstreamChanges,
    dirty: Vec<(ObjectId, String)>,
}

#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptLifecycle {
    /// Owners of findings, each once: a thousand pods have one.
    owners: Vec<ObjectId>,
    /// What findings say and advise, each once.
    texts: Vec<String>,
    symptoms: Vec<KeptSymptom>,
    blocked: Vec<SymptomKey>,
    open: Vec<(IncidentKey, KeptIncident)>,
    resolved: VecDeque<(IncidentKey, KeptIncident)>,
    openings: VecDeque<Timestamp>,
    told: Vec<(IncidentKey, Told)>,
    agenda: Agenda<Due>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptSymptom {
    #[serde(rename = "f")]
    finding: KeptFinding,
    #[serde(rename = "s")]
    seen_at: Timestamp,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    clean_since: Option<Timestamp>,
    /// Its incident, by the position among the open ones.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    incident: Option<usize>,
}

/// A finding; owner and texts are positions in the tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptFinding {
    #[serde(rename = "c", with = "words")]
    check: Word,
    #[serde(rename = "v")]
    severity: Severity,
    #[serde(rename = "r", with = "words")]
    reason: Word,
    #[serde(rename = "m")]
    message: usize,
    #[serde(rename = "y")]
    remediation: usize,
    #[serde(rename = "o")]
    object: ObjectId,
    #[serde(rename = "l")]
    resource: Resource,
    #[serde(rename = "w")]
    owner: usize,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(rename = "k", with = "words::optional", default, skip_serializing_if = "Option::is_none")]
    class: Option<Word>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not")]
    is_consequence: bool,
    #[serde(rename = "s")]
    since: Timestamp,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(rename = "h")]
    grace: SignedDuration,
    #[serde(rename = "e")]
    evidence: Vec<Seq>,
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    is_stale: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptIncident {
    id: String,
    state: IncidentState,
    owner: ObjectId,
    resource: Resource,
    #[serde(with = "words")]
    reason: Word,
    severity: Severity,
    message: String,
    remediation: String,
    #[serde(with = "words")]
    check: Word,
    opened_at: Timestamp,
    resolved_at: Option<Timestamp>,
    last_seen_at: Timestamp,
    flaps: u32,
    merged_into: Option<String>,
    cause: Option<Cause>,
    findings: Vec<KeptFinding>,
    uncounted: u64,
    evidence: Vec<Seq>,
}

/// What occurs often, each once.
#[derive(Default)]
struct Tables {
    owners: BTreeMap<ObjectId, usize>,
    texts: BTreeMap<String, usize>,
}

fn position<K: Ord + Clone>(of: &K, table: &mut BTreeMap<K, usize>) -> usize {
    let next = table.len();
    match table.get(of) {
        Some(known) => *known,
        None => *table.entry(of.clone()).or_insert(next),
    }
}

fn in_order<K>(table: BTreeMap<K, usize>) -> Vec<K> {
    let mut entries: Vec<(K, usize)> = table.into_iter().collect();
    entries.sort_by_key(|(_, position)| *position);
    entries.into_iter().map(|(entry, _)| entry).collect()
}

impl Tables {
    fn keep(&mut self, finding: &Finding) -> KeptFinding {
        KeptFinding {
            check: finding.check,
            severity: finding.severity,
            reason: finding.reason,
            message: position(&finding.message, &mut self.texts),
            remediation: position(&finding.remediation, &mut self.texts),
            object: finding.object.clone(),
            resource: finding.resource.clone(),
            owner: position(&finding.owner, &mut self.owners),
            part: finding.part.clone(),
            class: finding.class,
            node: finding.node.clone(),
            registry: finding.registry.clone(),
            is_consequence: finding.rank == Rank::Consequence,
            since: finding.since,
            until: finding.until,
            grace: finding.grace,
            evidence: finding.evidence.clone(),
            is_stale: finding.is_stale,
        }
    }

    fn keep_incident(&mut self, incident: &Incident) -> KeptIncident {
        KeptIncident {
            id: incident.id.clone(),
            state: incident.state,
            owner: incident.owner.clone(),
            resource: incident.resource.clone(),
            reason: incident.reason,
            severity: incident.severity,
            message: incident.message.clone(),
            remediation: incident.remediation.clone(),
            check: incident.check,
            opened_at: incident.opened_at,
            resolved_at: incident.resolved_at,
            last_seen_at: incident.last_seen_at,
            flaps: incident.flaps,
            merged_into: incident.merged_into.clone(),
            cause: incident.cause.clone(),
            findings: incident.findings.values().map(|finding| self.keep(finding)).collect(),
            uncounted: incident.uncounted,
            evidence: incident.evidence.clone(),
        }
    }
}

impl KeptFinding {
    fn restore(self, owners: &[ObjectId], texts: &[String]) -> Result<Finding, StateError> {
        let text = |position: usize| texts.get(position).cloned().ok_or_else(|| missing("text", position));
        if by_id(self.check).is_none() {
            return Err(StateError::Unreadable(format!("there is no check `{}` any more", self.check)));
        }
        Ok(Finding {
            check: self.check,
            severity: self.severity,
            reason: self.reason,
            message: text(self.message)?,
            remediation: text(self.remediation)?,
            object: self.object,
            resource: self.resource,
            owner: owners.get(self.owner).cloned().ok_or_else(|| missing("owner", self.owner))?,
            part: self.part,
            class: self.class,
            node: self.node,
            registry: self.registry,
            rank: if self.is_consequence { Rank::Consequence } else { Rank::Cause },
            since: self.since,
            until: self.until,
            grace: self.grace,
            evidence: self.evidence,
            is_stale: self.is_stale,
        })
    }
}

fn missing(what: &str, position: usize) -> StateError {
    StateError::Unreadable(format!("there is no {what} {position}"))
}

impl KeptIncident {
    fn restore(self, owners: &[ObjectId], texts: &[String]) -> Result<Incident, StateError> {
        let mut findings = BTreeMap::new();
        for finding in self.findings {
            let finding = finding.restore(owners, texts)?;
            findings.insert(SymptomKey::of(&finding), finding);
        }
        Ok(Incident {
            id: self.id,
            state: self.state,
            owner: self.owner,
            resource: self.resource,
            reason: self.reason,
            severity: self.severity,
            message: self.message,
            remediation: self.remediation,
            check: self.check,
            opened_at: self.opened_at,
            resolved_at: self.resolved_at,
            last_seen_at: self.last_seen_at,
            flaps: self.flaps,
            merged_into: self.merged_into,
            cause: self.cause,
            findings,
            uncounted: self.uncounted,
            evidence: self.evidence,
        })
    }
}

impl KeptLifecycle {
    fn of(lifecycle: &Lifecycle) -> Self {
        let mut tables = Tables::default();
        let positions: BTreeMap<&IncidentKey, usize> = lifecycle.open.keys().enumerate().map(|(position, key)| (key, position)).collect();
        let symptoms = lifecycle.symptoms.values().map(|symptom| KeptSymptom {
            finding: tables.keep(&symptom.finding),
            seen_at: symptom.seen_at,
            clean_since: symptom.clean_since,
            incident: symptom.incident.as_ref().and_then(|key| positions.get(key).copied()),
        });
        let symptoms = symptoms.collect();
        let mut keep = |(key, incident): (&IncidentKey, &Incident)| (key.clone(), tables.keep_incident(incident));
        let open = lifecycle.open.iter().map(&mut keep).collect();
        let resolved = lifecycle.resolved.iter().map(|(key, incident)| keep((key, incident))).collect();
        Self {
            owners: in_order(tables.owners),
            texts: in_order(tables.texts),
            symptoms,
            blocked: lifecycle.blocked.iter().cloned().collect(),
            open,
            resolved,
            openings: lifecycle.openings.clone(),
            told: lifecycle.told.iter().map(|(key, told)| (key.clone(), told.clone())).collect(),
            agenda: lifecycle.agenda.clone(),
        }
    }

    fn restore(self, settings: IncidentSettings) -> Result<Lifecycle, StateError> {
        let Self { owners, texts, symptoms, blocked, open, resolved, openings, told, agenda } = self;
        let mut lifecycle = Lifecycle::new(settings);
        let keys: Vec<IncidentKey> = open.iter().map(|(key, _)| key.clone()).collect();
        for kept in symptoms {
            let finding = kept.finding.restore(&owners, &texts)?;
            let incident = match kept.incident {
                None => None,
                Some(position) => Some(keys.get(position).cloned().ok_or_else(|| missing("incident", position))?),
            };
            let key = SymptomKey::of(&finding);
            lifecycle.index(&key, &finding, true);
            if let Some(incident) = &incident {
                lifecycle.count_in(incident);
            }
            lifecycle.symptoms.insert(key, Symptom { finding, seen_at: kept.seen_at, clean_since: kept.clean_since, incident });
        }
        for (key, incident) in open {
            lifecycle.open.insert(key, incident.restore(&owners, &texts)?);
        }
        for (key, incident) in resolved {
            lifecycle.resolved.push_back((key, incident.restore(&owners, &texts)?));
        }
        lifecycle.blocked = blocked.into_iter().collect();
        lifecycle.openings = openings;
        lifecycle.told = told.into_iter().collect();
        lifecycle.agenda = agenda;
        Ok(lifecycle)
    }
}

impl Watch {
    /// What is to be kept to bring this watch back.
    pub fn keep(&self) -> KeptWatch {
        KeptWatch {
            version: VERSION,
            doctor: self.doctor.clone(),
            incidents: self.lifecycle.settings.clone(),
            now: self.now,
            view: self.view.memory(),
            lifecycle: KeptLifecycle::of(&self.lifecycle),
            upstream: self.upstream.clone(),
            dirty: self.dirty.iter().map(|(object, check)| (object.clone(), check.to_owned())).collect(),
        }
    }
}

impl KeptWatch {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing JSON to memory fails only for maps with keys that are no text, and there are none.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what `to_bytes` wrote.
    ///
    /// # Errors
    /// Another version wrote it; it does not read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let unreadable = |error: serde_json::Error| StateError::Unreadable(error.to_string());
        let found: OnlyVersion = serde_json::from_slice(bytes).map_err(unreadable)?;
        if found.version != VERSION {
            return Err(StateError::Version { found: found.version });
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// The last record that the watch had folded.
    pub fn seq(&self) -> Seq {
        self.view.seq()
    }

    /// Events that changed since then are to be given before the objects.
    pub fn events_from(&self) -> Timestamp {
        self.view.events_from()
    }
}

/// A watch on its way back. It is given the Events of its last while in their order, then every object that was alive when it was kept.
pub struct WatchRestoring {
    watch: Watch,
    view: Restoring,
}

impl WatchRestoring {
    /// Begins with what was kept.
    ///
    /// # Errors
    /// The state names what this program does not know.
    pub fn new(kept: KeptWatch) -> Result<Self, StateError> {
        let mut dirty = Looks::default();
        for (object, check) in kept.dirty {
            let check = by_id(&check).ok_or_else(|| StateError::Unreadable(format!("there is no check `{check}` any more")))?;
            dirty.insert(&object, check.id);
        }
        let watch = Watch {
            doctor: kept.doctor,
            lifecycle: kept.lifecycle.restore(kept.incidents)?,
            upstream: kept.upstream,
            dirty,
            now: kept.now,
            ..Watch::default()
        };
        Ok(Self { watch, view: Restoring::new(kept.view) })
    }

    /// Takes in an object as it was.
    pub fn take(&mut self, change: &Change) {
        self.view.take(change);
    }

    /// The watch as it was.
    pub fn finish(self) -> Watch {
        Watch { view: self.view.finish(), ..self.watch }
    }
}
