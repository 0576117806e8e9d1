//! Lists of changes and of marks.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use proreus_api::{ChangePage, MarkPage};
use proreus_app::questions::{ChangesQuestion, MarksQuestion, group_of};
use proreus_model::{Filter, Group, MarkKind, Resource};

use crate::answer::ask_json;
use crate::door::LetIn;
use crate::failure::Failure;
use crate::openapi::PastErrors;
use crate::parameters::{ChangesParameters, MarksParameters, Parameters};
use crate::shared::Shared;

/// Changes, page by page.
#[utoipa::path(get, path = "/api/v1/changes", tag = "changes", security(("bearer" = [])), params(ChangesParameters),
    responses((status = 200, body = ChangePage), PastErrors))]
pub(crate) async fn changes(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<ChangesParameters>(query.as_deref())?;
    let page = parameters.page(shared.app.clock.now())?;
    let selection = parameters.selection()?;
    ask_json(&shared, move |app| {
        let filter = app.questions.select(&selection)?;
        app.questions.changes(&ChangesQuestion { filter, ..page }, &asker.caller.access).map(ChangePage::from)
    })
    .await
}

/// Marks: what is true of the watching itself.
#[utoipa::path(get, path = "/api/v1/marks", tag = "recording", security(("bearer" = [])), params(MarksParameters),
    responses((status = 200, body = MarkPage), PastErrors))]
pub(crate) async fn marks(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<MarksParameters>(query.as_deref())?;
    let page = parameters.page(shared.app.clock.now())?;
    let clusters = parameters.many("cluster")?;
    let groups: Vec<Group> = parameters.many("group")?.iter().map(|group| group_of(group)).collect();
    let resources: Vec<Resource> = parameters.many("resource")?.into_iter().map(Resource::from).collect();
    let mark_kinds = parameters.choices("kind", &mark_kinds())?;
    ask_json(&shared, move |app| {
        let clusters = clusters.iter().map(|word| app.questions.cluster(word)).collect::<Result<_, _>>()?;
        let filter = Filter { clusters, groups, resources, mark_kinds, ..Filter::marks() };
        let question = MarksQuestion { of: ChangesQuestion { filter, ..page } };
        app.questions.marks(&question, &asker.caller.access).map(MarkPage::from)
    })
    .await
}

fn mark_kinds() -> [(&'static str, MarkKind); 8] {
    use MarkKind::{ClockStepped, ConfigChanged, Gap, Refused, Stale, Stopped, Synced, WatchStarted};
    [WatchStarted, Synced, Stale, Gap, Stopped, ConfigChanged, ClockStepped, Refused].map(|kind| (kind.as_str(), kind))
}
