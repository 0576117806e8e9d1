//! The life of incidents: symptoms come and go, incidents open, change, flap, merge and are resolved.
//!
//! Pure, and stamped with the moments at which things were due. Not here: which incident a symptom belongs to (`explaining`), for how long it
//! does (`membership`), and what of an incident is worth telling (`telling`).

mod explaining;
mod membership;
mod telling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use proreus_model::{ClusterId, ObjectId, Resource};
use proreus_observe::{Relation, Snapshot};
use serde::{Deserialize, Serialize};

use membership::is_no_part_of;

use super::agenda::Agenda;
use super::grouping::{DIGEST, IncidentKey, SymptomKey, Target, cluster_object, nameless};
use super::incident::{Effect, Incident, IncidentState};
use super::settings::IncidentSettings;
use crate::check::Severity;
use crate::examination::Judgement;
use crate::finding::{Finding, Rank};

/// Resolved incidents that are remembered; the journal has the others.
const RESOLVED_LIMIT: usize = 1_000;

/// A cluster, and the name of a node or of a registry.
type Place = (ClusterId, String);

/// A finding over time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Symptom {
    pub(super) finding: Finding,
    /// When it was first seen.
    pub(super) seen_at: Timestamp,
    /// Since when it is gone; its hold-down runs.
    pub(super) clean_since: Option<Timestamp>,
    /// The incident that it is a part of.
    pub(super) incident: Option<IncidentKey>,
    /// Until when it may go by itself: its node came back, and pods need a while longer.
    pub(super) recovers_until: Option<Timestamp>,
}

impl Symptom {
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.finding.due() <= now
    }
}

/// What is due at a moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Due {
    /// A symptom is to be looked at.
    Symptom(SymptomKey),
    /// What is new about an incident may be told. Boxed, as most of what is due are symptoms.
    Tell(Box<IncidentKey>),
}

/// What was told last of an open incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    at: Timestamp,
    severity: Severity,
    has_cause: bool,
    print: u64,
    last_seen_at: Timestamp,
}

/// Every symptom and every incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lifecycle {
    pub(super) settings: IncidentSettings,
    /// Boxed: a tree of large values is half empty, and the space of those that went stays.
    pub(super) symptoms: BTreeMap<SymptomKey, Box<Symptom>>,
    /// Symptoms by the name of their owner, and by their node: a change of either concerns them.
    by_owner: Relation<ObjectId, SymptomKey>,
    /// Those of them that others may explain: few among the thousands of a large workload.
    consequences: Relation<ObjectId, SymptomKey>,
    by_node: Relation<String, SymptomKey>,
    /// How many symptoms an incident has.
    members: BTreeMap<IncidentKey, u64>,
    /// Symptoms on nodes themselves, and failing pulls by registry and owner: they explain others.
    node_troubles: Relation<Place, SymptomKey>,
    pulls: BTreeMap<Place, BTreeMap<ObjectId, BTreeSet<SymptomKey>>>,
    /// Symptoms that are due and part of nothing yet.
    ready: BTreeSet<SymptomKey>,
    /// Symptoms that are due and wait for what may explain them.
    pub(super) blocked: BTreeSet<SymptomKey>,
    pub(super) open: BTreeMap<IncidentKey, Incident>,
    pub(super) resolved: VecDeque<(IncidentKey, Incident)>,
    /// When incidents opened, within the storm's window.
    pub(super) openings: VecDeque<Timestamp>,
    /// What was told of those that are open.
    pub(super) told: BTreeMap<IncidentKey, Told>,
    /// Incidents about which something may be new.
    pub(super) touched: BTreeSet<IncidentKey>,
    pub(super) agenda: Agenda<Due>,
    pub(super) effects: Vec<Effect>,
    /// Incidents that opened in this step and have no cause yet.
    pub(super) opened: Vec<IncidentKey>,
}

