//! What we believe of the clusters at a moment: the objects, how they hang together, and how far each kind can be trusted.
//!
//! A fold over records, one `apply` at a time; the same records give the same snapshot. It holds the last known state of what is alive,
//! and of the past only short trails (`trail`); everything older is asked of the journal. Invariant: what a broken watch no longer tells of
//! stays as it was last known, and `freshness` says so.

mod event;
mod freshness;
mod memory;
mod object;
mod selector;
mod trail;
mod trim;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, ClusterId, Group, Kind, Name, Namespace, ObjectId, Record, Resource, Seq, Uid, Verb, WatchScope};
use serde_json::Value;

pub use event::EventFacts;
pub use freshness::Freshness;
pub use memory::{Restoring, SnapshotMemory};
pub use object::{KindRef, Observed, OwnerRef};
pub use selector::Selector;
pub use trail::{Fact, FailedRun, Restart, Trail};

use crate::relation::Relation;
use freshness::Watching;

/// Owners above one another that are climbed: real chains have three or four, and a circle must end.
const OWNERS_LIMIT: usize = 16;

/// Events told of one object; the oldest are left out. The kubelet says some ten different things of a pod in trouble.
const EVENTS_OF_ONE_LIMIT: usize = 64;

/// How long an Event counts after its last change: an API server keeps them for an hour, and what nobody deletes must end as well.
const EVENTS_KEPT: SignedDuration = SignedDuration::from_mins(75);

/// The API group of what Proreus itself did: no part of what is believed of a cluster.
const OWN_GROUP: &str = "proreus.dev";

/// The label by which an EndpointSlice names its Service.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// What we believe at the moment of the last applied record.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    objects: BTreeMap<ObjectId, Arc<Observed>>,
    /// The same objects: of two that share a uid, the one that changed last.
    by_uid: BTreeMap<Uid, Arc<Observed>>,
    children: Relation<Uid, ObjectId>,
    slices: Relation<(ClusterId, Namespace, Name), ObjectId>,
    /// Events by what they speak of.
    events: Relation<Uid, ObjectId>,
    /// Events by the time of their last change.
    event_ages: BTreeSet<(Timestamp, ObjectId)>,
    trails: BTreeMap<Uid, Trail>,
    watching: Watching,
    kinds: BTreeMap<(Group, Kind), Resource>,
    past_start: Option<Timestamp>,
    seq: Seq,
    time: Option<Timestamp>,
}

impl Snapshot {
    /// Nothing known yet; the recorded past begins with the first record that is applied.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing known yet of a past that is recorded from `start` on.
    pub fn recorded_since(start: Timestamp) -> Self {
        Self { past_start: Some(start), ..Self::default() }
    }

    /// Takes in one record. Changes must carry their bodies; one without is known to exist and to have changed, and no more.
    pub fn apply(&mut self, record: &Record) {
        if is_own(record) {
            return;
        }
        self.seq = record.seq();
        self.time = Some(record.recorded_at());
        self.past_start.get_or_insert(record.recorded_at());
        self.forget_events(record.recorded_at());
        match record {
            Record::Mark(mark) => self.watching.mark(mark),
            Record::Change(change) => self.change(change),
        }
    }

    fn change(&mut self, change: &Change) {
        let kind = (change.object.group.clone(), change.object.kind.clone());
        if self.kinds.get(&kind) != Some(&change.resource) {
            self.kinds.insert(kind, change.resource.clone());
        }
        let former = self.objects.get(&change.object).cloned();
        if let Some(former) = &former {
            self.unlink(former);
        }
        if change.verb == Verb::Delete {
            self.objects.remove(&change.object);
            self.by_uid.remove(&change.object.uid);
            self.trails.remove(&change.object.uid);
            if let Some(former) = &former {
                trail::gone(&mut self.trails, former);
            }
            return;
        }
        let whole = change.body.as_ref().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or(Value::Null);
        let near = self.objects.range(..&change.object).next_back().map(|(_, near)| &**near);
        let observed = Arc::new(Observed::new(change, &trim::kept(&change.object, whole), former.as_deref(), near));
        self.link(&observed);
        trail::follow(&mut self.trails, &observed, former.is_none());
        if let Some(former) = &former {
            trail::date(&mut self.trails, &observed, former.recorded_at);
        }
        self.by_uid.insert(observed.id.uid.clone(), observed.clone());
        self.objects.insert(observed.id.clone(), observed);
    }

    /// Lets go of Events that changed too long ago.
    fn forget_events(&mut self, now: Timestamp) {
        let from = now.checked_sub(EVENTS_KEPT).unwrap_or(Timestamp::MIN);
        while self.event_ages.first().is_some_and(|(at, _)| *at < from) {
            let Some((_, id)) = self.event_ages.pop_first() else { return };
            if let Some(event) = self.objects.remove(&id) {
                self.unlink(&event);
                self.by_uid.remove(&id.uid);
            }
        }
    }

