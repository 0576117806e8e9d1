//! Patches: from an object and a patch to the object that is to be written.
//!
//! The four kinds differ only in how the new object comes about; writing it goes the way of every other write.

mod apply;
mod json;
mod merge;
mod strategic;

use std::sync::Arc;

use serde_json::Value;

use crate::cluster::{Cluster, Target, Writer};
use crate::schema::Schema;
use crate::status::{ApiError, Cause};
use crate::store::Object;
use crate::write::{Written, decode};
use crate::{convert, tree};

/// The kinds of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Lists merge by key; built-in types only.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchType {
    /// Reads a content type.
    pub(crate) fn of(content_type: &str, target: &Target) -> Result<Self, ApiError> {
        let custom = target.def.is_custom();
        match content_type.split(';').next().unwrap_or("").trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !custom => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ if custom => Err(ApiError::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(ApiError::unsupported_patch()),
        }
    }
}

impl Cluster {
    /// Patches an object. Only an apply may create one.
    pub(crate) fn patch(
        &mut self,
        target: &Target,
        kind: PatchType,
        patch: Value,
        force: bool,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        if kind == PatchType::Apply {
            return self.apply(target, patch, force, writer);
        }
        let existing = self.find(target)?;
        let next = patched(target, &existing, kind, patch)?;
        let value = decode(target, next)?;
        check_identity(target, &existing, &value)?;
        self.replace(target, &existing, value, writer)
    }
}

/// A patch may not ask for another uid.
fn check_identity(target: &Target, existing: &Object, value: &Value) -> Result<(), ApiError> {
    let uid = tree::text(value, "/metadata/uid");
    if uid.is_empty() || uid == existing.uid() {
        return Ok(());
    }
    let cause = Cause::invalid("metadata.uid", &uid.into(), "field is immutable");
    // Told for the metadata and again for the object, as the real server does.
    Err(ApiError::invalid(target.about_kind(), &[cause.clone(), cause]))
}

/// The object after a patch, in the dialect of the target.
pub(crate) fn patched(target: &Target, existing: &Arc<Object>, kind: PatchType, patch: Value) -> Result<Value, ApiError> {
    let mut value = convert::from_storage(&target.def, &target.version, existing.value().clone());
    patch_value(target, &mut value, kind, patch)?;
    let name = tree::text(&value, "/metadata/name");
    if name != target.name {
        return Err(ApiError::bad_request(format!("the name of the object ({name}) does not match the name on the URL ({})", target.name)));
    }
    Ok(value)
}

/// Applies a patch other than an apply to a value.
pub(crate) fn patch_value(target: &Target, value: &mut Value, kind: PatchType, patch: Value) -> Result<(), ApiError> {
    match kind {
        PatchType::Json => json::patch(value, &patch, target),
        PatchType::Merge => {
            if !patch.is_object() {
                return Err(ApiError::bad_request("error decoding patch: a merge patch must be an object"));
            }
            merge::patch(value, patch);
            Ok(())
        }
        PatchType::Strategic => strategic::patch(value, patch, Schema::of(&target.def, &target.version)),
        PatchType::Apply => Err(ApiError::bad_request("an apply is not a patch of a value")),
    }
}
