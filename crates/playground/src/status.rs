//! Refusals as the API server words them: a `Status` object with code, reason, message and details.

use ::http::StatusCode;
use serde_json::{Value, json};

/// Marks an answer that is no `Status` object.
const PLAIN_TEXT: &str = "\u{0}plain";

/// One refused request.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) code: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
    /// Where an expired list can be continued all the same.
    pub(crate) next: Option<String>,
}

/// What an error is about, for its details: resource (or kind), group, name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) name: &'a str,
}

/// One wrong field of a refused object.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    /// A field that must be there.
    pub(crate) fn required(field: &str, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { reason: "FieldValueRequired", message, field: field.to_owned() }
    }

    /// A field with a value that is not allowed.
    pub(crate) fn invalid(field: &str, value: &Value, detail: &str) -> Self {
        Self { reason: "FieldValueInvalid", message: format!("Invalid value: {}: {detail}", shown(value)), field: field.to_owned() }
    }

    /// A field that may not be there, or may not change.
    pub(crate) fn forbidden(field: &str, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {detail}"), field: field.to_owned() }
    }

    /// A field whose value is not one of a closed set.
    pub(crate) fn unsupported(field: &str, value: &Value, allowed: &[&str]) -> Self {
        let allowed = allowed.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {}: supported values: {allowed}", shown(value));
        Self { reason: "FieldValueNotSupported", message, field: field.to_owned() }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => value.to_string(),
        other => other.to_string(),
    }
}

fn qualified(about: About<'_>) -> String {
    if about.group.is_empty() { about.resource.to_owned() } else { format!("{}.{}", about.resource, about.group) }
}

fn details(about: About<'_>) -> Value {
    let mut out = json!({});
    for (key, value) in [("name", about.name), ("group", about.group), ("kind", about.resource)] {
        if !value.is_empty() {
            out[key] = value.into();
        }
    }
    out
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>, details: Option<Value>) -> Self {
        Self { code, reason, message: message.into(), details, next: None }
    }

    /// The path leads nowhere.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource", Some(json!({})))
    }

    /// The object is not there.
    pub(crate) fn not_found(about: About<'_>) -> Self {
        let message = format!("{} {:?} not found", qualified(about), about.name);
        Self::new(StatusCode::NOT_FOUND, "NotFound", message, Some(details(about)))
    }

    /// An object of this name is there already.
    pub(crate) fn already_exists(about: About<'_>) -> Self {
        let message = format!("{} {:?} already exists", qualified(about), about.name);
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message, Some(details(about)))
    }

    /// The object changed since the writer read it, or another precondition does not hold.
    pub(crate) fn conflict(about: About<'_>, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {:?}: {why}", qualified(about), about.name);
        Self::new(StatusCode::CONFLICT, "Conflict", message, Some(details(about)))
    }

    /// Applied fields belong to other managers.
    pub(crate) fn apply_conflict(causes: &[(String, String)]) -> Self {
        let noun = if causes.len() == 1 { "conflict" } else { "conflicts" };
        let lines: Vec<Value> = causes
            .iter()
            .map(
                |(manager, field)| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": field}),
            )
            .collect();
        let mut by_manager: Vec<(String, Vec<&str>)> = Vec::new();
        for (manager, field) in causes {
            match by_manager.iter_mut().find(|(known, _)| known == manager) {
                Some((_, fields)) => fields.push(field),
                None => by_manager.push((manager.clone(), vec![field])),
            }
        }
        let told = match by_manager.as_slice() {
            [(manager, fields)] if fields.len() == 1 => format!("conflict with {manager}: {}", fields[0]),
            _ => by_manager
                .iter()
                .map(|(manager, fields)| {
                    format!("conflicts with {manager}:\n{}", fields.iter().map(|field| format!("- {field}")).collect::<Vec<_>>().join("\n"))
                })
                .collect::<Vec<_>>()
                .join("\n"),
        };
        let message = format!("Apply failed with {} {noun}: {told}", causes.len());
        Self::new(StatusCode::CONFLICT, "Conflict", message, Some(json!({"causes": lines})))
    }

    /// The request itself makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message, None)
    }

    /// The object breaks rules of its kind. `about.resource` is the kind here.
    pub(crate) fn invalid(about: About<'_>, causes: &[Cause]) -> Self {
        let mut told: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        // The same complaint made twice is told once, but listed twice.
        told.dedup();
        let told = if told.len() == 1 { told.concat() } else { format!("[{}]", told.join(", ")) };
        let mut details = details(about);
        details["causes"] = causes.iter().map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field})).collect();
        let message = format!("{} {:?} is invalid: {told}", qualified(about), about.name);
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message, Some(details))
    }

    /// Not allowed, whoever asks.
    pub(crate) fn forbidden(about: About<'_>, why: &str) -> Self {
        let name = if about.name.is_empty() { String::new() } else { format!(" {:?}", about.name) };
        let message = format!("{}{name} is forbidden: {why}", qualified(about));
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message, Some(details(about)))
    }

    /// The verb is not offered on this resource.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message, Some(json!({})))
    }

    /// The history needed for the answer is gone.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message, None)
    }

    /// A resourceVersion from the future.
    pub(crate) fn too_large_version(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let details =
            json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1});
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message, Some(details))
    }

    /// The body is larger than the server takes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message, None)
    }

    /// The body's media type is not taken here.
    pub(crate) fn unsupported_media_type(taken: &str) -> Self {
        let message = format!("the body of the request was in an unknown format - accepted media types include: {taken}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message, None)
    }

    /// The patch is of a kind that is not taken here.
    pub(crate) fn unsupported_patch() -> Self {
        let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(code, "UnsupportedMediaType", "415: Unsupported Media Type", Some(json!({})))
    }

    /// Something that the real server does not class: a message and nothing else.
    pub(crate) fn unclassed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message, None)
    }

    /// The group or version is not served at all, which is answered by plain text.
    pub(crate) fn no_such_group() -> Self {
        Self { reason: PLAIN_TEXT, ..Self::new(StatusCode::NOT_FOUND, "", "404 page not found\n", None) }
    }

    /// True for an answer that is no `Status` object.
    pub(crate) fn is_plain_text(&self) -> bool {
        self.reason == PLAIN_TEXT
    }

    /// No acceptable answer can be given.
    pub(crate) fn not_acceptable() -> Self {
        let taken = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        let message = format!("406: Not Acceptable\n\nAvailable representations: {taken}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message, Some(json!({})))
    }

    /// Too many of something; come back later.
    pub(crate) fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message, Some(json!({"retryAfterSeconds": 1})))
    }

    /// Switched off by the test that runs the playground.
    pub(crate) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
            Some(json!({})),
        )
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut out = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"});
        if let Some(next) = &self.next {
            out["metadata"]["continue"] = next.clone().into();
        }
        out["message"] = self.message.clone().into();
        if !self.reason.is_empty() {
            out["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            out["details"] = details.clone();
        }
        out["code"] = self.code.as_u16().into();
        out
    }
}

/// The `Status` object of something that went well and has no object to show.
pub(crate) fn success(details: Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
