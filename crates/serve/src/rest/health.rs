//! Health endpoints and the document: open, so that probes and clients need no token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use proreus_api::{Health, Liveness, Readiness};
use proreus_app::{AppError, blocking};

use crate::failure::Failure;
use crate::limits::QUESTION_TIMEOUT;
use crate::openapi::OpenErrors;
use crate::router::DocumentText;
use crate::shared::Shared;

/// The older service's health: whoever answers is healthy.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health), OpenErrors))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "healthy".to_owned() })
}

/// Whether the process lives.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Liveness), OpenErrors))]
pub(crate) async fn livez() -> Json<Liveness> {
    Json(Liveness { status: "live".to_owned() })
}

/// Whether questions can be answered.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    OpenErrors,
    (status = 200, description = "Questions can be answered", body = Readiness),
    (status = 503, description = "They cannot", content((Readiness = "application/json"), (proreus_api::Problem = "application/problem+json")))
))]
pub(crate) async fn readyz(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    let app = Arc::clone(&shared.app);
    // Past the gate of questions: a busy server is ready.
    let asked = blocking(move || Ok::<_, AppError>(app.readiness()));
    let readiness = tokio::time::timeout(QUESTION_TIMEOUT, asked).await.map_err(|_| Failure::too_slow())??;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(Readiness::from(readiness))).into_response())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "health", responses(
    (status = 200, description = "OpenAPI 3.1", body = serde_json::Value), OpenErrors
))]
pub(crate) async fn openapi(axum::Extension(DocumentText(text)): axum::Extension<DocumentText>) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
