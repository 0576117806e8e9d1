//! What an incident is about, and how near a change is to it.
//!
//! Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proreus_model::{ObjectId, Verb};
use proreus_observe::KindRef;
use proreus_observe::document::Node;

use super::Upstream;
use super::references::refers;
use crate::check::Check;

/// What an incident is about, as far as it decides what it can come from.
pub(in crate::incidents) struct About<'a> {
    pub(super) owner: &'a ObjectId,
    node: Option<&'a str>,
    /// When it was first heard of.
    heard: Timestamp,
    /// The kinds that the checks look at which found it.
    seen: BTreeSet<KindRef>,
}

impl<'a> About<'a> {
    pub(in crate::incidents) fn new(
        owner: &'a ObjectId,
        node: Option<&'a str>,
        heard: Timestamp,
        found_by: impl IntoIterator<Item = &'static Check>,
    ) -> Self {
        let kinds = |check: &'static Check| check.kinds.iter().chain(check.needs).chain(check.reads).copied();
        Self { owner, node, heard, seen: found_by.into_iter().flat_map(kinds).collect() }
    }

    /// What an object refers to may go long after the object was last written, which is all that the object itself tells of a since.
    pub(super) fn may_be_heard_late(&self, change: &Upstream) -> bool {
        change.verb == Verb::Delete && change.at <= self.heard && change.object.kind != self.owner.kind
    }

    /// Whether it is about pods, and so about all that makes pods what they are.
    fn is_about_pods(&self) -> bool {
        const RUNNING: [KindRef; 7] = [
            KindRef::POD,
            KindRef::DEPLOYMENT,
            KindRef::REPLICA_SET,
            KindRef::STATEFUL_SET,
            KindRef::DAEMON_SET,
            KindRef::JOB,
            KindRef::CRON_JOB,
        ];
        RUNNING.iter().any(|kind| self.seen.contains(kind))
    }

    /// How near a change is: the owner itself, what it refers to, what governs its namespace, its node. `None`: it has nothing to do with
    /// it, because no check that found the incident looks at such a thing.
    pub(super) fn rank(&self, change: &Upstream, spec: Option<Node<'_>>) -> Option<u8> {
        let (object, owner) = (&change.object, self.owner);
        let (kind, name) = (object.kind.as_str(), object.name.as_str());
        if kind == owner.kind.as_str() && object.group == owner.group && name == owner.name.as_str() {
            // That something is new says little beside that something is other than before.
            return Some(u8::from(change.verb == Verb::Create) * 3);
        }
        let is_referred = || spec.is_some_and(|spec| refers(spec, kind, name));
        if self.is_about_pods() {
            match kind {
                "ConfigMap" | "Secret" | "PersistentVolumeClaim" | "ServiceAccount" => return is_referred().then_some(1),
                "ResourceQuota" | "LimitRange" | "NetworkPolicy" => return Some(2),
                "Node" => return (self.node == Some(name)).then_some(2),
                "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => return Some(4),
                _ => {}
            }
        }
        let is_seen = self.seen.iter().any(|seen| seen.kind == kind && seen.group == object.group.as_str());
        (is_seen && is_referred()).then_some(1)
    }
}
