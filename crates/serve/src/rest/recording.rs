//! How the watching and the journal stand.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use proreus_api::{Cluster, ClusterPage, Problem, StoreStats, WatchPage, WatchStatus};

use crate::answer::{ask, ask_json};
use crate::door::LetIn;
use crate::failure::Failure;
use crate::metrics::OPEN_METRICS;
use crate::openapi::GuardedErrors;
use crate::parameters::{NoParameters, Parameters};
use crate::shared::Shared;

/// The watches as they stand now.
#[utoipa::path(get, path = "/api/v1/watches", tag = "recording", security(("bearer" = [])),
    responses((status = 200, body = WatchPage), GuardedErrors))]
pub(crate) async fn watches(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    Parameters::strict::<NoParameters>(query.as_deref())?;
    ask_json(&shared, move |app| {
        let items = app.watches(&asker.caller.access).into_iter().map(WatchStatus::from).collect();
        Ok(WatchPage { items, next_cursor: None })
    })
    .await
}

/// The clusters of which anything is kept.
#[utoipa::path(get, path = "/api/v1/clusters", tag = "recording", security(("bearer" = [])),
    responses((status = 200, body = ClusterPage), GuardedErrors))]
pub(crate) async fn clusters(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    Parameters::strict::<NoParameters>(query.as_deref())?;
    ask_json(&shared, move |app| {
        let items = app.clusters(&asker.caller.access)?.into_iter().map(Cluster::from).collect();
        Ok(ClusterPage { items, next_cursor: None })
    })
    .await
}

/// The journal in figures.
#[utoipa::path(get, path = "/api/v1/store/stats", tag = "recording", security(("bearer" = [])),
    responses((status = 200, body = StoreStats), GuardedErrors))]
pub(crate) async fn store_stats(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<LetIn>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    Parameters::strict::<NoParameters>(query.as_deref())?;
    asker.figures(&shared).await?;
    ask_json(&shared, |app| app.questions.store_figures().map(StoreStats::from)).await
}

/// Figures for Prometheus. They name no namespace and no object.
#[utoipa::path(get, path = "/metrics", tag = "health", security(("bearer" = [])), responses(
    (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"), GuardedErrors
))]
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>, Extension(asker): Extension<LetIn>) -> Result<Response, Failure> {
    asker.figures(&shared).await?;
    let figures = Arc::clone(&shared.metrics);
    let streams = shared.gates.open_streams();
    match ask(&shared, move |_| Ok(figures.encode(streams))).await? {
        Ok(text) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()),
        Err(_) => {
            Err(Problem::new(500, "internal", "the request failed", "the figures could not be written", "see the server's log").into())
        }
    }
}
