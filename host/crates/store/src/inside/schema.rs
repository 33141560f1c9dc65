//! What tells how a schema stands is made here: elsewhere its types are `non_exhaustive`.

use std::path::PathBuf;

use crate::record::Timestamp;
use crate::schema::{Change, HistoryEntry, Loss, Outcome, Plan, Status};

/// Where a store's database stands.
pub fn status(
    file: PathBuf,
    exists: bool,
    needed: bool,
    plan: Plan,
    last: Option<HistoryEntry>,
) -> Status {
    Status {
        file,
        exists,
        needed,
        plan,
        last,
    }
}

/// One change of a plan.
pub fn change(what: impl Into<String>, why: impl Into<String>, sql: Vec<String>) -> Change {
    Change {
        what: what.into(),
        why: why.into(),
        sql,
    }
}

/// What a plan would lose.
pub fn loss(name: impl Into<String>, reason: impl Into<String>) -> Loss {
    Loss {
        name: name.into(),
        reason: reason.into(),
    }
}

/// Every field of a [`HistoryEntry`].
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the fields are described where they are public"
)]
pub struct Entry {
    pub id: u64,
    pub from: u32,
    pub to: u32,
    pub schema_digest: String,
    pub statements: Vec<String>,
    pub started_at: Timestamp,
    pub duration_ms: u64,
    pub outcome: Outcome,
    pub backup: Option<String>,
    pub host_version: String,
}

impl From<Entry> for HistoryEntry {
    fn from(entry: Entry) -> Self {
        let Entry {
            id,
            from,
            to,
            schema_digest,
            statements,
            started_at,
            duration_ms,
            outcome,
            backup,
            host_version,
        } = entry;
        Self {
            id,
            from,
            to,
            schema_digest,
            statements,
            started_at,
            duration_ms,
            outcome,
            backup,
            host_version,
        }
    }
}
