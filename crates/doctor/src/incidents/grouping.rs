//! Which incident a symptom belongs to: its own, that of a cause with the same owner, that of its node, of its registry, or a digest.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proreus_model::{ClusterId, ObjectId, Uid};

use super::lifecycle::Symptom;
use crate::finding::{Finding, Rank};

/// Classes of image pull failures that are the registry's and not the image's.
const REGISTRY_CLASSES: [&str; 5] = ["Network", "Dns", "Tls", "HttpMismatch", "RateLimit"];

/// What makes a symptom the same one over time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SymptomKey {
    pub(super) object: ObjectId,
    pub(super) check: &'static str,
    pub(super) reason: &'static str,
    pub(super) part: Option<String>,
}

impl SymptomKey {
    pub(super) fn of(finding: &Finding) -> Self {
        Self { object: finding.object.clone(), check: finding.check, reason: finding.reason, part: finding.part.clone() }
    }
}

/// What makes an incident the same one over time: an owner by its name, so that one that is made anew goes on, and a reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IncidentKey {
    owner: ObjectId,
    pub(super) reason: &'static str,
}

impl IncidentKey {
    pub(super) fn new(owner: &ObjectId, reason: &'static str) -> Self {
        Self { owner: ObjectId { uid: Uid::default(), ..owner.clone() }, reason }
    }

    /// Follows from the key and the moment, so that a replay gives the same.
    pub(super) fn id(&self, at: Timestamp) -> String {
        let owner = &self.owner;
        let words =
            [owner.cluster.as_str(), owner.group.as_str(), owner.kind.as_str(), owner.namespace.as_str(), owner.name.as_str(), self.reason];
        let moment = at.as_nanosecond().to_string();
        let bytes = words.iter().copied().chain([moment.as_str()]).flat_map(|word| word.bytes().chain([0]));
        // FNV-1a, 64 bits: stable across runs and machines.
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        format!("inc-{hash:016x}")
    }
}

/// Where a symptom goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Into this incident.
    Incident(IncidentKey, Box<ObjectId>),
    /// Nowhere yet: what would explain it is still within its grace.
    Wait,
}

/// Symptoms that explain others.
#[derive(Debug, Default)]
pub(super) struct Explanations {
    /// The causes by owner (without its uid).
    causes: BTreeMap<ObjectId, Vec<(SymptomKey, bool)>>,
    /// The troubles of nodes, by cluster and name.
    nodes: BTreeMap<(ClusterId, String), (ObjectId, &'static str, bool)>,
    /// Registries that several owners cannot pull from.
    registries: BTreeSet<(ClusterId, String)>,
}

impl Explanations {
    /// From every symptom that is there at a moment.
    pub(super) fn of<'a>(symptoms: impl Iterator<Item = (&'a SymptomKey, &'a Symptom)>, now: Timestamp, registry_owners: u32) -> Self {
        let mut found = Self::default();
        let mut pulling: BTreeMap<(ClusterId, String), BTreeSet<ObjectId>> = BTreeMap::new();
        for (key, symptom) in symptoms.filter(|(_, symptom)| symptom.clean_since.is_none()) {
            let (finding, is_due) = (&symptom.finding, symptom.is_due(now));
            let cluster = finding.object.cluster.clone();
            if finding.rank == Rank::Cause {
                found.causes.entry(nameless(&finding.owner)).or_default().push((key.clone(), is_due));
            }
            if finding.object.kind.as_str() == "Node" && finding.severity == crate::Severity::Critical {
                let place = (cluster.clone(), finding.object.name.to_string());
                let known = found.nodes.entry(place).or_insert_with(|| (finding.object.clone(), finding.reason, is_due));
                if is_due && !known.2 {
                    *known = (finding.object.clone(), finding.reason, is_due);
                }
            }
            if let Some(registry) =
                finding.registry.as_ref().filter(|_| is_due && finding.class.is_some_and(|class| REGISTRY_CLASSES.contains(&class)))
            {
                pulling.entry((cluster, registry.clone())).or_default().insert(nameless(&finding.owner));
            }
        }
        let enough = usize::try_from(registry_owners).unwrap_or(usize::MAX).max(1);
        found.registries = pulling.into_iter().filter(|(_, owners)| owners.len() >= enough).map(|(place, _)| place).collect();
        found
    }

    /// Where a symptom goes.
    pub(super) fn target(&self, finding: &Finding) -> Target {
        let cluster = &finding.object.cluster;
        let into = |owner: &ObjectId, reason: &'static str| Target::Incident(IncidentKey::new(owner, reason), Box::new(owner.clone()));
        if let Some(node) = finding.node.as_ref().filter(|_| finding.object.kind.as_str() != "Node")
            && let Some((node, reason, is_due)) = self.nodes.get(&(cluster.clone(), node.clone()))
        {
            return if *is_due { into(node, reason) } else { Target::Wait };
        }
        if let Some(registry) = &finding.registry
            && finding.class.is_some_and(|class| REGISTRY_CLASSES.contains(&class))
            && self.registries.contains(&(cluster.clone(), registry.clone()))
        {
            return into(&registry_object(cluster, registry), "RegistryUnreachable");
        }
        if finding.rank == Rank::Consequence {
            let causes = self.causes.get(&nameless(&finding.owner)).map_or(&[][..], Vec::as_slice);
            match causes.iter().find(|(_, is_due)| *is_due) {
                // Not through the cause's own target: a cause that a node explains has said so itself, and so has this one.
                Some((cause, _)) => return into(&finding.owner, cause.reason),
                None if !causes.is_empty() => return Target::Wait,
                None => {}
            }
        }
        into(&finding.owner, finding.reason)
    }
}

fn nameless(owner: &ObjectId) -> ObjectId {
    ObjectId { uid: Uid::default(), ..owner.clone() }
}

/// A registry as the owner of an incident: it is no object of a cluster, and has no uid.
fn registry_object(cluster: &ClusterId, host: &str) -> ObjectId {
    thing(cluster, "Registry", host)
}

/// The cluster as the owner of a digest.
pub(super) fn cluster_object(cluster: &ClusterId) -> ObjectId {
    thing(cluster, "Cluster", cluster.as_str())
}

fn thing(cluster: &ClusterId, kind: &str, name: &str) -> ObjectId {
    ObjectId { cluster: cluster.clone(), group: "".into(), kind: kind.into(), namespace: "".into(), name: name.into(), uid: Uid::default() }
}
