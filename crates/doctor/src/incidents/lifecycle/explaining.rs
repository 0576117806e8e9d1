//! What explains what: a node its pods, a registry the pulls from it, a cause its consequences.
//!
//! Pure. Invariant: the indexes hold exactly the symptoms that are there.

use jiff::Timestamp;

use super::Lifecycle;
use crate::finding::{Finding, Rank};
use crate::incidents::grouping::{SymptomKey, Target, is_of_node, nameless, registry_object, registry_of};

impl Lifecycle {
    /// Brings the indexes into step; `is_there` says whether the symptom comes or goes.
    pub(in crate::incidents) fn index(&mut self, key: &SymptomKey, finding: &Finding, is_there: bool) {
        self.index_explanations(key, finding, is_there);
        let owner = nameless(&finding.owner);
        if is_there {
            self.by_owner.put(owner, key.clone());
        } else {
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

    /// The symptom, if it is there at the moment, and whether it is due.
    fn present(&self, key: &SymptomKey, now: Timestamp) -> Option<(&Finding, bool)> {
        let symptom = self.symptoms.get(key).filter(|symptom| symptom.clean_since.is_none())?;
        Some((&symptom.finding, symptom.is_due(now)))
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
            let owner = nameless(&finding.owner);
            let others = self.by_owner.of(&owner);
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
}
