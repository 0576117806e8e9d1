//! What follows the journal as server-sent events: one loop for whatever is told of it.
//!
//! Invariants: the id of each event is a cursor, so that a client that comes back with `Last-Event-ID` misses nothing and sees nothing twice;
//! what was read under a right that is gone is not sent; a stream that ends says why, unless the server itself ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use proreus_app::questions::ChangesQuestion;
use proreus_app::{AppError, Application};
use proreus_model::{Access, Cursor, Seq};
use tokio::time::Instant;

use crate::door::LetIn;
use crate::failure::Failure;
use crate::limits::{Place, STREAM_RECHECK, STREAM_RETRY};
use crate::parameters::{Parameters, parse_cursor};
use crate::shared::Shared;

/// Header by which a client that lost its stream comes back.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// What comes next, each with its position, and where the question goes on.
pub(super) type Portion<T> = (Vec<(Seq, T)>, Cursor);

/// What is told of the journal.
pub(super) trait Told: Send + Sync + 'static {
    /// One thing to tell.
    type Item: Send;

    /// What comes next and where the question goes on; waits for it, and gives nothing after a heartbeat's time.
    fn read(
        &self,
        app: &Arc<Application>,
        question: ChangesQuestion,
        access: Access,
    ) -> impl Future<Output = Result<Portion<Self::Item>, AppError>> + Send;

    /// The name of the event and its data.
    fn tell(&self, item: Self::Item) -> (&'static str, String);
}

/// One client's stream.
pub(super) struct Following<T: Told> {
    shared: Arc<Shared>,
    asker: LetIn,
    told: T,
    question: ChangesQuestion,
    waiting: VecDeque<(Seq, T::Item)>,
    checked_at: Instant,
    stage: Stage,
    _place: Place,
}

/// Where a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has said nothing yet.
    Greeting,
    /// It tells what comes.
    Following,
    /// It has said its last.
    Ended,
}

impl<T: Told> Following<T> {
    /// The response in which a question is followed.
    pub(super) fn respond(shared: Arc<Shared>, asker: LetIn, told: T, question: ChangesQuestion, place: Place) -> Response {
        let (waiting, checked_at, stage) = (VecDeque::new(), Instant::now(), Stage::Greeting);
        let following = Self { shared, asker, told, question, waiting, checked_at, stage, _place: place };
        sent(futures::stream::unfold(following, |mut this| async move { this.next().await.map(|event| (Ok(event), this)) }))
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
        if let Some((seq, item)) = self.waiting.pop_front() {
            return Some(self.event(seq, item));
        }
        let answer = tokio::select! {
            biased;
            () = self.shared.options.shutdown.clone().cancelled_owned() => return None,
            answer = self.read() => answer,
        };
        Some(match answer {
            Err(failure) => self.farewell(failure),
            Ok((items, cursor)) => self.take(items, cursor),
        })
    }

    /// What comes next. Read again, with the door asked again, when something was recorded in a place that was not known when the door was
    /// last asked: the caller may be allowed to read it, and the stream would have gone past it.
    async fn read(&mut self) -> Result<Portion<T::Item>, Failure> {
        // Ends because places only ever come to be known, and a page is read a last time when no more did.
        loop {
            let access = self.asker.caller.access.clone();
            let answer = self.told.read(&self.shared.app, self.question.clone(), access).await?;
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

    fn take(&mut self, items: Vec<(Seq, T::Item)>, cursor: Cursor) -> Event {
        let id = cursor.to_string();
        self.question.cursor = Some(cursor);
        self.waiting = items.into();
        match self.waiting.pop_front() {
            Some((seq, item)) => self.event(seq, item),
            // What did not match needs no second look after a reconnect either.
            None => Event::default().id(id).comment("heartbeat"),
        }
    }

    fn event(&self, seq: Seq, item: T::Item) -> Event {
        let (name, data) = self.told.tell(item);
        Event::default().id(self.shared.app.questions.cursor_at(seq).to_string()).event(name).data(data)
    }

    fn farewell(&mut self, failure: Failure) -> Event {
        self.stage = Stage::Ended;
        problem(failure)
    }

    /// Asks the door again. What was read under another access and not sent yet is read anew: a client may take it much later.
    async fn recheck(&mut self) -> Result<(), Failure> {
        let former = self.asker.caller.access.clone();
        self.asker.recheck(&self.shared).await.map_err(Failure::denied)?;
        self.checked_at = Instant::now();
        if self.asker.caller.access != former
            && let Some((first, _)) = self.waiting.front()
        {
            self.question.cursor = Some(self.shared.app.questions.cursor_at(Seq(first.0.saturating_sub(1))));
            self.waiting.clear();
        }
        Ok(())
    }
}

/// The last word of a stream that cannot go on.
pub(super) fn problem(failure: Failure) -> Event {
    Event::default().event("problem").data(serde_json::to_string(&failure.into_problem()).unwrap_or_default())
}

/// The response that a stream is sent in.
pub(super) fn sent(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events).into_response();
    // Proxies that buffer would hold back what a stream is for.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

/// Where a client wants to begin.
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
