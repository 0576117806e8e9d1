//! Monitors: the list, one with its log, and its updates as server-sent events.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures::Stream;
use http::HeaderMap;
use proreus_api::{MonitorItem, MonitorLog, MonitorPage, MonitorUpdate};
use proreus_app::monitors::{ClientKey, MonitorCursor, MonitorName, MonitorNotice, MonitorsQuestion, SubscribeOptions, Subscription};
use serde::Deserialize;
use tokio::time::Instant;

use crate::answer::{ask, ask_json};
use crate::door::LetIn;
use crate::failure::Failure;
use crate::limits::{STREAM_HEARTBEAT, STREAM_RECHECK, STREAM_RETRY};
use crate::openapi::{GuardedErrors, MonitorErrors};
use crate::parameters::{MonitorLogParameters, MonitorStreamParameters, MonitorsParameters, Parameters};
use crate::rest::following::{LAST_EVENT_ID, Stage, problem, sent};
use crate::rest::objects::parts;
use crate::shared::Shared;

/// A monitor in a path.
#[derive(Deserialize)]
pub(crate) struct MonitorPath {
    namespace: String,
    name: String,
}

impl MonitorPath {
    fn named(self, parameters: &Parameters) -> Result<MonitorName, Failure> {
        Ok(MonitorName { cluster: parameters.one("cluster")?.map(str::to_owned), namespace: self.namespace, name: self.name })
    }
}

/// Every cluster that is being made or was made, as it stands now.
#[utoipa::path(get, path = "/api/v1/monitors", tag = "monitors", security(("bearer" = [])), params(MonitorsParameters),
    responses((status = 200, body = MonitorPage), GuardedErrors))]
pub(crate) async fn monitors(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<MonitorsParameters>(query.as_deref())?;
    let question = MonitorsQuestion {
        clusters: parameters.many("cluster")?,
        namespaces: parameters.many("namespace")?,
        cursor: parameters.one("cursor")?.map(str::to_owned),
        limit: parameters.limit()?,
    };
    ask_json(&shared, move |app| {
        let answer = app.monitors.page_of(&question, &asker.caller.access)?;
        Ok(MonitorPage { items: answer.items.into_iter().map(MonitorItem::from).collect(), next_cursor: answer.next })
    })
    .await
}

/// One monitor as it stands now, and its log after a cursor; from its beginning without one.
#[utoipa::path(get, path = "/api/v1/monitors/{namespace}/{name}", tag = "monitors", security(("bearer" = [])),
    params(
        ("namespace" = String, Path, description = "Namespace of the ClusterDeployment, or of the Cluster that has none", example = "kcm-system"),
        ("name" = String, Path, description = "Its name", example = "prod"),
        MonitorLogParameters
    ),
    responses((status = 200, body = MonitorLog), MonitorErrors))]
pub(crate) async fn monitor(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    path: Result<Path<MonitorPath>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<MonitorLogParameters>(query.as_deref())?;
    let name = parts(path)?.named(&parameters)?;
    let after = parameters.one("cursor")?.map(|text| read_cursor("cursor", text)).transpose()?;
    let limit = parameters.limit_of(proreus_app::monitors::DEFAULT_LOG_LIMIT, proreus_app::monitors::MAX_LOG_LIMIT)?;
    ask_json(&shared, move |app| {
        let access = &asker.caller.access;
        let page = app.monitors.log(&name, after.as_ref(), limit, access)?;
        Ok(MonitorLog::new(app.monitors.get(&name, access)?, page))
    })
    .await
}

