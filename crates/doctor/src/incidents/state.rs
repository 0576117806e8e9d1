//! A watch over a restart: what is kept of it, and how it comes back.
//!
//! Pure. The objects are not kept: they are in the journal. Invariant: a watch that came back tells what the one that was kept would have
//! told; a state of another form, or one that names what this program does not know, is refused whole.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, ObjectId, Resource, Seq};
use proreus_observe::{KeptList, Restoring, SnapshotMemory};
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
const VERSION: u32 = 2;

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

/// What is kept of a watch; of one that is there it is only lent, as a copy of it would be large.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptWatch<'a> {
    version: u32,
    doctor: Cow<'a, DoctorSettings>,
    incidents: Cow<'a, IncidentSettings>,
    now: Option<Timestamp>,
    view: SnapshotMemory<'a>,
    lifecycle: KeptLifecycle<'a>,
    upstream: Cow<'a, UpstreamChanges>,
    dirty: KeptList<'a, (ObjectId, String)>,
}

#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptLifecycle<'a> {
    /// Owners of findings, each once: a thousand pods have one.
    owners: KeptList<'a, ObjectId>,
    /// What findings say and advise, each once.
    texts: KeptList<'a, String>,
    symptoms: KeptList<'a, KeptSymptom>,
    blocked: KeptList<'a, SymptomKey>,
    open: KeptList<'a, (IncidentKey, KeptIncident)>,
    resolved: KeptList<'a, (IncidentKey, KeptIncident)>,
    openings: Cow<'a, VecDeque<Timestamp>>,
    told: KeptList<'a, (IncidentKey, Told)>,
    agenda: Cow<'a, Agenda<Due>>,
}

#[derive(Serialize, Deserialize)]
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
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    recovers_until: Option<Timestamp>,
}

/// A finding; owner and texts are positions in the tables.
#[derive(Serialize, Deserialize)]
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

#[derive(Serialize, Deserialize)]
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

/// A lifecycle, and the positions by which what occurs often in it is named.
struct Tables<'a> {
    lifecycle: &'a Lifecycle,
    owners: BTreeMap<&'a ObjectId, usize>,
    texts: BTreeMap<&'a str, usize>,
    open: BTreeMap<&'a IncidentKey, usize>,
}

/// Gives what is there a position each, in its order.
fn numbered<K: Ord>(all: impl IntoIterator<Item = K>) -> BTreeMap<K, usize> {
    all.into_iter().enumerate().map(|(position, one)| (one, position)).collect()
}

impl<'a> Tables<'a> {
    fn of(lifecycle: &'a Lifecycle) -> Self {
        let incidents = lifecycle.open.values().chain(lifecycle.resolved.iter().map(|(_, incident)| incident));
        let (mut owners, mut texts) = (BTreeSet::new(), BTreeSet::new());
        let symptoms = lifecycle.symptoms.values().map(|symptom| &symptom.finding);
        for finding in symptoms.chain(incidents.flat_map(|incident| incident.findings.values())) {
            owners.insert(&finding.owner);
            texts.extend([finding.message.as_str(), &finding.remediation]);
        }
        Self { lifecycle, owners: numbered(owners), texts: numbered(texts), open: numbered(lifecycle.open.keys()) }
    }

