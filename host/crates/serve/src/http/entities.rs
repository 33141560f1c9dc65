//! `/v1/stores/{store}/entities`: jobs, cases, and objects of any kind, their lifecycle and its history.

use axum::extract::OriginalUri;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mortise_agent::{EntityQuery, EntityStore, Lifecycle, Machine, Object, Transition};
use mortise_store::{Precondition, Revision};
use mortise_wire::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::expect::{self, Expected, Known, etag};
use super::extract::{InBody, InPath, InQuery, Reading, Writing};
use super::paging::{self, Paging, attributes, default_limit};
use super::paths::{CollectionPath, RecordPath};
use super::problem::{Answer, Refused};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(load, save, delete))
        .routes(routes!(send_event))
        .routes(routes!(history))
}

/// Which entities.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct List {
    /// Only those that carry this attribute, as NAME:VALUE, such as status:stopped or job_id:j-1; several times, each
    /// of them.
    #[serde(default)]
    attribute: Vec<String>,
    /// Newest first, instead of oldest.
    #[serde(default)]
    newest_first: bool,
    /// `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// 1 to 1,000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default = "default_limit")]
    limit: u32,
}

/// Some of the entities that match.
#[derive(Debug, Serialize, ToSchema)]
struct Entities {
    entities: Vec<Listed>,
    /// Where the next page starts; missing after the last. An empty page may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An entity, and the write that changed it last.
#[derive(Debug, Serialize, ToSchema)]
struct Listed {
    /// The write that changed it last: its ETag, without the quotes.
    revision: Revision,
    /// The object.
    #[schema(value_type = Object)]
    entity: Object,
}

/// Lists entities of a collection
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/entities/{collection}",
    tag = "entities",
    operation_id = "list_entities",
    params(CollectionPath, List),
    responses(
        (status = 200, description = "some of those that match", body = Entities, headers(("Link" = String, description = "the page after, where there is one"))),
    )
)]
async fn list(
    Reading(store): Reading,
    InPath(path): InPath<CollectionPath>,
    InQuery(list): InQuery<List>,
    uri: OriginalUri,
) -> Answer<Response> {
    let limit = paging::some(list.limit)?;
    let query = EntityQuery {
        attributes: attributes(&list.attribute)?,
        newest_first: list.newest_first,
        after: list.after,
        limit,
    };
    let page = EntityStore::new(store)
        .list(&path.collection, query)
        .await?;
    let entities = page.entities.into_iter().map(|entity| Listed {
        revision: entity.revision,
        entity: entity.value,
    });
    let entities = Entities {
        entities: entities.collect(),
        next: page.next,
    };
    Ok(paging::page(&uri, entities.next.as_deref(), &entities))
}