/// The updates of a monitor as they are told. Begins after `Last-Event-ID`, else after `cursor`, else with the newest update. Events of type
/// `update` stand in the log, of type `notice` are the subscription's own word, such as the warning before its end; `problem` says why a
/// stream ended. An id without data is a heartbeat. The stream ends with its terminal update.
#[utoipa::path(get, path = "/api/v1/monitors/{namespace}/{name}/stream", tag = "monitors", security(("bearer" = [])),
    params(
        ("namespace" = String, Path, description = "Namespace of the ClusterDeployment, or of the Cluster that has none", example = "kcm-system"),
        ("name" = String, Path, description = "Its name", example = "prod"),
        MonitorStreamParameters
    ),
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"), MonitorErrors))]
pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    path: Result<Path<MonitorPath>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let parameters = Parameters::strict::<MonitorStreamParameters>(query.as_deref())?;
    let name = parts(path)?.named(&parameters)?;
    let options = SubscribeOptions {
        timeout: parameters.seconds("timeout")?.map(Duration::from_secs),
        await_existence: parameters.flag("await")?,
        after: start(&parameters, &headers)?,
    };
    let client = client(&asker, peer.map(|Extension(ConnectInfo(peer))| peer));
    let access = asker.caller.access.clone();
    let subscription = ask(&shared, move |app| app.monitors.subscribe(name, options, &client, access)).await?;
    let listening = Listening { shared, asker, subscription, checked_at: Instant::now(), stage: Stage::Greeting };
    Ok(sent(listening.into_stream()))
}

/// Who listens: the subject of a token, else the connection.
fn client(asker: &LetIn, peer: Option<SocketAddr>) -> ClientKey {
    match (asker.is_known(), peer) {
        (true, _) | (false, None) => ClientKey(asker.caller.name.clone()),
        (false, Some(peer)) => ClientKey(peer.to_string()),
    }
}

fn start(parameters: &Parameters, headers: &HeaderMap) -> Result<Option<MonitorCursor>, Failure> {
    match headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        Some(id) => read_cursor("Last-Event-ID", id.to_str().unwrap_or("not text")).map(Some),
        None => parameters.one("cursor")?.map(|text| read_cursor("cursor", text)).transpose(),
    }
}

fn read_cursor(name: &str, text: &str) -> Result<MonitorCursor, Failure> {
    text.parse()
        .map_err(|error: proreus_model::CursorError| Failure::bad_parameter(name, format!("`{name}` is `{text}`"), error.to_string()))
}

/// One client's stream.
struct Listening {
    shared: Arc<Shared>,
    asker: LetIn,
    subscription: Subscription,
    checked_at: Instant,
    stage: Stage,
}

impl Listening {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, |mut this| async move { this.next().await.map(|event| (Ok(event), this)) })
    }

    async fn next(&mut self) -> Option<Event> {
        match self.stage {
            Stage::Ended => return None,
            Stage::Greeting => {
                self.stage = Stage::Following;
                // Says at once that the stream stands.
                return Some(Event::default().retry(STREAM_RETRY).comment("listening"));
            }
            Stage::Following => {}
        }
        if let Err(failure) = self.recheck().await {
            self.stage = Stage::Ended;
            return Some(problem(failure));
        }
        let told = tokio::select! {
            biased;
            () = self.shared.options.shutdown.cancelled() => return None,
            told = tokio::time::timeout(STREAM_HEARTBEAT, self.subscription.next()) => told,
        };
        match told {
            Err(_) => Some(Event::default().comment("heartbeat")),
            Ok(None) => None,
            Ok(Some(notice)) => Some(self.event(notice)),
        }
    }

    fn event(&mut self, notice: MonitorNotice) -> Event {
        if notice.is_last {
            self.stage = Stage::Ended;
        }
        let name = if notice.is_own { "notice" } else { "update" };
        let update = MonitorUpdate::from(notice);
        Event::default().id(update.cursor.clone()).event(name).data(serde_json::to_string(&update).unwrap_or_default())
    }

    /// Asks the door again now and then, and when something was recorded where nothing was known before: the deployment that is waited for
    /// may be it.
    async fn recheck(&mut self) -> Result<(), Failure> {
        let is_current = self.asker.is_current(&self.shared).await.map_err(Failure::denied)?;
        if !is_current || self.checked_at.elapsed() >= STREAM_RECHECK {
            self.asker.recheck(&self.shared).await.map_err(Failure::denied)?;
            self.subscription.set_access(self.asker.caller.access.clone());
            self.checked_at = Instant::now();
        }
        Ok(())
    }
}