    /// A list that is made with these tables whenever it is written.
    fn lend<T: 'a, I: Iterator<Item = T> + 'a>(self: &Rc<Self>, walk: fn(Rc<Self>) -> I) -> KeptList<'a, T> {
        let tables = Rc::clone(self);
        KeptList::lent(move || walk(Rc::clone(&tables)))
    }

    fn owners(self: Rc<Self>) -> impl Iterator<Item = ObjectId> {
        let owners: Vec<&'a ObjectId> = self.owners.keys().copied().collect();
        owners.into_iter().cloned()
    }

    fn texts(self: Rc<Self>) -> impl Iterator<Item = String> {
        let texts: Vec<&'a str> = self.texts.keys().copied().collect();
        texts.into_iter().map(str::to_owned)
    }

    fn symptoms(self: Rc<Self>) -> impl Iterator<Item = KeptSymptom> {
        self.lifecycle.symptoms.values().map(move |symptom| KeptSymptom {
            finding: self.keep(&symptom.finding),
            seen_at: symptom.seen_at,
            clean_since: symptom.clean_since,
            incident: symptom.incident.as_ref().and_then(|key| self.open.get(key).copied()),
            recovers_until: symptom.recovers_until,
        })
    }

    fn open(self: Rc<Self>) -> impl Iterator<Item = (IncidentKey, KeptIncident)> {
        self.lifecycle.open.iter().map(move |(key, incident)| (key.clone(), self.keep_incident(incident)))
    }

    fn resolved(self: Rc<Self>) -> impl Iterator<Item = (IncidentKey, KeptIncident)> {
        self.lifecycle.resolved.iter().map(move |(key, incident)| (key.clone(), self.keep_incident(incident)))
    }

    fn keep(&self, finding: &Finding) -> KeptFinding {
        let text = |text: &str| self.texts.get(text).copied().unwrap_or(usize::MAX);
        KeptFinding {
            check: finding.check,
            severity: finding.severity,
            reason: finding.reason,
            message: text(&finding.message),
            remediation: text(&finding.remediation),
            object: finding.object.clone(),
            resource: finding.resource.clone(),
            owner: self.owners.get(&finding.owner).copied().unwrap_or(usize::MAX),
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

    fn keep_incident(&self, incident: &Incident) -> KeptIncident {
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
            remediation: Cow::Owned(text(self.remediation)?),
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

impl<'a> KeptLifecycle<'a> {
    fn of(lifecycle: &'a Lifecycle) -> Self {
        let tables = Rc::new(Tables::of(lifecycle));
        Self {
            owners: tables.lend(Tables::owners),
            texts: tables.lend(Tables::texts),
            symptoms: tables.lend(Tables::symptoms),
            open: tables.lend(Tables::open),
            resolved: tables.lend(Tables::resolved),
            blocked: KeptList::lent(|| lifecycle.blocked.iter().cloned()),
            openings: Cow::Borrowed(&lifecycle.openings),
            told: KeptList::lent(|| lifecycle.told.iter().map(|(key, told)| (key.clone(), told.clone()))),
            agenda: Cow::Borrowed(&lifecycle.agenda),
        }
    }

    fn restore(self, settings: IncidentSettings) -> Result<Lifecycle, StateError> {
        let mut lifecycle = Lifecycle::new(settings);
        let (owners, texts, open) = (self.owners.into_elements(), self.texts.into_elements(), self.open.into_elements());
        let keys: Vec<IncidentKey> = open.iter().map(|(key, _)| key.clone()).collect();
        for kept in self.symptoms.into_elements() {
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
            let (seen_at, clean_since, recovers_until) = (kept.seen_at, kept.clean_since, kept.recovers_until);
            let symptom = Symptom { finding, seen_at, clean_since, incident, recovers_until };
            lifecycle.symptoms.insert(key, Box::new(symptom));
        }
        for (key, incident) in open {
            lifecycle.open.insert(key, incident.restore(&owners, &texts)?);
        }
        for (key, incident) in self.resolved.into_elements() {
            lifecycle.resolved.push_back((key, incident.restore(&owners, &texts)?));
        }
        lifecycle.blocked = self.blocked.into_elements().into_iter().collect();
        lifecycle.openings = self.openings.into_owned();
        lifecycle.told = self.told.into_elements().into_iter().collect();
        lifecycle.agenda = self.agenda.into_owned();
        Ok(lifecycle)
    }
}

impl Watch {
    /// What is to be kept to bring this watch back.
    pub fn keep(&self) -> KeptWatch<'_> {
        KeptWatch {
            version: VERSION,
            doctor: Cow::Borrowed(&self.doctor),
            incidents: Cow::Borrowed(&self.lifecycle.settings),
            now: self.now,
            view: self.view.memory(),
            lifecycle: KeptLifecycle::of(&self.lifecycle),
            upstream: Cow::Borrowed(&self.upstream),
            dirty: KeptList::lent(|| self.dirty.iter().map(|(object, check)| (object.clone(), check.to_owned()))),
        }
    }
}

impl KeptWatch<'_> {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing JSON to memory fails only for maps with keys that are no text, and there are none.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what `to_bytes` wrote.
    ///
    /// # Errors
    /// Another version wrote it; it does not read.
    pub fn from_bytes(bytes: &[u8]) -> Result<KeptWatch<'static>, StateError> {
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
    pub fn new(kept: KeptWatch<'static>) -> Result<Self, StateError> {
        let mut dirty = Looks::default();
        for (object, check) in kept.dirty.into_elements() {
            let check = by_id(&check).ok_or_else(|| StateError::Unreadable(format!("there is no check `{check}` any more")))?;
            dirty.insert(&object, check.id);
        }
        let watch = Watch {
            doctor: kept.doctor.into_owned(),
            lifecycle: kept.lifecycle.restore(kept.incidents.into_owned())?,
            upstream: kept.upstream.into_owned(),
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
