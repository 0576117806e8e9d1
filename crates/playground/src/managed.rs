//! `metadata.managedFields`: who wrote which field last.
//!
//! Pure: (version before, version after, who, when) → the entries of the version after.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fields::{Comparison, FieldSet};
use crate::resource::ResourceDef;
use crate::schema::Schema;
use crate::tree;

/// Who writes: one entry of managed fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) manager: String,
    pub(crate) apply: bool,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

/// One entry, parsed.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) who: Who,
    pub(crate) time: String,
    pub(crate) set: FieldSet,
}

/// More `Update` entries than this are merged into one, oldest first, as the real server does.
const MAX_UPDATE_OWNERS: usize = 10;

/// Reads the entries of an object.
pub(crate) fn owners(value: &Value) -> Vec<Owner> {
    tree::items(value, "/metadata/managedFields").iter().map(owner).collect()
}

fn owner(entry: &Value) -> Owner {
    Owner {
        who: Who {
            manager: tree::text(entry, "/manager").to_owned(),
            apply: tree::text(entry, "/operation") == "Apply",
            api_version: tree::text(entry, "/apiVersion").to_owned(),
            subresource: tree::text(entry, "/subresource").to_owned(),
        },
        time: tree::text(entry, "/time").to_owned(),
        set: FieldSet::from_json(entry.get("fieldsV1").unwrap_or(&Value::Null)),
    }
}

/// Writes the entries into an object, sorted as the real server sorts them; none at all leave no list.
pub(crate) fn store(value: &mut Value, mut owners: Vec<Owner>) {
    owners.retain(|owner| !owner.set.is_empty());
    fold_ancient(&mut owners);
    owners.sort_by(|a, b| {
        (!a.who.apply, &a.time, &a.who.manager, &a.who.subresource).cmp(&(!b.who.apply, &b.time, &b.who.manager, &b.who.subresource))
    });
    if owners.is_empty() {
        tree::take(value, &["metadata", "managedFields"]);
        return;
    }
    let entries: Vec<Value> = owners.iter().map(entry).collect();
    tree::put(value, &["metadata", "managedFields"], entries);
}

fn fold_ancient(owners: &mut Vec<Owner>) {
    while owners.iter().filter(|owner| !owner.who.apply && owner.who.subresource.is_empty()).count() > MAX_UPDATE_OWNERS {
        let oldest = |skip: Option<usize>| {
            (0..owners.len())
                .filter(|at| Some(*at) != skip && !owners[*at].who.apply && owners[*at].who.subresource.is_empty())
                .min_by_key(|at| owners[*at].time.clone())
        };
        let Some(first) = oldest(None) else { return };
        let Some(second) = oldest(Some(first)) else { return };
        let folded = owners[first].set.union(&owners[second].set);
        owners[second].set = folded;
        owners[second].who.manager = "ancient-changes".to_owned();
        owners.remove(first);
    }
}

fn entry(owner: &Owner) -> Value {
    let mut out = json!({
        "manager": owner.who.manager,
        "operation": if owner.who.apply { "Apply" } else { "Update" },
        "apiVersion": owner.who.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": owner.set.to_json(),
    });
    if !owner.time.is_empty() {
        out["time"] = owner.time.clone().into();
    }
    if !owner.who.subresource.is_empty() {
        out["subresource"] = owner.who.subresource.clone().into();
    }
    out
}

/// Fields that nobody manages: identity and what the server itself writes.
const SERVER_META: &[&str] =
    &["f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:generation", "f:managedFields", "f:resourceVersion"];

/// Takes the fields that nobody manages out of a set, and those that this endpoint does not write.
pub(crate) fn strip(set: &mut FieldSet, def: &ResourceDef, subresource: &str) {
    set.remove_step("f:apiVersion");
    set.remove_step("f:kind");
    for name in SERVER_META {
        set.remove_below(&["f:metadata", name]);
    }
    set.remove_member("f:metadata");
    match subresource {
        "status" => set.remove_step("f:spec"),
        _ if def.traits.status && !writes_status(def) => set.remove_step("f:status"),
        _ => {}
    }
}

/// Types whose main endpoint takes `status` along.
fn writes_status(def: &ResourceDef) -> bool {
    matches!(def.kind.as_str(), "PodTemplate")
}

/// What an object of a type consists of before anything is written into it: these structures exist without an owner.
fn skeleton(def: &ResourceDef, version: &str) -> Value {
    let mut out = bare(def);
    if !def.is_custom() {
        crate::defaults::always(def, &mut out);
    }
    let mut out = crate::convert::from_storage(def, version, out);
    tree::take(&mut out, &["apiVersion"]);
    out
}

