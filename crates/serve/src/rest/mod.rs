//! The endpoints: each reads its parameters, asks one method of the application, and converts the answer. No logic.

mod audit;
mod changes;
mod following;
mod health;
mod incident_stream;
mod incidents;
mod monitors;
mod objects;
mod recording;
mod stream;
pub(crate) mod well_known;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::shared::Shared;

/// Endpoints that everybody may ask: they name no object.
pub(crate) fn open() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::default()
        .routes(routes!(health::health))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::openapi))
        .routes(routes!(well_known::metadata))
        .routes(routes!(well_known::metadata_of_mcp))
}

/// Endpoints behind the door.
pub(crate) fn guarded() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::default()
        .routes(routes!(audit::events))
        .routes(routes!(audit::object))
        .routes(routes!(changes::changes))
        .routes(routes!(stream::stream))
        .routes(routes!(changes::marks))
        .routes(routes!(objects::object))
        .routes(routes!(objects::history))
        .routes(routes!(objects::diff))
        .routes(routes!(objects::state))
        .routes(routes!(incidents::incidents))
        .routes(routes!(incident_stream::stream))
        .routes(routes!(incidents::incident))
        .routes(routes!(incidents::checks))
        .routes(routes!(incidents::doctor))
        .routes(routes!(monitors::monitors))
        .routes(routes!(monitors::monitor))
        .routes(routes!(monitors::stream))
        .routes(routes!(recording::watches))
        .routes(routes!(recording::clusters))
        .routes(routes!(recording::store_stats))
        .routes(routes!(recording::metrics))
}
