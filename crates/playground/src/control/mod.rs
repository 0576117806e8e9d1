//! The controllers of the simulated cluster: what a controller manager, a scheduler and the kubelets of a real one would do.
//!
//! Level-triggered and deterministic: every commit names the objects to look at again, a timetable names when to look without a commit,
//! and one step looks at one object with the time as an argument. Steps run until nothing is left to look at; none waits.

mod autoscale;
mod container;
mod cron;
mod definitions;
mod deployments;
mod endpoints;
mod events;
mod garbage;
mod jobs;
mod join;
mod kubelet;
mod namespaces;
mod nodes;
mod podstatus;
mod replicasets;
mod rollout;
mod scheduler;
mod script;
mod sets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cluster::{Cluster, Writer};
use crate::status::ApiError;
use crate::store::{Entry, Happening, Object};
use crate::tree;

use events::Message;
pub(crate) use events::emit_scripted;
pub(crate) use join::join;
pub(crate) use script::{Consequence, LogLines, Script};

/// Steps in one settling; more mean two controllers that undo each other's work.
const STEPS_LIMIT: usize = 200_000;

/// What is to be looked at. The order of the variants is the order of work within one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Duty {
    Definition,
    Namespace,
    Dependents,
    CronJob,
    Job,
    Autoscaler,
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Schedule,
    Kubelet,
    Node,
    Heartbeat,
    Service,
    Storage,
    Sweep,
}

/// One object to look at: its key in its table, or the uid of an owner for `Dependents`.
pub(crate) type Task = (Duty, Arc<str>);

/// Owner uid → objects that name it, as (table, key).
type Dependents = BTreeMap<String, BTreeSet<(Arc<str>, Arc<str>)>>;

/// The state of the controllers between commits.
#[derive(Debug)]
pub(crate) struct Controllers {
    seen: u64,
    queue: BTreeSet<Task>,
    timetable: BTreeMap<Timestamp, BTreeSet<Task>>,
    dependents: Dependents,
    pub(crate) script: Script,
    runs: BTreeMap<String, kubelet::PodRun>,
    /// Off, only what the API server itself does is done.
    all: bool,
}

/// What a step works with.
pub(crate) struct Step<'a> {
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) now: Timestamp,
    later: &'a mut BTreeMap<Timestamp, BTreeSet<Task>>,
    dependents: &'a Dependents,
    script: &'a mut Script,
    runs: &'a mut BTreeMap<String, kubelet::PodRun>,
}

impl Step<'_> {
    /// Has an object looked at again at a later moment.
    pub(crate) fn again(&mut self, at: Timestamp, duty: Duty, key: &str) {
        self.later.entry(at.max(self.now)).or_default().insert((duty, Arc::from(key)));
    }

    /// Has an object looked at again after some seconds.
    pub(crate) fn again_in(&mut self, seconds: i64, duty: Duty, key: &str) {
        self.again(after(self.now, seconds), duty, key);
    }

    /// The stored object under a key.
    pub(crate) fn get(&self, group: &str, plural: &str, key: &str) -> Option<Arc<Object>> {
        self.cluster.store.get(&crate::resource::table_name(group, plural), key).cloned()
    }

    /// The objects of a type that name an owner as their controller, by key.
    pub(crate) fn owned(&self, uid: &str, group: &str, plural: &str) -> Vec<Arc<Object>> {
        let table = crate::resource::table_name(group, plural);
        let entries = self.dependents.get(uid).into_iter().flatten().filter(|(known, _)| *known == table);
        entries.filter_map(|(table, key)| self.cluster.store.get(table, key).cloned()).collect()
    }

    /// Changes an object as a component does; returns whether it was committed. A refusal is told in the log: it is a fault of ours.
    pub(crate) fn change(&mut self, what: Place<'_>, manager: &str, edit: impl FnOnce(&mut Value)) -> bool {
        let Some(mut target) = self.cluster.target(what.group, what.plural, "", "") else { return false };
        (target.namespace, target.name) = split(what.key);
        target.subresource = what.subresource.to_owned();
        let Ok(existing) = self.cluster.find(&target) else { return false };
        let mut value = existing.value().clone();
        edit(&mut value);
        let writer = Writer::component(manager, self.now);
        match self.cluster.replace(&target, &existing, value, &writer) {
            Ok(written) => written.object.revision() != existing.revision(),
            Err(refusal) => {
                tracing::error!(manager, key = what.key, refusal = refusal.message, "a controller's write was refused");
                false
            }
        }
    }

    /// Creates an object as a component does.
    pub(crate) fn create(
        &mut self,
        group: &str,
        plural: &str,
        namespace: &str,
        body: Value,
        manager: &str,
    ) -> Result<Arc<Object>, ApiError> {
        let target = self.cluster.target(group, plural, namespace, "").ok_or_else(ApiError::no_such_path)?;
        let writer = Writer::component(manager, self.now);
        self.cluster.create(&target, body, &writer).map(|written| written.object)
    }

    /// Deletes an object as a component does; one that is gone is no fault.
    pub(crate) fn delete(&mut self, group: &str, plural: &str, key: &str, options: &crate::remove::DeleteOptions) {
        let Some(mut target) = self.cluster.target(group, plural, "", "") else { return };
        (target.namespace, target.name) = split(key);
        let writer = Writer::component("kube-controller-manager", self.now);
        if let Err(refusal) = self.cluster.delete(&target, options, &writer) {
            tracing::debug!(key, refusal = refusal.message, "a controller's deletion was refused");
        }
    }
}

