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
use proreus_model::{Cursor, Filter, Seq};
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
        let waiting = VecDeque::new();
        Self { shared, asker, question, waiting, checked_at: Instant::now(), stage: Stage::Greeting, _place: place }
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
        if self.checked_at.elapsed() >= STREAM_RECHECK
            && let Err(failure) = self.recheck().await
        {
            return Some(self.farewell(failure));
        }
        if let Some(record) = self.waiting.pop_front() {
            return Some(self.event(record));
        }
        let answer = tokio::select! {
            biased;
            () = self.shared.options.shutdown.clone().cancelled_owned() => return None,
            answer = self.follow() => answer,
        };
        match answer {
            Err(failure) => Some(self.farewell(failure)),
            Ok(answer) => Some(self.take(answer)),
        }
    }

    /// The next page. Read again, with the door asked again, when something was recorded in a place that was not known when the door was
    /// last asked: the caller may be allowed to read it, and the stream would have gone past it.
    async fn follow(&mut self) -> Result<RecordsAnswer, Failure> {
        // Ends because places only ever come to be known, and a page is read a last time when no more did.
        loop {
            let access = self.asker.caller.access.clone();
            let answer = self.shared.app.follow_records(self.question.clone(), access, STREAM_HEARTBEAT).await?;
            if self.asker.is_current(&self.shared).await.map_err(Failure::denied)? {
                return Ok(answer);
            }
            self.recheck().await?;
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

    /// Asks the door again. What was read under another access and not sent yet is read anew: a client may take it much later.
    async fn recheck(&mut self) -> Result<(), Failure> {
        let former = self.asker.caller.access.clone();
        self.asker.recheck(&self.shared).await.map_err(Failure::denied)?;
        self.checked_at = Instant::now();
        if self.asker.caller.access != former
            && let Some(first) = self.waiting.front()
        {
            self.question.cursor = Some(self.shared.app.questions.cursor_at(Seq(first.seq().0.saturating_sub(1))));
            self.waiting.clear();
        }
        Ok(())
    }
}
