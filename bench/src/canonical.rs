//! Objects as a journal stores them, near enough for sizes and times: without managedFields, keys sorted, numbers as they were written.
//!
//! Not the recorder's redaction: values of Secrets and last-applied annotations are cut to a tag's length, without a key.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Hex digits of a redaction tag of 128 bits.
const TAG_DIGITS: usize = 32;

/// An object, taken apart.
pub(crate) struct Object {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) generation: Option<i64>,
    pub(crate) manager: Option<String>,
    pub(crate) event_time: Option<Timestamp>,
    pub(crate) regarding: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Object {
    /// Takes an object as the API server delivered it.
    pub(crate) fn of(mut object: Value) -> Result<Self> {
        let kind = text(&object, "/kind");
        let fields = object.pointer_mut("/metadata/managedFields").map(Value::take);
        let (manager, event_time) = newest_entry(fields.as_ref());
        let metadata = object.pointer_mut("/metadata").and_then(Value::as_object_mut).context("an object without metadata")?;
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        if kind == "Secret" {
            cover(object.get_mut("data").and_then(Value::as_object_mut));
        }
        let api_version = text(&object, "/apiVersion");
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
        let regarding = match kind.as_str() {
            "Event" => ["/involvedObject/uid", "/regarding/uid"].map(|path| text(&object, path)).into_iter().find(|uid| !uid.is_empty()),
            _ => None,
        };
        Ok(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: text(&object, "/metadata/namespace"),
            name: text(&object, "/metadata/name"),
            uid: text(&object, "/metadata/uid"),
            resource_version: text(&object, "/metadata/resourceVersion"),
            generation: object.pointer("/metadata/generation").and_then(Value::as_i64),
            manager,
            event_time,
            regarding,
            body: serde_json::to_vec(&object)?,
            kind,
        })
    }
}

fn text(object: &Value, path: &str) -> String {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Manager and time of the newest entry of managedFields.
fn newest_entry(fields: Option<&Value>) -> (Option<String>, Option<Timestamp>) {
    let entries = fields.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let newest = entries.iter().max_by_key(|entry| text(entry, "/time"));
    let manager = newest.map(|entry| text(entry, "/manager")).filter(|manager| !manager.is_empty());
    (manager, newest.and_then(|entry| text(entry, "/time").parse().ok()))
}

/// Puts something as long and as random as a tag in the place of each value.
fn cover(data: Option<&mut Map<String, Value>>) {
    for value in data.into_iter().flat_map(Map::values_mut) {
        let tag: String = value.as_str().unwrap_or_default().bytes().rev().take(TAG_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
        *value = Value::String(tag);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn drops_managed_fields_and_sorts_keys() {
        let object = serde_json::from_str(
            r#"{"spec":{"z":1.50,"a":1},"kind":"Deployment","apiVersion":"apps/v1","metadata":{"uid":"u","name":"n","managedFields":[
                {"manager":"old","time":"2026-01-01T00:00:00Z"},{"manager":"new","time":"2026-01-02T00:00:00Z"}],
                "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}"#,
        );
        let object = Object::of(object.unwrap()).unwrap();
        let wanted =
            r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{},"name":"n","uid":"u"},"spec":{"a":1,"z":1.50}}"#;
        assert_eq!(String::from_utf8(object.body).unwrap(), wanted);
        assert_eq!((object.group.as_str(), object.version.as_str(), object.manager.as_deref()), ("apps", "v1", Some("new")));
    }
}
