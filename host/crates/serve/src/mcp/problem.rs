//! What a tool answers where it fails.

use mortise_store::{Error, Key};
use mortise_wire::{About, type_of};
use schemars::JsonSchema;
use serde::Serialize;

use crate::access::Sight;

/// Why a call failed: what the HTTP API's problems tell, without what is HTTP's own.
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
    #[serde(flatten)]
    about: About,
}

impl Problem {
    pub(super) fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::about(kind, detail.into(), About::default())
    }

    fn about(kind: &'static str, detail: String, about: About) -> Self {
        Self(Box::new(Fields {
            r#type: type_of(kind),
            kind,
            detail,
            about,
        }))
    }

    /// There is no such record.
    pub(super) fn not_found(key: Key, hint: &str) -> Self {
        let mut problem =
            Self::new("not-found", format!("there is no record {key}")).with_hint(hint);
        problem.0.about.key = Some((key.collection, key.id));
        problem
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.about.hint = Some(hint.into());
        self
    }
}

/// Without the record that it may be about, which not everybody may see who may write it.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let about = About::of(&error);
        Self::about(error.kind().as_str(), error.with_causes(), about)
    }
}

impl Sight {
    /// Why a write failed, with the record as it is now, where the caller may see that.
    pub(super) fn problem(self, error: Error) -> Problem {
        let current = self.current(&error);
        let mut problem = Problem::from(error);
        problem.0.about.current = current;
        problem
    }
}

#[cfg(test)]
mod tests {
    use mortise_store::inside::ErrorInside as _;
    use mortise_store::{Draft, Operation, Stamp, Stored};
    use serde_json::{Value, json};

    use super::*;

    fn conflict() -> Error {
        let stored = Stored {
            draft: Draft::new(Key::new("note", "n-1"), "{}"),
            stamp: Stamp {
                create_revision: 1,
                mod_revision: 7,
                created_at: 2,
                updated_at: 3,
            },
        };
        Error::conflict(Operation::Update, stored).with_backend("sqlite")
    }

    #[test]
    fn it_tells_what_http_tells_but_for_what_is_of_http() {
        let about = json!({
            "hint": "load it again, apply the change to what is there, and retry",
            "operation": "update",
            "backend": "sqlite",
            "key": ["note", "n-1"],
        });
        let with = |more: Value| {
            let mut all = about.as_object().unwrap().clone();
            all.extend(more.as_object().unwrap().clone());
            Value::Object(all)
        };
        let (kind, detail) = ("urn:mortise:problem:conflict", conflict().to_string());
        let told = serde_json::to_value(Problem::from(conflict())).unwrap();
        let expected = json!({"type": kind, "kind": "conflict", "detail": detail});
        assert_eq!(told, with(expected));
        let told = serde_json::to_value(mortise_wire::Problem::of(&conflict(), 412)).unwrap();
        let message = "the record is another one than expected: it was changed last by revision 7";
        let expected = json!({
            "type": kind, "title": "conflict", "status": 412, "detail": detail, "message": message,
        });
        assert_eq!(told, with(expected));
    }
}
