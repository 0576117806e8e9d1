//! JSON patch (RFC 6902).

use serde_json::Value;

use crate::cluster::Target;
use crate::status::ApiError;
use crate::tree;

/// Operations in one patch, as on a real server.
const OPERATIONS_LIMIT: usize = 10_000;

/// Applies the operations in their order, all or none.
pub(super) fn patch(value: &mut Value, patch: &Value, target: &Target) -> Result<(), ApiError> {
    let operations =
        patch.as_array().ok_or_else(|| ApiError::bad_request("error decoding patch: a JSON patch must be a list of operations"))?;
    if operations.len() > OPERATIONS_LIMIT {
        let mut refusal = ApiError::too_large(OPERATIONS_LIMIT);
        refusal.message = format!("The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {}", operations.len());
        return Err(refusal);
    }
    let mut next = value.clone();
    for operation in operations {
        step(&mut next, operation).map_err(|_| rejected(target))?;
    }
    *value = next;
    Ok(())
}

fn rejected(target: &Target) -> ApiError {
    let mut refusal = ApiError::invalid(target.about_kind(), &[]);
    refusal.message = "the server rejected our request due to an error in our request".to_owned();
    refusal.details = Some(serde_json::json!({}));
    refusal
}

fn step(value: &mut Value, operation: &Value) -> Result<(), &'static str> {
    let path = pointer(tree::text(operation, "/path"))?;
    let given = || operation.get("value").cloned().ok_or("there is no value");
    match tree::text(operation, "/op") {
        "add" => add(value, &path, given()?),
        "remove" => remove(value, &path).map(|_| ()),
        "replace" => {
            let place = find(value, &path).ok_or("there is nothing to replace")?;
            *place = given()?;
            Ok(())
        }
        "test" => {
            let expected = given()?;
            let found = find(value, &path).map_or(Value::Null, |found| found.clone());
            if found == expected { Ok(()) } else { Err("the test failed") }
        }
        "copy" => {
            let copied = find(value, &pointer(tree::text(operation, "/from"))?).ok_or("there is nothing to copy")?.clone();
            add(value, &path, copied)
        }
        "move" => {
            let moved = remove(value, &pointer(tree::text(operation, "/from"))?)?;
            add(value, &path, moved)
        }
        _ => Err("the operation is not known"),
    }
}

fn pointer(text: &str) -> Result<Vec<String>, &'static str> {
    match text.strip_prefix('/') {
        Some(rest) => Ok(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()),
        None if text.is_empty() => Ok(Vec::new()),
        None => Err("the path does not begin with a slash"),
    }
}

fn find<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |place, part| match place {
        Value::Object(map) => map.get_mut(part),
        Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn add(value: &mut Value, path: &[String], new: Value) -> Result<(), &'static str> {
    let Some((last, way)) = path.split_last() else {
        *value = new;
        return Ok(());
    };
    match find(value, way).ok_or("the way leads nowhere")? {
        Value::Object(map) => {
            map.insert(last.clone(), new);
            Ok(())
        }
        Value::Array(list) if last == "-" => {
            list.push(new);
            Ok(())
        }
        Value::Array(list) => {
            let at: usize = last.parse().map_err(|_| "the index is no number")?;
            if at > list.len() {
                return Err("the index is behind the end");
            }
            list.insert(at, new);
            Ok(())
        }
        _ => Err("the way leads to a scalar"),
    }
}

fn remove(value: &mut Value, path: &[String]) -> Result<Value, &'static str> {
    let (last, way) = path.split_last().ok_or("the whole object cannot be removed")?;
    match find(value, way).ok_or("the way leads nowhere")? {
        Value::Object(map) => map.remove(last).ok_or("there is nothing to remove"),
        Value::Array(list) => {
            let at: usize = last.parse().map_err(|_| "the index is no number")?;
            if at < list.len() { Ok(list.remove(at)) } else { Err("the index is behind the end") }
        }
        _ => Err("the way leads to a scalar"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_the_operations_of_the_standard() {
        let mut value = json!({"a": {"b/c": [1, 2]}});
        for (operation, after) in [
            (json!({"op": "add", "path": "/a/b~1c/1", "value": 9}), json!({"a": {"b/c": [1, 9, 2]}})),
            (json!({"op": "add", "path": "/a/b~1c/-", "value": 3}), json!({"a": {"b/c": [1, 9, 2, 3]}})),
            (json!({"op": "remove", "path": "/a/b~1c/0"}), json!({"a": {"b/c": [9, 2, 3]}})),
            (json!({"op": "move", "from": "/a/b~1c", "path": "/d"}), json!({"a": {}, "d": [9, 2, 3]})),
            (json!({"op": "test", "path": "/d/0", "value": 9}), json!({"a": {}, "d": [9, 2, 3]})),
        ] {
            step(&mut value, &operation).unwrap();
            assert_eq!(value, after, "{operation}");
        }
        for operation in [
            json!({"op": "remove", "path": "/x"}),
            json!({"op": "test", "path": "/d/0", "value": 1}),
            json!({"op": "add", "path": "/d/9", "value": 1}),
        ] {
            assert!(step(&mut value, &operation).is_err(), "{operation}");
        }
    }
}
