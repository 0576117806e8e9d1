//! Changing an object by a patch, and by applying a configuration over what was applied before.
//!
//! Pure. Strategic patches merge the lists that the API merges by a key, and replace the others.

use serde_json::{Map, Value};

/// Lists that a strategic patch merges, and the key of their entries. From the patch merge keys of the built-in types.
const MERGED: [(&str, &str); 16] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("containerStatuses", "name"),
    ("initContainerStatuses", "name"),
    ("ephemeralContainerStatuses", "name"),
    ("volumes", "name"),
    ("env", "name"),
    ("imagePullSecrets", "name"),
    ("secrets", "name"),
    ("conditions", "type"),
    ("addresses", "type"),
    ("volumeMounts", "mountPath"),
    ("ports", "containerPort"),
    ("ownerReferences", "uid"),
    ("topologySpreadConstraints", "topologyKey"),
];

/// A JSON merge patch (RFC 7386).
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    let target = as_map(target);
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            value => merge(target.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

/// A strategic merge patch.
pub(crate) fn strategic(target: &mut Value, patch: &Value) {
    strategic_at("", target, patch);
}

fn strategic_at(name: &str, target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(patch) => {
            let target = as_map(target);
            for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
                match value {
                    Value::Null => {
                        target.remove(key);
                    }
                    value => strategic_at(key, target.entry(key.clone()).or_insert(Value::Null), value),
                }
            }
        }
        Value::Array(entries) => match merge_key(name, entries) {
            Some(key) => strategic_list(key, target, entries),
            None => *target = patch.clone(),
        },
        plain => *target = plain.clone(),
    }
}

/// The key by which this list is merged: all entries have it.
fn merge_key(name: &str, entries: &[Value]) -> Option<&'static str> {
    let (_, key) = MERGED.iter().find(|(list, _)| *list == name)?;
    entries.iter().all(|entry| entry.get(key).is_some()).then_some(key)
}

fn strategic_list(key: &str, target: &mut Value, entries: &[Value]) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(list) = target.as_array_mut() else { return };
    for entry in entries {
        let place = list.iter().position(|old| old.get(key) == entry.get(key));
        let goes = entry.get("$patch").and_then(Value::as_str) == Some("delete");
        match (place, goes) {
            (Some(index), true) => {
                list.remove(index);
            }
            (None, true) => {}
            (Some(index), false) => {
                if let Some(old) = list.get_mut(index) {
                    strategic_at("", old, entry);
                }
            }
            (None, false) => list.push(entry.clone()),
        }
    }
}

/// Applies a configuration: what stood in the last one and stands in this one no more goes, the rest is merged, lists are replaced.
pub(crate) fn apply(live: &mut Value, last: Option<&Value>, config: &Value) {
    if let Some(last) = last {
        drop_absent(live, last, config);
    }
    overlay(live, config);
}

fn drop_absent(live: &mut Value, last: &Value, config: &Value) {
    let (Value::Object(live), Value::Object(last), Value::Object(config)) = (live, last, config) else { return };
    for (key, old) in last {
        match (config.get(key), live.get_mut(key)) {
            (None, _) => {
                live.remove(key);
            }
            (Some(new), Some(place)) => drop_absent(place, old, new),
            (Some(_), None) => {}
        }
    }
}