/// Which part of which object is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) group: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) key: &'a str,
    pub(crate) subresource: &'a str,
}

/// Namespace and name of a key.
pub(crate) fn split(key: &str) -> (String, String) {
    match key.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (String::new(), key.to_owned()),
    }
}

/// A moment some seconds later.
pub(crate) fn after(moment: Timestamp, seconds: i64) -> Timestamp {
    moment.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

impl Controllers {
    /// Controllers that have seen nothing yet.
    pub(crate) fn new(all: bool) -> Self {
        Self {
            seen: 0,
            queue: BTreeSet::new(),
            timetable: BTreeMap::new(),
            dependents: BTreeMap::new(),
            script: Script::default(),
            runs: BTreeMap::new(),
            all,
        }
    }

    /// When the next entry of the timetable is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.timetable.keys().next().copied()
    }

    /// Puts a task on the queue.
    pub(crate) fn look_at(&mut self, duty: Duty, key: &str) {
        self.queue.insert((duty, Arc::from(key)));
    }

    /// Works until nothing more is to be done at this moment.
    pub(crate) fn settle(&mut self, cluster: &mut Cluster, now: Timestamp) {
        for _ in 0..STEPS_LIMIT {
            self.notice(cluster);
            while let Some(entry) = self.timetable.first_entry().filter(|entry| *entry.key() <= now) {
                self.queue.extend(entry.remove());
            }
            let Some(task) = self.queue.pop_first() else { return };
            let mut step = Step {
                cluster,
                now,
                later: &mut self.timetable,
                dependents: &self.dependents,
                script: &mut self.script,
                runs: &mut self.runs,
            };
            work(&mut step, &task);
        }
        tracing::error!("the playground's controllers do not come to rest");
    }

    /// Takes in what was committed since the last look.
    fn notice(&mut self, cluster: &Cluster) {
        if self.seen == cluster.store.revision() {
            return;
        }
        match cluster.store.since(self.seen) {
            Some(entries) => {
                for entry in entries {
                    note(entry, cluster, &mut self.queue, &mut self.dependents, self.all);
                }
            }
            None => self.relist(cluster),
        }
        self.seen = cluster.store.revision();
    }

    /// The history was cut off: everything there is is looked at again.
    fn relist(&mut self, cluster: &Cluster) {
        self.dependents.clear();
        for (table, object) in cluster.store.everything() {
            let entry = Entry {
                revision: object.revision(),
                table: table.clone(),
                key: Arc::from(crate::store::key_of(object.namespace(), object.name())),
                happening: Happening::Added,
                object: object.clone(),
                previous: None,
            };
            note(&entry, cluster, &mut self.queue, &mut self.dependents, self.all);
        }
    }
}

/// Uids of the owners of an object.
fn owner_uids(object: &Object) -> impl Iterator<Item = &str> {
    tree::items(object.value(), "/metadata/ownerReferences").iter().map(|owner| tree::text(owner, "/uid"))
}

/// The owner that controls an object: kind, name, uid.
pub(crate) fn controller_of(value: &Value) -> Option<(&str, &str, &str)> {
    let owners = tree::items(value, "/metadata/ownerReferences").iter();
    let owner = owners.into_iter().find(|owner| tree::flag(owner, "/controller"))?;
    Some((tree::text(owner, "/kind"), tree::text(owner, "/name"), tree::text(owner, "/uid")))
}

