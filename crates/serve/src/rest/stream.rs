//! Changes as they are recorded, as server-sent events.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::HeaderMap;
use proreus_api::{Change, Mark};
use proreus_app::questions::{ChangesQuestion, RecordView};
use proreus_app::{AppError, Application};
use proreus_model::{Access, Filter};

use super::following::{Following, Portion, Told, first_cursor, start_cursor};
use crate::answer::ask;
use crate::door::LetIn;
use crate::failure::Failure;
use crate::limits::{STREAM_HEARTBEAT, STREAM_PORTION};
use crate::openapi::PastErrors;
use crate::parameters::{Parameters, StreamParameters};
use crate::shared::Shared;

/// Changes as they are recorded. Begins at `Last-Event-ID`, else at `cursor`, else at `since`, else now. Events of type `change` hold a
/// Change, of type `mark` a Mark, of type `problem` the reason for the end of the stream; an id without data is a heartbeat.
#[utoipa::path(get, path = "/api/v1/changes/stream", tag = "changes", security(("bearer" = [])), params(StreamParameters), responses(
    (status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"), PastErrors
))]
pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<StreamParameters>(query.as_deref())?;
    let cursor = start_cursor(&parameters, &headers)?;
    let since = parameters.time("since", shared.app.clock.now())?;
    let full = parameters.flag("full")?;
    let marks = parameters.flag("marks")?;
    let selection = parameters.selection()?;
    let place = shared.gates.stream().ok_or_else(|| Failure::overloaded("streams"))?;
    let question = ask(&shared, move |app| {
        let filter = Filter { marks, ..app.questions.select(&selection)? };
        let cursor = first_cursor(app, cursor, since.is_some())?;
        Ok(ChangesQuestion { filter, since, cursor, limit: STREAM_PORTION, full, ..ChangesQuestion::default() })
    })
    .await?;
    Ok(Following::respond(shared, asker, Records, question, place))
}

/// Changes, and marks where they are asked for.
struct Records;

impl Told for Records {
    type Item = RecordView;

    async fn read(&self, app: &Arc<Application>, question: ChangesQuestion, access: Access) -> Result<Portion<RecordView>, AppError> {
        let answer = app.follow_records(question, access, STREAM_HEARTBEAT).await?;
        Ok((answer.items.into_iter().map(|record| (record.seq(), record)).collect(), answer.cursor))
    }

    fn tell(&self, record: RecordView) -> (&'static str, String) {
        let (name, data) = match record {
            RecordView::Change(view) => ("change", serde_json::to_string(&Change::from(*view))),
            RecordView::Mark(mark) => ("mark", serde_json::to_string(&Mark::from(mark))),
        };
        (name, data.unwrap_or_default())
    }
}
