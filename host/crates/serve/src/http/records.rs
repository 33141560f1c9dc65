//! `/v1/stores/{store}/records`: records of any kind.

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::StatusCode;
use axum::response::Response;
use mortise_store::{Key, Query};
use mortise_wire::{
    Content, Order, Page, Problem, Record, RecordSchema, Records, Search, StampOut,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::expect::{self, Expected, Known};
use super::extract::{InBody, InPath, InQuery, Reading, Writing};
use super::paging::{self, Paging, attributes, default_limit};
use super::paths::{CollectionPath, RecordPath, StorePath};
use super::problem::{Answer, Refused};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(load, put, delete))
        .routes(routes!(find))
        .routes(routes!(search))
        .routes(routes!(all, import))
}

/// Reads a record
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/records/{collection}/{id}",
    tag = "records",
    operation_id = "load_record",
    params(RecordPath, ("If-None-Match" = Option<String>, Header, description = "the ETag of what you have")),
    responses(
        (status = 200, description = "the record", body = RecordSchema, headers(("ETag" = String, description = "its mod_revision in quotes"))),
        (status = 304, description = "it is what you have"),
        (status = 404, description = "there is no such record", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn load(
    Reading(store): Reading,
    InPath(path): InPath<RecordPath>,
    known: Known,
) -> Answer<Response> {
    let key = Key::from(path);
    let Some(stored) = store.load(&key).await? else {
        return Err(Refused::not_found(format!("there is no record {key}")));
    };
    Ok(expect::read(stored.revision(), &known, Record::of(&stored)))
}

/// Writes a record
///
/// With `If-None-Match: *` it creates it; with `If-Match: "REVISION"` it replaces it, unless it changed since; with
/// `If-Match: *` it replaces whatever is there.
#[utoipa::path(
    put,
    path = "/v1/stores/{store}/records/{collection}/{id}",
    tag = "records",
    operation_id = "put_record",
    params(
        RecordPath,
        ("If-Match" = Option<String>, Header, description = "the ETag of what is to be replaced, or *"),
        ("If-None-Match" = Option<String>, Header, description = "*, to create"),
    ),
    request_body = Content,
    responses(
        (status = 200, description = "it was replaced", body = StampOut, headers(("ETag" = String, description = "its mod_revision in quotes"))),
        (status = 201, description = "it was created", body = StampOut, headers(("ETag" = String, description = "its mod_revision in quotes"))),
        (status = 404, description = "there is none to be replaced", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "it is there already", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "it changed: `current` is what it is now, for who may read it", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "neither If-Match nor If-None-Match", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn put(
    Writing(store, sight): Writing,
    InPath(path): InPath<RecordPath>,
    expected: Expected,
    content: InBody<Content<'static>>,
) -> Answer<Response> {
    let (content, _room) = content.into_parts();
    let draft = content.into_draft(path.into()).map_err(Refused::invalid)?;
    let (status, stamp) = match expected {
        Expected::Absent => (StatusCode::CREATED, store.create(draft).await),
        expected => {
            let stamp = store.update(draft, expected.revision()?).await;
            (StatusCode::OK, stamp)
        }
    };
    let stamp = stamp.map_err(|error| sight.refused(error))?;
    let revision = stamp.mod_revision;
    Ok(expect::written(status, revision, StampOut::from(stamp)))
}

/// Removes a record
#[utoipa::path(
    delete,
    path = "/v1/stores/{store}/records/{collection}/{id}",
    tag = "records",
    operation_id = "delete_record",
    params(
        RecordPath,
        ("If-Match" = Option<String>, Header, description = "the ETag of what is to be removed, or *"),
    ),
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "there is no such record", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "it changed: `current` is what it is now, for who may read it", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "no If-Match", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn delete(
    Writing(store, sight): Writing,
    InPath(path): InPath<RecordPath>,
    expected: Expected,
) -> Answer<StatusCode> {
    let deleted = store.delete(&path.into(), expected.revision()?).await;
    deleted.map_err(|error| sight.refused(error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which records, and in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Find {
    /// Only those that carry this attribute, as NAME:VALUE; several times, each of them.
    #[serde(default)]
    attribute: Vec<String>,
    /// By which revision they are sorted.
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// Highest revision first.
    #[serde(default)]
    descending: bool,
    /// Whether bodies come along; without, each comes back empty.
    #[serde(default = "yes")]
    bodies: bool,
    /// `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// 1 to 1,000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default = "default_limit")]
    limit: u32,
}

fn yes() -> bool {
    true
}

/// Finds records of a collection
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/records/{collection}",
    tag = "records",
    operation_id = "find_records",
    params(CollectionPath, Find),
    responses(
        (status = 200, description = "some of those that match", body = Page, headers(("Link" = String, description = "the page after, where there is one"))),
    )
)]
async fn find(
    Reading(store): Reading,
    InPath(path): InPath<CollectionPath>,
    InQuery(find): InQuery<Find>,
    uri: OriginalUri,
) -> Answer<Response> {
    let query = Query {
        collection: path.collection,
        attributes: attributes(&find.attribute)?,
        order: find.order.into(),
        descending: find.descending,
        after: find.after,
        limit: find.limit,
        bodies: find.bodies,
    };
    Ok(page(&uri, store.find(query).await?))
}

/// Finds records by what no URL can say
///
/// An attribute's name with a colon, a collection named `.` or `..`, a long query. A page says in `next` where the page
/// after starts.
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/find",
    tag = "records",
    operation_id = "search_records",
    params(StorePath),
    request_body = Search,
    responses((status = 200, description = "some of those that match", body = Page))
)]
async fn search(Reading(store): Reading, search: InBody<Search>) -> Answer<Json<Page<'static>>> {
    let (search, _room) = search.into_parts();
    let found = store.find(search.into()).await?;
    let records = found.records.iter();
    Ok(Json(Page {
        records: records
            .map(|record| Record::of(record).into_owned())
            .collect(),
        next: found.next,
    }))
}

/// Reads records of every collection, in the order of their creation
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/records",
    tag = "records",
    operation_id = "list_records",
    params(StorePath, Paging),
    responses(
        (status = 200, description = "some of them", body = Page, headers(("Link" = String, description = "the page after, where there is one"))),
    )
)]
async fn all(
    Reading(store): Reading,
    InQuery(paging): InQuery<Paging>,
    uri: OriginalUri,
) -> Answer<Response> {
    let found = store.export(paging.after, paging.limit).await?;
    Ok(page(&uri, found))
}

fn page(uri: &OriginalUri, found: mortise_store::Page) -> Response {
    let page = Page {
        records: found.records.iter().map(Record::of).collect(),
        next: found.next,
    };
    paging::page(uri, page.next.as_deref(), &page)
}

/// Writes records with their stamps, all or none
///
/// What is there with the same stamp is left alone.
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/records",
    tag = "records",
    operation_id = "import_records",
    params(StorePath),
    request_body = Records,
    responses(
        (status = 204, description = "they are there"),
        (status = 412, description = "another record is under a key", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn import(
    Writing(store, sight): Writing,
    records: InBody<Records<'static>>,
) -> Answer<StatusCode> {
    let (records, _room) = records.into_parts();
    let records = records.records.into_iter().map(Record::into_stored);
    let records = records
        .collect::<Result<_, _>>()
        .map_err(Refused::invalid)?;
    let imported = store.import(records).await;
    imported.map_err(|error| sight.refused(error))?;
    Ok(StatusCode::NO_CONTENT)
}
