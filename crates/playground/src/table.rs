//! Tables: what `kubectl get` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::Target;
use crate::{render, time, tree};

/// A table of objects, already in the dialect of the target.
pub(crate) fn table<'a>(target: &Target, objects: impl Iterator<Item = &'a Value>, with_columns: bool, now: Timestamp) -> Value {
    let rows: Vec<Value> = objects
        .map(|object| {
            json!({"cells": [tree::text(object, "/metadata/name"), age(object, now)], "object": render::partial(object)})
        })
        .collect();
    let _ = target;
    let columns = json!([
        {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
        {"name": "Created At", "type": "date", "format": "", "description": "", "priority": 0},
    ]);
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": if with_columns { columns } else { Value::Null },
        "rows": rows,
    })
}

fn age(object: &Value, now: Timestamp) -> String {
    since(tree::text(object, "/metadata/creationTimestamp"), now)
}

fn since(moment: &str, now: Timestamp) -> String {
    time::parse(moment).map_or_else(|| "<unknown>".to_owned(), |then| time::human(now.duration_since(then).as_secs()))
}
