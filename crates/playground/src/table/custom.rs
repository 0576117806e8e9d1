//! Columns that custom resource definitions declare.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cells::{age, since};
use crate::tree;

/// Column definitions: the name, then the declared ones; the age where none is declared.
pub(super) fn columns(declared: &[Value]) -> Vec<Value> {
    let mut out = vec![json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0})];
    if declared.is_empty() {
        out.push(json!({"name": "Age", "type": "date", "format": "", "description": "", "priority": 0}));
    }
    out.extend(declared.iter().map(|column| {
        json!({
            "name": tree::text(column, "/name"),
            "type": tree::text(column, "/type"),
            "format": tree::text(column, "/format"),
            "description": tree::text(column, "/description"),
            "priority": tree::number(column, "/priority").unwrap_or(0),
        })
    }));
    out
}

/// The cells of one object.
pub(super) fn cells(declared: &[Value], object: &Value, now: Timestamp) -> Vec<Value> {
    let mut out = vec![Value::from(tree::text(object, "/metadata/name"))];
    if declared.is_empty() {
        out.push(age(object, now));
    }
    out.extend(declared.iter().map(|column| {
        let found = select(object, tree::text(column, "/jsonPath"));
        match (tree::text(column, "/type"), found) {
            ("date", Some(Value::String(text))) => since(&text, now).into(),
            ("string", Some(Value::String(text))) => text.into(),
            ("string", Some(other)) => other.to_string().into(),
            (_, Some(value)) => value,
            (_, None) => Value::Null,
        }
    }));
    out
}

/// A simple JSON path: members, list indexes, and one filter by equality (`[?(@.type=="Ready")]`).
fn select(object: &Value, path: &str) -> Option<Value> {
    let mut place = object.clone();
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inner, behind) = after.split_once(']')?;
            place = step(&place, inner)?;
            rest = behind;
        } else {
            let after = rest.trim_start_matches('.');
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            place = place.get(name)?.clone();
            rest = behind;
        }
    }
    Some(place)
}

fn step(place: &Value, inner: &str) -> Option<Value> {
    if let Ok(at) = inner.parse::<usize>() {
        return place.get(at).cloned();
    }
    if let Some(name) = inner.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) {
        return place.get(name).cloned();
    }
    let condition = inner.strip_prefix("?(@.")?.strip_suffix(')')?;
    let (field, wanted) = condition.split_once("==")?;
    let wanted = wanted.trim().trim_matches(['"', '\'']);
    place.as_array()?.iter().find(|item| tree::text(item, &format!("/{}", field.trim())) == wanted).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_members_indexes_and_filters() {
        let object =
            json!({"status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]}, "a": {"b.c": 1}});
        let found = |path| select(&object, path).unwrap_or(Value::Null);
        assert_eq!(found(".status.conditions[?(@.type==\"Ready\")].status"), "True");
        assert_eq!(found(".status.conditions[0].type"), "A");
        assert_eq!(found(".a['b.c']"), 1);
        assert_eq!(found(".nothing"), Value::Null);
    }
}
