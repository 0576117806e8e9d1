//! For how long a symptom is a part of an incident, and how incidents end.
//!
//! Pure. Invariant: an open incident is borne by a symptom of its own, of its reason and its owner; when the last of them is over, what it
//! explained besides stands for itself again. A digest is borne by whatever is in it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Lifecycle, RESOLVED_LIMIT};
use crate::finding::Finding;
use crate::incidents::grouping::{IncidentKey, SymptomKey, Target, is_of_image, is_of_node, registry_of};
use crate::incidents::incident::{Effect, IncidentState};
use crate::incidents::record::IncidentRecord;

/// Whether what a finding says by now takes it out of its incident: the registry answers, and what it says is about the image.
pub(super) fn is_no_part_of(finding: &Finding, incident: &IncidentKey) -> bool {
    incident.is_of_place("Registry") && registry_of(finding).is_none() && is_of_image(finding)
}

impl Lifecycle {
    pub(super) fn remove(&mut self, key: &SymptomKey, now: Timestamp) {
        self.ready.remove(key);
        self.blocked.remove(key);
        let Some(symptom) = self.symptoms.remove(key) else { return };
        self.index(key, &symptom.finding, false);
        let Some(of) = symptom.incident else { return };
        if self.count_out(&of) == 0 {
            // What it consisted of last stays in it, to be read.
            self.resolve(&of, None, now);
        } else if !self.is_borne(&of) {
            self.release(&of, (key, &symptom.finding), now);
        } else {
            self.leave(&of, key);
        }
    }

    /// Takes a finding out of an incident that goes on.
    fn leave(&mut self, of: &IncidentKey, key: &SymptomKey) {
        let Some(incident) = self.open.get_mut(of) else { return };
        if incident.findings.remove(key).is_none() {
            incident.uncounted = incident.uncounted.saturating_sub(1);
        }
        incident.retell();
        self.touched.insert(of.clone());
    }

    /// Takes a symptom that goes on out of its incident; it becomes a part of another at the end of the moment.
    pub(super) fn part(&mut self, key: &SymptomKey, now: Timestamp) {
        let Some(symptom) = self.symptoms.get_mut(key) else { return };
        let (Some(of), finding) = (symptom.incident.take(), symptom.finding.clone()) else { return };
        self.ready.insert(key.clone());
        if self.count_out(&of) == 0 {
            self.resolve(&of, None, now);
        } else if !self.is_borne(&of) {
            self.release(&of, (key, &finding), now);
        } else {
            self.leave(&of, key);
        }
    }

    /// Whether an incident still has a symptom of its own; one whose hold-down runs is one.
    fn is_borne(&self, of: &IncidentKey) -> bool {
        let place = || (of.owner.cluster.clone(), of.owner.name.to_string());
        let is_of = |key: &SymptomKey| self.symptoms.get(key).is_some_and(|symptom| symptom.incident.as_ref() == Some(of));
        let is_own = |key: &SymptomKey| key.reason == of.reason && is_of(key);
        match () {
            () if of.is_digest() => true,
            () if of.is_of_place("Registry") => self.pulls.get(&place()).into_iter().flat_map(BTreeMap::values).flatten().any(is_of),
            () if of.is_of_place("Node") => self.by_owner.of(&of.owner).any(is_own) || self.by_node.of(&place().1).any(is_own),
            () => self.by_owner.of(&of.owner).any(is_own),
        }
    }

    /// Ends an incident that nothing bears any more; `last` is what did, and stays in it, to be read. What else was in it is on its own again.
    fn release(&mut self, of: &IncidentKey, (last, finding): (&SymptomKey, &Finding), now: Timestamp) {
        let rest = self.symptoms.iter().filter(|(_, symptom)| symptom.incident.as_ref() == Some(of));
        let rest: Vec<(SymptomKey, bool)> = rest.map(|(key, symptom)| (key.clone(), symptom.clean_since.is_some())).collect();
        if let Some(incident) = self.open.get_mut(of) {
            incident.findings.retain(|key, _| key == last);
            incident.findings.entry(last.clone()).or_insert_with(|| finding.clone());
            incident.uncounted = 0;
            incident.retell();
        }
        self.members.remove(of);
        self.resolve(of, None, now);
        for (key, is_clean) in rest {
            if let Some(symptom) = self.symptoms.get_mut(&key) {
                symptom.incident = None;
            }
            if is_clean {
                self.remove(&key, now);
            } else {
                self.ready.insert(key);
            }
        }
    }

    /// Gives what happened on a node that came back the time to recover with it, when the symptom was the node's trouble.
    pub(super) fn note_return(&mut self, key: &SymptomKey, now: Timestamp) {
        let is_news = self.symptoms.get(key).is_some_and(|symptom| symptom.clean_since.is_none() && is_of_node(&symptom.finding));
        if !is_news {
            return;
        }
        let until = now.checked_add(self.settings.hold_down(0)).unwrap_or(Timestamp::MAX);
        let on_node: Vec<SymptomKey> = self.by_node.of(&key.object.name.to_string()).cloned().collect();
        let is_for = |on: &SymptomKey| on.object.cluster == key.object.cluster && on.object.kind.as_str() != "Node";
        for key in on_node.into_iter().filter(is_for) {
            if let Some(symptom) = self.symptoms.get_mut(&key).filter(|symptom| symptom.incident.is_none()) {
                // Once: a node that comes and goes must not keep its pods silent.
                symptom.recovers_until.get_or_insert(until);
            }
        }
    }

    pub(in crate::incidents) fn count_in(&mut self, incident: &IncidentKey) {
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

    /// Incidents whose every symptom belongs to a group that has just opened become part of it.
    pub(super) fn absorb(&mut self, group: &IncidentKey, now: Timestamp) {
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
}
