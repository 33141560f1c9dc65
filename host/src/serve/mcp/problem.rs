//! What a tool answers where it fails.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::agent::Json;
use crate::error::Error;
use crate::record::Key;
use crate::serve::access::Sight;
use crate::wire::Record;

/// Why a call failed, in the shape of the HTTP API's problems.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Problem(Box<Fields>);

/// Why a call failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Fields {
    /// urn:mortise:problem:KIND
    r#type: String,
    /// What failed: not-found, conflict, invalid, unavailable, …
    kind: &'static str,
    /// What happened, in a sentence.
    detail: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What the store was doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    /// The backend of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    /// What the backend said.
    #[serde(skip_serializing_if = "Option::is_none")]
    backend_message: Option<String>,
    /// Collection and id of the record that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<(String, String)>,
    /// Of a conflict: the record as it is now, where it may be read. Its body is the task or entity, its mod_revision the revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    current: Option<Json>,
    /// Of an event that does not lead on: the state that the entity is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Of an event that does not lead on: the events that would, and the state that each leads to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed: Vec<(String, String)>,
}

impl Problem {
    pub(super) fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            r#type: format!("urn:mortise:problem:{kind}"),
            kind,
            detail: detail.into(),
            hint: None,
            operation: None,
            backend: None,
            backend_message: None,
            key: None,
            current: None,
            state: None,
            allowed: Vec::new(),
        }))
    }

    /// There is no such record.
    pub(super) fn not_found(key: Key, hint: &str) -> Self {
        let mut problem =
            Self::new("not-found", format!("there is no record {key}")).with_hint(hint);
        problem.0.key = Some((key.collection, key.id));
        problem
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }
}

/// Without the record that it may be about, which not everybody may see who may write it.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let mut problem = Self::new(error.kind().as_str(), error.with_causes());
        let fields = &mut *problem.0;
        fields.hint = error.hint().map(str::to_owned);
        fields.operation = Some(error.operation().as_str());
        fields.backend = error.backend().map(str::to_owned);
        fields.backend_message = error.backend_message().map(str::to_owned);
        let key = error.key();
        fields.key = key.map(|key| (key.collection.clone(), key.id.clone()));
        if let Some(refusal) = error.transition_refusal() {
            fields.state = refusal.state.clone();
            fields.allowed = refusal.allowed.clone();
        }
        problem
    }
}

impl Sight {
    /// Why a write failed, with the record as it is now, where the caller may see that.
    pub(super) fn problem(self, error: Error) -> Problem {
        let current = self.current(&error);
        let current = current.and_then(|stored| Json::new(&Record::of(stored)).ok());
        let mut problem = Problem::from(error);
        problem.0.current = current;
        problem
    }
}
