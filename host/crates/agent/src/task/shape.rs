//! What a platform's tasks look like.

use std::collections::BTreeSet;
use std::fmt;

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Draft, Error, Key, Operation, Result};
use serde::{Deserialize, Serialize};

use crate::json::{Json, Object};

/// The collection that tasks are kept in.
pub(super) const COLLECTION: &str = "task";
/// The attributes that tasks are found by.
pub(super) const REQUEST_ID: &str = "request-id";
pub(super) const STATUS: &str = "status";
pub(super) const SESSION_ID: &str = "session-id";

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

/// The key of a task.
pub(super) fn key(task_id: &str) -> Key {
    Key::new(COLLECTION, task_id)
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
