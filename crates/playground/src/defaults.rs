//! What the API server fills in where a client said nothing.

use serde_json::Value;

use crate::resource::ResourceDef;

/// Fills in the defaults of a type.
pub(crate) fn apply(_def: &ResourceDef, _version: &str, _value: &mut Value) {}
