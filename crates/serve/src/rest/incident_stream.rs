//! Incidents as they are recorded, as server-sent events. The id of each is a cursor, as in the stream of changes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures::Stream;
use http::HeaderMap;
use proreus_api::Incident;
use proreus_app::doctor::{IncidentState, Severity};
use proreus_app::questions::{ChangesQuestion, IncidentNews, IncidentView};
use proreus_model::Seq;
use tokio::time::Instant;

use super::incidents::{severities, states};
use super::stream::{first_cursor, sent, start_cursor};
use crate::answer::ask;
use crate::door::LetIn;
use crate::failure::Failure;
use crate::limits::{Place, STREAM_HEARTBEAT, STREAM_PORTION, STREAM_RECHECK, STREAM_RETRY};
use crate::openapi::PastErrors;
use crate::parameters::{IncidentStreamParameters, Parameters};
use crate::shared::Shared;

/// Incidents as they open, change and are resolved. Begins at `Last-Event-ID`, else at `cursor`, else now. Events of type `incident` hold an
/// Incident as it then was, of type `problem` the reason for the end of the stream; an id without data is a heartbeat.
#[utoipa::path(get, path = "/api/v1/incidents/stream", tag = "incidents", security(("bearer" = [])), params(IncidentStreamParameters), responses(
    (status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"), PastErrors
))]
pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<IncidentStreamParameters>(query.as_deref())?;
    let cursor = start_cursor(&parameters, &headers)?;
    let wanted = Wanted {
        clusters: parameters.many("cluster")?,
        namespaces: parameters.many("namespace")?.into_iter().map(|word| if word == "_" { String::new() } else { word }).collect(),
        states: parameters.choices("state", &states())?,
        severities: parameters.choices("severity", &severities())?,
        checks: parameters.many("check")?,
    };
    let place = shared.gates.stream().ok_or_else(|| Failure::overloaded("streams"))?;
    let (wanted, question) = ask(&shared, move |app| {
        let clusters = wanted.clusters.iter().map(|word| app.questions.cluster(word).map(|id| id.to_string()));
        let wanted = Wanted { clusters: clusters.collect::<Result<_, _>>()?, ..wanted };
        let cursor = first_cursor(app, cursor, false)?;
        Ok((wanted, ChangesQuestion { cursor, limit: STREAM_PORTION, ..ChangesQuestion::default() }))
    })
    .await?;
    let waiting = VecDeque::new();
    let following =
        Following { shared, asker, wanted, question, waiting, checked_at: Instant::now(), stage: Stage::Greeting, _place: place };
    Ok(sent(following.into_stream()))
}

/// What a client wants to hear of.
struct Wanted {
    clusters: Vec<String>,
    namespaces: Vec<String>,
    states: Vec<IncidentState>,
    severities: Vec<Severity>,
    checks: Vec<String>,
}

impl Wanted {
    fn admits(&self, view: &IncidentView) -> bool {
        let incident = &view.incident;
        let has = |words: &[String], word: &str| words.is_empty() || words.iter().any(|of| of == word);
        has(&self.clusters, incident.object.cluster.as_str())
            && has(&self.namespaces, incident.object.namespace.as_str())
            && has(&self.checks, &incident.check)
            && (self.states.is_empty() || self.states.contains(&incident.state))
            && (self.severities.is_empty() || self.severities.contains(&incident.severity))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Following,
    Ended,
}

/// One client's stream.
struct Following {
    shared: Arc<Shared>,
    asker: LetIn,
    wanted: Wanted,
    question: ChangesQuestion,
    waiting: VecDeque<(Seq, IncidentView)>,
    checked_at: Instant,
    stage: Stage,
    _place: Place,
}

impl Following {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, |mut this| async move { this.next().await.map(|event| (Ok(event), this)) })
    }

    async fn next(&mut self) -> Option<Event> {
        match self.stage {
            Stage::Ended => return None,
            Stage::Greeting => {
                self.stage = Stage::Following;
                let event = Event::default().retry(STREAM_RETRY).comment("following");
                return Some(match &self.question.cursor {
                    Some(cursor) => event.id(cursor.to_string()),
                    None => event,
                });
            }
            Stage::Following => {}
        }
        if self.checked_at.elapsed() >= STREAM_RECHECK
            && let Err(failure) = self.recheck().await
        {
            return Some(self.farewell(failure));
        }
        if let Some((seq, view)) = self.waiting.pop_front() {
            return Some(self.event(seq, view));
        }
        let news = tokio::select! {
            biased;
            () = self.shared.options.shutdown.clone().cancelled_owned() => return None,
            news = self.read() => news,
        };
        let news = match news {
            Err(failure) => return Some(self.farewell(failure)),
            Ok(news) => news,
        };
        let id = news.cursor.to_string();
        self.question.cursor = Some(news.cursor);
        self.waiting = news.items.into_iter().filter(|(_, view)| self.wanted.admits(view)).collect();
        Some(match self.waiting.pop_front() {
            Some((seq, view)) => self.event(seq, view),
            None => Event::default().id(id).comment("heartbeat"),
        })
    }

    /// What comes next, read again where something was recorded meanwhile that the door did not know of.
    async fn read(&mut self) -> Result<IncidentNews, Failure> {
        loop {
            let access = self.asker.caller.access.clone();
            let news = self.shared.app.follow_incidents(self.question.clone(), access, STREAM_HEARTBEAT).await?;
            if self.asker.is_current(&self.shared).await.map_err(Failure::denied)? {
                return Ok(news);
            }
            self.recheck().await?;
        }
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

    fn event(&self, seq: Seq, view: IncidentView) -> Event {
        let id = self.shared.app.questions.cursor_at(seq).to_string();
        Event::default().id(id).event("incident").data(serde_json::to_string(&Incident::from(view)).unwrap_or_default())
    }

    fn farewell(&mut self, failure: Failure) -> Event {
        self.stage = Stage::Ended;
        Event::default().event("problem").data(serde_json::to_string(&failure.into_problem()).unwrap_or_default())
    }
}
