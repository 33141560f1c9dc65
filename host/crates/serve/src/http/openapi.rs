//! The description of the HTTP API, made from the handlers.

use axum::extract::State;
use axum::response::IntoResponse;
use mortise_wire::Problem;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::{entities, figures, health, records, stores, tasks, transfer};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Mortise",
        description = "Records, agent tasks and entities in stores, over HTTP.",
        license(name = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem)),
    tags(
        (name = "stores", description = "Whole stores"),
        (name = "records", description = "Records of any kind"),
        (name = "tasks", description = "Agent tasks"),
        (name = "entities", description = "Jobs, cases and others, their lifecycle and its history"),
        (name = "transfer", description = "All records, as a stream of lines"),
        (name = "health", description = "How the server is doing"),
    )
)]
struct Api;

/// Every path, and what describes it.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Api::openapi())
        .merge(stores::routes())
        .merge(records::routes())
        .merge(tasks::routes())
        .merge(entities::routes())
        .merge(transfer::routes())
        .merge(health::routes())
        .merge(figures::routes())
        .routes(routes!(description))
}

/// The description of the HTTP API (OpenAPI 3.1), as JSON: what is served at `/openapi.json`.
pub fn openapi() -> String {
    let mut api = router().into_openapi();
    let paths = api.paths.paths.values_mut();
    let operations = paths.flat_map(|item| {
        [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ]
    });
    operations.flatten().for_each(may_fail);
    let mut text = api
        .to_pretty_json()
        .expect("a description made of strings is always JSON");
    text.push('\n');
    text
}

/// Every request can fail in ways that are the same for all.
fn may_fail(operation: &mut Operation) {
    let problem = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    let response = ResponseBuilder::new()
        .description("it failed: `type` tells how")
        .content("application/problem+json", problem)
        .build();
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), response.into());
}

/// Describes the HTTP API
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    operation_id = "describe",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
async fn description(State(_): State<App>) -> impl IntoResponse {
    ([("content-type", "application/json")], openapi())
}
