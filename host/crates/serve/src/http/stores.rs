//! `/v1/stores`: which there are, how they are doing, and calls that touch a whole one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use mortise_store::limits::MAX_PAGE_RECORDS;
use mortise_store::{Key, Store};
use mortise_wire::{
    Batch, Found, Lookup, Problem, Record, Removed, Revisions, Statistics, StoreInfo, Stores,
    WriteLine,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::extract::{InBody, InQuery, Reading, Writing};
use super::paths::StorePath;
use super::problem::{Answer, Refused};
use crate::access::Access;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(health))
        .routes(routes!(statistics))
        .routes(routes!(lookup))
        .routes(routes!(batch))
        .routes(routes!(sweep))
        .routes(routes!(clear))
}

/// Lists the stores that are served
#[utoipa::path(
    get,
    path = "/v1/stores",
    tag = "stores",
    operation_id = "list_stores",
    responses((status = 200, description = "those that you may read", body = Stores))
)]
async fn list(State(app): State<App>, Extension(access): Extension<Access>) -> Json<Stores> {
    let readable = |(_, store): &(&str, &Store)| access.may_read(store);
    let stores = app.served.iter().filter(readable);
    let stores = stores.map(|(name, store)| StoreInfo::of(name, store));
    Json(Stores {
        stores: stores.collect(),
    })
}

/// Tells what a store is, and how it is doing
#[utoipa::path(
    get,
    path = "/v1/stores/{store}",
    tag = "stores",
    operation_id = "show_store",
    params(StorePath),
    responses((status = 200, description = "the store", body = StoreInfo))
)]
async fn show(Reading(store): Reading) -> Json<StoreInfo> {
    Json(StoreInfo::of(store.name(), &store))
}

/// Reaches the storage and comes back, or says why not
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/health",
    tag = "stores",
    operation_id = "store_health",
    params(StorePath),
    responses(
        (status = 204, description = "it answers"),
        (status = 503, description = "it does not", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn health(Reading(store): Reading) -> Answer<StatusCode> {
    store.health().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Counts every collection that holds a record
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/statistics",
    tag = "stores",
    operation_id = "store_statistics",
    params(StorePath),
    responses((status = 200, description = "what each collection holds", body = Statistics))
)]
async fn statistics(Reading(store): Reading) -> Answer<Json<Statistics>> {
    let collections = store.statistics().await?.into_iter();
    Ok(Json(Statistics {
        collections: collections.map(Into::into).collect(),
    }))
}

/// Reads up to 1,000 records as of one instant
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/lookup",
    tag = "records",
    operation_id = "lookup_records",
    params(StorePath),
    request_body = Lookup,
    responses((status = 200, description = "each, or null", body = Found))
)]
async fn lookup(Reading(store): Reading, lookup: InBody<Lookup>) -> Answer<Json<Found<'static>>> {
    let (lookup, _room) = lookup.into_parts();
    let keys = lookup.keys.into_iter();
    let keys = keys.map(|(collection, id)| Key::new(collection, id));
    let found = store.load_many(keys.collect()).await?;
    let records = found.iter();
    let records = records.map(|stored| stored.as_ref().map(|one| Record::of(one).into_owned()));
    Ok(Json(Found {
        records: records.collect(),
    }))
}

/// Makes all writes or none, in order
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/batch",
    tag = "records",
    operation_id = "apply_batch",
    params(StorePath),
    request_body = Batch,
    responses(
        (status = 200, description = "the revision of each", body = Revisions),
        (status = 404, description = "there is none to be replaced or removed", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "one is there already", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "one changed: `current` is what it is now, for who may read it", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn batch(
    Writing(store, sight): Writing,
    batch: InBody<Batch<'static>>,
) -> Answer<Json<Revisions>> {
    let (batch, _room) = batch.into_parts();
    let writes = batch.writes.into_iter().map(WriteLine::into_write);
    let writes = writes.collect::<Result<_, _>>().map_err(Refused::invalid)?;
    let revisions = store
        .apply(writes)
        .await
        .map_err(|error| sight.refused(error))?;
    Ok(Json(Revisions { revisions }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Sweep {
    /// How many at most, 1 to 1,000; default 1,000.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default = "most")]
    limit: u32,
}

fn most() -> u32 {
    MAX_PAGE_RECORDS
}

/// Removes expired records
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/sweep",
    tag = "stores",
    operation_id = "sweep_store",
    params(StorePath, Sweep),
    responses((status = 200, description = "how many went", body = Removed))
)]
async fn sweep(
    Writing(store, _): Writing,
    InQuery(sweep): InQuery<Sweep>,
) -> Answer<Json<Removed>> {
    let removed = u64::from(store.sweep(sweep.limit).await?);
    Ok(Json(Removed { removed }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Clear {
    /// Only this one; missing: all collections.
    #[serde(default)]
    collection: Option<String>,
}

/// Removes every record of a collection, or of all
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/clear",
    tag = "stores",
    operation_id = "clear_store",
    params(StorePath, Clear),
    responses((status = 200, description = "how many unexpired ones went", body = Removed))
)]
async fn clear(
    Writing(store, _): Writing,
    InQuery(clear): InQuery<Clear>,
) -> Answer<Json<Removed>> {
    let removed = store.clear(clear.collection.as_deref()).await?;
    Ok(Json(Removed { removed }))
}
