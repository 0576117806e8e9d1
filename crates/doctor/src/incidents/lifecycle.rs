//! The life of incidents: symptoms come and go, incidents open, change, flap, merge and are resolved.
//!
//! Pure, and stamped with the moments at which things were due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{ClusterId, ObjectId, Resource};
use proreus_observe::Snapshot;
use serde::{Deserialize, Serialize};

use super::agenda::Agenda;
use super::grouping::{IncidentKey, SymptomKey, Target, cluster_object, fnv, is_of_node, nameless, registry_object, registry_of};
use super::incident::{Effect, Incident, IncidentState};
use super::record::IncidentRecord;
use super::settings::IncidentSettings;
use super::words::word;
use crate::check::Severity;
use crate::examination::Judgement;
use crate::finding::{Finding, Rank};

/// Resolved incidents that are remembered; the journal has the others.
const RESOLVED_LIMIT: usize = 1_000;

/// How long after it was told what is new about an incident waits: pods that come and go one by one are told together.
const RETELL_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// How long after it was told an incident of which nothing is new but that it goes on is told again.
const RECONFIRM_AFTER: SignedDuration = SignedDuration::from_mins(10);

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
    /// What is new about an incident may be told.
    Tell(IncidentKey),
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
    pub(super) symptoms: BTreeMap<SymptomKey, Symptom>,
    /// Symptoms by the name of their owner, and by their node: a change of either concerns them.
    by_owner: BTreeMap<ObjectId, BTreeSet<SymptomKey>>,
    by_node: BTreeMap<String, BTreeSet<SymptomKey>>,
    /// How many symptoms an incident has.
    members: BTreeMap<IncidentKey, u64>,
    /// Symptoms on nodes themselves, and failing pulls by registry and owner: they explain others.
    node_troubles: BTreeMap<Place, BTreeSet<SymptomKey>>,
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
        let of_owner = self.by_owner.get(&nameless(owner)).into_iter().flatten();
        let on_node = node.and_then(|node| self.by_node.get(node)).into_iter().flatten();
        of_owner.chain(on_node).cloned().collect()
    }

    /// Brings the indexes into step; `is_there` says whether the symptom comes or goes.
    pub(super) fn index(&mut self, key: &SymptomKey, finding: &Finding, is_there: bool) {
        self.index_explanations(key, finding, is_there);
        let owner = nameless(&finding.owner);
        let node = finding.node.clone();
        if is_there {
            self.by_owner.entry(owner).or_default().insert(key.clone());
            if let Some(node) = node {
                self.by_node.entry(node).or_default().insert(key.clone());
            }
            return;
        }
        if self.by_owner.get_mut(&owner).is_some_and(|keys| keys.remove(key) && keys.is_empty()) {
            self.by_owner.remove(&owner);
        }
        if let Some(node) = node
            && self.by_node.get_mut(&node).is_some_and(|keys| keys.remove(key) && keys.is_empty())
        {
            self.by_node.remove(&node);
        }
    }

    /// What may explain others.
    fn index_explanations(&mut self, key: &SymptomKey, finding: &Finding, is_there: bool) {
        let place = |name: &str| (finding.object.cluster.clone(), name.to_owned());
        if is_of_node(finding) {
            let keys = self.node_troubles.entry(place(finding.object.name.as_str())).or_default();
            if is_there {
                keys.insert(key.clone())
            } else {
                keys.remove(key)
            };
        }
        if let Some(registry) = registry_of(finding) {
            let owners = self.pulls.entry(place(registry)).or_default();
            let keys = owners.entry(nameless(&finding.owner)).or_default();
            if is_there {
                keys.insert(key.clone())
            } else {
                keys.remove(key)
            };
            if keys.is_empty() {
                owners.remove(&nameless(&finding.owner));
            }
        }
    }

    /// The symptom, if it is there at the moment, and whether it is due.
    fn present(&self, key: &SymptomKey, now: Timestamp) -> Option<(&Finding, bool)> {
        let symptom = self.symptoms.get(key).filter(|symptom| symptom.clean_since.is_none())?;
        Some((&symptom.finding, symptom.is_due(now)))
    }

    /// Which incident a symptom belongs to: its own, or that of what explains it.
    fn target(&self, finding: &Finding, now: Timestamp) -> Target {
        let cluster = &finding.object.cluster;
        if let Some(node) = finding.node.as_ref().filter(|_| finding.object.kind.as_str() != "Node") {
            let troubles = self.node_troubles.get(&(cluster.clone(), node.clone())).into_iter().flatten();
            let present: Vec<(&Finding, bool)> = troubles.filter_map(|key| self.present(key, now)).collect();
            match present.iter().find(|(_, is_due)| *is_due) {
                Some((trouble, _)) => return Target::of(&trouble.owner, trouble.reason),
                None if !present.is_empty() => return Target::Wait,
                None => {}
            }
        }
        if let Some(registry) = registry_of(finding) {
            let owners = self.pulls.get(&(cluster.clone(), registry.to_owned())).into_iter().flatten();
            let failing = owners.filter(|(_, keys)| keys.iter().any(|key| self.present(key, now).is_some_and(|(_, is_due)| is_due)));
            let enough = usize::try_from(self.settings.registry_owners).unwrap_or(usize::MAX).max(1);
            if failing.take(enough).count() >= enough {
                return Target::of(&registry_object(cluster, registry), "RegistryUnreachable");
            }
        }
        if finding.rank == Rank::Consequence {
            let others = self.by_owner.get(&nameless(&finding.owner)).into_iter().flatten();
            let mut causes =
                others.filter_map(|key| Some((key, self.present(key, now)?))).filter(|(_, (other, _))| other.rank == Rank::Cause);
            let mut is_pending = false;
            let due = causes.find(|(_, (_, is_due))| {
                is_pending |= !is_due;
                *is_due
            });
            match due {
                // Where the cause went, the consequence goes: a node or a registry may explain both.
                Some((key, (cause, _))) => {
                    let joined = self.symptoms.get(key).and_then(|symptom| symptom.incident.clone());
                    let open = joined.and_then(|joined| Some((joined.clone(), self.open.get(&joined)?.owner.clone())));
                    return match open {
                        Some((joined, owner)) => Target::Incident(joined, Box::new(owner)),
                        None => Target::of(&cause.owner, cause.reason),
                    };
                }
                None if is_pending => return Target::Wait,
                None => {}
            }
        }
        Target::of(&finding.owner, finding.reason)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &SymptomKey> {
        self.symptoms.keys()
    }

    /// Takes in what a check says of an object; `None` when the object is gone.
    pub(super) fn hear(&mut self, check: &'static str, object: &ObjectId, judgement: Option<Judgement>, now: Timestamp) {
        let findings = match judgement {
            Some(Judgement::Undecided(_)) => return self.suspend(check, object),
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
        let from = SymptomKey { object: object.clone(), check, reason: "", part: None };
        let rest = self.symptoms.range(from..);
        rest.take_while(|(key, _)| key.object == *object && key.check == check).map(|(key, _)| key.clone()).collect()
    }

    /// Nobody can tell any more: a hold-down that ran must begin anew.
    fn suspend(&mut self, check: &'static str, object: &ObjectId) {
        for key in self.of(check, object) {
            if let Some(symptom) = self.symptoms.get_mut(&key) {
                symptom.clean_since = None;
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
        let symptom = self.symptoms.entry(key.clone()).or_insert_with(|| Symptom {
            finding: finding.clone(),
            seen_at: now,
            clean_since: None,
            incident: None,
        });
        symptom.finding = finding;
        symptom.clean_since = None;
        match symptom.incident.clone() {
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

    fn remove(&mut self, key: &SymptomKey, now: Timestamp) {
        self.ready.remove(key);
        self.blocked.remove(key);
        let Some(symptom) = self.symptoms.remove(key) else { return };
        self.index(key, &symptom.finding, false);
        let Some(of) = symptom.incident else { return };
        let is_last = self.count_out(&of) == 0;
        let Some(incident) = self.open.get_mut(&of) else { return };
        if is_last {
            // What it consisted of last stays in it, to be read.
            self.resolve(&of, None, now);
        } else {
            if incident.findings.remove(key).is_none() {
                incident.uncounted = incident.uncounted.saturating_sub(1);
            }
            incident.retell();
            self.touched.insert(of);
        }
    }

    pub(super) fn count_in(&mut self, incident: &IncidentKey) {
        *self.members.entry(incident.clone()).or_default() += 1;
    }

    /// One symptom less; says how many are left.
    fn count_out(&mut self, incident: &IncidentKey) -> u64 {
        let left = self.members.get(incident).copied().unwrap_or(0).saturating_sub(1);
        match left {
            0 => self.members.remove(incident),
            left => self.members.insert(incident.clone(), left),
        };
        left
    }

    fn resolve(&mut self, key: &IncidentKey, merged_into: Option<String>, now: Timestamp) {
        let Some(mut incident) = self.open.remove(key) else { return };
        incident.state = IncidentState::Resolved;
        incident.resolved_at = Some(now);
        incident.merged_into = merged_into;
        self.told.remove(key);
        self.effects.push(Effect::Resolved(Box::new(IncidentRecord::from(&incident))));
        self.resolved.push_back((key.clone(), incident));
        if self.resolved.len() > RESOLVED_LIMIT {
            self.resolved.pop_front();
        }
    }

    /// Gives every symptom that is due its incident, at the end of a moment.
    pub(super) fn assign(&mut self, view: &Snapshot, now: Timestamp) {
        let mut due = std::mem::take(&mut self.ready);
        due.append(&mut self.blocked);
        let opened_before = self.opened.len();
        for key in due {
            let Some(symptom) = self.symptoms.get(&key).filter(|symptom| symptom.incident.is_none()) else { continue };
            let finding = symptom.finding.clone();
            match self.target(&finding, now) {
                Target::Wait => {
                    self.blocked.insert(key);
                }
                Target::Incident(target, owner) => {
                    let (target, owner) = self.digested(target, *owner, now);
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

    /// In a storm, the digest instead of one more incident.
    fn digested(&mut self, target: IncidentKey, owner: ObjectId, now: Timestamp) -> (IncidentKey, ObjectId) {
        let from = now.checked_sub(self.settings.storm_window()).unwrap_or(Timestamp::MIN);
        while self.openings.front().is_some_and(|opened| *opened < from) {
            self.openings.pop_front();
        }
        let is_storm = self.openings.len() >= usize::try_from(self.settings.storm_limit).unwrap_or(usize::MAX);
        if !is_storm || self.open.contains_key(&target) {
            return (target, owner);
        }
        let cluster = cluster_object(&owner.cluster);
        (IncidentKey::new(&cluster, "IncidentStorm"), cluster)
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
                self.openings.push_back(now);
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

    /// Incidents whose every symptom belongs to a group that has just opened become part of it.
    fn absorb(&mut self, group: &IncidentKey, now: Timestamp) {
        let Some(id) = self.open.get(group).map(|incident| incident.id.clone()) else { return };
        let belongs = |finding: &Finding| matches!(self.target(finding, now), Target::Incident(target, _) if target == *group);
        let mut parts: BTreeMap<IncidentKey, Vec<(SymptomKey, Finding, bool)>> = BTreeMap::new();
        for (key, symptom) in &self.symptoms {
            if let Some(of) = symptom.incident.as_ref().filter(|of| *of != group) {
                parts.entry(of.clone()).or_default().push((key.clone(), symptom.finding.clone(), belongs(&symptom.finding)));
            }
        }
        for (of, symptoms) in parts.into_iter().filter(|(_, symptoms)| symptoms.iter().all(|(_, _, belongs)| *belongs)) {
            for (key, finding, _) in symptoms {
                if let Some(symptom) = self.symptoms.get_mut(&key) {
                    symptom.incident = Some(group.clone());
                }
                self.count_in(group);
                if let Some(incident) = self.open.get_mut(group) {
                    incident.take(&key, &finding, true, now);
                }
            }
            self.members.remove(&of);
            self.resolve(&of, Some(id.clone()), now);
        }
    }

    /// Tells of the incidents that opened in this step, and of those about which something is new that need not wait.
    pub(super) fn announce(&mut self, now: Timestamp) {
        for key in std::mem::take(&mut self.opened) {
            self.touched.remove(&key);
            let Some(record) = self.open.get(&key).map(IncidentRecord::from) else { continue };
            self.told.insert(key, Told::of(&record, now));
            self.effects.push(Effect::Opened(Box::new(record)));
        }
        for key in std::mem::take(&mut self.touched) {
            self.tell(key, now);
        }
    }

    /// Tells of an open incident what is new about it, or puts it off.
    fn tell(&mut self, key: IncidentKey, now: Timestamp) {
        let (Some(incident), Some(told)) = (self.open.get(&key), self.told.get(&key)) else { return };
        let is_urgent = told.severity != incident.severity || told.has_cause != incident.cause.is_some();
        let retell_at = told.at.checked_add(RETELL_AFTER).unwrap_or(Timestamp::MAX);
        if !is_urgent && now < retell_at {
            return self.agenda.put(retell_at, Due::Tell(key));
        }
        let record = IncidentRecord::from(incident);
        let fresh = Told::of(&record, now);
        if !is_urgent && fresh.print == told.print {
            if fresh.last_seen_at <= told.last_seen_at {
                return;
            }
            let reconfirm_at = told.at.checked_add(RECONFIRM_AFTER).unwrap_or(Timestamp::MAX);
            if now < reconfirm_at {
                return self.agenda.put(reconfirm_at, Due::Tell(key));
            }
        }
        self.told.insert(key, fresh);
        self.effects.push(Effect::Changed(Box::new(record)));
    }

    /// Takes over incidents that are recorded as open: those that go on keep their id and the moment of their opening, the others are over.
    pub(super) fn adopt(&mut self, recorded: &[IncidentRecord], now: Timestamp) {
        let mut fresh: BTreeSet<IncidentKey> = self.open.keys().cloned().collect();
        for record in recorded {
            let key = word(&record.reason).map(|reason| IncidentKey::new(&record.object.id(), reason));
            let Some(key) = key.filter(|key| fresh.contains(key)) else {
                let over = IncidentRecord { state: IncidentState::Resolved, resolved_at: Some(now), ..record.clone() };
                self.effects.push(Effect::Resolved(Box::new(over)));
                continue;
            };
            if let Some(incident) = self.open.get_mut(&key) {
                incident.id.clone_from(&record.id);
                incident.opened_at = record.opened_at;
                incident.flaps = record.flaps;
            }
            fresh.remove(&key);
            self.told.insert(key.clone(), Told::of(record, record.last_seen_at));
            self.tell(key, now);
        }
        self.opened.extend(fresh);
        self.announce(now);
    }
}

impl Told {
    fn of(record: &IncidentRecord, at: Timestamp) -> Self {
        Self {
            at,
            severity: record.severity,
            has_cause: record.cause.is_some(),
            print: print_of(record),
            last_seen_at: record.last_seen_at,
        }
    }
}

/// A fingerprint of what is worth telling anew: everything but what moves with every look.
fn print_of(record: &IncidentRecord) -> u64 {
    let mut still = IncidentRecord { last_seen_at: record.opened_at, evidence: Vec::new(), ..record.clone() };
    still.findings.iter_mut().for_each(|finding| finding.evidence.clear());
    fnv(&serde_json::to_vec(&still).unwrap_or_default())
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
        "IncidentStorm" => (
            "more goes wrong at once than can be told one by one".to_owned(),
            "look for one cause of all: the network, storage, the control plane, a change to everything",
        ),
        _ => return,
    };
    incident.message = message;
    incident.remediation = remediation.to_owned();
}
