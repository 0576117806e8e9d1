//! Incidents as they are recorded, as server-sent events.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::HeaderMap;
use proreus_api::Incident;
use proreus_app::doctor::{IncidentState, Severity};
use proreus_app::questions::{ChangesQuestion, IncidentView};
use proreus_app::{AppError, Application};
use proreus_model::Access;

use super::following::{Following, Portion, Told, first_cursor, start_cursor};
use super::incidents::{severities, states};
use crate::answer::ask;
use crate::door::LetIn;
use crate::failure::Failure;
use crate::limits::{STREAM_HEARTBEAT, STREAM_PORTION};
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
    Ok(Following::respond(shared, asker, wanted, question, place))
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

impl Told for Wanted {
    type Item = IncidentView;

    async fn read(&self, app: &Arc<Application>, question: ChangesQuestion, access: Access) -> Result<Portion<IncidentView>, AppError> {
        let news = app.follow_incidents(question, access, STREAM_HEARTBEAT).await?;
        Ok((news.items.into_iter().filter(|(_, view)| self.admits(view)).collect(), news.cursor))
    }

    fn tell(&self, view: IncidentView) -> (&'static str, String) {
        ("incident", serde_json::to_string(&Incident::from(view)).unwrap_or_default())
    }
}
