//! Server-side apply: a manager states the fields it wants; conflicts with other owners are refused unless forced; what it stated before
//! and states no more is removed, unless somebody else owns it too.

use serde_json::{Map, Value};

use crate::cluster::{Cluster, Target, Writer};
use crate::fields::{self, Comparison, FieldSet, key_step};
use crate::managed::{self, Owner, Who};
use crate::schema::{ListKind, Schema};
use crate::status::ApiError;
use crate::write::{Written, decode};
use crate::{time, tree};

impl Cluster {
    /// Applies a configuration.
    pub(super) fn apply(&mut self, target: &Target, mut config: Value, force: bool, writer: &Writer) -> Result<Written, ApiError> {
        let (version, kind) = (tree::text(&config, "/apiVersion"), tree::text(&config, "/kind"));
        if version.is_empty() || kind.is_empty() {
            let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
            return Err(ApiError::bad_request(format!("invalid object type: {version}, Kind={kind}")));
        }
        if config.pointer("/metadata/managedFields").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        let name = tree::text(&config, "/metadata/name").to_owned();
        let misnamed = !name.is_empty() && name != target.name;
        let refusal =
            || ApiError::bad_request(format!("the name of the object ({name}) does not match the name on the URL ({})", target.name));
        tree::put(&mut config, &["metadata", "name"], target.name.clone());
        let config = decode(target, config)?;
        let subresource = if target.subresource == "status" { "status".to_owned() } else { String::new() };
        let api_version = target.def.api_version(&target.version);
        let who = Who { manager: writer.manager.clone(), apply: true, api_version, subresource };
        let existing = self.store.get(&target.def.table, &target.key()).cloned();
        match existing {
            None if misnamed => Err(refusal()),
            None if !target.subresource.is_empty() => Err(ApiError::not_found(target.about())),
            None => {
                let uid = tree::text(&config, "/metadata/uid");
                if !uid.is_empty() {
                    let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                    return Err(ApiError::conflict(target.about(), &why));
                }
                let mut set = fields::stated(&managed::comparable(&config), Schema::of(&target.def, &target.version));
                managed::strip(&mut set, &target.def, &who.subresource);
                let owner = Owner { who, time: time::seconds(writer.now), set };
                let mut fresh = config;
                tree::take(&mut fresh, &["metadata", "resourceVersion"]);
                self.create_decoded(target, fresh, writer, |_, _, value| managed::store(value, vec![owner]))
            }
            Some(existing) => {
                super::check_identity(target, &existing, &config)?;
                let (value, owners) = merged(target, existing.value(), config, force, &who, writer)?;
                if misnamed {
                    return Err(refusal());
                }
                self.replace_with(target, &existing, value, writer, |_, _, value| managed::store(value, owners))
            }
        }
    }
}

/// The object after an apply, and who owns what then.
fn merged(target: &Target, live: &Value, config: Value, force: bool, who: &Who, writer: &Writer) -> Result<(Value, Vec<Owner>), ApiError> {
    let schema = Schema::of(&target.def, &target.version);
    let plain = managed::comparable(&config);
    let mut set = fields::stated(&plain, schema);
    managed::strip(&mut set, &target.def, &who.subresource);
    let mut value = live.clone();
    let mut layer = plain;
    if who.subresource.is_empty() && target.def.traits.status {
        tree::take(&mut layer, &["status"]);
    }
    merge(&mut value, &layer, schema);
    let comparison = Comparison::of(&managed::comparable(live), &managed::comparable(&value), schema);
    let changed = comparison.added.union(&comparison.modified);
    let mut owners = managed::owners(live);
    if owners.is_empty() {
        owners.push(managed::before_first_apply(live, &target.def, &target.version, writer.now));
    }
    let others = |owner: &&Owner| owner.who != *who;
    let mut conflicts = Vec::new();
    for owner in owners.iter().filter(others) {
        let taken = owner.set.intersection(&changed).intersection(&set);
        conflicts.extend(taken.paths().iter().map(|path| (manager_shown(owner), fields::shown(path))));
    }
    if !conflicts.is_empty() && !force {
        conflicts.sort();
        return Err(ApiError::apply_conflict(&conflicts));
    }
    let last = owners.iter().find(|owner| owner.who == *who).map(|owner| owner.set.clone()).unwrap_or_default();
    let elsewhere = owners.iter().filter(others).fold(FieldSet::default(), |sum, owner| sum.union(&owner.set));
    let abandoned = last.difference(&set).difference(&elsewhere);
    for path in &abandoned.paths() {
        prune(&mut value, path, schema, &set.union(&elsewhere));
    }
    for owner in owners.iter_mut().filter(|owner| owner.who != *who) {
        owner.set = owner.set.difference(&changed.intersection(&set));
    }
    let unchanged = last == set && !last.is_empty() && comparison.is_same();
    match owners.iter_mut().find(|owner| owner.who == *who) {
        Some(owner) if unchanged => owner.set = set,
        Some(owner) => {
            owner.set = set;
            owner.time = time::seconds(writer.now);
        }
        None => owners.push(Owner { who: who.clone(), time: time::seconds(writer.now), set }),
    }
    for field in ["resourceVersion", "uid"] {
        if let Some(stated) = config.pointer(&format!("/metadata/{field}")) {
            tree::put(&mut value, &["metadata", field], stated.clone());
        }
    }
    Ok((value, owners))
}

