//! The keys of symptoms and incidents, and what a finding can be a part of.
//!
//! Pure.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{ClusterId, ObjectId, Uid};
use serde::{Deserialize, Serialize, Serializer};

use super::words::{self, Word};
use crate::check::Severity;
use crate::finding::Finding;

/// Classes of image pull failures that are the registry's and not the image's.
const REGISTRY_CLASSES: [&str; 5] = ["Network", "Dns", "Tls", "HttpMismatch", "RateLimit"];

/// Classes that a registry gives only when it answers: they are about the image.
const IMAGE_CLASSES: [&str; 4] = ["NotFound", "Auth", "Platform", "Signature"];

/// The reason of the digest of a storm.
pub(super) const DIGEST: &str = "IncidentStorm";

/// What makes a symptom the same one over time. Shared by all who hold it: every index of a symptom, and what is due of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "SymptomName")]
pub(super) struct SymptomKey(Arc<SymptomName>);

/// What a symptom is named by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct SymptomName {
    pub(super) object: ObjectId,
    #[serde(with = "words")]
    pub(super) check: Word,
    #[serde(with = "words")]
    pub(super) reason: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<String>,
}

impl SymptomKey {
    pub(super) fn of(finding: &Finding) -> Self {
        SymptomName { object: finding.object.clone(), check: finding.check, reason: finding.reason, part: finding.part.clone() }.into()
    }

    /// Not after any symptom that a check sees on an object, and after all of those before it.
    pub(super) fn first_of(check: Word, object: &ObjectId) -> Self {
        SymptomName { object: object.clone(), check, reason: "", part: None }.into()
    }
}

impl From<SymptomName> for SymptomKey {
    fn from(name: SymptomName) -> Self {
        Self(Arc::new(name))
    }
}

impl Deref for SymptomKey {
    type Target = SymptomName;

    fn deref(&self) -> &SymptomName {
        &self.0
    }
}

impl Serialize for SymptomKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// What makes an incident the same one over time: an owner by its name, so that one that is made anew goes on, and a reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct IncidentKey {
    pub(super) owner: ObjectId,
    #[serde(with = "words")]
    pub(super) reason: Word,
}

impl IncidentKey {
    pub(super) fn new(owner: &ObjectId, reason: &'static str) -> Self {
        Self { owner: nameless(owner), reason }
    }

    /// Whether it is the digest of a storm.
    pub(super) fn is_digest(&self) -> bool {
        self.reason == DIGEST
    }

    /// Whether its owner is a node or a registry; other groups have kinds of these names.
    pub(super) fn is_of_place(&self, kind: &str) -> bool {
        self.owner.group.is_empty() && self.owner.kind.as_str() == kind
    }

    /// Whether others than its own findings may belong to it.
    pub(super) fn is_group(&self) -> bool {
        self.is_of_place("Node") || self.is_of_place("Registry")
    }

    /// Follows from the key and the moment, so that a replay gives the same.
    pub(super) fn id(&self, at: Timestamp) -> String {
        let owner = &self.owner;
        let words =
            [owner.cluster.as_str(), owner.group.as_str(), owner.kind.as_str(), owner.namespace.as_str(), owner.name.as_str(), self.reason];
        let moment = at.as_nanosecond().to_string();
        let bytes: Vec<u8> = words.iter().copied().chain([moment.as_str()]).flat_map(|word| word.bytes().chain([0])).collect();
        format!("inc-{:016x}", fnv(&bytes))
    }
}

/// FNV-1a, 64 bits: stable across runs and machines.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Where a symptom goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Into this incident.
    Incident(IncidentKey, Box<ObjectId>),
    /// Nowhere yet: what would explain it is still within its grace.
    Wait,
}

impl Target {
    pub(super) fn of(owner: &ObjectId, reason: &'static str) -> Self {
        Self::Incident(IncidentKey::new(owner, reason), Box::new(owner.clone()))
    }
}

/// Whether a finding is a trouble of a node that explains the troubles of its pods.
pub(super) fn is_of_node(finding: &Finding) -> bool {
    finding.object.group.is_empty() && finding.object.kind.as_str() == "Node" && finding.severity == Severity::Critical
}

/// The registry that a finding blames.
pub(super) fn registry_of(finding: &Finding) -> Option<&str> {
    finding.registry.as_deref().filter(|_| finding.class.is_some_and(|class| REGISTRY_CLASSES.contains(&class)))
}

/// Whether a finding blames an image, which the registry has been asked for.
pub(super) fn is_of_image(finding: &Finding) -> bool {
    finding.class.is_some_and(|class| IMAGE_CLASSES.contains(&class))
}

/// An owner whatever its incarnation.
pub(super) fn nameless(owner: &ObjectId) -> ObjectId {
    ObjectId { uid: Uid::default(), ..owner.clone() }
}

/// A registry as the owner of an incident: it is no object of a cluster, and has no uid.
pub(super) fn registry_object(cluster: &ClusterId, host: &str) -> ObjectId {
    thing(cluster, "Registry", host)
}

/// A node as the owner of what its kubelet did to pods, whether the node is known or not.
pub(super) fn node_object(cluster: &ClusterId, name: &str) -> ObjectId {
    thing(cluster, "Node", name)
}

/// The cluster as the owner of a digest.
pub(super) fn cluster_object(cluster: &ClusterId) -> ObjectId {
    thing(cluster, "Cluster", cluster.as_str())
}

fn thing(cluster: &ClusterId, kind: &str, name: &str) -> ObjectId {
    ObjectId { cluster: cluster.clone(), group: "".into(), kind: kind.into(), namespace: "".into(), name: name.into(), uid: Uid::default() }
}
