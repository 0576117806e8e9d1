//! Which fields differ between two versions of an object, as a person would name them.
//!
//! Pure. Lists whose entries carry a key that Kubernetes itself merges by are compared by that key, so that an inserted container is one
//! `add` and not a shift of everything behind it; other lists are compared by position.

use std::collections::BTreeMap;

use proreus_model::{FieldChange, FieldOp};
use serde_json::Value;

/// Keys by which entries of an object list are told apart, most telling first. The merge keys of the built-in types
/// (`patchMergeKey` in the Kubernetes API), with `uid` first because owner references also have a name.
const LIST_KEYS: [&str; 9] = ["uid", "name", "type", "key", "containerPort", "mountPath", "ip", "port", "topologyKey"];

/// Fields that differ in every version and are columns of a change already.
const COLUMNS: [&str; 3] = ["metadata.resourceVersion", "metadata.generation", "metadata.managedFields"];

/// The fields that differ, in path order of the newer version's keys. Equal versions give an empty list.
pub fn changed_fields(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<FieldChange>) {
    if before == after || COLUMNS.contains(&path) {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => compare_maps(path, old, new, found),
        (Value::Array(old), Value::Array(new)) => compare_lists(path, old, new, found),
        _ => found.push(change(path.to_owned(), Some(before), Some(after))),
    }
}

fn compare_maps(path: &str, old: &serde_json::Map<String, Value>, new: &serde_json::Map<String, Value>, found: &mut Vec<FieldChange>) {
    let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    keys.sort();
    for key in keys {
        let path = join(path, key);
        match (old.get(key), new.get(key)) {
            (Some(before), Some(after)) => compare(&path, before, after, found),
            (before, after) => push_unless_column(path, before, after, found),
        }
    }
}

fn push_unless_column(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldChange>) {
    if !COLUMNS.contains(&path.as_str()) {
        found.push(change(path, before, after));
    }
}

fn compare_lists(path: &str, old: &[Value], new: &[Value], found: &mut Vec<FieldChange>) {
    if let Some(key) = LIST_KEYS.iter().find(|key| tells_apart(key, old) && tells_apart(key, new)) {
        return compare_keyed(path, key, old, new, found);
    }
    if old.iter().chain(new).all(|value| !value.is_object() && !value.is_array()) {
        // A list of plain values (finalizers, args) reads best as a whole.
        found.push(change(path.to_owned(), Some(&Value::Array(old.to_vec())), Some(&Value::Array(new.to_vec()))));
        return;
    }
    for index in 0..old.len().max(new.len()) {
        let path = format!("{path}[{index}]");
        match (old.get(index), new.get(index)) {
            (Some(before), Some(after)) => compare(&path, before, after, found),
            (before, after) => found.push(change(path, before, after)),
        }
    }
}

/// Whether every entry has the key, as text or number, and no two have the same.
fn tells_apart(key: &str, list: &[Value]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    list.iter().all(|entry| entry.get(key).and_then(key_text).is_some_and(|text| seen.insert(text)))
}

fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn compare_keyed(path: &str, key: &str, old: &[Value], new: &[Value], found: &mut Vec<FieldChange>) {
    let by_key = |list: &[Value]| -> BTreeMap<String, Value> {
        list.iter().filter_map(|entry| Some((key_text(entry.get(key)?)?, entry.clone()))).collect()
    };
    let (old_entries, new_entries) = (by_key(old), by_key(new));
    let before_count = found.len();
    for name in old_entries.keys().chain(new_entries.keys().filter(|name| !old_entries.contains_key(*name))) {
        let path = format!("{path}[{key}={name}]");
        match (old_entries.get(name), new_entries.get(name)) {
            (Some(before), Some(after)) => compare(&path, before, after, found),
            (before, after) => found.push(change(path, before, after)),
        }
    }
    if found.len() == before_count {
        // Same entries in another order: order can matter (init containers, env), so it is told.
        found.push(change(path.to_owned(), Some(&Value::Array(old.to_vec())), Some(&Value::Array(new.to_vec()))));
    }
}

fn change(path: String, before: Option<&Value>, after: Option<&Value>) -> FieldChange {
    let op = match (before, after) {
        (None, _) => FieldOp::Add,
        (Some(_), None) => FieldOp::Remove,
        (Some(_), Some(_)) => FieldOp::Replace,
    };
    FieldChange { path, op, before: before.cloned(), after: after.cloned() }
}

/// A key with anything beyond letters, digits, `_` and `-` is quoted, so that a path is never ambiguous.
fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'$');
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", Value::String(key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: Value, after: Value, expected: &[&str]) {
        let lines: Vec<String> = changed_fields(&before, &after)
            .iter()
            .map(|field| {
                let show = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), ToString::to_string);
                format!("{:?} {} {} -> {}", field.op, field.path, show(&field.before), show(&field.after))
            })
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn names_a_container_by_its_name() {
        check(
            json!({"spec": {"containers": [{"name": "log", "image": "a"}, {"name": "web", "image": "shop:1"}]}}),
            json!({"spec": {"containers": [{"name": "web", "image": "shop:2"}, {"name": "log", "image": "a"}]}}),
            &[r#"Replace spec.containers[name=web].image "shop:1" -> "shop:2""#],
        );
    }

    #[test]
    fn an_inserted_container_is_one_add() {
        check(
            json!({"c": [{"name": "b"}]}),
            json!({"c": [{"name": "a", "x": 1}, {"name": "b"}]}),
            &[r#"Add c[name=a] - -> {"name":"a","x":1}"#],
        );
    }

    #[test]
    fn tells_a_mere_reordering() {
        check(
            json!({"env": [{"name": "A"}, {"name": "B"}]}),
            json!({"env": [{"name": "B"}, {"name": "A"}]}),
            &[r#"Replace env [{"name":"A"},{"name":"B"}] -> [{"name":"B"},{"name":"A"}]"#],
        );
    }

    #[test]
    fn falls_back_to_positions_when_names_repeat() {
        check(
            json!({"p": [{"name": "x", "v": 1}, {"name": "x", "v": 2}]}),
            json!({"p": [{"name": "x", "v": 1}, {"name": "x", "v": 3}]}),
            &["Replace p[1].v 2 -> 3"],
        );
    }

    #[test]
    fn leaves_out_what_is_a_column() {
        check(
            json!({"metadata": {"resourceVersion": "1", "generation": 1, "labels": {}}}),
            json!({"metadata": {"resourceVersion": "2", "generation": 2, "labels": {"app.kubernetes.io/name": "a"}}}),
            &[r#"Add metadata.labels["app.kubernetes.io/name"] - -> "a""#],
        );
    }

    #[test]
    fn tells_a_change_of_type_and_null() {
        check(json!({"a": null, "b": 1}), json!({"a": [], "b": "1"}), &["Replace a null -> []", r#"Replace b 1 -> "1""#]);
    }

    #[test]
    fn keeps_numbers_as_written() {
        let before: Value = serde_json::from_str(r#"{"n": 1.0}"#).expect("json");
        let after: Value = serde_json::from_str(r#"{"n": 1.00}"#).expect("json");
        check(before, after, &["Replace n 1.0 -> 1.00"]);
    }
}
