//! Incidents, what they are found by, and what is wrong at a moment.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use proreus_api::{Check, CheckPage, DoctorReport, Incident, IncidentPage};
use proreus_app::Moment;
use proreus_app::doctor::{DoctorQuestion, IncidentState, Severity, catalogue};
use proreus_app::questions::{IncidentsQuestion, StateCursor};

use super::objects::parts;
use crate::answer::{ask_json, json, to_json};
use crate::door::LetIn;
use crate::failure::Failure;
use crate::openapi::{GuardedErrors, NamedErrors, PastErrors};
use crate::parameters::{DoctorParameters, IncidentParameters, IncidentsParameters, NoParameters, Parameters};
use crate::shared::Shared;

/// Severities by their wire text.
pub(super) fn severities() -> [(&'static str, Severity); 3] {
    [Severity::Info, Severity::Warning, Severity::Critical].map(|severity| (severity.as_str(), severity))
}

/// States by their wire text.
pub(super) fn states() -> [(&'static str, IncidentState); 2] {
    [IncidentState::Open, IncidentState::Resolved].map(|state| (state.as_str(), state))
}

/// Incidents as they were known at a moment.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", security(("bearer" = [])), params(IncidentsParameters),
    responses((status = 200, body = IncidentPage), PastErrors))]
pub(crate) async fn incidents(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<IncidentsParameters>(query.as_deref())?;
    let now = shared.app.clock.now();
    let at = parameters.one("at")?.map(str::to_owned);
    let cursor = parameters.one("cursor")?.map(str::to_owned);
    let question = IncidentsQuestion {
        clusters: parameters.many("cluster")?,
        namespaces: parameters.many("namespace")?,
        states: parameters.choices("state", &states())?,
        severities: parameters.choices("severity", &severities())?,
        checks: parameters.many("check")?,
        since: parameters.time("since", now)?,
        until: parameters.time("until", now)?,
        order: parameters.order()?,
        limit: Some(parameters.limit()?),
        ..IncidentsQuestion::default()
    };
    let cursor = match cursor {
        None => None,
        Some(text) => {
            let bad =
                |error: proreus_model::CursorError| Failure::bad_parameter("cursor", format!("`cursor` is `{text}`"), error.to_string());
            Some(text.parse::<StateCursor>().map_err(bad)?)
        }
    };
    ask_json(&shared, move |app| {
        let (at, after) = match cursor {
            Some(cursor) => (app.questions.moment_of(&cursor.at)?, Some(cursor.after)),
            None => match at {
                Some(text) => (app.questions.moment("at", &text, now)?, None),
                None => (Moment::Now, None),
            },
        };
        app.questions.incidents(&IncidentsQuestion { at, after, ..question }, &asker.caller.access).map(IncidentPage::from)
    })
    .await
}

/// One incident.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents", security(("bearer" = [])),
    params(("id" = String, Path, description = "Its id", example = "inc-00f1c9f5a3b2d4e6"), IncidentParameters),
    responses((status = 200, body = Incident), NamedErrors))]
pub(crate) async fn incident(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<IncidentParameters>(query.as_deref())?;
    let id = parts(path)?;
    let at = parameters.one("at")?.map(str::to_owned);
    let now = shared.app.clock.now();
    ask_json(&shared, move |app| {
        let at = at.map_or(Ok(Moment::Now), |text| app.questions.moment("at", &text, now))?;
        app.questions.incident(&id, at, &asker.caller.access).map(Incident::from)
    })
    .await
}

/// Every check, by which incidents are found.
#[utoipa::path(get, path = "/api/v1/checks", tag = "incidents", security(("bearer" = [])), params(NoParameters),
    responses((status = 200, body = CheckPage), GuardedErrors))]
pub(crate) async fn checks(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    Parameters::strict::<NoParameters>(query.as_deref())?;
    let items = catalogue().iter().map(|check| Check::from(*check)).collect();
    json(&shared, to_json(&CheckPage { items, next_cursor: None })).await
}

/// What is wrong now, or at a moment.
#[utoipa::path(get, path = "/api/v1/doctor", tag = "incidents", security(("bearer" = [])), params(DoctorParameters),
    responses((status = 200, body = DoctorReport), NamedErrors))]
pub(crate) async fn doctor(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<DoctorParameters>(query.as_deref())?;
    let now = shared.app.clock.now();
    let at = parameters.one("at")?.map(str::to_owned);
    let namespaces = parameters.many("namespace")?.into_iter().map(|word| if word == "_" { String::new() } else { word }).collect();
    let question = DoctorQuestion { checks: parameters.many("check")?, namespaces, ..DoctorQuestion::default() };
    ask_json(&shared, move |app| {
        let at = at.map_or(Ok(Moment::Now), |text| app.questions.moment("at", &text, now))?;
        app.doctor(&DoctorQuestion { at, ..question }, &asker.caller.access).map(DoctorReport::from)
    })
    .await
}
