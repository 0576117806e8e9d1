//! What an incident is about, and how near a change is to it.
//!
//! Pure. An incident hangs on the objects that it was found on and on whatever owns them, on what their pods refer to, and on what governs
//! these pods. What goes wrong decides which of it can be the cause: no policy of the network keeps an image from being pulled.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proreus_model::{FieldChange, Namespace, ObjectId, Verb};
use proreus_observe::document::{Fields, Node};
use proreus_observe::{Document, KindRef, Observed, Selector, Snapshot};
use serde_json::Value;

use super::Upstream;
use super::references::{Reference, elsewhere, refers, template};
use super::trouble::Trouble;
use super::wanted::{REPLICAS, is_bookkeeping};
use crate::checks::by_id;
use crate::incidents::incident::Incident;

/// Findings of one incident that are followed to what they hang on; a storm has hundreds that hang on the same.
const FOLLOWED_LIMIT: usize = 16;
/// Owners above an object: a pod, its replica set, a deployment, and a resource or two on top.
const OWNERS_LIMIT: usize = 8;
/// Namespaces that a specification names: most name one or none.
const PLACES_LIMIT: usize = 8;
/// Services that an object is or calls: a webhook configuration calls one or two.
const SERVICES_LIMIT: usize = 16;
/// What a resource hangs on though no check of it looks there: the kind of the resource, and the kind that it refers to.
const BEYOND: [(&str, KindRef); 6] = [
    ("APIService", KindRef::SERVICE),
    ("HorizontalPodAutoscaler", KindRef::DEPLOYMENT),
    ("HorizontalPodAutoscaler", KindRef::STATEFUL_SET),
    ("HelmRelease", KindRef::CONFIG_MAP),
    ("HelmRelease", KindRef::SECRET),
    ("Kustomization", KindRef::CONFIG_MAP),
];
/// Where a workload has the labels of its pods.
const TEMPLATE_LABELS: &str = "/spec/template/metadata/labels";

/// How near a change is. What stands nearer is the likelier cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nearness {
    /// The thing itself became other, or something above it.
    Own,
    /// Something that it refers to.
    Referred,
    /// Something that governs it.
    Governing,
    /// The thing itself, but only how many there are of it, or that it was restarted.
    Beside,
    /// Something is new, which says little beside that something is other than before.
    New,
}

/// What an incident is about, as far as it decides what it can come from.
pub(in crate::incidents) struct About<'a> {
    view: &'a Snapshot,
    pub(super) owner: &'a ObjectId,
    /// The objects it was found on and all that own them, each with how far above it stands.
    chain: Vec<(usize, ObjectId)>,
    /// What describes its pods, or the thing itself.
    specs: Vec<Node<'a>>,
    /// The labels of its pods.
    labels: Vec<Fields<'a>>,
    /// The pods that answer for it, by namespace: where nobody does, what took them away is the cause.
    answering: Vec<(&'a Namespace, Selector)>,
    node: Option<&'a str>,
    /// When it was first heard of.
    heard: Timestamp,
    trouble: Trouble<'a>,
    /// The kinds that the checks look at which found it.
    seen: BTreeSet<KindRef>,
}

impl<'a> About<'a> {
    pub(in crate::incidents) fn new(view: &'a Snapshot, incident: &'a Incident, heard: Timestamp) -> Self {
        let checks: BTreeSet<&str> = incident.findings().map(|finding| finding.check).chain([incident.check]).collect();
        let seen = checks.into_iter().filter_map(by_id).flat_map(|check| check.kinds.iter().chain(check.needs).chain(check.reads).copied());
        let mut about = Self {
            view,
            owner: &incident.owner,
            chain: vec![(0, incident.owner.clone())],
            specs: Vec::new(),
            labels: Vec::new(),
            answering: Vec::new(),
            node: incident.findings().find_map(|finding| finding.node.as_deref()),
            heard,
            trouble: Trouble::of(incident),
            seen: seen.collect(),
        };
        // What a group takes in, a node its pods, has owners that are not the group's.
        for finding in incident.findings().filter(|finding| finding.reason == incident.reason).take(FOLLOWED_LIMIT) {
            about.climb(&finding.object);
        }
        about.descend();
        about.describe();
        if about.calls() {
            about.answering = about.services().into_iter().filter_map(answering).collect();
        }
        about
    }