fn note(entry: &Entry, cluster: &Cluster, queue: &mut BTreeSet<Task>, dependents: &mut Dependents, all: bool) {
    let mut look = |duty: Duty, key: &str| {
        queue.insert((duty, Arc::from(key)));
    };
    if &*entry.table == "apiextensions.k8s.io/customresourcedefinitions" {
        look(Duty::Definition, &entry.key);
    }
    if !all {
        return;
    }
    let place = (entry.table.clone(), entry.key.clone());
    for uid in entry.previous.iter().flat_map(|previous| owner_uids(previous)) {
        if let Some(known) = dependents.get_mut(uid) {
            known.remove(&place);
        }
        look(Duty::Dependents, uid);
    }
    if entry.happening != Happening::Deleted {
        for uid in owner_uids(&entry.object) {
            dependents.entry(uid.to_owned()).or_default().insert(place.clone());
            if entry.happening == Happening::Added {
                look(Duty::Dependents, uid);
            }
        }
    }
    let ends = entry.happening == Happening::Deleted || entry.object.is_terminating();
    if ends {
        let waits = tree::items(entry.object.value(), "/metadata/finalizers");
        let waits = waits.iter().any(|name| name == crate::remove::FOREGROUND || name == crate::remove::ORPHAN);
        if waits || dependents.contains_key(entry.object.uid()) {
            look(Duty::Dependents, entry.object.uid());
        }
        if !entry.object.namespace().is_empty() {
            look(Duty::Namespace, entry.object.namespace());
        }
    }
    note_kind(entry, cluster, &mut look);
}

fn note_kind(entry: &Entry, cluster: &Cluster, look: &mut impl FnMut(Duty, &str)) {
    let key = &*entry.key;
    let own = match &*entry.table {
        "/namespaces" => Some(Duty::Namespace),
        "/services" => Some(Duty::Service),
        "apps/deployments" => Some(Duty::Deployment),
        "apps/replicasets" => Some(Duty::ReplicaSet),
        "apps/statefulsets" => Some(Duty::StatefulSet),
        "apps/daemonsets" => Some(Duty::DaemonSet),
        "batch/jobs" => Some(Duty::Job),
        "batch/cronjobs" => Some(Duty::CronJob),
        "autoscaling/horizontalpodautoscalers" => Some(Duty::Autoscaler),
        "/nodes" => Some(Duty::Node),
        "/persistentvolumeclaims" | "/persistentvolumes" if entry.object.is_terminating() => {
            look(Duty::Storage, &entry.table);
            None
        }
        _ => None,
    };
    if let Some(duty) = own {
        look(duty, key);
    }
    let (namespace, _) = split(key);
    if let Some((kind, name, _)) = controller_of(entry.object.value()) {
        let owner = match kind {
            "Deployment" => Some(Duty::Deployment),
            "ReplicaSet" => Some(Duty::ReplicaSet),
            "StatefulSet" => Some(Duty::StatefulSet),
            "DaemonSet" => Some(Duty::DaemonSet),
            "Job" => Some(Duty::Job),
            "CronJob" => Some(Duty::CronJob),
            _ => None,
        };
        if let Some(duty) = owner {
            look(duty, &crate::store::key_of(&namespace, name));
        }
    }
    match &*entry.table {
        "/pods" => {
            look(Duty::Schedule, key);
            look(Duty::Kubelet, key);
            for service in cluster.objects("", "services", &namespace) {
                if endpoints::selects(service, &entry.object) {
                    look(Duty::Service, &crate::store::key_of(&namespace, service.name()));
                }
            }
        }
        "/nodes" => {
            for pod in cluster.objects("", "pods", "").filter(|pod| tree::text(pod.value(), "/spec/nodeName").is_empty()) {
                look(Duty::Schedule, &crate::store::key_of(pod.namespace(), pod.name()));
            }
            for set in cluster.objects("apps", "daemonsets", "") {
                look(Duty::DaemonSet, &crate::store::key_of(set.namespace(), set.name()));
            }
        }
        _ => {}
    }
}

fn work(step: &mut Step<'_>, (duty, key): &Task) {
    match duty {
        Duty::Definition => definitions::step(step, key),
        Duty::Namespace => namespaces::step(step, key),
        Duty::Dependents => garbage::step(step, key),
        Duty::CronJob => cron::step(step, key),
        Duty::Job => jobs::step(step, key),
        Duty::Autoscaler => autoscale::step(step, key),
        Duty::Deployment => deployments::step(step, key),
        Duty::StatefulSet => sets::stateful(step, key),
        Duty::DaemonSet => sets::daemon(step, key),
        Duty::ReplicaSet => replicasets::step(step, key),
        Duty::Schedule => scheduler::step(step, key),
        Duty::Kubelet => kubelet::step(step, key),
        Duty::Node => nodes::step(step, key),
        Duty::Heartbeat => nodes::heartbeat(step, key),
        Duty::Service => endpoints::step(step, key),
        Duty::Storage => garbage::release_storage(step, key),
        Duty::Sweep => events::sweep(step),
    }
}
