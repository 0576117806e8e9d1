//! Objects as they were: one, its history, all of them, and the difference between two versions.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use proreus_api::{ChangePage, Diff, ObjectAtTime, Problem, StatePage};
use proreus_app::Moment;
use proreus_app::questions::{ChangesQuestion, HistoryQuestion, ObjectQuestion, ObjectRef, StateCursor, StateQuestion, group_of};
use serde::Deserialize;

use crate::answer::ask_json;
use crate::door::LetIn;
use crate::failure::Failure;
use crate::openapi::{NamedErrors, PastErrors};
use crate::parameters::{DiffParameters, HistoryParameters, ObjectParameters, Parameters, StateParameters};
use crate::shared::Shared;

/// An object in a path.
#[derive(Deserialize)]
pub(crate) struct ObjectPath {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

impl ObjectPath {
    fn reference(self, parameters: &Parameters) -> Result<ObjectRef, Failure> {
        Ok(ObjectRef {
            cluster: parameters.one("cluster")?.map(str::to_owned),
            group: Some(group_of(&self.group)),
            kind: self.kind,
            namespace: Some(if self.namespace == "_" { String::new() } else { self.namespace }.into()),
            name: self.name.into(),
            uid: parameters.one("uid")?.map(Into::into),
        })
    }
}

/// Parts of a path, or a problem for what does not decode.
pub(crate) fn parts<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Failure> {
    let Path(parts) = path.map_err(|rejection| {
        let hint = "percent-encode the path as UTF-8";
        Failure::from(Problem::new(400, "bad-path", "the path cannot be read", rejection.body_text(), hint))
    })?;
    Ok(parts)
}

/// One object at a moment.
#[utoipa::path(get, path = "/api/v1/objects/{group}/{kind}/{namespace}/{name}", tag = "objects", security(("bearer" = [])),
    params(
        ("group" = String, Path, description = "API group, or `core`", example = "apps"),
        ("kind" = String, Path, description = "Kind, plural, singular or short name, in any case", example = "Deployment"),
        ("namespace" = String, Path, description = "Namespace, or `_` for the cluster scope", example = "shop"),
        ("name" = String, Path, description = "Name", example = "web"),
        ObjectParameters
    ),
    responses((status = 200, body = ObjectAtTime), NamedErrors))]
pub(crate) async fn object(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    path: Result<Path<ObjectPath>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<ObjectParameters>(query.as_deref())?;
    let object = parts(path)?.reference(&parameters)?;
    let at = parameters.one("at")?.map(str::to_owned);
    let now = shared.app.clock.now();
    ask_json(&shared, move |app| {
        let at = at.map_or(Ok(Moment::Now), |text| app.questions.moment("at", &text, now))?;
        app.questions.object(&ObjectQuestion { object, at }, &asker.caller.access).map(ObjectAtTime::from)
    })
    .await
}

/// The history of one object, through every incarnation, with its changed fields.
#[utoipa::path(get, path = "/api/v1/objects/{group}/{kind}/{namespace}/{name}/history", tag = "objects", security(("bearer" = [])),
    params(
        ("group" = String, Path, description = "API group, or `core`", example = "apps"),
        ("kind" = String, Path, description = "Kind, plural, singular or short name, in any case", example = "Deployment"),
        ("namespace" = String, Path, description = "Namespace, or `_` for the cluster scope", example = "shop"),
        ("name" = String, Path, description = "Name", example = "web"),
        HistoryParameters
    ),
    responses((status = 200, body = ChangePage), NamedErrors))]
pub(crate) async fn history(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    path: Result<Path<ObjectPath>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<HistoryParameters>(query.as_deref())?;
    let object = parts(path)?.reference(&parameters)?;
    let page: ChangesQuestion = parameters.page(shared.app.clock.now())?;
    let events = parameters.flag("events")?;
    ask_json(&shared, move |app| {
        app.questions.history(&HistoryQuestion { object, page, events }, &asker.caller.access).map(ChangePage::from)
    })
    .await
}

/// The fields that differ between two versions of one object.
#[utoipa::path(get, path = "/api/v1/diff", tag = "objects", security(("bearer" = [])), params(DiffParameters),
    responses((status = 200, body = Diff), NamedErrors))]
pub(crate) async fn diff(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<DiffParameters>(query.as_deref())?;
    let (from, to) = (parameters.seq("from")?, parameters.seq("to")?);
    ask_json(&shared, move |app| app.questions.diff(from, to, &asker.caller.access).map(Diff::from)).await
}

/// The objects alive at a moment, page by page; a cursor pins the moment.
#[utoipa::path(get, path = "/api/v1/state", tag = "objects", security(("bearer" = [])), params(StateParameters),
    responses((status = 200, body = StatePage), PastErrors))]
pub(crate) async fn state(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<StateParameters>(query.as_deref())?;
    let selection = parameters.selection()?;
    let (limit, full) = (parameters.limit()?, parameters.flag("full")?);
    let at = parameters.one("at")?.map(str::to_owned);
    let cursor: Option<StateCursor> = parameters.one("cursor")?.map(parse_state_cursor).transpose()?;
    let now = shared.app.clock.now();
    ask_json(&shared, move |app| {
        let at = match (&cursor, at) {
            (Some(cursor), _) => app.questions.moment_of(&cursor.at)?,
            (None, Some(text)) => app.questions.moment("at", &text, now)?,
            (None, None) => Moment::Now,
        };
        let filter = app.questions.select(&selection)?;
        let question = StateQuestion { at, filter, after: cursor.map(|cursor| cursor.after), limit, full };
        app.questions.state(&question, &asker.caller.access).map(StatePage::from)
    })
    .await
}

fn parse_state_cursor(text: &str) -> Result<StateCursor, Failure> {
    text.parse()
        .map_err(|error: proreus_model::CursorError| Failure::bad_parameter("cursor", format!("`cursor` is `{text}`"), error.to_string()))
}
