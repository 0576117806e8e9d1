//! Subresources other than `status`: scale, log, eviction, binding, finalize, token; and the reviews, which store nothing.

use std::sync::Arc;

use axum::response::Response;
use ::http::StatusCode;
use serde_json::json;

use crate::cluster::Target;
use crate::http::{Call, decoded, json_answer};
use crate::server::Shared;
use crate::status::ApiError;
use crate::tree;

/// Answers a request to a subresource.
pub(crate) fn answer(_shared: &Arc<Shared>, _target: &Target, _call: &Call) -> Result<Response, ApiError> {
    Err(ApiError::no_such_path())
}

/// Answers a review: everything is allowed here.
pub(crate) fn review(target: &Target, call: &Call) -> Result<Response, ApiError> {
    let mut body = decoded(call)?;
    tree::put(&mut body, &["kind"], target.def.kind.clone());
    tree::put(&mut body, &["apiVersion"], target.def.api_version(&target.version));
    tree::put_default(&mut body, &["metadata"], json!({}));
    let status = match target.def.kind.as_str() {
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        "SelfSubjectReview" => json!({"userInfo": {"username": "system:anonymous", "groups": ["system:unauthenticated"]}}),
        _ => json!({"allowed": true, "reason": "the playground allows everything"}),
    };
    tree::put(&mut body, &["status"], status);
    Ok(json_answer(StatusCode::CREATED, &body, call.accepted))
}