/// Reads an entity
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/entities/{collection}/{id}",
    tag = "entities",
    operation_id = "load_entity",
    params(RecordPath, ("If-None-Match" = Option<String>, Header, description = "the ETag of what you have")),
    responses(
        (status = 200, description = "the object", body = Object, headers(("ETag" = String, description = "its revision in quotes"))),
        (status = 304, description = "it is what you have"),
        (status = 404, description = "there is no such entity", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn load(
    Reading(store): Reading,
    InPath(path): InPath<RecordPath>,
    known: Known,
) -> Answer<Response> {
    let RecordPath { collection, id, .. } = &path;
    let entity = EntityStore::new(store).get(collection, id).await?;
    let entity = entity.ok_or_else(|| missing(&path))?;
    Ok(expect::read(entity.revision, &known, &entity.value))
}

fn missing(path: &RecordPath) -> Refused {
    let RecordPath { collection, id, .. } = path;
    Refused::not_found(format!("there is no entity {id:?} in {collection:?}"))
}

/// Creates an entity, or merges fields into the one that is there
///
/// Fields that are given replace those that are there, the others stay. No save is lost, however many come at once.
/// With `If-None-Match: *` it is to create, with `If-Match: "REVISION"` to merge unless the entity changed since, with
/// `If-Match: *` to merge into what is there.
#[utoipa::path(
    patch,
    path = "/v1/stores/{store}/entities/{collection}/{id}",
    tag = "entities",
    operation_id = "save_entity",
    params(
        RecordPath,
        ("If-Match" = Option<String>, Header, description = "the ETag of what is to be merged into, or *"),
        ("If-None-Match" = Option<String>, Header, description = "*, to create"),
    ),
    request_body(content = Object, description = "some fields of the object, or all; `id` may be missing"),
    responses(
        (status = 200, description = "what is there now", body = Object, headers(("ETag" = String, description = "its revision in quotes"))),
        (status = 204, description = "it is saved; what is there is not shown to who may not read it", headers(("ETag" = String, description = "its revision in quotes"))),
        (status = 404, description = "there is none to be merged into", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "it is there already", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "it changed: `current` is what it is now, for who may read it", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn save(
    Writing(store, sight): Writing,
    InPath(path): InPath<RecordPath>,
    expected: Option<Expected>,
    entity: InBody<Object>,
) -> Answer<Response> {
    let (mut entity, _room) = entity.into_parts();
    let RecordPath { collection, id, .. } = &path;
    match entity.text("id") {
        Some(found) if found != *id => {
            let detail = format!("the entity's id is {found:?}, expected {id:?} as in the path");
            return Err(Refused::invalid(detail));
        }
        Some(_) => {}
        None if entity.get("id").is_some() => {
            return Err(Refused::invalid("the entity's id is no text"));
        }
        None => entity
            .set("id", id)
            .map_err(|error| Refused::invalid(error.to_string()))?,
    }
    let expect = expected.map_or(Precondition::None, Precondition::from);
    let entities = EntityStore::new(store);
    let saved = entities.save_if(collection, &entity, expect).await;
    let saved = saved.map_err(|error| sight.refused(error))?;
    Ok(match sight.written(&saved.value) {
        Some(entity) => expect::written(StatusCode::OK, saved.revision, entity),
        None => {
            let tag = [(header::ETAG, etag(saved.revision))];
            (StatusCode::NO_CONTENT, tag).into_response()
        }
    })
}

/// Removes an entity, with its history
#[utoipa::path(
    delete,
    path = "/v1/stores/{store}/entities/{collection}/{id}",
    tag = "entities",
    operation_id = "delete_entity",
    params(RecordPath),
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "there is no such entity", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn delete(
    Writing(store, sight): Writing,
    InPath(path): InPath<RecordPath>,
) -> Answer<StatusCode> {
    let RecordPath { collection, id, .. } = &path;
    match EntityStore::new(store).delete(collection, id).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(missing(&path)),
        Err(error) => Err(sight.refused(error)),
    }
}

/// What happened to an entity.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Event {
    /// What happened: start_work, cancel_requested, …
    event: String,
    /// Who says so, for the history.
    #[serde(default = "over_http")]
    by: String,
    /// The state machine: entity, agent-task or a2a-task. Default: agent-task for the collection task, entity for
    /// others.
    #[serde(default)]
    machine: Option<String>,
}

fn over_http() -> String {
    "http".to_owned()
}

/// A transition that was made.
#[derive(Debug, Serialize, ToSchema)]
struct Led {
    /// What is in the history now.
    #[schema(value_type = Object)]
    transition: Transition,
    /// The write: the entity's ETag, without the quotes.
    revision: Revision,
    /// The entity, in its new state, where it may be read.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Object>,
}

/// Leads an entity to where an event leads from its state
#[utoipa::path(
    post,
    path = "/v1/stores/{store}/entities/{collection}/{id}/events",
    tag = "entities",
    operation_id = "send_event",
    params(RecordPath),
    request_body = Event,
    responses(
        (status = 200, description = "it is in its new state", body = Led, headers(("ETag" = String, description = "its revision in quotes"))),
        (status = 404, description = "there is no such entity", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "the event does not lead on from its state: `state`, and what is `allowed`", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn send_event(
    Writing(store, sight): Writing,
    InPath(path): InPath<RecordPath>,
    event: InBody<Event>,
) -> Answer<Response> {
    let RecordPath { collection, id, .. } = path;
    let machine = event.machine.as_deref();
    let machine = machine.unwrap_or_else(|| Machine::of_collection(&collection).name());
    let machine = Machine::named(machine).ok_or_else(|| {
        let detail = format!("no state machine is named {machine:?}");
        Refused::invalid(detail).with_hint("take entity, agent-task or a2a-task")
    })?;
    let lifecycle = Lifecycle::new(store, collection, machine);
    let led = lifecycle.handle_event(&id, &event.event, &event.by).await;
    let led = led.map_err(|error| sight.refused(error))?;
    let revision = led.entity.revision;
    let led = Led {
        transition: led.transition,
        revision,
        entity: sight.written(led.entity.value),
    };
    Ok(expect::written(StatusCode::OK, revision, led))
}

/// Some of the transitions that an entity made.
#[derive(Debug, Serialize, ToSchema)]
struct History {
    /// Oldest first.
    #[schema(value_type = Vec<Object>)]
    transitions: Vec<Transition>,
    /// Where the next page starts; missing after the last. An empty page may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists the transitions that an entity made
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/entities/{collection}/{id}/history",
    tag = "entities",
    operation_id = "entity_history",
    params(RecordPath, Paging),
    responses(
        (status = 200, description = "some of them, oldest first", body = History, headers(("Link" = String, description = "the page after, where there is one"))),
    )
)]
async fn history(
    Reading(store): Reading,
    InPath(path): InPath<RecordPath>,
    InQuery(paging): InQuery<Paging>,
    uri: OriginalUri,
) -> Answer<Response> {
    // A history is what was, whatever machine it came from.
    let lifecycle = Lifecycle::new(store, path.collection, Machine::entity());
    let page = lifecycle
        .history_page(&path.id, paging.after, paging.limit)
        .await?;
    let history = History {
        transitions: page.transitions,
        next: page.next,
    };
    Ok(paging::page(&uri, history.next.as_deref(), &history))
}
