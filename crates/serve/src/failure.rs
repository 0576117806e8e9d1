//! An answer that says no: problem details for our own endpoints, plain text for the older service's two.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use proreus_api::Problem;
use proreus_app::AppError;
use proreus_app::access::Denied;

use crate::limits::RETRY_AFTER_SECONDS;
use crate::rest::well_known::challenge;
use crate::shared::Shared;

/// Media type of problem details.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Problem details, with headers that belong to them.
    Problem(Box<Problem>, Vec<(HeaderName, HeaderValue)>),
    /// A sentence, as the older service answered.
    Text(StatusCode, String),
}

impl Failure {
    /// A parameter that will not do.
    pub(crate) fn bad_parameter(name: &str, detail: impl Into<String>, allowed: impl Into<String>) -> Self {
        Problem::bad_parameter(name, detail, allowed).into()
    }

    /// Too many at once.
    pub(crate) fn overloaded(what: &str) -> Self {
        let detail = format!("too many {what} at once");
        let problem = Problem::new(503, "overloaded", "the server has as much to do as it takes on", detail, "try again in a moment");
        Self::Problem(Box::new(problem), vec![(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))])
    }

    /// A question that took too long.
    pub(crate) fn too_slow() -> Self {
        let hint = "narrow the question by time, namespace or kind, or ask for a smaller page";
        let problem = Problem::new(503, "too-slow", "the question took too long", "the journal did not answer in time", hint);
        Self::Problem(Box::new(problem), vec![(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))])
    }

    /// A caller who is not let in.
    pub(crate) fn denied(denied: Denied) -> Self {
        let hint = match denied {
            Denied::Missing => "send `Authorization: Bearer TOKEN` with a token that the server accepts",
            Denied::Unknown => "check the token; it may have been withdrawn, or made for another audience",
            Denied::Expired => "get a fresh token",
            Denied::Unavailable => "try again in a moment; the server's log says why",
        };
        let challenge = match denied {
            Denied::Missing => "Bearer realm=\"proreus\"",
            Denied::Unknown => "Bearer realm=\"proreus\", error=\"invalid_token\"",
            Denied::Expired => "Bearer realm=\"proreus\", error=\"invalid_token\", error_description=\"the token has expired\"",
            Denied::Unavailable => {
                let problem = Problem::new(503, "access-unavailable", "callers cannot be checked", denied.to_string(), hint);
                return Self::Problem(Box::new(problem), vec![(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))]);
            }
        };
        let problem = Problem::new(401, "unauthorized", "a bearer token is needed", denied.to_string(), hint);
        Self::Problem(Box::new(problem), vec![(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))])
    }

    /// The same, with the way to a token where there is one (RFC 9728).
    pub(crate) fn challenged(self, shared: &Shared, request: &Request) -> Self {
        let Self::Problem(problem, mut headers) = self else { return self };
        let way = challenge(shared, request);
        for (_, value) in headers.iter_mut().filter(|(name, _)| *name == WWW_AUTHENTICATE) {
            if let Some(way) = &way
                && let Ok(text) = value.to_str()
                && let Ok(longer) = HeaderValue::from_str(&format!("{text}{way}"))
            {
                *value = longer;
            }
        }
        Self::Problem(problem, headers)
    }

    /// A caller who may not see the figures of the whole.
    pub(crate) fn forbidden_figures() -> Self {
        let hint = "in Kubernetes, allow the user to `get` the path /metrics";
        let detail = "these figures are about everything that is recorded";
        Problem::new(403, "forbidden", "the caller may not see that", detail, hint).into()
    }

    /// A method that the path does not know.
    pub(crate) fn method_not_allowed() -> Self {
        let problem = Problem::new(405, "method-not-allowed", "the path does not know that method", "only reading is possible", "use GET");
        Self::Problem(Box::new(problem), vec![(ALLOW, HeaderValue::from_static("GET,HEAD"))])
    }

    /// The problem, where it is one.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::Problem(problem, _) => *problem,
            Self::Text(status, text) => Problem::new(status.as_u16(), "failed", "the request failed", text, "see the answer's text"),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem), Vec::new())
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let problem = Problem::from(&error);
        if problem.status >= 500 {
            tracing::error!(%error, "failed to answer a question");
        }
        problem.into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem, headers) => {
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = (status, Json(*problem)).into_response();
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
                response.headers_mut().extend(headers);
                response
            }
            Self::Text(status, text) => (status, text).into_response(),
        }
    }
}