impl Lifecycle {
    /// With nothing wrong yet.
    pub(super) fn new(settings: IncidentSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Open and resolved incidents, in the order of their opening.
    pub(super) fn incidents(&self) -> Vec<&Incident> {
        let mut all: Vec<&Incident> = self.resolved.iter().map(|(_, incident)| incident).chain(self.open.values()).collect();
        all.sort_by(|left, right| (left.opened_at, &left.id).cmp(&(right.opened_at, &right.id)));
        all
    }

    pub(super) fn open_incident(&mut self, key: &IncidentKey) -> Option<&mut Incident> {
        self.open.get_mut(key)
    }

    /// When the first of the incident's symptoms began, as far as anybody saw.
    pub(super) fn first_seen(&self, key: &IncidentKey) -> Option<Timestamp> {
        let symptoms = self.open.get(key)?.findings.keys().filter_map(|key| self.symptoms.get(key));
        symptoms.map(|symptom| symptom.seen_at.min(symptom.finding.since)).min()
    }

    /// When the first symptom of an incident was heard of: it may have been so before, but nobody knew.
    pub(super) fn first_heard(&self, key: &IncidentKey) -> Option<Timestamp> {
        let symptoms = self.open.get(key)?.findings.keys().filter_map(|key| self.symptoms.get(key));
        symptoms.map(|symptom| symptom.seen_at).min()
    }

    /// The symptoms that a change of an object may concern, beside its own: those of the same owner, and those on it.
    pub(super) fn related(&self, owner: &ObjectId, node: Option<&str>) -> BTreeSet<SymptomKey> {
        let (owner, node) = (nameless(owner), node.map(str::to_owned));
        let on_node = node.iter().flat_map(|node| self.by_node.of(node));
        self.by_owner.of(&owner).chain(on_node).cloned().collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &SymptomKey> {
        self.symptoms.keys()
    }

    /// Takes in what a check says of an object; `None` when the object is gone.
    pub(super) fn hear(&mut self, check: &'static str, object: &ObjectId, judgement: Option<Judgement>, now: Timestamp) {
        let findings = match judgement {
            Some(Judgement::Undecided(_)) => return self.suspend(check, object, now),
            Some(Judgement::Found(findings)) => findings,
            Some(Judgement::Healthy | Judgement::Off) | None => Vec::new(),
        };
        let present: BTreeSet<SymptomKey> = findings.iter().map(SymptomKey::of).collect();
        for key in self.of(check, object).into_iter().filter(|key| !present.contains(key)) {
            self.went(&key, now);
        }
        for (key, finding) in self.current(findings, now) {
            let is_told = self.symptoms.get(&key).is_some_and(|symptom| symptom.incident.is_some());
            if is_told && finding.since > now {
                // All is well for now, such as with a certificate that took the place of another and will end as well.
                self.went(&key, now);
            } else {
                self.came(finding, now);
            }
        }
    }

    /// Of the stages of one symptom, the one that holds now, else the first that will; whoever lies ahead is asked for when its time comes.
    fn current(&mut self, findings: Vec<Finding>, now: Timestamp) -> BTreeMap<SymptomKey, Finding> {
        let mut current: BTreeMap<SymptomKey, Finding> = BTreeMap::new();
        for finding in findings {
            let key = SymptomKey::of(&finding);
            if finding.since > now {
                self.agenda.put(finding.since, Due::Symptom(key.clone()));
            }
            // Of those that hold, the latest; of those ahead, the first.
            let is_better = |known: &Finding| match (known.since > now, finding.since > now) {
                (true, true) => finding.since < known.since,
                (false, false) => finding.since >= known.since,
                (is_known_ahead, _) => is_known_ahead,
            };
            if current.get(&key).is_none_or(is_better) {
                current.insert(key, finding);
            }
        }
        current
    }

    fn of(&self, check: &'static str, object: &ObjectId) -> Vec<SymptomKey> {
        let rest = self.symptoms.range(SymptomKey::first_of(check, object)..);
        rest.take_while(|(key, _)| key.object == *object && key.check == check).map(|(key, _)| key.clone()).collect()
    }

    /// Nobody can tell any more: a hold-down that ran must begin anew.
    fn suspend(&mut self, check: &'static str, object: &ObjectId, now: Timestamp) {
        for key in self.of(check, object) {
            match self.symptoms.get_mut(&key).map(|symptom| symptom.incident.is_some()) {
                Some(true) => {
                    if let Some(symptom) = self.symptoms.get_mut(&key) {
                        symptom.clean_since = None;
                    }
                }
                // It was never told, and nobody could say now that it is so. Whoever finds it again knows since when.
                Some(false) => self.remove(&key, now),
                None => {}
            }
        }
    }

    fn came(&mut self, finding: Finding, now: Timestamp) {
        let key = SymptomKey::of(&finding);
        let due = finding.due();
        if let Some(until) = finding.until {
            self.agenda.put(until, Due::Symptom(key.clone()));
        }
        if let Some(former) = self.symptoms.get(&key).map(|symptom| symptom.finding.clone()) {
            self.index(&key, &former, false);
        }
        self.index(&key, &finding, true);
        let symptom = self.symptoms.entry(key.clone()).or_insert_with(|| {
            let finding = finding.clone();
            Box::new(Symptom { finding, seen_at: now, clean_since: None, incident: None, recovers_until: None })
        });
        symptom.finding = finding;
        symptom.clean_since = None;
        match symptom.incident.clone() {
            Some(of) if is_no_part_of(&symptom.finding, &of) => self.part(&key, now),
            Some(of) => {
                let finding = symptom.finding.clone();
                if let Some(incident) = self.open.get_mut(&of) {
                    incident.take(&key, &finding, false, now);
                    self.touched.insert(of);
                }
            }
            None if due > now => self.agenda.put(due, Due::Symptom(key)),
            None => {
                self.ready.insert(key);
            }
        }
    }

    fn went(&mut self, key: &SymptomKey, now: Timestamp) {
        self.note_return(key, now);
        let Some(symptom) = self.symptoms.get_mut(key) else { return };
        match &symptom.incident {
            // It was never told: nothing has to be held.
            None => self.remove(key, now),
            Some(incident) => {
                let flaps = self.open.get(incident).map_or(0, |incident| incident.flaps);
                let since = *symptom.clean_since.get_or_insert(now);
                if let Ok(over) = since.checked_add(self.settings.hold_down(flaps)) {
                    self.agenda.put(over, Due::Symptom(key.clone()));
                }
            }
        }
    }

    /// Ends the hold-downs of these symptoms that are over.
    pub(super) fn settle(&mut self, keys: &BTreeSet<SymptomKey>, now: Timestamp) {
        for key in keys {
            let Some(symptom) = self.symptoms.get(key) else { continue };
            if symptom.incident.is_none() && symptom.clean_since.is_none() && symptom.is_due(now) {
                self.ready.insert(key.clone());
                continue;
            }
            let flaps = symptom.incident.as_ref().and_then(|incident| self.open.get(incident)).map_or(0, |incident| incident.flaps);
            let over = symptom.clean_since.and_then(|since| since.checked_add(self.settings.hold_down(flaps)).ok());
            if over.is_some_and(|over| over <= now) {
                self.remove(key, now);
            }
        }
    }

    /// Gives every symptom that is due its incident, at the end of a moment.
    pub(super) fn assign(&mut self, view: &Snapshot, now: Timestamp) {
        let mut due = std::mem::take(&mut self.ready);
        due.append(&mut self.blocked);
        let opened_before = self.opened.len();
        // What is said of a workload itself before what is said of others for its sake: the trouble has its name.
        let (of_others, own): (Vec<SymptomKey>, Vec<SymptomKey>) = due.into_iter().partition(|key| {
            let symptom = self.symptoms.get(key);
            symptom.is_some_and(|symptom| symptom.finding.rank == Rank::Consequence && symptom.finding.object != symptom.finding.owner)
        });
        for key in own.into_iter().chain(of_others) {
            let Some(symptom) = self.symptoms.get(&key).filter(|symptom| symptom.incident.is_none()) else { continue };
            let finding = symptom.finding.clone();
            if finding.due() > now {
                // What it waited for went, and it is counted anew.
                self.agenda.put(finding.due(), Due::Symptom(key));
                continue;
            }
            if finding.is_stale {
                // Its grace ended while nobody looked: whether it still is so is told by the next look.
                self.blocked.insert(key);
                continue;
            }
            if let Some(until) = symptom.recovers_until.filter(|until| *until > now) {
                self.agenda.put(until, Due::Symptom(key.clone()));
                self.blocked.insert(key);
                continue;
            }
            match self.target(&finding, now) {
                Target::Wait => {
                    self.blocked.insert(key);
                }
                Target::Incident(target, owner) => {
                    let (target, owner) = self.digested(target, *owner, finding.severity, now);
                    self.join(&key, &finding, target, owner, now);
                    self.name_resource(&key, view);
                }
            }
        }
        let fresh: BTreeSet<IncidentKey> = self.opened.iter().skip(opened_before).cloned().collect();
        for group in fresh.into_iter().filter(|key| key.is_group()) {
            self.absorb(&group, now);
        }
    }

    /// In a storm, the digest instead of one more incident. What groups others is the opposite of a storm.
    fn digested(&mut self, target: IncidentKey, owner: ObjectId, severity: Severity, now: Timestamp) -> (IncidentKey, ObjectId) {
        let from = now.checked_sub(self.settings.storm_window()).unwrap_or(Timestamp::MIN);
        while self.openings.front().is_some_and(|opened| *opened < from) {
            self.openings.pop_front();
        }
        let is_storm = self.openings.len() >= usize::try_from(self.settings.storm_limit).unwrap_or(usize::MAX);
        if !is_storm || severity == Severity::Info || target.is_group() || self.open.contains_key(&target) {
            return (target, owner);
        }
        let cluster = cluster_object(&owner.cluster);
        (IncidentKey::new(&cluster, DIGEST), cluster)
    }

    /// Gives the incident of a symptom the resource of its owner, by which access is given.
    fn name_resource(&mut self, of: &SymptomKey, view: &Snapshot) {
        let Some(key) = self.symptoms.get(of).and_then(|symptom| symptom.incident.as_ref()) else { return };
        let Some(incident) = self.open.get_mut(key).filter(|incident| incident.resource.is_empty()) else { return };
        let owner = &incident.owner;
        let seen = view.get(owner).map(|object| &object.resource).or_else(|| view.resource_of(&owner.group, &owner.kind));
        incident.resource = seen.cloned().unwrap_or_else(|| plural(owner.kind.as_str()));
    }

    fn join(&mut self, key: &SymptomKey, finding: &Finding, target: IncidentKey, owner: ObjectId, now: Timestamp) {
        if let Some(symptom) = self.symptoms.get_mut(key) {
            symptom.incident = Some(target.clone());
        }
        self.count_in(&target);
        if let Some(incident) = self.open.get_mut(&target) {
            incident.take(key, finding, true, now);
            self.touched.insert(target);
            return;
        }
        let mut incident = match self.take_back(&target, now) {
            Some(former) => former,
            None => {
                // What wakes nobody makes no storm, in which what should wake somebody would go under; what groups others is none either.
                if finding.severity > Severity::Info && !target.is_group() {
                    self.openings.push_back(now);
                }
                let mut fresh = Incident::open(&target, owner, finding, now);
                group_words(&mut fresh);
                fresh
            }
        };
        incident.take(key, finding, true, now);
        self.open.insert(target.clone(), incident);
        self.opened.push(target);
    }

    /// The same incident, if it ended only a while ago.
    fn take_back(&mut self, key: &IncidentKey, now: Timestamp) -> Option<Incident> {
        let from = now.checked_sub(self.settings.flap_window()).unwrap_or(Timestamp::MIN);
        let is_same = |(of, incident): &(IncidentKey, Incident)| {
            of == key && incident.merged_into.is_none() && incident.resolved_at.is_some_and(|resolved| resolved >= from)
        };
        let index = self.resolved.iter().rposition(is_same)?;
        let (_, mut incident) = self.resolved.remove(index)?;
        incident.state = IncidentState::Open;
        incident.resolved_at = None;
        incident.flaps += 1;
        incident.findings.clear();
        incident.uncounted = 0;
        Some(incident)
    }
}

/// The plural that a kind most likely has.
fn plural(kind: &str) -> Resource {
    let word = kind.to_lowercase();
    match word.strip_suffix('y') {
        Some(stem) => format!("{stem}ies").as_str().into(),
        None => format!("{word}s").as_str().into(),
    }
}

/// What a group says of itself, where none of its findings speaks for it.
fn group_words(incident: &mut Incident) {
    let (message, remediation) = match incident.reason {
        "RegistryUnreachable" => (
            format!("several workloads cannot pull from `{}`", incident.owner.name),
            "see whether the registry is up, and whether the nodes reach it by name and trust its certificate",
        ),
        DIGEST => (
            "more goes wrong at once than can be told one by one".to_owned(),
            "look for one cause of all: the network, storage, the control plane, a change to everything",
        ),
        _ => return,
    };
    incident.message = message;
    incident.remediation = remediation.to_owned();
}
