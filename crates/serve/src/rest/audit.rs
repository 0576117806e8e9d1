//! The watch event service's two endpoints, by its own rules: plain-text errors, clamped limits, empty values that mean nothing, unknown
//! parameters that are ignored. Answers are bounded by bytes besides, and say so in the headers that clients already read.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::header::LINK;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use proreus_api::{AuditEvent, AuditObject, audit_event};
use proreus_app::questions::{AuditQuestion, MAX_PAGE_LIMIT};
use proreus_model::{Cursor, Order};

use super::objects::parts;
use crate::answer::{ask, json, to_json};
use crate::door::LetIn;
use crate::failure::Failure;
use crate::openapi::AuditErrors;
use crate::parameters::{AuditParameters, Parameters};
use crate::shared::Shared;

/// Answer to a question that nothing matches; clients compare this text.
const NOTHING_FOUND: &str = "no audit data available for the specified time range";
/// Answer about an object that nobody has seen.
const NO_EVENTS: &str = "no events found for this object";

/// Events of a time range, oldest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", security(("bearer" = [])), params(AuditParameters), responses(
    AuditErrors,
    (status = 200, body = Vec<AuditEvent>, headers(
        ("X-Total-Count" = u64, description = "Number of events in this answer"),
        ("X-Has-More" = bool, description = "Whether more match"),
        ("Link" = Option<String>, description = "The next page, with `rel=\"next\"`, when more match")
    ))
))]
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::lenient(query.as_deref()).map_err(as_text)?;
    let question = question(&parameters, shared.app.max_query_limit)?;
    let asked = move |app: &proreus_app::Application| {
        let answer = app.questions.audit_events(&question, &asker.caller.access)?;
        let next = answer.more.then(|| answer.cursor.to_string());
        let events: Vec<AuditEvent> = answer.items.into_iter().map(audit_event).collect();
        Ok((events.len(), next, to_json(&events)))
    };
    let (count, next, body) = ask(&shared, asked).await.map_err(as_text)?;
    if count == 0 {
        return Err(Failure::Text(StatusCode::NOT_FOUND, NOTHING_FOUND.to_owned()));
    }
    let mut response = json(&shared, body).await?;
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(count));
    headers.insert(HeaderName::from_static("x-has-more"), HeaderValue::from_static(if next.is_some() { "true" } else { "false" }));
    link(headers, &parameters, next.as_deref());
    Ok(response)
}

/// Everything of one object, with the Events about it.
#[utoipa::path(get, path = "/api/v1/events/{namespace}/{resourceType}/{name}", tag = "events", security(("bearer" = [])),
    params(
        ("namespace" = String, Path, description = "Namespace; `_` or `-` is the cluster scope", example = "shop"),
        ("resourceType" = String, Path, description = "Lower-case plural, exact", example = "pods"),
        ("name" = String, Path, description = "Name, exact", example = "web-1")
    ),
    responses(
        AuditErrors,
        (status = 200, body = AuditObject, headers(
            ("X-Has-More" = bool, description = "Whether the oldest events were left out of an answer that would be too large")
        ))
    ))]
pub(crate) async fn object(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let (namespace, resource, name) = parts(path).map_err(as_text)?;
    let asked = move |app: &proreus_app::Application| {
        let place = (namespace.as_str().into(), resource.as_str().into(), name.as_str().into());
        let answer = app.questions.audit_object(&place.0, &place.1, &place.2, &asker.caller.access)?;
        let empty = answer.watch_events.is_empty() && answer.related_events.is_empty();
        let truncated = answer.truncated;
        let namespace = if matches!(namespace.as_str(), "_" | "-") { String::new() } else { namespace };
        let body = (!empty).then(|| to_json(&AuditObject::new(namespace, resource, name, answer)));
        Ok((body, truncated))
    };
    let (body, truncated) = ask(&shared, asked).await.map_err(as_text)?;
    let Some(body) = body else { return Err(Failure::Text(StatusCode::NOT_FOUND, NO_EVENTS.to_owned())) };
    let mut response = json(&shared, body).await?;
    let has_more = HeaderValue::from_static(if truncated { "true" } else { "false" });
    response.headers_mut().insert(HeaderName::from_static("x-has-more"), has_more);
    Ok(response)
}

