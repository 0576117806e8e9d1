//! JSON schemas of arguments and answers, from the same types that make `/openapi.json`.
//!
//! Pure.

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::rpc::JsonObject;

/// Where OpenAPI keeps what is referred to, and where a schema that stands alone does.
const PLACES: (&str, &str) = ("#/components/schemas/", "#/$defs/");

/// The schema of a type, complete in itself.
pub(crate) fn of<T: ToSchema>() -> JsonObject {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    complete(to_value(&T::schema()), parts)
}

/// The schema of an answer with a list of `T`.
pub(crate) fn list_of<T: ToSchema>(name: &str) -> JsonObject {
    let (item, parts) = referred::<T>();
    complete(listing(name, item), parts)
}

/// The schema of an answer with a list of objects that have no type of their own on the wire.
pub(crate) fn list_of_objects(name: &str) -> JsonObject {
    complete(listing(name, json!({"type": "object"})), Vec::new())
}

/// The schema of an answer with one `T`.
pub(crate) fn one_of<T: ToSchema>() -> JsonObject {
    let (result, parts) = referred::<T>();
    complete(single(result), parts)
}

/// The schema of an answer with one object that has no type of its own on the wire.
pub(crate) fn one_object() -> JsonObject {
    complete(single(json!({"type": "object"})), Vec::new())
}

/// A reference to a type, and the parts that it needs, itself included.
fn referred<T: ToSchema>() -> (Value, Vec<(String, RefOr<Schema>)>) {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    parts.push((T::name().into_owned(), T::schema()));
    (json!({"$ref": format!("{}{}", PLACES.1, T::name())}), parts)
}

fn listing(name: &str, item: Value) -> Value {
    let mut schema = frame();
    schema["properties"][name] = json!({"type": "array", "items": item});
    schema["properties"]["nextCursor"] =
        json!({"type": ["string", "null"], "description": "Pass it back as `cursor` for the rest; null when this is all"});
    schema["required"] = json!(["summary", name, "nextCursor"]);
    schema
}

fn single(result: Value) -> Value {
    let mut schema = frame();
    schema["properties"]["result"] = result;
    schema["required"] = json!(["summary", "result"]);
    schema
}

fn frame() -> Value {
    json!({
        "type": "object",
        "properties": {
            "summary": {"type": "string", "description": "The answer in a sentence or two"},
            "shortened": {"type": "boolean", "description": "Long values were cut to fit"},
        },
    })
}

fn to_value(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_else(|_| json!({}))
}

fn complete(mut schema: Value, parts: Vec<(String, RefOr<Schema>)>) -> JsonObject {
    let definitions: JsonObject = parts.iter().map(|(name, part)| (name.clone(), to_value(part))).collect();
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
    relocate(&mut schema);
    match schema {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => JsonObject::new(),
    }
}

fn relocate(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref")
                && let Some(name) = target.strip_prefix(PLACES.0)
            {
                *target = format!("{}{name}", PLACES.1);
            }
            map.values_mut().for_each(relocate);
        }
        Value::Array(items) => items.iter_mut().for_each(relocate),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Arguments of a tool that takes none.
pub(crate) fn nothing() -> JsonObject {
    match json!({"type": "object", "properties": {}, "additionalProperties": false}) {
        Value::Object(map) => map,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proreus_api::Change;

    #[test]
    fn a_schema_refers_to_nothing_outside_itself() {
        let schema = Value::Object(list_of::<Change>("items"));
        let text = schema.to_string();
        assert!(!text.contains("components"), "{text}");
        let mut targets = Vec::new();
        collect(&schema, &mut targets);
        for target in targets {
            let name = target.strip_prefix(PLACES.1).unwrap_or_default().to_owned();
            assert!(schema["$defs"].get(&name).is_some(), "{target}");
        }
    }

    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| collect(value, into));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
}
