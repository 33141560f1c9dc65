//! Agent tasks: what a platform's tasks look like, and the store that keeps them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::decode::{decode, decode_page};
use super::entity::EmptyPages;
use super::json::{Json, Object};
use super::versioned::Versioned;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::record::{Draft, Key, Query, Revision, Stored, Write};
use crate::store::Store;

/// The collection that tasks are kept in.
const COLLECTION: &str = "task";
/// The attributes that tasks are found by.
const REQUEST_ID: &str = "request-id";
const STATUS: &str = "status";
const SESSION_ID: &str = "session-id";
/// What the body of a record is.
const WHAT: &str = "agent task";

/// A task of an agent: a conversation with a user, item by item.
///
/// The JSON shape is that of Teal Agents' `AgentTask`. Timestamps are kept as written, because some are
/// local times without an offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Object")]
#[non_exhaustive]
pub struct AgentTask {
    /// Unique among the tasks of a store.
    pub task_id: String,
    /// The session that it belongs to.
    pub session_id: String,
    /// Whose it is.
    pub user_id: String,
    /// What was said, oldest first.
    pub items: Vec<AgentTaskItem>,
    /// When it was made, as written.
    pub created_at: String,
    /// When it was changed last, as written.
    pub last_updated: String,
    /// How it stands.
    pub status: TaskStatus,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub unknown: Object,
}

/// One contribution to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Object")]
#[non_exhaustive]
pub struct AgentTaskItem {
    /// The task that it belongs to.
    pub task_id: String,
    /// The request that it came with: tasks are found by it.
    pub request_id: String,
    /// Who said it: `user`, `assistant`, …
    pub role: String,
    /// What was said: a content type and content.
    pub item: Json,
    /// When, as written.
    pub updated: String,
    /// Tool calls that wait for an approval; `null`, or missing, where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_tool_calls: Option<Json>,
    /// The conversation with the model up to here; `null`, or missing, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_history: Option<Json>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub unknown: Object,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum TaskStatus {
    /// At work.
    Running,
    /// Waits for somebody.
    Paused,
    /// Done.
    Completed,
    /// Given up after an error.
    Failed,
    /// Called off.
    Canceled,
    /// One that this version does not know.
    Other(String),
}

impl TaskStatus {
    /// The status as written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for TaskStatus {
    fn from(text: String) -> Self {
        let known = [
            Self::Running,
            Self::Paused,
            Self::Completed,
            Self::Failed,
            Self::Canceled,
        ];
        let found = known.into_iter().find(|status| status.as_str() == text);
        found.unwrap_or(Self::Other(text))
    }
}

impl From<TaskStatus> for String {
    fn from(status: TaskStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl TryFrom<Object> for AgentTask {
    type Error = String;

    fn try_from(mut fields: Object) -> Result<Self, String> {
        Ok(Self {
            task_id: fields.take("task_id")?,
            session_id: fields.take("session_id")?,
            user_id: fields.take("user_id")?,
            items: fields.take("items")?,
            created_at: fields.take("created_at")?,
            last_updated: fields.take("last_updated")?,
            status: fields.take("status")?,
            unknown: fields,
        })
    }
}

impl TryFrom<Object> for AgentTaskItem {
    type Error = String;

    fn try_from(mut fields: Object) -> Result<Self, String> {
        Ok(Self {
            task_id: fields.take("task_id")?,
            request_id: fields.take("request_id")?,
            role: fields.take("role")?,
            item: fields.take("item")?,
            updated: fields.take("updated")?,
            pending_tool_calls: fields.optional("pending_tool_calls")?,
            chat_history: fields.optional("chat_history")?,
            unknown: fields,
        })
    }
}

impl AgentTask {
    /// A running task without items, made now.
    pub fn new(task_id: impl Into<String>) -> Self {
        let now = jiff::Timestamp::now().to_string();
        Self {
            task_id: task_id.into(),
            session_id: String::new(),
            user_id: String::new(),
            items: Vec::new(),
            created_at: now.clone(),
            last_updated: now,
            status: TaskStatus::Running,
            unknown: Object::default(),
        }
    }

    /// Adds a text that came with a request, and the time to the task.
    pub fn push_text(&mut self, request_id: &str, role: &str, text: &str) {
        #[derive(Serialize)]
        struct Content<'a> {
            content_type: &'static str,
            content: &'a str,
        }
        let content = Content {
            content_type: "text",
            content: text,
        };
        let now = jiff::Timestamp::now().to_string();
        self.items.push(AgentTaskItem {
            task_id: self.task_id.clone(),
            request_id: request_id.to_owned(),
            role: role.to_owned(),
            item: Json::new(&content).expect("two strings are always JSON"),
            updated: now.clone(),
            pending_tool_calls: None,
            chat_history: None,
            unknown: Object::default(),
        });
        self.last_updated = now;
    }

    /// The record that keeps it: the body is its JSON, the attributes what it is found by.
    pub(crate) fn draft(&self, operation: Operation) -> Result<Draft> {
        let key = key(&self.task_id);
        let body = serde_json::to_vec(self).map_err(|error| {
            Error::invalid(operation, "the task is no JSON")
                .with_key(key.clone())
                .with_source(error)
        })?;
        let mut draft = Draft::new(key, body)
            .attribute(STATUS, self.status.as_str())
            .attribute(SESSION_ID, &self.session_id);
        let requests: BTreeSet<&str> = self
            .items
            .iter()
            .map(|item| item.request_id.as_str())
            .collect();
        for request in requests {
            draft = draft.attribute(REQUEST_ID, request);
        }
        Ok(draft)
    }
}

fn key(task_id: &str) -> Key {
    Key::new(COLLECTION, task_id)
}

/// Which tasks to list. More fields may come: end a literal with `..TaskQuery::default()`.
#[derive(Debug, Clone, Default)]
pub struct TaskQuery {
    /// Only those that stand so.
    pub status: Option<TaskStatus>,
    /// Only those of this session.
    pub session_id: Option<String>,
    /// Only those that a request with this id belongs to.
    pub request_id: Option<String>,
    /// Newest first, instead of oldest.
    pub newest_first: bool,
    /// `next` of an earlier page.
    pub after: Option<String>,
    /// 1 to 1,000 a page; 0 stands for 100.
    pub limit: u32,
}

/// Some of the tasks that match.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskPage {
    /// In the order of their creation.
    pub tasks: Vec<Versioned<AgentTask>>,
    /// Where the next page starts; none after the last. An empty page may have one.
    pub next: Option<String>,
}

