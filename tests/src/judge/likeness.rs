//! Whether two JSON objects say the same: a recorded body and the stored one, or two versions of one object.
//!
//! Independent of the recorder's own redaction and noise policy on purpose. What it lets pass is listed here and nowhere else.

use serde_json::{Map, Value};

/// What a redacted value looks like.
const TAG: &str = "redacted:";
/// Keys whose change alone is noise by the policy that ships, wherever they are.
const NOISE_KEYS: [&str; 5] =
    ["lastHeartbeatTime", "lastProbeTime", "observedTime", "renewTime", "endpoints.kubernetes.io/last-change-trigger-time"];

/// Where a recorded body first differs from the stored one; `None` when it says the same.
pub(super) fn difference(recorded: &Value, stored: &Value) -> Option<String> {
    let (mut recorded, mut stored) = (recorded.clone(), stored.clone());
    for object in [&mut recorded, &mut stored] {
        strip(object, &["managedFields", "selfLink", "resourceVersion"]);
    }
    if let (Some(Value::String(kind)), Some(map)) = (stored.get("kind").cloned(), recorded.as_object_mut())
        && kind == "Secret"
    {
        map.remove("safeFacts");
    }
    walk("", &recorded, &stored)
}

/// Whether two stored versions of one object differ in noise only.
pub(super) fn says_nothing_new(before: &Value, after: &Value) -> bool {
    let (mut before, mut after) = (before.clone(), after.clone());
    for object in [&mut before, &mut after] {
        strip(object, &["managedFields", "selfLink", "resourceVersion"]);
        drop_noise(object);
    }
    walk("", &after, &before).is_none() && walk("", &before, &after).is_none()
}

fn strip(object: &mut Value, fields: &[&str]) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        fields.iter().for_each(|field| drop(metadata.remove(*field)));
    }
}

fn drop_noise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // A last-applied annotation is not recorded, so its change is none.
            map.retain(|key, _| !NOISE_KEYS.contains(&key.as_str()) && !embeds_an_object(key));
            map.values_mut().for_each(drop_noise);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_noise),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An annotation that embeds a former object: never recorded.
fn embeds_an_object(name: &str) -> bool {
    name.ends_with("/last-applied-configuration")
}

fn walk(path: &str, recorded: &Value, stored: &Value) -> Option<String> {
    match (recorded, stored) {
        (Value::Object(recorded), Value::Object(stored)) => maps(path, recorded, stored),
        (Value::Array(recorded), Value::Array(stored)) => {
            if recorded.len() != stored.len() {
                return Some(format!("{path}: {} items instead of {}", recorded.len(), stored.len()));
            }
            recorded
                .iter()
                .zip(stored)
                .enumerate()
                .find_map(|(index, (recorded, stored))| walk(&format!("{path}[{index}]"), recorded, stored))
        }
        (Value::String(tag), Value::String(_)) if tag.starts_with(TAG) => None,
        _ if recorded == stored => None,
        _ => Some(format!("{path}: {} instead of {}", short(recorded), short(stored))),
    }
}

fn maps(path: &str, recorded: &Map<String, Value>, stored: &Map<String, Value>) -> Option<String> {
    for (key, value) in stored {
        let at = format!("{path}.{key}");
        match recorded.get(key) {
            Some(found) => {
                if let Some(difference) = walk(&at, found, value) {
                    return Some(difference);
                }
            }
            None if path.ends_with("annotations") && embeds_an_object(key) => {}
            None => return Some(format!("{at}: missing")),
        }
    }
    recorded
        .keys()
        .find(|key| !(stored.contains_key(*key) || path.ends_with("annotations") && embeds_an_object(key)))
        .map(|key| format!("{path}.{key}: not in the true version"))
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lets_redaction_pass_and_nothing_else() {
        let stored = json!({"kind": "Secret", "metadata": {"name": "a", "resourceVersion": "1", "managedFields": [],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x", "b": "c"}}, "data": {"k": "djE="}});
        let recorded =
            |data: Value| json!({"kind": "Secret", "metadata": {"name": "a", "annotations": {"b": "c"}}, "data": data, "safeFacts": {}});
        assert_eq!(difference(&recorded(json!({"k": "redacted:0:1"})), &stored), None);
        assert_eq!(difference(&recorded(json!({"k": "djI="})), &stored), Some(".data.k: \"djI=\" instead of \"djE=\"".to_owned()));
        assert_eq!(difference(&recorded(json!({})), &stored), Some(".data.k: missing".to_owned()));
        assert_eq!(difference(&json!({"a": [1, 2]}), &json!({"a": [1]})), Some(".a: 2 items instead of 1".to_owned()));
        assert_eq!(difference(&json!({"a": 1, "b": 2}), &json!({"a": 1})), Some(".b: not in the true version".to_owned()));
    }

    #[test]
    fn a_heartbeat_says_nothing_new_and_a_condition_does() {
        let node = |heartbeat: &str, ready: &str| {
            json!({"metadata": {"resourceVersion": heartbeat},
                   "status": {"conditions": [{"lastHeartbeatTime": heartbeat, "status": ready}]}})
        };
        assert!(says_nothing_new(&node("1", "True"), &node("2", "True")));
        assert!(!says_nothing_new(&node("1", "True"), &node("2", "False")));
        assert!(!says_nothing_new(&json!({"a": 1}), &json!({"a": 1, "b": 1})));
        assert!(!says_nothing_new(&json!({"a": 1, "b": 1}), &json!({"a": 1})));
    }
}
