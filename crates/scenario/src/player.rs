//! Plays the steps of a scenario into records, as a recorder would have written them.
//!
//! Pure. It is an API server reduced to what a journal sees of one: identities, versions, owners, finalizers, garbage. Nothing happens by
//! itself (no scheduler, no kubelet): what controllers would do, the scenario says.

mod event;
mod mark;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{Change, ClusterId, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};
use serde_json::{Map, Value};

use crate::complete;
use crate::file::{Scenario, ScenarioError, Step, kind_of, wrong};
use crate::kinds::{is_cluster_scoped, plural, split_version, usual_version, word};
use crate::patch;
use crate::time;

/// The cluster in which scenarios play.
const CLUSTER: &str = "scenario";
/// Manager of what a step writes that names none.
const DEFAULT_MANAGER: &str = "kubectl-client-side-apply";
/// Annotation in which `kubectl` keeps what it applied; a recorder strips it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Where an object lives by its name: group, kind, namespace, name.
type Place = (String, String, String, String);

/// Plays one scenario.
#[derive(Clone, Debug)]
pub struct Player {
    start: Timestamp,
    seed: u64,
    seq: u64,
    version: u64,
    live: BTreeMap<Place, Live>,
    lives: BTreeMap<Place, u64>,
    records: Vec<Record>,
}

#[derive(Clone, Debug)]
struct Live {
    id: ObjectId,
    body: Value,
    applied: Option<Value>,
}

/// Who writes, and when.
#[derive(Clone, Copy)]
struct Writing<'a> {
    at: Timestamp,
    manager: &'a str,
}

impl Player {
    /// A cluster with nothing in it, at the start of the scenario.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            start: scenario.start,
            seed: scenario.seed,
            seq: 0,
            version: 0,
            live: BTreeMap::new(),
            lives: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    /// The cluster in which scenarios play.
    pub fn cluster() -> ClusterId {
        ClusterId::from(CLUSTER)
    }

    /// What a recorder writes before the first change: that every kind is watched and in step.
    pub fn begin(&mut self) -> Vec<Record> {
        let scope = WatchScope { cluster: Self::cluster(), ..WatchScope::default() };
        self.mark(MarkKind::Synced, scope, "the scenario begins".to_owned(), self.start);
        std::mem::take(&mut self.records)
    }

    /// Plays one step and returns what was recorded of it.
    ///
    /// # Errors
    /// A step that cannot be meant, or that an API server would refuse.
    pub fn play(&mut self, step: &Step) -> Result<Vec<Record>, ScenarioError> {
        let place = format!("document {}, {}", step.document, step.action);
        let writing = Writing { at: step.at, manager: step.manager.as_deref().unwrap_or(DEFAULT_MANAGER) };
        match step.action {
            "apply" => self.apply(&step.value, writing, &place)?,
            "patch" => self.patch(&step.value, writing, &place)?,
            "delete" => self.delete(&step.value, writing, &place)?,
            "event" => self.event(&step.value, writing, &place)?,
            "mark" => self.marks(&step.value, step.at, &place)?,
            "playground" => {
                let problem = "a scenario that is checked has no playground; say with `apply` and `patch` what its controllers would do";
                return Err(wrong(&place, problem));
            }
            _ => {}
        }
        Ok(std::mem::take(&mut self.records))
    }

