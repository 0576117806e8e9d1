//! The router: which endpoints there are, which of them are behind the door, and what wraps them all.

use std::sync::Arc;

use axum::response::IntoResponse;
use axum::{Extension, Router, middleware};
use bytes::Bytes;
use http::Uri;
use proreus_api::Problem;
use proreus_app::Application;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::door::door;
use crate::failure::Failure;
use crate::front::{front, panicked};
use crate::limits::Gates;
use crate::mcp;
use crate::metrics::Metrics;
use crate::openapi::Document;
use crate::rest;
use crate::shared::{ServeOptions, Shared};

/// The text of `/openapi.json`, written once.
#[derive(Clone)]
pub(crate) struct DocumentText(pub(crate) Bytes);

/// Everything that is served for `app`.
pub fn router(app: Arc<Application>, options: ServeOptions) -> Router {
    let metrics = Arc::new(Metrics::new(&app));
    let shared = Arc::new(Shared { app, metrics, gates: Gates::new(), options });
    let guarded = rest::guarded().route_layer(middleware::from_fn_with_state(Arc::clone(&shared), door));
    let (routes, document) = documented(guarded).split_for_parts();
    let document = DocumentText(serde_json::to_vec(&document).map(Bytes::from).unwrap_or_default());
    // Fast rather than small: an answer is sent once, and the two cores have the recording to do.
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest);
    let agents = mcp::route(&shared).route_layer(middleware::from_fn_with_state(Arc::clone(&shared), door));
    routes
        .merge(agents)
        .fallback(no_such_path)
        .method_not_allowed_fallback(|| async { Failure::method_not_allowed() })
        .layer(Extension(document))
        .layer(compression)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), front))
        .with_state(shared)
}

/// The OpenAPI document of everything that is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented(rest::guarded()).into_openapi()
}

fn documented(guarded: OpenApiRouter<Arc<Shared>>) -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(Document::openapi()).merge(rest::open()).merge(guarded)
}

async fn no_such_path(uri: Uri) -> impl IntoResponse {
    let detail = format!("`{}` is not served here", uri.path());
    Failure::from(Problem::new(404, "no-such-path", "there is no such path", detail, "see /openapi.json for what is served"))
}