fn question(parameters: &Parameters, most: usize) -> Result<AuditQuestion, Failure> {
    let text = |name| parameters.first(name).map(str::to_owned);
    Ok(AuditQuestion {
        start: parameters.first("start").map(|text| rfc3339("start", text)).transpose()?,
        end: parameters.first("end").map(|text| rfc3339("end", text)).transpose()?,
        namespace: text("namespace").map(|word| if matches!(word.as_str(), "_" | "-") { String::new() } else { word }.into()),
        resource_type: text("resourceType").map(Into::into),
        resource_name: text("resourceName").map(Into::into),
        verb: text("verb"),
        user: text("user"),
        limit: limit(parameters.first("limit"), most.clamp(1, MAX_PAGE_LIMIT))?,
        order: match parameters.first("order") {
            None | Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(other) => return Err(bad(format!("Invalid order: `{other}` is neither asc nor desc"))),
        },
        cursor: parameters.first("cursor").map(cursor).transpose()?,
    })
}

/// As the older service: no number is an error, one out of range silently means the most.
fn limit(text: Option<&str>, most: usize) -> Result<usize, Failure> {
    let Some(text) = text else { return Ok(most) };
    let limit: i64 = text.parse().map_err(|error| bad(format!("Invalid limit: parsing `{text}`: {error}")))?;
    Ok(usize::try_from(limit).ok().filter(|limit| (1..=most).contains(limit)).unwrap_or(most))
}

fn cursor(text: &str) -> Result<Cursor, Failure> {
    text.parse().map_err(|error: proreus_model::CursorError| bad(format!("Invalid cursor: {error}")))
}

/// RFC 3339 and nothing more lenient, as the older service read it: a date, a `T`, a time with seconds, a zone.
fn rfc3339(name: &str, text: &str) -> Result<Timestamp, Failure> {
    let shaped = text.as_bytes().get(10) == Some(&b'T')
        && text.as_bytes().get(13) == Some(&b':')
        && text.as_bytes().get(16) == Some(&b':')
        && (text.ends_with('Z') || text.as_bytes().get(text.len().wrapping_sub(3)) == Some(&b':'));
    let time = shaped.then(|| text.parse::<Timestamp>().ok()).flatten();
    time.ok_or_else(|| bad(format!("Invalid {name} time format: `{text}` is not RFC 3339, such as 2026-11-21T08:00:00Z")))
}

fn bad(text: String) -> Failure {
    Failure::Text(StatusCode::BAD_REQUEST, text)
}

/// The application's refusals in the older service's words.
fn as_text(failure: Failure) -> Failure {
    let Failure::Problem(problem, headers) = failure else { return failure };
    match problem.r#type.as_str() {
        "urn:proreus:problem:journal-unavailable" => {
            Failure::Text(StatusCode::INTERNAL_SERVER_ERROR, format!("Query failed: {}", problem.detail))
        }
        _ if problem.status == 400 || problem.status == 410 => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
            Failure::Text(status, format!("{}; {}", problem.detail, problem.hint))
        }
        _ => Failure::Problem(problem, headers),
    }
}

fn link(headers: &mut HeaderMap, parameters: &Parameters, next: Option<&str>) {
    let Some(next) = next else { return };
    let link = format!("</api/v1/events?{}>; rel=\"next\"", parameters.with_cursor(next));
    if let Ok(link) = HeaderValue::from_str(&link) {
        headers.insert(LINK, link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc3339_only() {
        for text in ["2024-11-21T00:00:00Z", "2024-11-21T00:00:00.123456789Z", "2024-11-21T00:00:00+02:00"] {
            assert!(rfc3339("start", text).is_ok(), "{text}");
        }
        for text in
            ["", "2024-11-21", "2024-11-21 00:00:00Z", "2024-11-21T00:00:00", "2024-11-21T00Z", "2024-11-21T00:00Z", "now", "1732147200"]
        {
            assert!(rfc3339("start", text).is_err(), "{text}");
        }
    }
}
