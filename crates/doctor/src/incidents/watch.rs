//! The doctor that watches: folds records, looks again at what they may concern, and keeps the incidents.
//!
//! Pure. Records of one moment are folded together before anything is judged, so that their order within the moment decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{ClusterId, Mark, MarkKind, ObjectId, Record, Uid};
use proreus_observe::{KindRef, Observed, Snapshot};

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
    pub(super) dirty: Looks,
    pub(super) now: Option<Timestamp>,
}

/// Looks of checks at objects: after a list every check looks at every object, so the object is held once.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks(BTreeMap<ObjectId, Vec<&'static str>>);

impl Looks {
    /// Adds the look of a check at an object.
    pub(super) fn insert(&mut self, object: &ObjectId, check: &'static str) {
        let checks = match self.0.get_mut(object) {
            Some(checks) => checks,
            None => self.0.entry(object.clone()).or_default(),
        };
        if let Err(place) = checks.binary_search(&check) {
            checks.insert(place, check);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every look, by object and check.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ObjectId, &'static str)> {
        self.0.iter().flat_map(|(object, checks)| checks.iter().map(move |check| (object, *check)))
    }
}

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
        for key in self.lifecycle.keys() {
            self.dirty.insert(&key.object, key.check);
        }
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
                        self.dirty.insert(&key.object, key.check);
                        keys.insert(key);
                    }
                    Due::Tell(key) => {
                        self.lifecycle.touched.insert(*key);
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
        for (object, id) in std::mem::take(&mut self.dirty).iter() {
            let Some(check) = by_id(id) else { continue };
            let judgement = match self.silenced_until(check, object, now) {
                Some(until) => {
                    // Looked at again when the silence ends, whether anything moves by then or not.
                    let key = SymptomKey::first_of(check.id, object);
                    self.lifecycle.agenda.put(until, Due::Symptom(key));
                    Some(Judgement::Off)
                }
                None => self.look(check, object, now),
            };
            self.lifecycle.hear(check.id, object, judgement, now);
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
            let before = incident.opened_at.min(first.checked_add(jiff::SignedDuration::from_secs(1)).unwrap_or(first));
            let cause = self.upstream.before(&About::new(&self.view, incident, heard), before, window);
            incident.cause = cause;
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
            self.dirty.insert(&key.object, key.check);
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
            self.dirty.insert(id, check.id);
        }
    }

    fn touch_kind(&mut self, cluster: &ClusterId, kind: KindRef, check: &'static str, within: Option<&ObjectId>) {
        let (view, dirty) = (&self.view, &mut self.dirty);
        let mut found = |object: &Arc<Observed>| dirty.insert(&object.id, check);
        match (kind == KindRef::ANY, within) {
            (true, _) => view.all().filter(|object| object.id.cluster == *cluster).for_each(&mut found),
            (false, None) => view.of_kind(cluster, kind).for_each(&mut found),
            (false, Some(id)) => {
                view.in_namespace(cluster, kind, &id.namespace).for_each(&mut found);
                // What has no namespace may look into any.
                view.in_namespace(cluster, kind, &"".into()).for_each(&mut found);
            }
        }
    }

    /// A mark changes what is certain: everything of its scope is looked at again.
    fn touch_scope(&mut self, mark: &Mark) {
        if matches!(mark.kind, MarkKind::Gap | MarkKind::ConfigChanged | MarkKind::ClockStepped | MarkKind::Refused) {
            return;
        }
        for key in self.lifecycle.keys() {
            self.dirty.insert(&key.object, key.check);
        }
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
