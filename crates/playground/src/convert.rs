//! Between the dialect an object is stored in and the one a client speaks: Events of two groups, autoscalers of two versions, custom
//! resources of several versions (which differ in `apiVersion` only, as with the `None` conversion strategy).

use serde_json::{Value, json};

use crate::resource::ResourceDef;
use crate::tree;

/// True when stored objects can be served as they are.
pub(crate) fn is_direct(def: &ResourceDef, version: &str) -> bool {
    def.group != "events.k8s.io" && version == def.storage_version
}

/// From the stored dialect to the one of (type, version).
pub(crate) fn from_storage(def: &ResourceDef, version: &str, mut value: Value) -> Value {
    if is_direct(def, version) {
        return value;
    }
    tree::put(&mut value, &["apiVersion"], def.api_version(version));
    match (def.group.as_str(), version) {
        ("events.k8s.io", _) => {
            rename_event(&mut value, CORE_TO_NEW);
            // The newer dialect leaves these out where they are empty.
            for field in ["reportingController", "reportingInstance"] {
                if tree::text(&value, &format!("/{field}")).is_empty() {
                    tree::take(&mut value, &[field]);
                }
            }
        }
        ("autoscaling", "v1") => autoscaler_to_v1(&mut value),
        _ => {}
    }
    value
}

/// From the dialect of (type, version) to the stored one.
pub(crate) fn to_storage(def: &ResourceDef, version: &str, mut value: Value) -> Value {
    if is_direct(def, version) {
        return value;
    }
    match (def.group.as_str(), version) {
        ("events.k8s.io", _) => {
            tree::put(&mut value, &["apiVersion"], "v1");
            let back: Vec<(&str, &str)> = CORE_TO_NEW.iter().map(|(core, new)| (*new, *core)).collect();
            rename_event(&mut value, &back);
            tree::put_default(&mut value, &["metadata"], json!({}));
            tree::put_default(&mut value, &["involvedObject"], json!({}));
            tree::put_default(&mut value, &["source"], json!({}));
        }
        ("autoscaling", "v1") => {
            tree::put(&mut value, &["apiVersion"], def.api_version(&def.storage_version));
            autoscaler_from_v1(&mut value);
        }
        _ => tree::put(&mut value, &["apiVersion"], def.api_version(&def.storage_version)),
    }
    value
}

/// Field names of one Event in the core group and in events.k8s.io.
const CORE_TO_NEW: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn rename_event(value: &mut Value, names: &[(&str, &str)]) {
    let map = tree::object(value);
    let moved: Vec<(String, Value)> =
        names.iter().filter_map(|(from, to)| map.remove(*from).map(|value| ((*to).to_owned(), value))).collect();
    map.extend(moved);
}

fn autoscaler_to_v1(value: &mut Value) {
    let cpu = |metrics: &[Value], place: &str| {
        metrics.iter().filter(|metric| tree::text(metric, "/resource/name") == "cpu").find_map(|metric| tree::number(metric, place))
    };
    if let Some(target) = cpu(tree::items(value, "/spec/metrics"), "/resource/target/averageUtilization") {
        tree::put(value, &["spec", "targetCPUUtilizationPercentage"], target);
    }
    if let Some(current) = cpu(tree::items(value, "/status/currentMetrics"), "/resource/current/averageUtilization") {
        tree::put(value, &["status", "currentCPUUtilizationPercentage"], current);
    }
    for path in [["spec", "metrics"], ["spec", "behavior"], ["status", "currentMetrics"], ["status", "conditions"]] {
        tree::take(value, &path);
    }
}

fn autoscaler_from_v1(value: &mut Value) {
    if let Some(target) = tree::take(value, &["spec", "targetCPUUtilizationPercentage"]) {
        let metric =
            json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}}]);
        tree::put(value, &["spec", "metrics"], metric);
    }
    tree::take(value, &["status", "currentCPUUtilizationPercentage"]);
}