fn manager_shown(owner: &Owner) -> String {
    let mut out = format!("{:?}", owner.who.manager);
    if !owner.who.subresource.is_empty() {
        out.push_str(&format!(" with subresource {:?}", owner.who.subresource));
    }
    if !owner.who.apply {
        out.push_str(&format!(" using {}", owner.who.api_version));
    }
    out
}

/// Lays a configuration over an object, lists by their kind.
fn merge(value: &mut Value, layer: &Value, schema: Schema<'_>) {
    match (value, layer) {
        (Value::Object(base), Value::Object(over)) if !schema.is_whole() => {
            for (key, change) in over {
                match base.get_mut(key) {
                    Some(place) => merge(place, change, schema.field(key)),
                    None => {
                        base.insert(key.clone(), change.clone());
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(over)) => match schema.list_kind() {
            ListKind::Atomic => *base = over.clone(),
            ListKind::Set => over.iter().for_each(|item| {
                if !base.contains(item) {
                    base.push(item.clone());
                }
            }),
            ListKind::Keyed(keys) => {
                for item in over {
                    let key = key_step(item, &keys);
                    match base.iter_mut().find(|known| key.is_some() && key_step(known, &keys) == key) {
                        Some(known) => merge(known, item, schema.item()),
                        None => base.push(item.clone()),
                    }
                }
            }
        },
        (place, layer) => *place = layer.clone(),
    }
}

/// Removes one abandoned place, unless something within it is kept.
fn prune(value: &mut Value, path: &[String], schema: Schema<'_>, kept: &FieldSet) {
    let Some((step, rest)) = path.split_first() else { return };
    let below = kept.step(step);
    match (value, step.split_at_checked(2)) {
        (Value::Object(map), Some(("f:", name))) => {
            if rest.is_empty() {
                if below.is_none() {
                    map.remove(name);
                }
            } else if let Some(place) = map.get_mut(name) {
                prune(place, rest, schema.field(name), below.map_or(&FieldSet::default(), |(set, _)| set));
                drop_emptied(map, name, below.is_some());
            }
        }
        (Value::Array(list), Some(("k:" | "v:", _))) => {
            let kind = schema.list_kind();
            let is_meant = |item: &Value| match &kind {
                ListKind::Keyed(keys) => key_step(item, keys).as_deref() == Some(step),
                ListKind::Set => format!("v:{item}") == *step,
                ListKind::Atomic => false,
            };
            if rest.is_empty() {
                if below.is_none() {
                    list.retain(|item| !is_meant(item));
                }
            } else if let Some(place) = list.iter_mut().find(|item| is_meant(item)) {
                prune(place, rest, schema.item(), below.map_or(&FieldSet::default(), |(set, _)| set));
            }
        }
        (_, _) => {}
    }
}

/// A map or list that lost its last member goes too, where nobody owns it.
fn drop_emptied(map: &mut Map<String, Value>, name: &str, owned: bool) {
    let is_empty = match map.get(name) {
        Some(Value::Object(inner)) => inner.is_empty(),
        Some(Value::Array(inner)) => inner.is_empty(),
        _ => false,
    };
    if is_empty && !owned && !matches!(name, "metadata" | "spec" | "status" | "data") {
        map.remove(name);
    }
}