    /// The namespaces in which something can be that it hangs on, and the cluster.
    pub(super) fn places(&self) -> BTreeSet<&'a str> {
        let mut named = BTreeSet::new();
        self.specs.iter().for_each(|spec| elsewhere(*spec, &mut named));
        named.into_iter().take(PLACES_LIMIT).chain([self.owner.namespace.as_str(), ""]).collect()
    }

    /// Whether it is wrong with it that nobody answers.
    fn calls(&self) -> bool {
        self.seen.contains(&KindRef::ENDPOINT_SLICE) || self.owner.kind.as_str() == "APIService"
    }

    /// The services that it is, or that it calls.
    fn services(&self) -> Vec<&'a Observed> {
        let view = self.view;
        let own = self.chain.iter().filter_map(|(_, id)| view.get(id)).filter(|object| object.is_a(KindRef::SERVICE));
        let mut found: Vec<&'a Observed> = own.map(AsRef::as_ref).collect();
        for place in self.places() {
            let place: Namespace = place.into();
            let near = view.in_namespace(&self.owner.cluster, KindRef::SERVICE, &place);
            found.extend(near.filter(|service| self.refers(&service.id)).map(AsRef::as_ref));
        }
        found.truncate(SERVICES_LIMIT);
        found
    }

    /// Where nothing was found on what it is made of, takes that in: a resource that is not ready tells nothing of its workloads.
    fn descend(&mut self) {
        let view = self.view;
        let has_pods = |id: &ObjectId| view.get(id).is_some_and(|object| object.is_a(KindRef::POD) || template(object.body()).is_some());
        if self.chain.iter().any(|(_, id)| has_pods(id)) {
            return;
        }
        let workloads = view.children(&self.owner.uid).filter(|child| child.id.cluster == self.owner.cluster && has_pods(&child.id));
        let workloads: Vec<&ObjectId> = workloads.map(|child| &child.id).take(FOLLOWED_LIMIT).collect();
        workloads.into_iter().for_each(|workload| self.climb(workload));
    }

    /// Takes in an object and all that own it.
    fn climb(&mut self, from: &ObjectId) {
        let mut here = from.clone();
        for level in 0..OWNERS_LIMIT {
            match self.chain.iter_mut().find(|(_, known)| is_same(known, &here)) {
                Some((known, _)) => *known = level.max(*known),
                None => self.chain.push((level, here.clone())),
            }
            // Static pods are owned by their node, which is not what they are a part of.
            let above = self.view.get(&here).and_then(|object| object.controller()).filter(|owner| owner.kind.as_str() != "Node");
            let Some(above) = above else { return };
            let known = self.view.by_uid(&above.uid).filter(|known| known.id.cluster == here.cluster);
            here = known.map_or_else(|| above.as_object(&here), |known| known.id.clone());
        }
    }

    /// Reads what describes its pods, from whatever on the chain does; the thing itself where nothing does.
    fn describe(&mut self) {
        let view = self.view;
        let known: Vec<&'a Observed> = self.chain.iter().filter_map(|(_, id)| view.get(id)).map(AsRef::as_ref).collect();
        for object in known {
            let described = match object.is_a(KindRef::POD) {
                // What a service account or a webhook added stands only here.
                true => object.body().get("spec").map(|spec| (spec, object.labels())),
                false => template(object.body())
                    .and_then(|template| Some((template.get("spec")?, template.pointer("/metadata/labels").and_then(Node::as_object)))),
            };
            if let Some((spec, labels)) = described {
                self.specs.push(spec);
                self.labels.extend(labels);
            }
        }
        let own = view.get(self.owner).map(|owner| owner.body()).filter(|body| template(*body).is_none());
        self.specs.extend(own.map(|body| body.get("spec").unwrap_or(body)));
    }

    /// What an object refers to may go long after the object was last written, which is all that the object itself tells of a since.
    pub(super) fn may_be_heard_late(&self, change: &Upstream) -> bool {
        change.verb == Verb::Delete && change.at <= self.heard && change.object.kind != self.owner.kind
    }

    /// How far above what it was found on the object stands; `None`: it is not above it.
    pub(super) fn level(&self, object: &ObjectId) -> Option<usize> {
        self.chain.iter().find(|(_, known)| is_same(known, object)).map(|(level, _)| *level)
    }

    /// How near a change is. `None`: it has nothing to do with it, or could not bring about what went wrong.
    pub(super) fn rank(&self, change: &Upstream) -> Option<Nearness> {
        let own = self.level(&change.object).and_then(|_| self.rank_own(change));
        // The workload that took the pods away may be the owner itself.
        if let Some(nearness) = own.into_iter().chain(self.rank_of_answering(change)).min() {
            return Some(nearness);
        }
        if self.level(&change.object).is_some() {
            return None;
        }
        if self.is_about_pods()
            && let Some(judged) = self.rank_of_pods(change)
        {
            return judged;
        }
        (self.looks_at(&change.object) && self.refers(&change.object) && !self.is_only_counted(change))
            .then(|| or_new(change, Nearness::Referred))
    }

    /// Whether a thing of this kind counts: a check that found the incident looks at it, or the owner hangs on it whether or not one does.
    fn looks_at(&self, object: &ObjectId) -> bool {
        let is_kind = |kind: &KindRef| kind.kind == object.kind.as_str() && kind.group == object.group.as_str();
        let is_beyond = |(owner, kind): &(&str, KindRef)| *owner == self.owner.kind.as_str() && is_kind(kind);
        self.seen.iter().any(is_kind) || BEYOND.iter().any(is_beyond)
    }

    /// Whether a workload became more or fewer pods and nothing else, which is what an autoscaler does.
    fn is_only_counted(&self, change: &Upstream) -> bool {
        let is_of_pods = |field: &FieldChange| field.path.starts_with("spec.template") && !is_bookkeeping(field);
        change.object.group.as_str() == "apps" && change.verb == Verb::Update && !change.changed.iter().any(is_of_pods)
    }

    fn rank_own(&self, change: &Upstream) -> Option<Nearness> {
        let makes_pods = self.view.get(&change.object).is_some_and(|object| template(object.body()).is_some());
        let is_telling = |path: &str| !self.is_about_pods() || self.trouble.is_told_by(makes_pods, path);
        match change.verb {
            // What stands between was made by its controller: every run of a cron job has a job of its own.
            Verb::Create => is_same(&change.object, self.owner).then_some(Nearness::New),
            Verb::Delete => Some(Nearness::Own),
            Verb::Update if change.changed.iter().any(|field| !is_bookkeeping(field) && is_telling(&field.path)) => Some(Nearness::Own),
            Verb::Update => Some(Nearness::Beside),
        }
    }

    /// Of a workload whose pods answered: that they went, or that they became other.
    fn rank_of_answering(&self, change: &Upstream) -> Option<Nearness> {
        let object = &change.object;
        if object.group.as_str() != "apps" || change.verb == Verb::Create {
            return None;
        }
        let before = change.whom.as_ref().map(Document::of);
        let now = self.view.get(object).and_then(|object| object.body().pointer(TEMPLATE_LABELS)).and_then(Node::as_object);
        let labels = before.as_ref().and_then(|before| before.root().as_object()).or(now);
        let mut near = self.answering.iter().filter(|(namespace, _)| **namespace == object.namespace);
        let (_, selector) = near.find(|(_, selector)| selector.matches(labels))?;
        let is_none = |field: &FieldChange| field.path == REPLICAS && field.after.as_ref().and_then(Value::as_i64) == Some(0);
        // What was scaled to zero may have been scaled up again.
        let are_none = || self.view.get(object).is_none_or(|workload| workload.int("/spec/replicas").is_ok_and(|number| number == Some(0)));
        if change.verb == Verb::Delete || !selector.matches(now) || (change.changed.iter().any(is_none) && are_none()) {
            return Some(Nearness::Own);
        }
        (!self.is_only_counted(change)).then_some(Nearness::Referred)
    }

    /// Of the kinds that make pods what they are. The outer `None`: it is not one of them.
    fn rank_of_pods(&self, change: &Upstream) -> Option<Option<Nearness>> {
        let object = &change.object;
        let is_near = object.namespace.is_empty() || object.namespace == self.owner.namespace;
        let is_concerned = is_near
            && match (object.group.as_str(), object.kind.as_str()) {
                ("", "ConfigMap" | "Secret" | "PersistentVolumeClaim" | "ServiceAccount") => {
                    let nearness = (self.trouble.is_of(object) && self.trouble.is_of_account(change) && self.refers(object))
                        .then(|| or_new(change, Nearness::Referred));
                    return Some(nearness);
                }
                ("networking.k8s.io", "NetworkPolicy") => self.trouble.is_of(object) && self.is_selected_by(change),
                ("", "Node") => self.trouble.is_of_node(change, self.node == Some(object.name.as_str())),
                ("", "ResourceQuota" | "LimitRange") => self.trouble.is_of(object),
                ("", "Namespace") => self.trouble.is_of(object) && object.name.as_str() == self.owner.namespace.as_str(),
                ("admissionregistration.k8s.io", _) => self.trouble.is_refused_by(self.view.get(object).map(AsRef::as_ref)),
                _ => return None,
            };
        Some(is_concerned.then_some(Nearness::Governing))
    }

    fn refers(&self, object: &ObjectId) -> bool {
        let reference = Reference::to(object, &self.owner.namespace, self.trouble.purpose());
        self.specs.iter().any(|spec| refers(*spec, &reference))
    }

    /// Whether a policy selects its pods, or did so before it was changed.
    fn is_selected_by(&self, change: &Upstream) -> bool {
        let selects = |root: Node<'_>, path: &str| {
            let selector = Selector::of_terms(root, path);
            selector.is_ok_and(|selector| self.labels.iter().any(|labels| selector.matches(Some(*labels))))
        };
        let is_now = self.view.get(&change.object).is_some_and(|policy| selects(policy.body(), "/spec/podSelector"));
        let before = change.whom.as_ref().map(Document::of);
        is_now || before.is_some_and(|before| selects(before.root(), ""))
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
}

/// The pods that answer for a service. One without a selector has others write down who answers.
fn answering(service: &Observed) -> Option<(&Namespace, Selector)> {
    let selector = Selector::of_map(service.body(), "/spec/selector").ok().filter(|selector| !selector.is_empty())?;
    Some((service.namespace(), selector))
}

/// Whether two names mean the same object, in whatever incarnation.
fn is_same(left: &ObjectId, right: &ObjectId) -> bool {
    (&left.kind, &left.group, &left.namespace, &left.name) == (&right.kind, &right.group, &right.namespace, &right.name)
}

fn or_new(change: &Upstream, otherwise: Nearness) -> Nearness {
    if change.verb == Verb::Create { Nearness::New } else { otherwise }
}