/// Keeps agent tasks in a store. Cheap to clone.
///
/// Every write brings the task's request ids in step with its items, in the same atomic step.
#[derive(Debug, Clone)]
pub struct TaskStore {
    store: Store,
}

impl TaskStore {
    /// Keeps tasks in this store, in the collection `task`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes a task that is not there yet; answers the revision.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; those of [`Store::create`].
    pub async fn create(&self, task: &AgentTask) -> Result<Revision> {
        let stamp = self.store.create(task.draft(Operation::Create)?).await?;
        Ok(stamp.mod_revision)
    }

    /// Writes tasks that are not there yet, all or none, in their order; answers the revision of each.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `Invalid` where two have one id, `TooLarge` where they are more than one batch
    /// takes; those of [`Store::apply`]. [`Error::write_index`] names the task.
    pub async fn create_all(&self, tasks: &[AgentTask]) -> Result<Vec<Revision>> {
        let drafts = tasks
            .iter()
            .map(|task| task.draft(Operation::Apply).map(Write::create));
        self.store.apply(drafts.collect::<Result<_>>()?).await
    }

    /// Reads a task; none where there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the record is no task: one that is no JSON at all was set aside
    /// ([`Store::quarantine`]), one of another shape is where it was; those of [`Store::load`].
    pub async fn load(&self, task_id: &str) -> Result<Option<Versioned<AgentTask>>> {
        let Some(stored) = self.store.load(&key(task_id)).await? else {
            return Ok(None);
        };
        self.decode(Operation::Load, &stored).await.map(Some)
    }

    async fn decode(&self, operation: Operation, stored: &Stored) -> Result<Versioned<AgentTask>> {
        decode(&self.store, operation, WHAT, stored).await
    }

    /// Writes a task that was read, unless it changed since; takes on the new revision. The record
    /// expires at [`Versioned::expires_at`], so that an expiry stays unless it is changed there.
    ///
    /// # Errors
    ///
    /// `Conflict`, `NotFound`; those of [`Store::update`]. The task is as it was.
    pub async fn update(&self, task: &mut Versioned<AgentTask>) -> Result<()> {
        let mut draft = task.draft(Operation::Update)?;
        draft.expires_at = task.expires_at;
        task.revision = self
            .store
            .update(draft, Some(task.revision))
            .await?
            .mod_revision;
        Ok(())
    }

    /// Writes a task over whatever is there, and so over what others wrote since it was read; only the
    /// record's expiry stays. Prefer [`update`](Self::update) or [`modify`](Self::modify).
    ///
    /// # Errors
    ///
    /// `NotFound`; those of [`Store::load`] and [`Store::update`].
    pub async fn replace(&self, task: &AgentTask) -> Result<Revision> {
        let mut draft = task.draft(Operation::Update)?;
        let there = self.store.load(&draft.key).await;
        let there = there.map_err(|error| error.with_operation(Operation::Update))?;
        draft.expires_at = there.and_then(|stored| stored.draft.expires_at);
        let stamp = self.store.update(draft, None).await?;
        Ok(stamp.mod_revision)
    }

