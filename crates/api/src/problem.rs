//! Errors on the wire: problem details after RFC 9457, with a hint that one can act on.

use proreus_app::AppError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stable name of the sort of problem, such as `urn:proreus:problem:bad-parameter`.
    pub r#type: String,
    /// The sort of problem in words, the same for every one of its type.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong with this very request.
    pub detail: String,
    /// What to do next.
    pub hint: String,
    /// The parameter that is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameter: Option<String>,
    /// For a cursor that can no longer be continued: the oldest one that can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub oldest_cursor: Option<String>,
}

impl Problem {
    /// A problem of the sort `slug`.
    pub fn new(status: u16, slug: &str, title: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:proreus:problem:{slug}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            hint: hint.into(),
            parameter: None,
            oldest_cursor: None,
        }
    }

    /// A parameter that will not do.
    pub fn bad_parameter(name: impl Into<String>, detail: impl Into<String>, allowed: impl Into<String>) -> Self {
        let problem = Self::new(400, "bad-parameter", "a parameter is not of an allowed form", detail, allowed);
        Self { parameter: Some(name.into()), ..problem }
    }
}

impl From<&AppError> for Problem {
    fn from(error: &AppError) -> Self {
        let (detail, hint) = (error.to_string(), error.hint());
        match error {
            AppError::BadParameter { name, .. } => Self::bad_parameter(*name, detail, hint),
            AppError::NotFound { .. } => Self::new(404, "not-found", "there is nothing by that name", detail, hint),
            AppError::CursorGone { oldest } => {
                let gone = Self::new(410, "cursor-gone", "the cursor can no longer be continued", detail, hint);
                Self { oldest_cursor: oldest.as_ref().map(ToString::to_string), ..gone }
            }
            AppError::Forbidden { .. } => Self::new(403, "forbidden", "the caller may not see that", detail, hint),
            AppError::Cluster { .. } => Self::new(502, "cluster-unavailable", "a cluster gave no answer", detail, hint),
            AppError::TooMany { .. } => Self::new(429, "too-many", "a limit is reached", detail, hint),
            AppError::Store(_) if error.is_no_longer_kept() => {
                Self::new(410, "no-longer-kept", "that part of the past is no longer kept", detail, hint)
            }
            AppError::Store(_) => Self::new(503, "journal-unavailable", "the journal cannot answer at the moment", detail, hint),
            _ => Self::new(500, "internal", "the request failed", detail, hint),
        }
    }
}
