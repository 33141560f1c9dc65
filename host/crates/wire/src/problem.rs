//! Why a call failed, as `application/problem+json` (RFC 9457), and what of it MCP tells, too.

use mortise_store::Error;
use mortise_store::inside::ErrorInside as _;
use mortise_store::inside::json::Record;
use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::record::RecordSchema;

/// What the type of every problem begins with; the kind follows.
const TYPE: &str = "urn:mortise:problem:";

/// Why a request failed (RFC 9457).
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:mortise:problem:KIND`, which does not change.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind, as people read it.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in one line.
    pub detail: String,
    /// What happened, without what other fields tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it was caused by, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Of a failed batch: which write failed it, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_index: Option<usize>,
    #[serde(flatten)]
    pub about: About,
}

/// What a failed call was about: the same over HTTP and over MCP.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema, schemars::JsonSchema))]
pub struct About {
    /// What to do next, where there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What was being done, as the contract calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The backend's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Collection and id of the record that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<(String, String)>,
    /// What the backend said, word for word: text from inside the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_message: Option<String>,
    /// Of a conflict: the record as it is now, where it may be read. Its body is the task or entity, its mod_revision
    /// the revision.
    #[cfg_attr(
        feature = "schema",
        schema(value_type = Option<RecordSchema>),
        schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Record<'static>>,
    /// Of an invalid transition: the state that the entity is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of an invalid transition: the events that lead on from there, and the state that each leads to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<(String, String)>,
}

/// The type of every problem of a kind.
pub fn type_of(kind: &str) -> String {
    format!("{TYPE}{kind}")
}

impl Problem {
    /// The kind's name; none where it is no kind of ours.
    pub fn name(&self) -> Option<&str> {
        self.kind.strip_prefix(TYPE)
    }

    /// One that is about the request, not about a record.
    pub fn new(kind: &str, status: u16, detail: impl Into<String>) -> Self {
        Self {
            kind: type_of(kind),
            title: kind.replace('-', " "),
            status,
            detail: detail.into(),
            message: None,
            cause: None,
            write_index: None,
            about: About::default(),
        }
    }

    /// What a store answered.
    pub fn of(error: &Error, status: u16) -> Self {
        Self {
            message: Some(error.message().to_owned()),
            cause: error.causes(),
            write_index: error.write_index(),
            about: About::of(error),
            ..Self::new(error.kind().as_str(), status, error.with_causes())
        }
    }
}
impl About {
    /// What is known of it, but for the record that is there now: whoever adds that knows who may see it.
    pub fn of(error: &Error) -> Self {
        let refusal = error.transition_refusal();
        Self {
            hint: error.hint().map(str::to_owned),
            operation: Some(error.operation().as_str().to_owned()),
            backend: error.backend().map(str::to_owned),
            key: error
                .key()
                .map(|key| (key.collection.clone(), key.id.clone())),
            backend_message: error.backend_message().map(str::to_owned),
            current: None,
            state: refusal.and_then(|refusal| refusal.state.clone()),
            allowed: refusal.map_or_else(Vec::new, |refusal| refusal.allowed.clone()),
        }
    }
}
