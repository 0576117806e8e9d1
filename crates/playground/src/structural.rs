//! Schemas of custom resources at work: unknown fields are pruned, defaults filled in, the rest checked.

use serde_json::Value;

use crate::status::Cause;
use crate::tree;

/// Prunes and defaults an object.
pub(crate) fn shape(schema: Option<&Value>, value: &mut Value) {
    let Some(schema) = schema else { return };
    let root_keys = ["apiVersion", "kind", "metadata"];
    let kept: Vec<(String, Value)> =
        root_keys.iter().filter_map(|key| value.get(*key).map(|value| ((*key).to_owned(), value.clone()))).collect();
    walk(schema, value);
    if let Some(map) = value.as_object_mut() {
        map.extend(kept);
    }
}

fn walk(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties");
            let open = tree::flag(schema, "/x-kubernetes-preserve-unknown-fields")
                || additional.is_some_and(|any| any.as_bool() == Some(true))
                || properties.is_none() && additional.is_none() && schema.get("type").is_none();
            for (name, property) in properties.into_iter().flatten() {
                if let Some(default) = property
                    .get("default")
                    .filter(|_| map.get(name).is_none_or(|value| value.is_null() && !tree::flag(property, "/nullable")))
                {
                    map.insert(name.clone(), default.clone());
                }
                if map.get(name).is_some_and(Value::is_null) && !tree::flag(property, "/nullable") {
                    map.remove(name);
                }
            }
            map.retain(|name, _| {
                open || properties.is_some_and(|known| known.contains_key(name)) || additional.is_some_and(Value::is_object)
            });
            for (name, value) in map.iter_mut() {
                let below = properties.and_then(|known| known.get(name)).or_else(|| additional.filter(|any| any.is_object()));
                if let Some(below) = below {
                    walk(below, value);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                list.iter_mut().for_each(|item| walk(items, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks an object against its schema.
pub(crate) fn check(schema: Option<&Value>, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(schema) = schema {
        check_at(schema, value, "", &mut causes);
    }
    causes
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn invalid(path: &str, value: &Value, text: String) -> Cause {
    let field = if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() };
    let mut cause = Cause::invalid(&field, value, &format!("{field} {text}"));
    cause.message = match value {
        Value::Object(_) | Value::Array(_) => cause.message,
        _ => cause.message,
    };
    cause
}

fn check_type(schema: &Value, value: &Value, path: &str) -> Option<Cause> {
    let found = type_of(value);
    if tree::flag(schema, "/x-kubernetes-int-or-string") {
        let fits = matches!(found, "integer" | "string");
        return (!fits).then(|| invalid(path, &found.into(), format!("in body must be of type integer,string: {found:?}")));
    }
    let wanted = tree::text(schema, "/type");
    let fits = wanted.is_empty()
        || wanted == found
        || wanted == "number" && found == "integer"
        || found == "null" && tree::flag(schema, "/nullable");
    if fits {
        return None;
    }
    let field = if path.is_empty() { "<nil>" } else { path };
    let message = format!("Invalid value: {found:?}: {field} in body must be of type {wanted}: {found:?}");
    Some(Cause { reason: "FieldValueTypeInvalid", message, field: field.to_owned() })
}

fn check_at(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let wrong_type = check_type(schema, value, path);
    let fits = wrong_type.is_none();
    causes.extend(wrong_type);
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array).filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        causes.push(Cause::unsupported(path, value, &allowed));
    }
    match value {
        _ if !fits => {}
        Value::Object(map) => {
            for name in tree::items(schema, "/required").iter().filter_map(Value::as_str) {
                if !map.contains_key(name) {
                    let field = join(path, name);
                    causes.push(Cause { reason: "FieldValueRequired", message: "Required value".to_owned(), field });
                }
            }
            let additional = schema.get("additionalProperties").filter(|any| any.is_object());
            for (name, value) in map {
                let below = schema.get("properties").and_then(|known| known.get(name)).or(additional);
                if let Some(below) = below.filter(|_| !(path.is_empty() && name == "metadata")) {
                    check_at(below, value, &join(path, name), causes);
                }
            }
        }
        Value::Array(list) => {
            check_count(schema, "minItems", "maxItems", list.len(), value, path, "items", causes);
            if let Some(items) = schema.get("items") {
                for (at, item) in list.iter().enumerate() {
                    check_at(items, item, &format!("{path}[{at}]"), causes);
                }
            }
        }
        Value::String(text) => check_count(schema, "minLength", "maxLength", text.chars().count(), value, path, "chars long", causes),
        Value::Number(number) => check_number(schema, number.as_f64().unwrap_or(0.0), value, path, causes),
        Value::Null | Value::Bool(_) => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[allow(clippy::too_many_arguments)]
fn check_count(schema: &Value, least: &str, most: &str, count: usize, value: &Value, path: &str, unit: &str, causes: &mut Vec<Cause>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
    if let Some(least) = bound(least).filter(|least| count < *least) {
        causes.push(invalid(path, value, format!("in body should be at least {least} {unit}")));
    }
    if let Some(most) = bound(most).filter(|most| count > *most) {
        causes.push(invalid(path, value, format!("in body should be at most {most} {unit}")));
    }
}

fn check_number(schema: &Value, number: f64, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(least) = schema.get("minimum").and_then(Value::as_f64).filter(|least| number < *least) {
        causes.push(invalid(path, value, format!("in body should be greater than or equal to {least}")));
    }
    if let Some(most) = schema.get("maximum").and_then(Value::as_f64).filter(|most| number > *most) {
        causes.push(invalid(path, value, format!("in body should be less than or equal to {most}")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prunes_unknown_fields_and_fills_in_defaults() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer", "default": 3}, "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}});
        let mut value =
            json!({"apiVersion": "a/v1", "kind": "B", "metadata": {"name": "x"}, "spec": {"odd": 1, "free": {"any": 2}}, "rest": 1});
        shape(Some(&schema), &mut value);
        let after = json!({"apiVersion": "a/v1", "kind": "B", "metadata": {"name": "x"}, "spec": {"size": 3, "free": {"any": 2}}});
        assert_eq!(value, after);
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1}}}}});
        let told = |value: Value| {
            check(Some(&schema), &value).iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
        };
        assert_eq!(told(json!({"spec": {}})), ["spec.size: Required value"]);
        assert_eq!(
            told(json!({"spec": {"size": 0}})),
            ["spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"]
        );
        let wrong = "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"";
        assert_eq!(told(json!({"spec": {"size": "x"}})), [wrong]);
    }
}
