//! What explains what: a node its pods, a registry the pulls from it, a cause its consequences.
//!
//! Pure. Invariant: the indexes hold exactly the symptoms that are there.

use jiff::{SignedDuration, Timestamp};

use super::Lifecycle;
use crate::check::Severity;
use crate::finding::{Finding, Rank};
use crate::incidents::grouping::{IncidentKey, SymptomKey, Target, is_of_node, nameless, node_object, registry_object, registry_of};

/// How much longer than its own grace a consequence waits for the grace of a cause: a workload that is down is not kept silent by a probe
/// that allows half an hour.
const CAUSE_WAIT: SignedDuration = SignedDuration::from_secs(60);

/// The reason of pods that a kubelet evicted.
const EVICTED: &str = "Evicted";

impl Lifecycle {
    /// Brings the indexes into step; `is_there` says whether the symptom comes or goes.
    pub(in crate::incidents) fn index(&mut self, key: &SymptomKey, finding: &Finding, is_there: bool) {
        self.index_explanations(key, finding, is_there);
        let owner = nameless(&finding.owner);
        let is_consequence = finding.rank == Rank::Consequence;
        if is_there {
            if is_consequence {
                self.consequences.put(owner.clone(), key.clone());
            }
            self.by_owner.put(owner, key.clone());
        } else {
            if is_consequence {
                self.consequences.take(&owner, key);
            }
            self.by_owner.take(&owner, key);
        }
        match &finding.node {
            Some(node) if is_there => self.by_node.put(node.clone(), key.clone()),
            Some(node) => _ = self.by_node.take(node, key),
            None => {}
        }
    }

    /// What may explain others.
    fn index_explanations(&mut self, key: &SymptomKey, finding: &Finding, is_there: bool) {
        let place = |name: &str| (finding.object.cluster.clone(), name.to_owned());
        if is_of_node(finding) {
            let node = place(finding.object.name.as_str());
            if is_there {
                self.node_troubles.put(node, key.clone());
            } else {
                self.node_troubles.take(&node, key);
            }
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

    /// The symptom, if it is there at the moment, and whether it is due. One that is told only when somebody looks again explains nothing, and
    /// one that may still go by itself is not due yet.
    fn present(&self, key: &SymptomKey, now: Timestamp) -> Option<(&Finding, bool)> {
        let symptom = self.symptoms.get(key).filter(|symptom| symptom.clean_since.is_none())?;
        let is_told = symptom.incident.is_some();
        if symptom.finding.is_stale && !is_told {
            return None;
        }
        let recovers = symptom.recovers_until.is_some_and(|until| until > now);
        Some((&symptom.finding, is_told || (symptom.is_due(now) && !recovers)))
    }

    /// Which incident a symptom belongs to: its own, or that of what explains it.
    pub(super) fn target(&self, finding: &Finding, now: Timestamp) -> Target {
        let cluster = &finding.object.cluster;
        if let Some(node) = finding.node.as_ref().filter(|_| finding.object.kind.as_str() != "Node") {
            let place = (cluster.clone(), node.clone());
            let present: Vec<(&Finding, bool)> = self.node_troubles.of(&place).filter_map(|key| self.present(key, now)).collect();
            match present.iter().find(|(_, is_due)| *is_due) {
                Some((trouble, _)) => return Target::of(&trouble.owner, trouble.reason),
                None if !present.is_empty() => return Target::Wait,
                None => {}
            }
            // A kubelet that runs out of something evicts pods of many.
            if finding.reason == EVICTED {
                return Target::of(&node_object(cluster, node), EVICTED);
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
        let by_kin = match finding.rank {
            Rank::Consequence => self.cause_of(finding, now).or_else(|| self.standing_consequence_of(finding, now)),
            Rank::Cause => self.standing_consequence_of(finding, now),
        };
        by_kin.unwrap_or_else(|| Target::of(&finding.owner, finding.reason))
    }

    /// Where the cause of a consequence is, if it has one: what wakes nobody does not explain what does.
    fn cause_of(&self, finding: &Finding, now: Timestamp) -> Option<Target> {
        let owner = nameless(&finding.owner);
        let others = self.by_owner.of(&owner).filter_map(|key| Some((key, self.present(key, now)?)));
        let mut causes =
            others.filter(|(_, (other, _))| other.rank == Rank::Cause && other.severity > Severity::Info.min(finding.severity));
        let latest = finding.due().checked_add(CAUSE_WAIT).unwrap_or(Timestamp::MAX);
        let mut is_pending = false;
        let due = causes.find(|(_, (other, is_due))| {
            is_pending |= !is_due && other.due() <= latest;
            *is_due
        });
        match due {
            // Where the cause went, the consequence goes: a node or a registry may explain both.
            Some((key, (cause, _))) => {
                let joined = self.symptoms.get(key).and_then(|symptom| symptom.incident.clone());
                let open = joined.and_then(|joined| Some((joined.clone(), self.open.get(&joined)?.owner.clone())));
                Some(match open {
                    Some((joined, owner)) => Target::Incident(joined, Box::new(owner)),
                    None => Target::of(&cause.owner, cause.reason),
                })
            }
            None => is_pending.then_some(Target::Wait),
        }
    }

    /// Where another consequence of the same owner is told of already: what comes later, be it the cause, is a part of that trouble.
    fn standing_consequence_of(&self, finding: &Finding, now: Timestamp) -> Option<Target> {
        if finding.severity == Severity::Info {
            return None;
        }
        let owner = nameless(&finding.owner);
        self.consequences.of(&owner).find_map(|key| {
            let (other, _) = self.present(key, now)?;
            let joined = self.symptoms.get(key)?.incident.as_ref()?;
            let stands_alone = *joined == IncidentKey::new(&other.owner, other.reason) && other.severity >= finding.severity;
            stands_alone.then(|| Target::of(&other.owner, other.reason))
        })
    }
}
