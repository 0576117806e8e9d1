//! Changes as they are recorded, as server-sent events. The id of each is a cursor, so that a client that comes back with `Last-Event-ID`
//! misses nothing and sees nothing twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use proreus_api::{Change, Mark};
use proreus_app::questions::{ChangesQuestion, RecordView, RecordsAnswer};
use proreus_app::{AppError, Application};
use proreus_model::{Access, Cursor, Filter};
use tokio::time::Instant;

use crate::answer::ask;
use crate::door::LetIn;
use crate::failure::Failure;
use crate::limits::{Place, STREAM_HEARTBEAT, STREAM_PORTION, STREAM_RECHECK, STREAM_RETRY};
use crate::openapi::PastErrors;
use crate::parameters::{Parameters, StreamParameters, parse_cursor};
use crate::shared::Shared;

/// Header by which a client that lost its stream comes back.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

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
    let following = Following::new(shared, asker, question, place);
    Ok(sent(following.into_stream()))
}

/// The response that a stream is sent in.
pub(super) fn sent(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events).into_response();
    // Proxies that buffer would hold back what a stream is for.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

pub(super) fn start_cursor(parameters: &Parameters, headers: &HeaderMap) -> Result<Option<Cursor>, Failure> {
    match headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        Some(id) => parse_cursor("Last-Event-ID", id.to_str().unwrap_or("not text")).map(Some),
        None => parameters.cursor(),
    }
}

/// Checks a cursor before the stream begins, while a status can still tell; without one, a stream begins now.
pub(super) fn first_cursor(app: &Application, given: Option<Cursor>, since: bool) -> Result<Option<Cursor>, AppError> {
    match given {
        Some(cursor) => app.questions.moment_of(&cursor).map(|_| Some(cursor)),
        None if since => Ok(None),
        None => Ok(Some(app.questions.cursor_at(app.questions.journal().watermark()))),
    }
}

/// One client's stream.
struct Following {
    shared: Arc<Shared>,
    asker: LetIn,
    access: Access,
    question: ChangesQuestion,
    waiting: VecDeque<RecordView>,
    checked_at: Instant,
    stage: Stage,
    _place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Following,
    Ended,
}

impl Following {
    fn new(shared: Arc<Shared>, asker: LetIn, question: ChangesQuestion, place: Place) -> Self {
        let access = asker.caller.access.clone();
        let waiting = VecDeque::new();
        Self { shared, asker, access, question, waiting, checked_at: Instant::now(), stage: Stage::Greeting, _place: place }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, |mut this| async move { this.next().await.map(|event| (Ok(event), this)) })
    }

    async fn next(&mut self) -> Option<Event> {
        match self.stage {
            Stage::Ended => return None,
            Stage::Greeting => {
                self.stage = Stage::Following;
                return Some(self.greeting());
            }
            Stage::Following => {}
        }
        if let Some(record) = self.waiting.pop_front() {
            return Some(self.event(record));
        }
        if let Err(denied) = self.recheck() {
            return Some(self.farewell(denied));
        }
        let follow = self.shared.app.follow_records(self.question.clone(), self.access.clone(), STREAM_HEARTBEAT);
        let answer = tokio::select! {
            () = self.shared.options.shutdown.cancelled() => return None,
            answer = follow => answer,
        };
        match answer {
            Err(error) => Some(self.farewell(error.into())),
            Ok(answer) => Some(self.take(answer)),
        }
    }

    /// Says at once that the stream stands, and where.
    fn greeting(&self) -> Event {
        let event = Event::default().retry(STREAM_RETRY).comment("following");
        match &self.question.cursor {
            Some(cursor) => event.id(cursor.to_string()),
            None => event,
        }
    }

    fn take(&mut self, answer: RecordsAnswer) -> Event {
        let cursor = answer.cursor.to_string();
        self.question.cursor = Some(answer.cursor);
        self.waiting = answer.items.into();
        match self.waiting.pop_front() {
            Some(first) => self.event(first),
            // What did not match needs no second look after a reconnect either.
            None => Event::default().id(cursor).comment("heartbeat"),
        }
    }

    fn event(&self, record: RecordView) -> Event {
        let id = self.shared.app.questions.cursor_at(record.seq()).to_string();
        let (name, data) = match record {
            RecordView::Change(view) => ("change", serde_json::to_string(&Change::from(*view))),
            RecordView::Mark(mark) => ("mark", serde_json::to_string(&Mark::from(mark))),
        };
        Event::default().id(id).event(name).data(data.unwrap_or_default())
    }

    fn farewell(&mut self, failure: Failure) -> Event {
        self.stage = Stage::Ended;
        Event::default().event("problem").data(serde_json::to_string(&failure.into_problem()).unwrap_or_default())
    }

    fn recheck(&mut self) -> Result<(), Failure> {
        if self.checked_at.elapsed() >= STREAM_RECHECK {
            self.access = self.asker.recheck(&self.shared).map_err(Failure::denied)?.access;
            self.checked_at = Instant::now();
        }
        Ok(())
    }
}