    /// Reads a task, changes it, writes it; again on what is there by then, if it changed meanwhile.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Conflict` where others were faster 256 times; those of [`Store::update`].
    pub async fn modify(
        &self,
        task_id: &str,
        mut change: impl FnMut(&mut AgentTask),
    ) -> Result<Versioned<AgentTask>> {
        let mut task = self.load(task_id).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                Operation::Update,
                "there is no such record",
            )
            .with_backend(self.store.backend())
            .with_key(key(task_id))
        })?;
        let mut attempts = Attempts::default();
        loop {
            change(&mut task);
            let error = match self.update(&mut task).await {
                Ok(()) => return Ok(task),
                Err(error) => error,
            };
            let Some(current) = error.current() else {
                return Err(error);
            };
            task = self.decode(Operation::Update, current).await?;
            attempts.again(error).await?;
        }
    }

    /// Removes a task; with a revision, only while it is unchanged since.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict`; those of [`Store::delete`].
    pub async fn delete(&self, task_id: &str, expect: Option<Revision>) -> Result<()> {
        self.store.delete(&key(task_id), expect).await
    }

    /// The oldest task that a request with this id belongs to. Passes over records that are no JSON, as
    /// [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn load_by_request_id(
        &self,
        request_id: &str,
    ) -> Result<Option<Versioned<AgentTask>>> {
        let mut query = TaskQuery {
            request_id: Some(request_id.to_owned()),
            limit: 1,
            ..TaskQuery::default()
        };
        // A page without a task had a corrupt one, which was set aside.
        let mut empty = EmptyPages::default();
        loop {
            let page = self
                .list(query.clone())
                .await
                .map_err(|error| error.with_operation(Operation::Load))?;
            query.after = page.next;
            let task = page.tasks.into_iter().next();
            if task.is_some() || query.after.is_none() {
                return Ok(task);
            }
            empty.seen(&self.store, 0)?;
        }
    }

    /// One page of the tasks that match, oldest first. Records that are no JSON at all are set aside
    /// ([`Store::quarantine`]), logged as errors and left out, so that a page can be empty and go on.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not of this query; `Corrupt` for JSON of another shape; those of
    /// [`Store::find`].
    pub async fn list(&self, query: TaskQuery) -> Result<TaskPage> {
        let mut find = Query::new(COLLECTION).after(query.after);
        let status = query.status.map(String::from);
        for (name, value) in [
            (REQUEST_ID, query.request_id),
            (STATUS, status),
            (SESSION_ID, query.session_id),
        ] {
            if let Some(value) = value {
                find = find.with(name, value);
            }
        }
        find.descending = query.newest_first;
        if query.limit > 0 {
            find.limit = query.limit;
        }
        let page = self.store.find(find).await?;
        let tasks = decode_page(&self.store, WHAT, page.records).await?;
        let tasks = tasks.into_iter().map(|(_, task)| task).collect();
        Ok(TaskPage {
            tasks,
            next: page.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = r#"{"task_id":"t","session_id":"s","user_id":"u","items":[{"task_id":"t","request_id":"r","role":"user","item":{"content_type":"text","content":"h\u00e9"},"updated":"2025-06-02T13:05:53","pending_tool_calls":null,"extra":1.0}],"created_at":"2025-06-02T13:05:53.987503","last_updated":"2025-06-02T13:05:53Z","status":"Dreaming","big":123456789012345678901234567890,"nested":{"b":1e400,"a":[]}}"#;

    #[test]
    fn what_is_not_known_survives_as_it_was_written() {
        let task: AgentTask = serde_json::from_str(TASK).unwrap();
        assert_eq!(task.status, TaskStatus::Other("Dreaming".to_owned()));
        assert_eq!(serde_json::to_string(&task).unwrap(), TASK);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = serde_json::from_str::<AgentTask>(r#"{"task_id":"t"}"#).unwrap_err();
        assert!(
            error.to_string().contains("missing field `session_id`"),
            "{error}"
        );
        let error = serde_json::from_str::<AgentTask>(r#"{"task_id":7}"#).unwrap_err();
        assert!(error.to_string().contains("field `task_id`"), "{error}");
    }

    #[test]
    fn each_request_is_an_attribute_once() {
        let mut task = AgentTask::new("t");
        for request in ["b", "a", "b"] {
            task.push_text(request, "user", "hello");
        }
        let draft = task.draft(Operation::Create).unwrap();
        let requests: Vec<_> = draft
            .attributes
            .iter()
            .filter(|pair| pair.name == REQUEST_ID)
            .map(|pair| pair.value.as_str())
            .collect();
        assert_eq!(requests, ["a", "b"]);
    }
}
