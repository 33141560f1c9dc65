//! The tools for agent tasks.

use mortise_agent::{AgentTask, TaskQuery, TaskStatus, TaskStore, Versioned};
use mortise_store::{Key, Revision, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Call, PageLimit, StoreName};
use super::problem::Problem;
use super::tool::{Effect, Tool};

/// An agent task: a conversation with a user, item by item. Further fields are kept as they are.
#[derive(JsonSchema)]
#[schemars(rename = "AgentTask")]
#[allow(dead_code, reason = "it is there for its schema")]
struct TaskShape {
    /// Unique among the tasks of a store: 1 to 1,024 bytes
    task_id: String,
    /// The session that it belongs to
    session_id: String,
    /// Whose it is
    user_id: String,
    /// What was said, oldest first
    items: Vec<ItemShape>,
    /// When it was made: ISO 8601
    created_at: String,
    /// When it was changed last: ISO 8601
    last_updated: String,
    /// How it stands: Running, Paused, Completed, Failed, Canceled, or one of the platform's own
    status: String,
}

/// One contribution to a task. Further fields are kept as they are.
#[derive(JsonSchema)]
#[schemars(rename = "AgentTaskItem")]
#[allow(dead_code, reason = "it is there for its schema")]
struct ItemShape {
    /// The task that it belongs to
    task_id: String,
    /// The request that it came with: tasks are found by it
    request_id: String,
    /// Who said it: user, assistant, …
    role: String,
    /// What was said: {"content_type":"text","content":…}
    item: Map<String, Value>,
    /// When: ISO 8601
    updated: String,
    /// Tool calls that wait for an approval
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_tool_calls: Option<Value>,
    /// The conversation with the model up to here
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chat_history: Option<Value>,
}

/// A task that was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TaskWritten {
    /// The task's id.
    task_id: String,
    /// The revision that update_task expects next.
    revision: Revision,
}

/// A task that was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TaskDeleted {
    /// The task's id.
    task_id: String,
}

/// A task as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TaskFound {
    /// The task.
    #[schemars(with = "TaskShape")]
    task: AgentTask,
    /// What update_task expects.
    revision: Revision,
    /// When it expires: milliseconds since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Tasks, page by page.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TasksFound {
    /// In the order of their creation.
    tasks: Vec<TaskFound>,
    /// Where the next page starts: give it as after. Missing on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<Versioned<AgentTask>> for TaskFound {
    fn from(found: Versioned<AgentTask>) -> Self {
        Self {
            task: found.value,
            revision: found.revision,
            expires_at: found.expires_at,
        }
    }
}