    /// Puts back what is remembered of objects beyond their last change.
    fn remember(&mut self, remembered: &mut BTreeMap<Uid, (Option<Timestamp>, Option<Trail>)>) {
        for observed in self.objects.values_mut() {
            let Some((first_seen, trail)) = remembered.remove(&observed.id.uid) else { continue };
            if let Some(first_seen) = first_seen {
                Arc::make_mut(observed).first_seen = first_seen;
                self.by_uid.insert(observed.id.uid.clone(), observed.clone());
            }
            if let Some(trail) = trail {
                self.trails.insert(observed.id.uid.clone(), trail);
            }
        }
    }

    fn link(&mut self, observed: &Observed) {
        for owner in observed.owners() {
            self.children.put(owner.uid, observed.id.clone());
        }
        if observed.is("discovery.k8s.io", "EndpointSlice")
            && let Some(service) = observed.label(SERVICE_NAME_LABEL)
        {
            let key = (observed.id.cluster.clone(), observed.id.namespace.clone(), Name::from(service));
            self.slices.put(key, observed.id.clone());
        }
        if let Some(regarding) = event::regarding(observed) {
            self.events.put(regarding, observed.id.clone());
        }
        if is_event(&observed.id) {
            self.event_ages.insert((observed.recorded_at, observed.id.clone()));
        }
    }

    fn unlink(&mut self, observed: &Observed) {
        let id = &observed.id;
        if is_event(id) {
            self.event_ages.remove(&(observed.recorded_at, id.clone()));
        }
        for owner in observed.owners() {
            self.children.take(&owner.uid, id);
        }
        if observed.is("discovery.k8s.io", "EndpointSlice")
            && let Some(service) = observed.label(SERVICE_NAME_LABEL)
        {
            self.slices.take(&(id.cluster.clone(), id.namespace.clone(), Name::from(service)), id);
        }
        if let Some(regarding) = event::regarding(observed) {
            self.events.take(&regarding, id);
        }
    }

    /// Position of the last applied record.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Time of the last applied record.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// Since when the past is known; a rule that has to look further back cannot decide.
    pub fn past_start(&self) -> Option<Timestamp> {
        self.past_start
    }

    /// The clusters that anything is known of.
    pub fn clusters(&self) -> Vec<ClusterId> {
        let mut found: BTreeSet<ClusterId> = self.watching.clusters();
        let mut next = self.objects.first_key_value();
        while let Some((id, _)) = next {
            let cluster = id.cluster.clone();
            next = self.objects.range(beyond(&cluster)..).next();
            found.insert(cluster);
        }
        found.into_iter().collect()
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The resource of a kind, as it was last seen.
    pub fn resource_of(&self, group: &Group, kind: &Kind) -> Option<&Resource> {
        self.kinds.get(&(group.clone(), kind.clone()))
    }

    /// How far what is known of this kind can be trusted.
    pub fn freshness(&self, cluster: &ClusterId, kind: KindRef) -> Freshness {
        self.watching.of(cluster, &Group::from(kind.group), &Resource::from(kind.resource))
    }

    /// The types of a cluster that may not be read, each with what the API server said.
    pub fn forbidden<'a>(&'a self, cluster: &'a ClusterId) -> impl Iterator<Item = (&'a WatchScope, &'a str)> {
        self.watching.forbidden(cluster)
    }

