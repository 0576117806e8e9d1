//! Reading fields of objects that others wrote: what is absent is `None`, what has another type than the API says is an error that names
//! the place.
//!
//! Pure. Nothing is guessed: `null` counts as absent, as it does for the API server, and a mistyped field is never taken for an absent
//! one, because a check that passed over it would call the object healthy.

use std::fmt;

use crate::document::{Fields, List, Node, Shape, steps, unescape};
use jiff::Timestamp;

/// A field that does not have the type the API gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// JSON pointer to it, relative to what was read.
    pub path: String,
    /// What should have been there.
    pub wanted: &'static str,
    /// What was there.
    pub found: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} should be {}, and is {}", self.path, self.wanted, self.found)
    }
}

/// Outcome of reading one field.
pub type Read<T> = Result<T, Malformed>;

/// Longest piece of a wrong value that is quoted.
const QUOTED_CHARS: usize = 40;

/// Says that `value` at `path` is not what it should be.
pub fn malformed(path: &str, wanted: &'static str, value: Node<'_>) -> Malformed {
    let text = value.to_string();
    let mut found: String = text.chars().take(QUOTED_CHARS).collect();
    if found.len() < text.len() {
        found.push('…');
    }
    Malformed { path: path.to_owned(), wanted, found }
}

/// The value at a JSON pointer; absent and `null` are `None`.
///
/// # Errors
/// When a step of the path leads through something that is no map.
pub fn at<'a>(root: Node<'a>, path: &str) -> Read<Option<Node<'a>>> {
    let mut here = root;
    let mut end = 0;
    for step in steps(path) {
        let next = match here.shape() {
            Shape::Fields(fields) => fields.get(&unescape(step)),
            Shape::Null => None,
            _ => return Err(malformed(path.get(..end).unwrap_or(path), "a map", here)),
        };
        end += step.len() + 1;
        match next.filter(|value| !value.is_null()) {
            None => return Ok(None),
            Some(value) => here = value,
        }
    }
    Ok(Some(here))
}

/// Text.
///
/// # Errors
/// When something else is there.
pub fn text<'a>(root: Node<'a>, path: &str) -> Read<Option<&'a str>> {
    match at(root, path)? {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| malformed(path, "text", value)),
    }
}

/// A whole number.
///
/// # Errors
/// When something else is there.
pub fn int(root: Node<'_>, path: &str) -> Read<Option<i64>> {
    match at(root, path)? {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| malformed(path, "a whole number", value)),
    }
}

/// A boolean.
///
/// # Errors
/// When something else is there.
pub fn flag(root: Node<'_>, path: &str) -> Read<Option<bool>> {
    match at(root, path)? {
        None => Ok(None),
        Some(value) => value.as_bool().map(Some).ok_or_else(|| malformed(path, "a boolean", value)),
    }
}

/// A moment, as the API writes it.
///
/// # Errors
/// When something else is there.
pub fn time(root: Node<'_>, path: &str) -> Read<Option<Timestamp>> {
    match at(root, path)? {
        None => Ok(None),
        Some(value) => {
            let parsed = value.as_str().and_then(|text| text.parse().ok());
            parsed.map(Some).ok_or_else(|| malformed(path, "an RFC 3339 time", value))
        }
    }
}

/// A list; absent is empty.
///
/// # Errors
/// When something else is there.
pub fn list<'a>(root: Node<'a>, path: &str) -> Read<List<'a>> {
    match at(root, path)? {
        None => Ok(List::default()),
        Some(value) => value.as_array().ok_or_else(|| malformed(path, "a list", value)),
    }
}

/// A map; absent is `None`.
///
/// # Errors
/// When something else is there.
pub fn map<'a>(root: Node<'a>, path: &str) -> Read<Option<Fields<'a>>> {
    match at(root, path)? {
        None => Ok(None),
        Some(value) => value.as_object().map(Some).ok_or_else(|| malformed(path, "a map", value)),
    }
}

/// A condition of `status.conditions`, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// Reason, `""` where there is none.
    pub reason: &'a str,
    /// Message, `""` where there is none.
    pub message: &'a str,
    /// When the status last changed.
    pub since: Option<Timestamp>,
    /// The generation it speaks of.
    pub observed_generation: Option<i64>,
}

impl Condition<'_> {
    /// Whether its status is `True`.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// Whether its status is `False`.
    pub fn is_false(&self) -> bool {
        self.status == "False"
    }
}

/// The condition of this type in `status.conditions`.
///
/// # Errors
/// When the conditions do not have the form that the API gives them.
pub fn condition<'a>(root: Node<'a>, of: &str) -> Read<Option<Condition<'a>>> {
    for entry in list(root, "/status/conditions")? {
        if text(entry, "/type")? == Some(of) {
            return read_condition(entry).map(Some);
        }
    }
    Ok(None)
}

/// Every condition with its type, in the order of the object.
///
/// # Errors
/// When the conditions do not have the form that the API gives them.
pub fn conditions<'a>(root: Node<'a>) -> Read<Vec<(&'a str, Condition<'a>)>> {
    let entries = list(root, "/status/conditions")?.iter();
    entries.map(|entry| Ok((text(entry, "/type")?.unwrap_or_default(), read_condition(entry)?))).collect()
}

/// One entry of a list of conditions.
///
/// # Errors
/// When it does not have the form that the API gives it.
pub fn read_condition(entry: Node<'_>) -> Read<Condition<'_>> {
    Ok(Condition {
        status: text(entry, "/status")?.unwrap_or("Unknown"),
        reason: text(entry, "/reason")?.unwrap_or_default(),
        message: text(entry, "/message")?.unwrap_or_default(),
        since: time(entry, "/lastTransitionTime")?,
        observed_generation: int(entry, "/observedGeneration")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Document;

    #[test]
    fn tells_absent_from_mistyped() {
        let object = json!({"status": {"phase": null, "replicas": "three", "list": {}, "ready": 1}});
        let document = Document::of(&object);
        let object = document.root();
        assert_eq!(text(object, "/status/phase"), Ok(None));
        assert_eq!(text(object, "/spec/nodeName"), Ok(None));
        let said = |error: Malformed| error.to_string();
        assert_eq!(
            int(object, "/status/replicas").map_err(said),
            Err(r#"/status/replicas should be a whole number, and is "three""#.into())
        );
        assert_eq!(list(object, "/status/list").map_err(said), Err("/status/list should be a list, and is {}".into()));
        assert_eq!(text(object, "/status/ready/x").map_err(said), Err("/status/ready should be a map, and is 1".into()));
    }

    #[test]
    fn reads_a_condition_by_its_type() {
        let object = json!({"status": {"conditions": [
            {"type": "A", "status": "False"},
            {"type": "Ready", "status": "True", "reason": "Up", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ]}});
        let document = Document::of(&object);
        let object = document.root();
        let ready = condition(object, "Ready").expect("read").expect("there");
        assert!(ready.is_true() && ready.reason == "Up" && ready.since.is_some());
        assert_eq!(condition(object, "B"), Ok(None));
    }
}
