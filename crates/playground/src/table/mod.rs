//! Tables: what `kubectl get` prints. Columns are the real ones, by kind; rows come from `cells`.

mod cells;
mod custom;
mod pods;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::Target;
use crate::render;

/// Columns by kind: `Name`, type, format `name` where a cell is the object's name; `*` marks what only wide output shows.
const COLUMNS: &[(&str, &str)] = &[
    (
        "Pod",
        "Name:string:name, Ready:string, Status:string, Restarts:string, Age:string, IP:string*, Node:string*, Nominated Node:string*, Readiness Gates:string*",
    ),
    ("PodDisruptionBudget", "Name:string:name, Min Available:string, Max Unavailable:string, Allowed Disruptions:integer, Age:string"),
    (
        "ReplicaSet",
        "Name:string:name, Desired:integer, Current:integer, Ready:integer, Age:string, Containers:string*, Images:string*, Selector:string*",
    ),
    (
        "ReplicationController",
        "Name:string:name, Desired:integer, Current:integer, Ready:integer, Age:string, Containers:string*, Images:string*, Selector:string*",
    ),
    (
        "DaemonSet",
        "Name:string:name, Desired:integer, Current:integer, Ready:integer, Up-to-date:integer, Available:integer, Node Selector:string, \
         Age:string, Containers:string*, Images:string*, Selector:string*",
    ),
    (
        "Job",
        "Name:string:name, Status:string, Completions:string, Duration:string, Age:string, Containers:string*, Images:string*, Selector:string*",
    ),
    (
        "CronJob",
        "Name:string:name, Schedule:string, Timezone:string, Suspend:boolean, Active:integer, Last Schedule:string, Age:string, \
         Containers:string*, Images:string*, Selector:string*",
    ),
    ("Service", "Name:string:name, Type:string, Cluster-IP:string, External-IP:string, Port(s):string, Age:string, Selector:string*"),
    ("Ingress", "Name:string:name, Class:string, Hosts:string, Address:string, Ports:string, Age:string"),
    ("StatefulSet", "Name:string:name, Ready:string, Age:string, Containers:string*, Images:string*"),
    ("Endpoints", "Name:string:name, Endpoints:string, Age:string"),
    (
        "Node",
        "Name:string:name, Status:string, Roles:string, Age:string, Version:string, Internal-IP:string*, External-IP:string*, \
         OS-Image:string*, Kernel-Version:string*, Container-Runtime:string*",
    ),
    (
        "Event",
        "Last Seen:string, Type:string, Reason:string, Object:string, Subobject:string*, Source:string*, Message:string, First Seen:string*, \
         Count:string*, Name:string:name*",
    ),
    ("Namespace", "Name:string:name, Status:string, Age:string"),
    ("Secret", "Name:string:name, Type:string, Data:string, Age:string"),
    ("ServiceAccount", "Name:string:name, Age:string"),
    (
        "PersistentVolumeClaim",
        "Name:string:name, Status:string, Volume:string, Capacity:string, Access Modes:string, StorageClass:string, \
         VolumeAttributesClass:string, Age:string, VolumeMode:string*",
    ),
    (
        "Deployment",
        "Name:string:name, Ready:string, Up-to-date:string, Available:string, Age:string, Containers:string*, Images:string*, Selector:string*",
    ),
    (
        "HorizontalPodAutoscaler",
        "Name:string:name, Reference:string, Targets:string, MinPods:string, MaxPods:string, Replicas:string, Age:string",
    ),
    ("ConfigMap", "Name:string:name, Data:string, Age:string"),
    ("NetworkPolicy", "Name:string:name, Pod-Selector:string, Age:string"),
    ("RoleBinding", "Name:string:name, Role:string, Age:string, Users:string*, Groups:string*, ServiceAccounts:string*"),
    ("ClusterRoleBinding", "Name:string:name, Role:string, Age:string, Users:string*, Groups:string*, ServiceAccounts:string*"),
    ("Lease", "Name:string:name, Holder:string, Age:string"),
    ("EndpointSlice", "Name:string:name, AddressType:string, Ports:string, Endpoints:string, Age:string"),
    ("PriorityClass", "Name:string:name, Value:integer, Global-Default:boolean, Age:string, PreemptionPolicy:string"),
    (
        "StorageClass",
        "Name:string:name, Provisioner:string, ReclaimPolicy:string, VolumeBindingMode:string, AllowVolumeExpansion:string, Age:string",
    ),
    ("MutatingWebhookConfiguration", "Name:string:name, Webhooks:integer, Age:string"),
    ("ValidatingWebhookConfiguration", "Name:string:name, Webhooks:integer, Age:string"),
];

/// Columns of types that have none of their own.
const PLAIN: &str = "Name:string:name, Created At:date";

fn columns(text: &str) -> Vec<Value> {
    let column = |text: &str| {
        let priority = u8::from(text.ends_with('*'));
        let mut parts = text.trim_end_matches('*').split(':');
        let (name, kind, format) = (parts.next().unwrap_or(""), parts.next().unwrap_or("string"), parts.next().unwrap_or(""));
        json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
    };
    text.split(", ").map(|text| column(text.trim())).collect()
}

/// A table of objects, already in the dialect of the target.
pub(crate) fn table<'a>(target: &Target, objects: impl Iterator<Item = &'a Value>, with_columns: bool, now: Timestamp) -> Value {
    let known = COLUMNS.iter().find(|(kind, _)| *kind == target.def.kind && !target.def.is_custom());
    let (columns, rows): (Vec<Value>, Vec<Value>) = if target.def.is_custom() {
        let declared = target.def.custom.get(&target.version).map_or(&[][..], |custom| custom.columns.as_slice());
        (custom::columns(declared), objects.map(|object| row(object, custom::cells(declared, object, now))).collect())
    } else {
        let text = known.map_or(PLAIN, |(_, text)| text);
        (columns(text), objects.map(|object| row(object, cells::of(&target.def.kind, known.is_some(), object, now))).collect())
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": if with_columns { columns.into() } else { Value::Null },
        "rows": rows,
    })
}

fn row(object: &Value, cells: Vec<Value>) -> Value {
    json!({"cells": cells, "object": render::partial(object)})
}