    /// Every object, in the order of identities.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Observed>> {
        self.objects.values()
    }

    /// The objects of a kind in a cluster.
    pub fn of_kind(&self, cluster: &ClusterId, kind: KindRef) -> impl Iterator<Item = &Arc<Observed>> {
        let from = first_of(cluster, kind, &Namespace::default());
        let (group, name) = (from.group.clone(), from.kind.clone());
        let cluster = cluster.clone();
        let rest = self.objects.range(from..);
        rest.take_while(move |(id, _)| id.kind == name && id.group == group && id.cluster == cluster).map(|(_, observed)| observed)
    }

    /// The objects of a kind in a namespace.
    pub fn in_namespace(&self, cluster: &ClusterId, kind: KindRef, namespace: &Namespace) -> impl Iterator<Item = &Arc<Observed>> {
        let from = first_of(cluster, kind, namespace);
        let (group, name) = (from.group.clone(), from.kind.clone());
        let (cluster, namespace) = (cluster.clone(), namespace.clone());
        let rest = self.objects.range(from..);
        rest.take_while(move |(id, _)| id.namespace == namespace && id.kind == name && id.group == group && id.cluster == cluster)
            .map(|(_, observed)| observed)
    }

    /// The object of that name; of several incarnations the one that changed last.
    pub fn named(&self, cluster: &ClusterId, kind: KindRef, namespace: &Namespace, name: &Name) -> Option<&Arc<Observed>> {
        let from = ObjectId { name: name.clone(), ..first_of(cluster, kind, namespace) };
        let same = |id: &ObjectId| ObjectId { uid: Uid::default(), ..id.clone() } == from;
        self.objects.range(from.clone()..).take_while(|(id, _)| same(id)).map(|(_, observed)| observed).max_by_key(|observed| observed.seq)
    }

    /// One incarnation.
    pub fn get(&self, id: &ObjectId) -> Option<&Arc<Observed>> {
        self.objects.get(id)
    }

    /// One incarnation by its uid alone.
    pub fn by_uid(&self, uid: &Uid) -> Option<&Arc<Observed>> {
        self.by_uid.get(uid)
    }

    /// The objects that name this one as an owner.
    pub fn children<'a>(&'a self, uid: &'a Uid) -> impl Iterator<Item = &'a Arc<Observed>> {
        self.children.of(uid).filter_map(|id| self.objects.get(id))
    }

    /// The EndpointSlices of a Service.
    pub fn slices_of(&self, service: &Observed) -> impl Iterator<Item = &Arc<Observed>> {
        let key = (service.id.cluster.clone(), service.id.namespace.clone(), service.id.name.clone());
        let found: Vec<&Arc<Observed>> = self.slices.of(&key).filter_map(|id| self.objects.get(id)).collect();
        found.into_iter()
    }

    /// The Pods of a namespace that a selector matches.
    pub fn pods_matching(&self, cluster: &ClusterId, namespace: &Namespace, selector: &Selector) -> Vec<&Arc<Observed>> {
        self.in_namespace(cluster, KindRef::POD, namespace).filter(|pod| selector.matches(pod.labels())).collect()
    }

    /// What Events say about an object, oldest first.
    pub fn events_of(&self, uid: &Uid) -> Vec<EventFacts<'_>> {
        let mut found: Vec<EventFacts<'_>> =
            self.events.of(uid).filter_map(|id| self.objects.get(id)).map(|observed| event::read(observed)).collect();
        if found.len() > EVENTS_OF_ONE_LIMIT {
            found.sort_unstable_by_key(|facts| std::cmp::Reverse(facts.seq));
            found.truncate(EVENTS_OF_ONE_LIMIT);
        }
        found.sort_by_key(|facts| (facts.last_seen, facts.seq));
        found
    }

    /// What was followed of an object over time.
    pub fn trail(&self, uid: &Uid) -> Option<&Trail> {
        self.trails.get(uid)
    }

    /// The object that controls this one, where it is known. The node of a static pod is not what that is a part of.
    fn controller_of(&self, object: &Observed) -> Option<&Arc<Observed>> {
        let owner = object.controller_reference().filter(|owner| owner.kind() != "Node")?;
        // A uid that two clusters share is known of one of them.
        self.by_uid.get(owner.uid()).or_else(|| self.objects.get(&owner.to_owned().as_object(&object.id)))
    }

    /// The controllers of an object that are known, from its own upwards.
    pub fn controllers<'a>(&'a self, object: &Observed) -> impl Iterator<Item = &'a Arc<Observed>> {
        std::iter::successors(self.controller_of(object), |here| self.controller_of(here)).take(OWNERS_LIMIT)
    }

    /// The owner at the top of the chain of controllers, which is the object itself where it has none. An owner that is not known is named
    /// as the reference names it, and ends the climb.
    pub fn top_owner(&self, id: &ObjectId) -> ObjectId {
        let Some(mut here) = self.objects.get(id) else { return id.clone() };
        for _ in 0..OWNERS_LIMIT {
            let Some(owner) = here.controller_reference() else { break };
            // Static pods are owned by their node, which is not what they are a part of.
            if owner.kind() == "Node" {
                break;
            }
            here = match self.by_uid.get(owner.uid()).filter(|known| known.id.cluster == here.id.cluster) {
                Some(known) => known,
                None => {
                    // A uid that two clusters share is known of one of them.
                    let named = owner.to_owned().as_object(&here.id);
                    let Some(known) = self.objects.get(&named) else { return named };
                    known
                }
            };
        }
        here.id.clone()
    }
}

/// Whether a record tells of something that Proreus itself did.
fn is_own(record: &Record) -> bool {
    matches!(record, Record::Change(change) if change.object.group.as_str() == OWN_GROUP)
}

fn is_event(id: &ObjectId) -> bool {
    id.kind.as_str() == "Event" && matches!(id.group.as_str(), "" | "events.k8s.io")
}

/// Where the objects of the clusters after this one begin.
fn beyond(cluster: &ClusterId) -> ObjectId {
    let next = format!("{cluster}\0").into();
    first_of(&next, KindRef { group: "", kind: "", resource: "" }, &Namespace::default())
}

fn first_of(cluster: &ClusterId, kind: KindRef, namespace: &Namespace) -> ObjectId {
    ObjectId {
        cluster: cluster.clone(),
        group: kind.group.into(),
        kind: kind.kind.into(),
        namespace: namespace.clone(),
        name: Name::default(),
        uid: Uid::default(),
    }
}
