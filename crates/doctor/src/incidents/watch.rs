//! The doctor that watches: folds records, looks again at what they may concern, and keeps the incidents.
//!
//! Pure. Records of one moment are folded together before anything is judged, so that their order within the moment decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proreus_model::{ClusterId, Mark, MarkKind, ObjectId, Record, Uid};
use proreus_observe::{KindRef, Snapshot};

use super::grouping::SymptomKey;
use super::incident::{Effect, Incident};
use super::lifecycle::{Due, Lifecycle};
use super::record::{IncidentRecord, OWN_GROUP};
use super::settings::IncidentSettings;
use super::upstream::{About, UpstreamChanges};
use crate::check::{Check, Mode, Severity};
use crate::checks::{CHECKS, by_id};
use crate::examination::{Judgement, examine_object};
use crate::settings::DoctorSettings;

/// The doctor that watches.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub(super) view: Snapshot,
    pub(super) doctor: DoctorSettings,
    pub(super) lifecycle: Lifecycle,
    pub(super) upstream: UpstreamChanges,
    /// What must be looked at again, at this moment.
    pub(super) dirty: BTreeSet<Look>,
    pub(super) now: Option<Timestamp>,
}

/// One look of one check at one object.
pub(super) type Look = (ObjectId, &'static str);

impl Watch {
    /// Knows nothing yet.
    pub fn new(doctor: DoctorSettings, incidents: IncidentSettings) -> Self {
        Self { doctor, lifecycle: Lifecycle::new(incidents), ..Self::default() }
    }

    /// What is believed now.
    pub fn view(&self) -> &Snapshot {
        &self.view
    }

    /// The moment in hand: records of it may still come.
    pub fn time(&self) -> Option<Timestamp> {
        self.now
    }

    /// Open incidents and those resolved of late, in the order of their opening.
    pub fn incidents(&self) -> Vec<&Incident> {
        self.lifecycle.incidents()
    }

    /// How many incidents are open, by severity and check.
    pub fn open_counts(&self) -> BTreeMap<(Severity, &'static str), u64> {
        let mut counts = BTreeMap::new();
        for incident in self.lifecycle.open.values() {
            *counts.entry((incident.severity, incident.check)).or_default() += 1;
        }
        counts
    }

    /// The settings in force.
    pub fn settings(&self) -> (&DoctorSettings, &IncidentSettings) {
        (&self.doctor, &self.lifecycle.settings)
    }

    /// Puts other settings in force at `now`. Everything up to then happens under the former ones; then everything is looked at again.
    pub fn reconfigure(&mut self, doctor: DoctorSettings, incidents: IncidentSettings, now: Timestamp) -> Vec<Effect> {
        self.settle(Some(self.now.map_or(now, |at| at.max(now))));
        let now = self.now.map_or(now, |at| at.max(now));
        self.now = Some(now);
        self.doctor = doctor;
        self.lifecycle.settings = incidents;
        let symptoms: Vec<Look> = self.lifecycle.keys().map(|key| (key.object.clone(), key.check)).collect();
        self.dirty.extend(symptoms);
        for check in passive() {
            for cluster in self.view.clusters() {
                for kind in check.kinds {
                    self.touch_kind(&cluster, *kind, check.id, None);
                }
            }
        }
        self.judge(now);
        std::mem::take(&mut self.lifecycle.effects)
    }

    /// Takes over the incidents that are recorded as open, after a fold that did not begin where they did. What the fold told so far is taken
    /// as told; given are the differences.
    pub fn adopt(&mut self, recorded: &[IncidentRecord], now: Timestamp) -> Vec<Effect> {
        self.lifecycle.effects.clear();
        self.lifecycle.adopt(recorded, self.now.map_or(now, |at| at.max(now)));
        std::mem::take(&mut self.lifecycle.effects)
    }

    /// Takes in one record. What was due before it happens first. What Proreus itself did is no news to it.
    pub fn fold(&mut self, record: &Record) -> Vec<Effect> {
        if matches!(record, Record::Change(change) if change.object.group.as_str() == OWN_GROUP) {
            return Vec::new();
        }
        let at = record.recorded_at();
        let mut effects = match self.now {
            Some(now) if at > now => self.advance_before(at),
            _ => Vec::new(),
        };
        self.now = Some(self.now.map_or(at, |now| now.max(at)));
        match record {
            Record::Change(change) => {
                let former = self.view.get(&change.object).cloned();
                self.upstream.note(change, former.as_deref());
                let regarding = change.regarding.clone();
                self.touch(&change.object, regarding.as_ref());
                self.view.apply(record);
                self.touch(&change.object, regarding.as_ref());
            }
            Record::Mark(mark) => {
                self.view.apply(record);
                self.touch_scope(mark);
            }
        }
        effects.append(&mut self.lifecycle.effects);
        effects
    }

    /// Time passes up to `now`: the moment in hand is judged, and what is due by `now` happens.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        let at = self.now.map_or(now, |at| at.max(now));
        self.settle(Some(at));
        self.now = Some(at);
        std::mem::take(&mut self.lifecycle.effects)
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lifecycle.agenda.next()
    }

    /// Everything that is due before `at`: what is due at the very moment of a record may be what the record tells of.
    fn advance_before(&mut self, at: Timestamp) -> Vec<Effect> {
        self.settle(at.checked_sub(jiff::SignedDuration::from_nanos(1)).ok());
        std::mem::take(&mut self.lifecycle.effects)
    }

    fn settle(&mut self, up_to: Option<Timestamp>) {
        if let Some(now) = self.now {
            self.judge(now);
        }
        let Some(up_to) = up_to else { return };
        while let Some((moment, dues)) = self.lifecycle.agenda.pop(up_to) {
            let moment = self.now.map_or(moment, |now| now.max(moment));
            self.now = Some(moment);
            let mut keys = BTreeSet::new();
            for due in dues {
                match due {
                    Due::Symptom(key) => {
                        self.dirty.insert((key.object.clone(), key.check));
                        keys.insert(key);
                    }
                    Due::Tell(key) => {
                        self.lifecycle.touched.insert(key);
                    }
                }
            }
            self.judge_with(moment, &keys);
        }
    }

    fn judge(&mut self, now: Timestamp) {
        if !self.dirty.is_empty() {
            self.judge_with(now, &BTreeSet::new());
        }
    }

    fn judge_with(&mut self, now: Timestamp, due: &BTreeSet<SymptomKey>) {
        for (object, id) in std::mem::take(&mut self.dirty) {
            let Some(check) = by_id(id) else { continue };
            let judgement = match self.silenced_until(check, &object, now) {
                Some(until) => {
                    // Looked at again when the silence ends, whether anything moves by then or not.
                    let key = SymptomKey { object: object.clone(), check: check.id, reason: "", part: None };
                    self.lifecycle.agenda.put(until, Due::Symptom(key));
                    Some(Judgement::Off)
                }
                None => self.look(check, &object, now),
            };
            self.lifecycle.hear(check.id, &object, judgement, now);
        }
        self.lifecycle.settle(due, now);
        self.lifecycle.assign(&self.view, now);
        self.find_causes();
        self.lifecycle.announce(now);
    }

    fn silenced_until(&self, check: &Check, object: &ObjectId, now: Timestamp) -> Option<Timestamp> {
        self.doctor.silenced_until(check, self.view.get(object)?, now)
    }

    /// What a check says of an object; `None` when it is gone.
    fn look(&self, check: &Check, object: &ObjectId, now: Timestamp) -> Option<Judgement> {
        let observed = self.view.get(object)?;
        let kind = check.kinds.iter().find(|kind| **kind == KindRef::ANY || observed.is_a(**kind))?;
        Some(examine_object(&self.view, &self.doctor, now, check, *kind, observed))
    }

    fn find_causes(&mut self) {
        for key in self.lifecycle.opened.clone() {
            let Some(first) = self.lifecycle.first_seen(&key) else { continue };
            let heard = self.lifecycle.first_heard(&key).unwrap_or(first);
            let window = self.lifecycle.settings.cause_window();
            let Some(incident) = self.lifecycle.open_incident(&key).filter(|incident| incident.cause.is_none()) else { continue };
            let node = incident.findings().find_map(|finding| finding.node.clone());
            let checks: BTreeSet<&str> = incident.findings().map(|finding| finding.check).chain([incident.check]).collect();
            let before = incident.opened_at.min(first.checked_add(jiff::SignedDuration::from_secs(1)).unwrap_or(first));
            let about = About::new(&incident.owner, node.as_deref(), heard, checks.into_iter().filter_map(by_id));
            incident.cause = self.upstream.before(&self.view, &about, before, window);
        }
    }

    /// Everything that the change of an object may concern.
    fn touch(&mut self, id: &ObjectId, regarding: Option<&Uid>) {
        // Events about nodes carry the node's name in the place of its uid.
        let node = |uid: &Uid| self.view.named(&id.cluster, KindRef::NODE, &"".into(), &uid.as_str().into());
        let about = regarding.and_then(|uid| self.view.by_uid(uid).or_else(|| node(uid)));
        if let Some(about) = about.map(|object| object.id.clone()) {
            self.touch_own(&about);
        }
        self.touch_own(id);
        let owner = self.view.top_owner(id);
        let node = (id.kind.as_str() == "Node").then(|| id.name.to_string());
        for key in self.lifecycle.related(&owner, node.as_deref()) {
            self.dirty.insert((key.object, key.check));
        }
        if node.is_some() {
            // Whether a node is silent decides what its daemon sets are excused of.
            self.touch_kind(&id.cluster, KindRef::DAEMON_SET, "daemonset-unavailable", None);
        }
        for check in passive().filter(|check| check.needs.iter().chain(check.reads).any(|kind| is_of(*kind, id))) {
            for kind in check.kinds {
                self.touch_kind(&id.cluster, *kind, check.id, Some(id).filter(|id| !id.namespace.is_empty()));
            }
        }
    }

    fn touch_own(&mut self, id: &ObjectId) {
        for check in passive().filter(|check| check.kinds.iter().any(|kind| *kind == KindRef::ANY || is_of(*kind, id))) {
            self.dirty.insert((id.clone(), check.id));
        }
    }

    fn touch_kind(&mut self, cluster: &ClusterId, kind: KindRef, check: &'static str, within: Option<&ObjectId>) {
        let found: Vec<ObjectId> = match (kind == KindRef::ANY, within) {
            (true, _) => self.view.all().filter(|object| object.id.cluster == *cluster).map(|object| object.id.clone()).collect(),
            (false, None) => self.view.of_kind(cluster, kind).map(|object| object.id.clone()).collect(),
            (false, Some(id)) => {
                // What has no namespace may look into any.
                let near = self.view.in_namespace(cluster, kind, &id.namespace);
                near.chain(self.view.in_namespace(cluster, kind, &"".into())).map(|object| object.id.clone()).collect()
            }
        };
        self.dirty.extend(found.into_iter().map(|id| (id, check)));
    }

    /// A mark changes what is certain: everything of its scope is looked at again.
    fn touch_scope(&mut self, mark: &Mark) {
        if matches!(mark.kind, MarkKind::Gap | MarkKind::ConfigChanged | MarkKind::ClockStepped | MarkKind::Refused) {
            return;
        }
        let symptoms: Vec<Look> = self.lifecycle.keys().map(|key| (key.object.clone(), key.check)).collect();
        self.dirty.extend(symptoms);
        let is_meant = |kind: &KindRef| {
            let scope = &mark.scope;
            *kind == KindRef::ANY
                || scope.resource.is_empty()
                || scope.resource.as_str() == kind.resource && scope.group.as_str() == kind.group
        };
        for check in passive() {
            for kind in check.kinds.iter().filter(|kind| is_meant(kind) || check.needs.iter().chain(check.reads).any(is_meant)) {
                self.touch_kind(&mark.scope.cluster, *kind, check.id, None);
            }
        }
    }
}

fn passive() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().copied().filter(|check| check.mode == Mode::Passive)
}

fn is_of(kind: KindRef, id: &ObjectId) -> bool {
    id.kind.as_str() == kind.kind && id.group.as_str() == kind.group
}
