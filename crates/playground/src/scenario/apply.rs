//! What `kubectl apply` does on the client's side: the last applied configuration in an annotation, and a patch of three versions.

use serde_json::{Map, Value, json};

use crate::schema::Schema;
use crate::tree;

/// Where the last applied configuration is kept.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A configuration with itself written into the annotation.
pub(super) fn annotated(config: &Value) -> Value {
    let mut plain = config.clone();
    tree::put_default(&mut plain, &["metadata", "annotations"], json!({}));
    let text = format!("{plain}\n");
    let mut out = plain;
    tree::put(&mut out, &["metadata", "annotations", LAST_APPLIED], text);
    out
}

/// The patch that leads from the last applied configuration to the new one: the new one whole, and what is no longer in it as deletions.
pub(super) fn patch(last: &Value, config: &Value, schema: Schema<'_>) -> Value {
    let mut out = config.clone();
    deletions(last, config, &mut out, schema);
    out
}

fn deletions(last: &Value, config: &Value, patch: &mut Value, schema: Schema<'_>) {
    match (last, config) {
        (Value::Object(last), Value::Object(now)) => {
            for (key, old) in last {
                match now.get(key) {
                    Some(new) => {
                        if let Some(place) = patch.get_mut(key) {
                            deletions(old, new, place, schema.field(key));
                        }
                    }
                    None => {
                        tree::object(patch).insert(key.clone(), Value::Null);
                    }
                }
            }
        }
        (Value::Array(last), Value::Array(now)) => {
            let Some(key) = schema.patch_key().filter(|key| !key.is_empty()) else { return };
            let same = |a: &Value, b: &Value| a.get(key).is_some() && a.get(key) == b.get(key);
            for old in last {
                let place = patch.as_array_mut().and_then(|list| list.iter_mut().find(|item| same(item, old)));
                match (now.iter().find(|item| same(item, old)), place) {
                    (Some(new), Some(place)) => deletions(old, new, place, schema.item()),
                    (Some(_), None) => {}
                    (None, _) => {
                        let mut gone = Map::new();
                        gone.insert(key.to_owned(), old.get(key).cloned().unwrap_or(Value::Null));
                        gone.insert("$patch".to_owned(), "delete".into());
                        if let Some(list) = patch.as_array_mut() {
                            list.push(Value::Object(gone));
                        }
                    }
                }
            }
        }
        _ => {}
    }
}
