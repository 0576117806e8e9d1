//! Strategic merge patch: objects merge, keyed lists merge item by item, with the `$` directives that steer it.

use serde_json::{Map, Value};

use crate::schema::Schema;
use crate::status::ApiError;

/// Applies a strategic merge patch to an object.
pub(super) fn patch(value: &mut Value, patch: Value, schema: Schema<'_>) -> Result<(), ApiError> {
    let Value::Object(changes) = patch else {
        return Err(ApiError::bad_request("error decoding patch: a strategic merge patch must be an object"));
    };
    merge_map(crate::tree::object(value), changes, schema)
}

fn wrong(message: &str) -> ApiError {
    ApiError::bad_request(format!("invalid strategic merge patch: {message}"))
}

fn merge_map(map: &mut Map<String, Value>, mut changes: Map<String, Value>, schema: Schema<'_>) -> Result<(), ApiError> {
    match changes.remove("$patch").as_ref().and_then(Value::as_str) {
        Some("replace") => {
            *map = changes.into_iter().filter(|(key, value)| !value.is_null() && !key.starts_with('$')).collect();
            return Ok(());
        }
        Some("delete") => {
            map.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(wrong(&format!("unknown $patch {other:?}"))),
    }
    if let Some(kept) = changes.remove("$retainKeys") {
        let kept: Vec<&str> = kept.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        map.retain(|key, _| kept.contains(&key.as_str()));
    }
    let mut orders: Vec<(String, Value)> = Vec::new();
    changes.retain(|key, order| match key.strip_prefix("$setElementOrder/") {
        Some(field) => {
            orders.push((field.to_owned(), order.take()));
            false
        }
        None => true,
    });
    let before = map.clone();
    for (key, change) in changes {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(list) = map.get_mut(field).and_then(Value::as_array_mut) {
                list.retain(|item| !gone.contains(item));
            }
            continue;
        }
        // Without an order of its own, the list of the patch is the order.
        if change.is_array() && schema.field(&key).patch_key().is_some() && !orders.iter().any(|(field, _)| *field == key) {
            orders.push((key.clone(), change.clone()));
        }
        merge_member(map, &key, change, schema.field(&key))?;
    }
    for (field, order) in orders {
        if let Some(list) = map.get_mut(&field).and_then(Value::as_array_mut) {
            let old = before.get(&field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            *list = ordered(list, &order, old, schema.field(&field).patch_key());
        }
    }
    Ok(())
}

fn merge_member(map: &mut Map<String, Value>, key: &str, change: Value, schema: Schema<'_>) -> Result<(), ApiError> {
    match change {
        Value::Null => {
            map.remove(key);
        }
        Value::Object(changes) => {
            if changes.get("$patch").and_then(Value::as_str) == Some("delete") {
                map.remove(key);
                return Ok(());
            }
            merge_map(crate::tree::object(map.entry(key).or_insert(Value::Null)), changes, schema)?;
        }
        Value::Array(items) => match schema.patch_key() {
            Some(merge_key) => merge_list(crate::tree::list_mut(map.entry(key).or_insert(Value::Null), &[]), items, merge_key, schema)?,
            None => {
                map.insert(key.to_owned(), Value::Array(items));
            }
        },
        scalar => {
            map.insert(key.to_owned(), scalar);
        }
    }
    Ok(())
}

fn merge_list(list: &mut Vec<Value>, items: Vec<Value>, merge_key: &str, schema: Schema<'_>) -> Result<(), ApiError> {
    if merge_key.is_empty() {
        for item in items {
            if !list.contains(&item) {
                list.push(item);
            }
        }
        return Ok(());
    }
    if items.iter().any(|item| item.get("$patch").and_then(Value::as_str) == Some("replace")) {
        *list = items.into_iter().filter(|item| item.get("$patch").is_none()).collect();
        return Ok(());
    }
    for item in items {
        let Some(key) = item.get(merge_key).cloned() else {
            return Err(wrong(&format!("a list item does not contain the merge key {merge_key:?}")));
        };
        let at = list.iter().position(|known| known.get(merge_key) == Some(&key));
        match (at, item) {
            (at, Value::Object(changes)) if changes.get("$patch").and_then(Value::as_str) == Some("delete") => {
                list.retain(|known| known.get(merge_key) != Some(&key));
                let _ = at;
            }
            (Some(at), Value::Object(changes)) => {
                if let Some(known) = list.get_mut(at) {
                    merge_map(crate::tree::object(known), changes, schema.item())?;
                }
            }
            (None, Value::Object(changes)) => {
                let mut fresh = Map::new();
                merge_map(&mut fresh, changes, schema.item())?;
                list.push(Value::Object(fresh));
            }
            (_, _) => return Err(wrong("an item of a keyed list is no object")),
        }
    }
    Ok(())
}

/// Items that the order names come as it says, the others as they were; where both orders speak, the older one decides.
fn ordered(list: &[Value], order: &Value, before: &[Value], merge_key: Option<&str>) -> Vec<Value> {
    let wanted = order.as_array().map_or(&[][..], Vec::as_slice);
    let place = |list: &[Value], item: &Value| {
        list.iter().position(|entry| match merge_key {
            Some(key) if !key.is_empty() => entry.get(key).is_some() && entry.get(key) == item.get(key),
            Some(_) | None => entry == item,
        })
    };
    let (mut named, others): (Vec<&Value>, Vec<&Value>) = list.iter().partition(|item| place(wanted, item).is_some());
    named.sort_by_key(|item| place(wanted, item));
    let mut out = Vec::with_capacity(list.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(new), Some(old)) = (named.peek(), others.peek()) {
        let old_first = matches!((place(before, old), place(before, new)), (Some(old), Some(new)) if old < new);
        out.extend(if old_first { others.next() } else { named.next() }.cloned());
    }
    out.extend(named.chain(others).cloned());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn check(mut value: Value, change: Value, after: Value) {
        patch(&mut value, change, Schema::BuiltIn { kind: "Deployment", parent: "", field: "" }).unwrap();
        assert_eq!(value, after);
    }

    #[test]
    fn merges_containers_by_name_and_env_within_them() {
        check(
            json!({"spec": {"containers": [{"name": "a", "image": "x:1", "env": [{"name": "K", "value": "1"}]}, {"name": "b"}]}}),
            json!({"spec": {"containers": [{"name": "a", "image": "x:2", "env": [{"name": "L", "value": "2"}]}, {"name": "b", "$patch": "delete"}]}}),
            json!({"spec": {"containers": [{"name": "a", "image": "x:2", "env": [{"name": "L", "value": "2"}, {"name": "K", "value": "1"}]}]}}),
        );
    }

    #[test]
    fn replaces_lists_without_a_key_and_maps_on_request() {
        check(
            json!({"spec": {"tolerations": [{"key": "a"}], "strategy": {"rollingUpdate": {"maxSurge": 1}, "type": "RollingUpdate"}}}),
            json!({"spec": {"tolerations": [{"key": "b"}], "strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
            json!({"spec": {"tolerations": [{"key": "b"}], "strategy": {"type": "Recreate"}}}),
        );
    }

    #[test]
    fn removes_finalizers_from_their_set() {
        check(
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}),
            json!({"metadata": {"finalizers": ["c", "b"]}}),
        );
    }
}