fn overlay(live: &mut Value, config: &Value) {
    match (live, config) {
        (Value::Object(live), Value::Object(config)) => {
            for (key, value) in config {
                overlay(live.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (live, config) => *live = config.clone(),
    }
}

/// A JSON patch (RFC 6902).
///
/// # Errors
/// The operation that cannot be done, in words.
pub(crate) fn json(target: &mut Value, operations: &[Value]) -> Result<(), String> {
    for (index, operation) in operations.iter().enumerate() {
        operate(target, operation).map_err(|reason| format!("operation {index} of the patch: {reason}"))?;
    }
    Ok(())
}

fn operate(target: &mut Value, operation: &Value) -> Result<(), String> {
    let word = |key: &str| operation.get(key).and_then(Value::as_str).ok_or_else(|| format!("it has no `{key}`"));
    let path = word("path")?;
    let value = || operation.get("value").cloned().ok_or_else(|| "it has no `value`".to_owned());
    match word("op")? {
        "add" => add(target, path, value()?),
        "remove" => take(target, path).map(drop),
        "replace" => {
            take(target, path)?;
            add(target, path, value()?)
        }
        "copy" | "move" => {
            let from = word("from")?;
            let moved = if word("op")? == "move" { take(target, from)? } else { found(target, from)?.clone() };
            add(target, path, moved)
        }
        "test" => match found(target, path)? == &value()? {
            true => Ok(()),
            false => Err(format!("the value at {path} is another one")),
        },
        other => Err(format!("`{other}` is no operation, allowed: add, remove, replace, copy, move, test")),
    }
}

fn found<'a>(target: &'a Value, path: &str) -> Result<&'a Value, String> {
    target.pointer(path).ok_or_else(|| format!("there is nothing at {path}"))
}

fn parent<'a, 'b>(target: &'a mut Value, path: &'b str) -> Result<(&'a mut Value, String), String> {
    let (above, last): (&'b str, &'b str) = path.rsplit_once('/').ok_or_else(|| format!("`{path}` does not begin with /"))?;
    let place = target.pointer_mut(above).ok_or_else(|| format!("there is nothing at {above}"))?;
    Ok((place, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (place, key) = parent(target, path)?;
    match place {
        Value::Object(map) => {
            map.insert(key, value);
            Ok(())
        }
        Value::Array(list) => {
            let index = if key == "-" { list.len() } else { key.parse().map_err(|_| format!("`{key}` is no index"))? };
            if index > list.len() {
                return Err(format!("index {index} is beyond the end"));
            }
            list.insert(index, value);
            Ok(())
        }
        _ => Err(format!("{path} leads through something that is no map and no list")),
    }
}

fn take(target: &mut Value, path: &str) -> Result<Value, String> {
    let missing = || format!("there is nothing at {path}");
    let (place, key) = parent(target, path)?;
    match place {
        Value::Object(map) => map.remove(&key).ok_or_else(missing),
        Value::Array(list) => match key.parse::<usize>() {
            Ok(index) if index < list.len() => Ok(list.remove(index)),
            _ => Err(missing()),
        },
        _ => Err(missing()),
    }
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was just made a map"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strategic_patch_merges_by_key_and_replaces_other_lists() {
        let mut object = json!({"conditions": [{"type": "A", "status": "True"}], "args": ["a"]});
        strategic(&mut object, &json!({"conditions": [{"type": "B", "status": "False"}, {"type": "A", "reason": "x"}], "args": ["b"]}));
        assert_eq!(
            object,
            json!({"conditions": [{"type": "A", "status": "True", "reason": "x"}, {"type": "B", "status": "False"}], "args": ["b"]})
        );
    }

    #[test]
    fn applying_anew_drops_what_stands_there_no_more_and_keeps_what_others_wrote() {
        let mut live = json!({"spec": {"a": 1, "b": 2}, "status": {"ready": 3}});
        apply(&mut live, Some(&json!({"spec": {"a": 1, "b": 2}})), &json!({"spec": {"a": 5}}));
        assert_eq!(live, json!({"spec": {"a": 5}, "status": {"ready": 3}}));
    }

    #[test]
    fn a_json_patch_says_which_operation_cannot_be_done() {
        let mut object = json!({"list": [1, 3]});
        json(&mut object, &[json!({"op": "add", "path": "/list/1", "value": 2}), json!({"op": "remove", "path": "/list/0"})])
            .expect("done");
        assert_eq!(object, json!({"list": [2, 3]}));
        let refused = json(&mut object, &[json!({"op": "remove", "path": "/none"})]);
        assert_eq!(refused, Err("operation 0 of the patch: there is nothing at /none".to_owned()));
    }
}