fn found(task: Option<Versioned<AgentTask>>, key: Key) -> Result<TaskFound, Problem> {
    let task = task.map(TaskFound::from);
    task.ok_or_else(|| Problem::not_found(key, "list_tasks tells which there are"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTask {
    /// The task, whole
    #[schemars(with = "TaskShape")]
    task: AgentTask,
    #[serde(default)]
    store: StoreName,
}

impl Tool for CreateTask {
    const NAME: &'static str = "create_task";
    const TITLE: &'static str = "Create a task";
    const DESCRIPTION: &'static str = "Keeps an agent task that is not there yet. Fails with already-exists where there is one with its id.";
    const EFFECT: Effect = Effect::Adds;
    type Answer = TaskWritten;

    async fn run(self, call: &Call) -> Result<TaskWritten, Problem> {
        let (store, sight) = call.writing(&self.store)?;
        let tasks = TaskStore::new(store);
        let created = tasks.create(&self.task).await;
        let revision = created.map_err(|error| sight.problem(error))?;
        Ok(TaskWritten {
            task_id: self.task.task_id,
            revision,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadTask {
    /// The task's id
    task_id: String,
    #[serde(default)]
    store: StoreName,
}

impl Tool for LoadTask {
    const NAME: &'static str = "load_task";
    const TITLE: &'static str = "Load a task";
    const DESCRIPTION: &'static str =
        "Reads an agent task by its id, with the revision that update_task expects.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = TaskFound;

    async fn run(self, call: &Call) -> Result<TaskFound, Problem> {
        let tasks = TaskStore::new(call.reading(&self.store)?);
        let task = tasks.load(&self.task_id).await?;
        found(task, Key::new("task", self.task_id))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateTask {
    /// The task, whole, as it is to be
    #[schemars(with = "TaskShape")]
    task: AgentTask,
    /// The revision that it was read at
    revision: Revision,
    #[serde(default)]
    store: StoreName,
}

impl Tool for UpdateTask {
    const NAME: &'static str = "update_task";
    const TITLE: &'static str = "Update a task";
    const DESCRIPTION: &'static str = "Replaces an agent task, unless it changed since it was read at this revision: then it fails with \
         conflict, and current has the task and its revision (mod_revision) as they are now, where you may read them.";
    const EFFECT: Effect = Effect::Sets;
    type Answer = TaskWritten;

    async fn run(self, call: &Call) -> Result<TaskWritten, Problem> {
        let (store, sight) = call.writing(&self.store)?;
        let tasks = TaskStore::new(store);
        let there = tasks.load(&self.task.task_id).await?;
        let mut task = Versioned::new(self.task, self.revision);
        // An update writes the expiry too; at another revision it writes nothing.
        task.expires_at = there.and_then(|there| there.expires_at);
        let updated = tasks.update(&mut task).await;
        updated.map_err(|error| sight.problem(error))?;
        Ok(TaskWritten {
            task_id: task.value.task_id,
            revision: task.revision,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteTask {
    /// The task's id
    task_id: String,
    /// Only while it is unchanged since this revision; default: whatever is there
    #[serde(default)]
    revision: Option<Revision>,
    #[serde(default)]
    store: StoreName,
}

impl Tool for DeleteTask {
    const NAME: &'static str = "delete_task";
    const TITLE: &'static str = "Delete a task";
    const DESCRIPTION: &'static str = "Removes an agent task for good.";
    const EFFECT: Effect = Effect::Sets;
    type Answer = TaskDeleted;

    async fn run(self, call: &Call) -> Result<TaskDeleted, Problem> {
        let (store, sight) = call.writing(&self.store)?;
        let tasks = TaskStore::new(store);
        let deleted = tasks.delete(&self.task_id, self.revision).await;
        deleted.map_err(|error| sight.problem(error))?;
        Ok(TaskDeleted {
            task_id: self.task_id,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindTaskByRequestId {
    /// The request's id
    request_id: String,
    #[serde(default)]
    store: StoreName,
}

impl Tool for FindTaskByRequestId {
    const NAME: &'static str = "find_task_by_request_id";
    const TITLE: &'static str = "Find a task by a request's id";
    const DESCRIPTION: &'static str =
        "Reads the oldest agent task that has an item with this request_id.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = TaskFound;

    async fn run(self, call: &Call) -> Result<TaskFound, Problem> {
        let tasks = TaskStore::new(call.reading(&self.store)?);
        let task = tasks.load_by_request_id(&self.request_id).await?;
        let task = task.map(TaskFound::from);
        task.ok_or_else(|| {
            let what = format!(
                "no task has an item with the request_id {:?}",
                self.request_id
            );
            Problem::new("not-found", what).with_hint("list_tasks tells which there are")
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListTasks {
    /// Only those that stand so: Running, Paused, Completed, Failed, Canceled, …
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    status: Option<TaskStatus>,
    /// Only those of this session
    #[serde(default)]
    session_id: Option<String>,
    /// Only those that have an item with this request_id
    #[serde(default)]
    request_id: Option<String>,
    /// Newest first; default: oldest first
    #[serde(default)]
    newest_first: bool,
    /// next of an earlier page
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: PageLimit,
    #[serde(default)]
    store: StoreName,
}

impl Tool for ListTasks {
    const NAME: &'static str = "list_tasks";
    const TITLE: &'static str = "List tasks";
    const DESCRIPTION: &'static str = "Reads agent tasks page by page, each with its revision. A page can be short, even empty, and still have next.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = TasksFound;

    async fn run(self, call: &Call) -> Result<TasksFound, Problem> {
        let tasks = TaskStore::new(call.reading(&self.store)?);
        let query = TaskQuery {
            status: self.status,
            session_id: self.session_id,
            request_id: self.request_id,
            newest_first: self.newest_first,
            after: self.after,
            limit: self.limit.get()?,
        };
        let page = tasks.list(query).await?;
        Ok(TasksFound {
            tasks: page.tasks.into_iter().map(TaskFound::from).collect(),
            next: page.next,
        })
    }
}