    fn apply(&mut self, value: &Value, writing: Writing<'_>, place: &str) -> Result<(), ScenarioError> {
        if let Value::String(text) = value {
            let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| wrong(place, error.to_string()))?;
            return documents.iter().filter(|document| !document.is_null()).try_for_each(|document| self.apply(document, writing, place));
        }
        if let Value::Array(list) = value {
            return list.iter().try_for_each(|entry| self.apply(entry, writing, place));
        }
        if !value.is_object() {
            return Err(wrong(place, format!("an object is needed, found {}", kind_of(value))));
        }
        if word(value, "/kind").ends_with("List")
            && let Some(items) = value.get("items").and_then(Value::as_array)
        {
            return items.iter().try_for_each(|item| self.apply(item, writing, place));
        }
        let mut config = value.clone();
        complete::resolve_times(&mut config, self.start);
        let at = self.place_of(&mut config, place)?;
        if at.1 == "Event" {
            self.complete_event(&mut config, writing);
        }
        let given_uid = word(&config, "/metadata/uid").to_owned();
        if let Some(live) = self.live.get(&at)
            && !given_uid.is_empty()
            && given_uid != live.id.uid.as_str()
        {
            // Another incarnation: the one before it has gone.
            self.remove(&at, writing.at);
        }
        let (mut body, last) = match self.live.get(&at) {
            Some(live) => (live.body.clone(), live.applied.clone()),
            None => (Value::Object(Map::new()), None),
        };
        patch::apply(&mut body, last.as_ref(), &config);
        self.write(at, body, Some(config), writing);
        Ok(())
    }

    fn patch(&mut self, value: &Value, writing: Writing<'_>, place: &str) -> Result<(), ScenarioError> {
        let at = self.find(value, place)?;
        let Some(live) = self.live.get(&at) else {
            return Err(wrong(place, format!("there is no {} `{}` in namespace `{}` to patch", at.1, at.3, at.2)));
        };
        let mut body = live.body.clone();
        match value.get("patch") {
            None => {
                // The short form: the object itself, with the fields that change.
                let mut partial = value.clone();
                for key in ["apiVersion", "kind", "name", "namespace", "subresource", "type"] {
                    partial.as_object_mut().map(|map| map.remove(key));
                }
                complete::resolve_times(&mut partial, self.start);
                self.merge(&at, &mut body, &partial, word(value, "/type"), place)?;
            }
            Some(Value::Array(operations)) => patch::json(&mut body, operations).map_err(|reason| wrong(place, reason))?,
            Some(of) => {
                let mut of = of.clone();
                complete::resolve_times(&mut of, self.start);
                self.merge(&at, &mut body, &of, word(value, "/type"), place)?;
            }
        }
        self.write(at, body, None, writing);
        Ok(())
    }

    fn merge(&self, at: &Place, body: &mut Value, of: &Value, kind: &str, place: &str) -> Result<(), ScenarioError> {
        // The API knows merge keys for its own types only.
        let is_custom = at.0.contains('.') && !at.0.ends_with(".k8s.io");
        match kind {
            "merge" => patch::merge(body, of),
            "" if is_custom => patch::merge(body, of),
            "" | "strategic" => patch::strategic(body, of),
            "json" => return Err(wrong(place, "a patch of type json is a list of operations")),
            other => return Err(wrong(&format!("{place}, type"), format!("`{other}`, allowed: strategic, merge, json"))),
        }
        Ok(())
    }

    fn delete(&mut self, value: &Value, writing: Writing<'_>, place: &str) -> Result<(), ScenarioError> {
        let at = self.find(value, place)?;
        let propagation = value.get("propagation").and_then(Value::as_str).unwrap_or("background");
        if !matches!(propagation, "background" | "foreground" | "orphan") {
            return Err(wrong(&format!("{place}, propagation"), format!("`{propagation}`, allowed: background, foreground, orphan")));
        }
        match self.live.contains_key(&at) {
            true => self.let_go(&at, propagation != "orphan", writing),
            // Garbage of an owner that went before.
            false if self.lives.contains_key(&at) => {}
            false => return Err(wrong(place, format!("there is no {} `{}` in namespace `{}` to delete", at.1, at.3, at.2))),
        }
        Ok(())
    }

    /// Deletes, or marks for deletion what has finalizers; then what it owned.
    fn let_go(&mut self, at: &Place, with_owned: bool, writing: Writing<'_>) {
        let Some(live) = self.live.get(at).cloned() else { return };
        let holds = live.body.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if holds {
            let mut body = live.body.clone();
            if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
                metadata.entry("deletionTimestamp").or_insert_with(|| time::text(writing.at).into());
            }
            self.write(at.clone(), body, None, writing);
            return;
        }
        self.remove(at, writing.at);
        if with_owned {
            for owned in self.owned_by(live.id.uid.as_str()) {
                self.let_go(&owned, true, writing);
            }
        }
    }

    /// Objects all of whose owners have gone, this one among them.
    fn owned_by(&self, uid: &str) -> Vec<Place> {
        let uids: BTreeSet<&str> = self.live.values().map(|live| live.id.uid.as_str()).collect();
        let is_garbage = |live: &Live| {
            let owners: Vec<&str> = owners(&live.body).iter().map(|owner| word(owner, "/uid")).collect();
            owners.contains(&uid) && !owners.iter().any(|owner| uids.contains(owner))
        };
        self.live.iter().filter(|(_, live)| is_garbage(live)).map(|(at, _)| at.clone()).collect()
    }

    /// Where an object to be applied lives; its apiVersion and namespace are written into it where they are left out.
    fn place_of(&self, config: &mut Value, place: &str) -> Result<Place, ScenarioError> {
        let kind = word(config, "/kind").to_owned();
        let name = word(config, "/metadata/name").to_owned();
        if kind.is_empty() {
            return Err(wrong(place, "the object has no `kind`"));
        }
        if name.is_empty() {
            return Err(wrong(place, format!("the {kind} has no `metadata.name`")));
        }
        if word(config, "/apiVersion").is_empty() {
            let usual = usual_version(&kind).ok_or_else(|| wrong(place, format!("the {kind} `{name}` has no `apiVersion`")))?;
            config["apiVersion"] = usual.into();
        }
        if !is_cluster_scoped(&kind) && config.pointer("/metadata/namespace").is_none() {
            config["metadata"]["namespace"] = "default".into();
        }
        let namespace = if is_cluster_scoped(&kind) { "" } else { word(config, "/metadata/namespace") };
        Ok((split_version(word(config, "/apiVersion")).0.to_owned(), kind, namespace.to_owned(), name))
    }

    /// The place that a reference means: kind, name and namespace beside each other or in `metadata`.
    fn find(&self, reference: &Value, place: &str) -> Result<Place, ScenarioError> {
        if let Value::String(text) = reference {
            return self.find_word(text, place);
        }
        let either = |key: &str| match word(reference, &format!("/{key}")) {
            "" => word(reference, &format!("/metadata/{key}")).to_owned(),
            text => text.to_owned(),
        };
        let (kind, name) = (word(reference, "/kind").to_owned(), either("name"));
        if kind.is_empty() || name.is_empty() {
            return Err(wrong(place, "it needs `kind` and `name` (and `namespace`, where it is not default)"));
        }
        let api_version = word(reference, "/apiVersion");
        let group = (!api_version.is_empty()).then(|| split_version(api_version).0.to_owned());
        Ok(self.best(group, kind, Some(either("namespace")).filter(|namespace| !namespace.is_empty()), name))
    }

    /// `Pod/web`, `Pod/shop/web`.
    fn find_word(&self, text: &str, place: &str) -> Result<Place, ScenarioError> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [kind, name] => Ok(self.best(None, (*kind).to_owned(), None, (*name).to_owned())),
            [kind, namespace, name] => Ok(self.best(None, (*kind).to_owned(), Some((*namespace).to_owned()), (*name).to_owned())),
            _ => Err(wrong(place, format!("`{text}` names no object; write Kind/name or Kind/namespace/name, or a mapping"))),
        }
    }

    /// The object that fits, living or gone; where none does, the place at which it would be.
    fn best(&self, group: Option<String>, kind: String, namespace: Option<String>, name: String) -> Place {
        let fits = |at: &&Place| {
            at.1 == kind
                && at.3 == name
                && group.as_ref().is_none_or(|group| *group == at.0)
                && namespace.as_ref().is_none_or(|namespace| *namespace == at.2 || at.2.is_empty())
        };
        let usual = (
            group.clone().unwrap_or_else(|| usual_version(&kind).map_or("", |version| split_version(version).0).to_owned()),
            kind.clone(),
            if is_cluster_scoped(&kind) { String::new() } else { namespace.clone().unwrap_or_else(|| "default".to_owned()) },
            name.clone(),
        );
        if self.live.contains_key(&usual) {
            return usual;
        }
        self.live.keys().find(fits).or_else(|| self.lives.keys().find(fits)).cloned().unwrap_or(usual)
    }

    /// Writes a new state, if it is one.
    fn write(&mut self, at: Place, mut body: Value, applied: Option<Value>, writing: Writing<'_>) {
        let former = self.live.get(&at).cloned();
        self.refer(&mut body);
        if let Some(annotations) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        complete::stamp(&mut body, former.as_ref().map(|former| &former.body), writing.at);
        let generation = complete::generation(&body, former.as_ref().map(|former| &former.body));
        let incarnation = self.lives.get(&at).copied().unwrap_or(0) + u64::from(former.is_none());
        let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
        let Some(metadata) = metadata else { return };
        metadata.remove("managedFields");
        let uid = match (&former, metadata.get("uid").and_then(Value::as_str)) {
            (_, Some(uid)) if !uid.is_empty() => uid.to_owned(),
            (Some(former), _) => former.id.uid.to_string(),
            (None, _) => complete::uid(self.seed, &[&at.0, &at.1, &at.2, &at.3, &incarnation.to_string()]),
        };
        metadata.insert("uid".to_owned(), uid.clone().into());
        metadata.entry("creationTimestamp").or_insert_with(|| time::text(writing.at).into());
        if let Some(generation) = generation {
            metadata.insert("generation".to_owned(), generation.into());
        }
        if former.as_ref().is_some_and(|former| former.body == body) {
            if let (Some(live), Some(applied)) = (self.live.get_mut(&at), applied) {
                live.applied = Some(applied);
            }
            return;
        }
        let given = former.is_none() || former.as_ref().is_some_and(|former| version_of(&former.body) != version_of(&body));
        self.version += 1;
        if !given || version_of(&body).is_none() {
            body["metadata"]["resourceVersion"] = self.version.to_string().into();
        }
        let (_, kind, namespace, name) = at.clone();
        let id = ObjectId {
            cluster: Self::cluster(),
            group: at.0.as_str().into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            uid: uid.into(),
        };
        let verb = if former.is_some() { Verb::Update } else { Verb::Create };
        let applied = applied.or_else(|| former.and_then(|former| former.applied));
        self.lives.insert(at.clone(), incarnation);
        self.record(&id, verb, &body, writing.at, Some(writing.manager));
        let is_leaving = body.pointer("/metadata/deletionTimestamp").is_some_and(|value| !value.is_null());
        let had = |body: &Value| body.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        let was_held = self.live.get(&at).is_some_and(|former| had(&former.body));
        let is_released = is_leaving && was_held && !had(&body);
        self.live.insert(at.clone(), Live { id, body, applied });
        if is_released {
            self.let_go(&at, true, writing);
        }
    }

    /// Completes owner references: the uid of the owner, its version, and that it controls.
    fn refer(&self, body: &mut Value) {
        let namespace = word(body, "/metadata/namespace").to_owned();
        let Some(list) = body.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) else { return };
        for reference in list.iter_mut() {
            let (kind, name) = (word(reference, "/kind").to_owned(), word(reference, "/name").to_owned());
            let group = Some(split_version(word(reference, "/apiVersion")).0.to_owned()).filter(|_| reference.get("apiVersion").is_some());
            let Some(reference) = reference.as_object_mut() else { continue };
            let at = self.best(group, kind.clone(), Some(namespace.clone()), name);
            let live = self.live.get(&at);
            if !reference.contains_key("uid") {
                let uid = live.map_or_else(|| complete::uid(self.seed, &[&at.0, &at.1, &at.2, &at.3, "1"]), |live| live.id.uid.to_string());
                reference.insert("uid".to_owned(), uid.into());
            }
            if !reference.contains_key("apiVersion") {
                let known = live.map(|live| word(&live.body, "/apiVersion").to_owned());
                let version = known.or_else(|| usual_version(&kind).map(str::to_owned)).unwrap_or_else(|| "v1".to_owned());
                reference.insert("apiVersion".to_owned(), version.into());
            }
            reference.entry("controller").or_insert(Value::Bool(true));
        }
    }

    fn remove(&mut self, at: &Place, now: Timestamp) {
        let Some(live) = self.live.remove(at) else { return };
        self.version += 1;
        self.record(&live.id, Verb::Delete, &live.body, now, None);
    }

    fn record(&mut self, id: &ObjectId, verb: Verb, body: &Value, at: Timestamp, manager: Option<&str>) {
        let about = body.get("involvedObject").or_else(|| body.get("regarding"));
        let regarding = about.filter(|_| id.kind.as_str() == "Event").map(|about| word(about, "/uid").into());
        let seq = self.next_seq();
        self.records.push(Record::Change(Change {
            seq,
            recorded_at: at,
            event_time: complete::event_time(body),
            verb,
            origin: Origin::Watch,
            gap: None,
            object: id.clone(),
            version: split_version(word(body, "/apiVersion")).1.into(),
            resource: plural(id.kind.as_str()).into(),
            resource_version: self.version.to_string().into(),
            generation: body.pointer("/metadata/generation").and_then(Value::as_i64),
            manager: manager.map(Into::into),
            regarding,
            body: Some(Arc::from(body.to_string().into_bytes())),
        }));
    }

    fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        Seq(self.seq)
    }
}

fn owners(body: &Value) -> Vec<&Value> {
    body.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten().collect()
}

fn version_of(body: &Value) -> Option<&str> {
    body.pointer("/metadata/resourceVersion").and_then(Value::as_str)
}
