//! `/v1/stores/{store}/tasks`: agent tasks.

use axum::extract::OriginalUri;
use axum::http::StatusCode;
use axum::response::Response;
use mortise_agent::{AgentTask, TaskQuery, TaskStore, Versioned};
use mortise_store::{Revision, Timestamp};
use mortise_wire::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::expect::{self, Expected, Known};
use super::extract::{InBody, InPath, InQuery, Reading, Writing};
use super::paging::{self, default_limit};
use super::paths::{StorePath, TaskPath};
use super::problem::{Answer, Refused};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(load, put, delete))
}

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct List {
    /// Only those that a request with this id belongs to.
    #[serde(default)]
    request_id: Option<String>,
    /// Only those of this session.
    #[serde(default)]
    session_id: Option<String>,
    /// Only those that stand so: Running, Paused, Completed, Failed, Canceled.
    #[serde(default)]
    status: Option<String>,
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

/// Some of the tasks that match.
#[derive(Debug, Serialize, ToSchema)]
struct Tasks {
    tasks: Vec<ListedTask>,
    /// Where the next page starts; missing after the last. An empty page may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A task of a list.
#[derive(Debug, Serialize, ToSchema)]
struct ListedTask {
    /// The write that changed it last: its ETag, without the quotes.
    revision: Revision,
    /// From when on it reads as absent: milliseconds since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// The task, in the shape of Teal Agents' AgentTask.
    #[schema(value_type = Object)]
    task: AgentTask,
}

impl From<Versioned<AgentTask>> for ListedTask {
    fn from(task: Versioned<AgentTask>) -> Self {
        Self {
            revision: task.revision,
            expires_at: task.expires_at,
            task: task.value,
        }
    }
}

/// Lists tasks, by request, session or status
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/tasks",
    tag = "tasks",
    operation_id = "list_tasks",
    params(StorePath, List),
    responses(
        (status = 200, description = "some of those that match", body = Tasks, headers(("Link" = String, description = "the page after, where there is one"))),
    )
)]
async fn list(
    Reading(store): Reading,
    InQuery(list): InQuery<List>,
    uri: OriginalUri,
) -> Answer<Response> {
    let query = TaskQuery {
        status: list.status.map(Into::into),
        session_id: list.session_id,
        request_id: list.request_id,
        newest_first: list.newest_first,
        after: list.after,
        limit: paging::some(list.limit)?,
    };
    let page = TaskStore::new(store).list(query).await?;
    let tasks = Tasks {
        tasks: page.tasks.into_iter().map(Into::into).collect(),
        next: page.next,
    };
    Ok(paging::page(&uri, tasks.next.as_deref(), &tasks))
}

/// Reads a task
#[utoipa::path(
    get,
    path = "/v1/stores/{store}/tasks/{id}",
    tag = "tasks",
    operation_id = "load_task",
    params(TaskPath, ("If-None-Match" = Option<String>, Header, description = "the ETag of what you have")),
    responses(
        (status = 200, description = "the task, in the shape of Teal Agents' AgentTask", body = Object, headers(("ETag" = String, description = "its revision in quotes"))),
        (status = 304, description = "it is what you have"),
        (status = 404, description = "there is no such task", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn load(
    Reading(store): Reading,
    InPath(path): InPath<TaskPath>,
    known: Known,
) -> Answer<Response> {
    let Some(task) = TaskStore::new(store).load(&path.id).await? else {
        let id = &path.id;
        return Err(Refused::not_found(format!("there is no task {id:?}")));
    };
    Ok(expect::read(task.revision, &known, &task.value))
}

/// Writes a task
///
/// Its request ids, its session and its status are found by from then on. With `If-None-Match: *` it creates it; with
/// `If-Match: "REVISION"` it replaces it, unless it changed since; with `If-Match: *` it replaces whatever is there.
#[utoipa::path(
    put,
    path = "/v1/stores/{store}/tasks/{id}",
    tag = "tasks",
    operation_id = "put_task",
    params(
        TaskPath,
        ("If-Match" = Option<String>, Header, description = "the ETag of what is to be replaced, or *"),
        ("If-None-Match" = Option<String>, Header, description = "*, to create"),
    ),
    request_body(content = Object, description = "the task, in the shape of Teal Agents' AgentTask"),
    responses(
        (status = 200, description = "it was replaced", body = Written, headers(("ETag" = String, description = "its revision in quotes"))),
        (status = 201, description = "it was created", body = Written, headers(("ETag" = String, description = "its revision in quotes"))),
        (status = 404, description = "there is none to be replaced", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "it is there already", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "it changed: `current` is what it is now, for who may read it", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "neither If-Match nor If-None-Match", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn put(
    Writing(store, sight): Writing,
    InPath(path): InPath<TaskPath>,
    expected: Expected,
    task: InBody<AgentTask>,
) -> Answer<Response> {
    let (task, _room) = task.into_parts();
    if task.task_id != path.id {
        let (found, id) = (&task.task_id, &path.id);
        let detail = format!("the task's task_id is {found:?}, expected {id:?} as in the path");
        return Err(Refused::invalid(detail));
    }
    let tasks = TaskStore::new(store);
    let (status, revision) = match expected {
        Expected::Absent => (StatusCode::CREATED, tasks.create(&task).await),
        Expected::Present => (StatusCode::OK, tasks.replace(&task).await),
        Expected::Revision(revision) => {
            let mut task = Versioned::new(task, revision);
            let updated = tasks.update(&mut task).await;
            (StatusCode::OK, updated.map(|()| task.revision))
        }
    };
    let revision = revision.map_err(|error| sight.refused(error))?;
    Ok(expect::written(status, revision, Written { revision }))
}

/// Removes a task
#[utoipa::path(
    delete,
    path = "/v1/stores/{store}/tasks/{id}",
    tag = "tasks",
    operation_id = "delete_task",
    params(
        TaskPath,
        ("If-Match" = Option<String>, Header, description = "the ETag of what is to be removed, or *"),
    ),
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "there is no such task", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "it changed: `current` is what it is now, for who may read it", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "no If-Match", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn delete(
    Writing(store, sight): Writing,
    InPath(path): InPath<TaskPath>,
    expected: Expected,
) -> Answer<StatusCode> {
    let tasks = TaskStore::new(store);
    let deleted = tasks.delete(&path.id, expected.revision()?).await;
    deleted.map_err(|error| sight.refused(error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was written.
#[derive(Debug, Serialize, ToSchema)]
struct Written {
    /// The write: its ETag, without the quotes.
    revision: Revision,
}
