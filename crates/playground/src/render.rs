//! From stored objects to the JSON a client gets: whole objects, metadata only, or table rows; single, in lists, in watch events.

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

use crate::cluster::Target;
use crate::convert;
use crate::list::Page;
use crate::request::{Accepted, Form};
use crate::store::Object;
use crate::table;
use crate::watch::bookmark_object;

/// Whether what is painted stands alone or in a watch event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Single,
    Watch,
}

/// Paints the objects of one target in one form.
#[derive(Debug)]
pub(crate) struct Painter {
    target: Target,
    form: Form,
    wrapping: Wrapping,
    told_columns: bool,
}

impl Painter {
    /// A painter for one answer.
    pub(crate) fn new(target: &Target, accepted: Accepted, wrapping: Wrapping) -> Self {
        Self { target: target.clone(), form: accepted.form, wrapping, told_columns: false }
    }

    /// One object as JSON text.
    pub(crate) fn paint(&mut self, object: &Object, now: Timestamp) -> String {
        let (def, version) = (&self.target.def, &self.target.version);
        match self.form {
            Form::Object if convert::is_direct(def, version) => String::from_utf8_lossy(&object.bytes()).into_owned(),
            Form::Object => convert::from_storage(def, version, object.value().clone()).to_string(),
            Form::Metadata => partial(object.value()).to_string(),
            Form::Table => {
                // Only the first table of a watch carries the columns.
                let columns = self.wrapping == Wrapping::Single || !std::mem::replace(&mut self.told_columns, true);
                let value = convert::from_storage(def, version, object.value().clone());
                let mut out = table::table(&self.target, std::iter::once(&value), columns, now);
                out["metadata"] = json!({"resourceVersion": object.revision().to_string()});
                out.to_string()
            }
        }
    }

    /// A list as JSON text.
    pub(crate) fn paint_list(&self, page: &Page, now: Timestamp) -> String {
        let (def, version) = (&self.target.def, &self.target.version);
        let objects = page.items.iter();
        match self.form {
            Form::Object => {
                let items: Vec<Item> = objects
                    .map(|object| {
                        let value = convert::from_storage(def, version, object.value().clone());
                        // Items of built-in lists do not repeat what the list says; items of custom ones do.
                        Item { value, bare: !def.is_custom() }
                    })
                    .collect();
                list_text(&def.list_kind, &def.api_version(version), &page.metadata(def.is_custom()), &items)
            }
            Form::Metadata => {
                let items: Vec<Value> = objects.map(|object| partial(object.value())).collect();
                list_text("PartialObjectMetadataList", "meta.k8s.io/v1", &page.metadata(def.is_custom()), &items)
            }
            Form::Table => {
                let values: Vec<Value> = objects.map(|object| convert::from_storage(def, version, object.value().clone())).collect();
                let mut out = table::table(&self.target, values.iter(), true, now);
                out["metadata"] = page.metadata(def.is_custom());
                out.to_string()
            }
        }
    }

    /// The object of a bookmark event.
    pub(crate) fn bookmark(&self, target: &Target, position: u64, ends_initial: bool) -> Value {
        match self.form {
            Form::Object => bookmark_object(&target.def.api_version(&target.version), &target.def.kind, position, ends_initial),
            Form::Metadata => bookmark_object("meta.k8s.io/v1", "PartialObjectMetadata", position, ends_initial),
            Form::Table => {
                let row_object = bookmark_object("meta.k8s.io/v1", "PartialObjectMetadata", position, ends_initial);
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": position.to_string()},
                    "columnDefinitions": [], "rows": [{"cells": [], "object": row_object}]})
            }
        }
    }
}

fn list_text<T: Serialize>(kind: &str, api_version: &str, metadata: &Value, items: &[T]) -> String {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a, T> {
        kind: &'a str,
        api_version: &'a str,
        metadata: &'a Value,
        items: &'a [T],
    }
    serde_json::to_string(&List { kind, api_version, metadata, items }).unwrap_or_default()
}

/// One item of a list.
struct Item {
    value: Value,
    bare: bool,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nothing = Map::new();
        let members = self.value.as_object().unwrap_or(&nothing);
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in members.iter().filter(|(key, _)| !self.bare || !matches!(key.as_str(), "kind" | "apiVersion")) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Metadata of an object as an object of its own.
pub(crate) fn partial(value: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": value.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}
