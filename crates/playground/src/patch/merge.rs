//! JSON merge patch (RFC 7386).

use serde_json::Value;

/// Applies a patch: null removes, objects merge, everything else replaces.
pub(super) fn patch(value: &mut Value, patch: Value) {
    let Value::Object(changes) = patch else {
        *value = patch;
        return;
    };
    let map = crate::tree::object(value);
    for (key, change) in changes {
        if change.is_null() {
            map.remove(&key);
        } else {
            self::patch(map.entry(key).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn removes_by_null_and_replaces_lists() {
        let mut value = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        super::patch(&mut value, json!({"a": {"b": null, "c": [3], "e": {"f": null}}}));
        assert_eq!(value, json!({"a": {"c": [3], "e": {}}, "d": 1}));
    }
}
