//! `/healthz` and `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// Tells whether the process runs
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    operation_id = "live",
    responses((status = 204, description = "it does"))
)]
async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether requests will be answered.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    /// Why no request is answered right now: the phase of a restart, and what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    restart: Option<String>,
    stores: Vec<StoreReadiness>,
}

/// Whether a store answers.
#[derive(Debug, Serialize, ToSchema)]
struct StoreReadiness {
    name: String,
    ready: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Tells whether every store reaches its storage
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    operation_id = "ready",
    responses(
        (status = 200, description = "every store answers", body = Readiness),
        (status = 503, description = "some do not, or the server restarts", body = Readiness),
    )
)]
async fn ready(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let stores = app.served.iter().map(|(name, store)| async move {
        let reason = store.health().await.err();
        StoreReadiness {
            name: name.to_owned(),
            ready: reason.is_none(),
            reason: reason.map(|error| error.with_causes()),
        }
    });
    let stores = join_all(stores).await;
    let restart = app.passing.holds_up();
    let ready = restart.is_none() && stores.iter().all(|store| store.ready);
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (
        status,
        Json(Readiness {
            ready,
            restart,
            stores,
        }),
    )
}