fn bare(def: &ResourceDef) -> Value {
    if def.is_custom() {
        return json!({"metadata": {}});
    }
    let template = json!({"metadata": {}, "spec": {"containers": null}});
    match def.kind.as_str() {
        "Deployment" => json!({"metadata": {}, "spec": {"template": template, "strategy": {}}, "status": {}}),
        "ReplicaSet" | "Job" => json!({"metadata": {}, "spec": {"template": template}, "status": {}}),
        "StatefulSet" | "DaemonSet" => json!({"metadata": {}, "spec": {"template": template, "updateStrategy": {}}, "status": {}}),
        "CronJob" => json!({"metadata": {}, "spec": {"jobTemplate": {"metadata": {}, "spec": {"template": template}}}, "status": {}}),
        "Service" => json!({"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}}),
        "Ingress" => json!({"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}}),
        "Pod" => json!({"metadata": {}, "spec": {"containers": null}, "status": {}}),
        "Event" => json!({"metadata": {}, "involvedObject": {}, "source": {}}),
        "HorizontalPodAutoscaler" => json!({"metadata": {}, "spec": {"scaleTargetRef": {}}, "status": {}}),
        "NetworkPolicy" => json!({"metadata": {}, "spec": {"podSelector": {}}}),
        "Node" => json!({"metadata": {}, "spec": {}, "status": {"daemonEndpoints": {"kubeletEndpoint": {}}, "nodeInfo": {}}}),
        "CustomResourceDefinition" => json!({"metadata": {}, "spec": {"names": {}}, "status": {"acceptedNames": {}}}),
        "PersistentVolumeClaim" => json!({"metadata": {}, "spec": {"resources": {}}, "status": {}}),
        _ => json!({"metadata": {}, "spec": {}, "status": {}}),
    }
}

/// The parts of an object that comparisons look at.
pub(crate) fn comparable(value: &Value) -> Value {
    let mut out = value.clone();
    if let Some(meta) = out.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in SERVER_META {
            meta.remove(name.trim_start_matches("f:"));
        }
    }
    out
}

/// The owner of everything that was there before anybody applied.
pub(crate) fn before_first_apply(live: &Value, def: &ResourceDef, version: &str, now: Timestamp) -> Owner {
    let who =
        Who { manager: "before-first-apply".to_owned(), apply: false, api_version: def.api_version(version), subresource: String::new() };
    let mut base = skeleton(def, version);
    let empty = base.clone();
    tree::lay_over(&mut base, comparable(live));
    let comparison = Comparison::of(&empty, &base, Schema::of(def, version));
    let mut set = comparison.added.union(&comparison.modified);
    strip(&mut set, def, "");
    Owner { who, time: crate::time::seconds(now), set }
}

/// Records an ordinary write: the writer owns what differs, the others lose it.
pub(crate) fn record_update(before: Option<&Value>, after: &mut Value, def: &ResourceDef, version: &str, who: &Who, now: Timestamp) {
    let empty = skeleton(def, version);
    // Fields are named as in the dialect of the request.
    let spoken = |value: &Value| crate::convert::from_storage(def, version, comparable(value));
    let old = before.map_or_else(|| empty.clone(), spoken);
    let new = spoken(after);
    let mut base = empty;
    tree::lay_over(&mut base, old);
    let mut padded = skeleton(def, version);
    tree::lay_over(&mut padded, new);
    let comparison = Comparison::of(&base, &padded, Schema::of(def, version));
    let mut written = comparison.added.union(&comparison.modified);
    strip(&mut written, def, &who.subresource);
    // A client that sends managedFields along says what it read; only an explicit empty list clears them.
    let mut owners = before.map(owners).unwrap_or_default();
    if before.is_some() && owners.is_empty() {
        // Nobody's fields were noted at birth, so nobody's are until somebody applies.
        store(after, owners);
        return;
    }
    let gone = written.union(&comparison.removed);
    let mut mine = None;
    for owner in &mut owners {
        if owner.who == *who {
            mine = Some(&mut owner.set);
        } else {
            owner.set = owner.set.difference(&gone);
        }
    }
    // The scale endpoint of the real server leaves the time out.
    let time = if who.subresource == "scale" { String::new() } else { crate::time::seconds(now) };
    match mine {
        Some(set) => {
            let next = set.union(&written).difference(&comparison.removed);
            if next != *set || !written.is_empty() {
                *set = next;
                owners.iter_mut().filter(|owner| owner.who == *who).for_each(|owner| owner.time = time.clone());
            }
        }
        None if !written.is_empty() => owners.push(Owner { who: who.clone(), time, set: written }),
        None => {}
    }
    store(after, owners);
}
