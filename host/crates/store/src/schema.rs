//! How the schema of a store's database stands, and what was done to it, as data.
//!
//! Who migrates a database says it in these words; who asks, such as a server, needs nothing of SQL.

use std::path::PathBuf;

use serde::Serialize;

use crate::record::Timestamp;

/// Where a store's database stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The database file.
    pub file: PathBuf,
    /// Whether it is there, and something was made in it.
    pub exists: bool,
    /// Whether it has to be migrated before this backend can use it.
    pub needed: bool,
    /// What a migration would do.
    pub plan: Plan,
    /// What was done last.
    pub last: Option<HistoryEntry>,
}

/// What a migration would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The version that the database has; 0 before any step.
    pub from: u32,
    /// The version that the backend wants.
    pub to: u32,
    /// Whether the database is empty, and all of it is made.
    pub creates: bool,
    /// What is done, in order: the backend's own steps first.
    pub changes: Vec<Change>,
    /// What would be lost: refused unless each is confirmed by its name.
    pub losses: Vec<Loss>,
    /// What is in the way, and has to be mended first.
    pub obstacles: Vec<String>,
    /// What the database has and this backend does not know: it stays.
    pub kept: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.from == self.to && self.changes.is_empty() && !self.creates
    }

    /// Every statement, in order.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        let statements = self.changes.iter().flat_map(|change| &change.sql);
        statements.map(String::as_str)
    }
}

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What is done: `add column records.note`.
    pub what: String,
    /// Why.
    pub why: String,
    /// The statements, in order.
    pub sql: Vec<String>,
}

/// What a plan would lose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// A column or a table, by which it is confirmed: `records.note`, `old_table`.
    pub name: String,
    /// How it would be lost.
    pub reason: String,
}

/// How a migration ended. One that failed left no trace, and is not in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The database was created, or migrated.
    Applied,
    /// A backup was restored.
    RolledBack,
}

impl Outcome {
    /// As it stands in the history: `applied`, `rolled back`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::RolledBack => "rolled back",
        }
    }
}

/// A row of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Counted from 1.
    pub id: u64,
    /// The version before.
    pub from: u32,
    /// The version after.
    pub to: u32,
    /// SHA-256, in hex, of the schema that the backend wanted, whatever its white space.
    pub schema_digest: String,
    /// What was run, in order.
    pub statements: Vec<String>,
    /// When it began, by the host's clock.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The backup that was made before, by its name in the database's folder.
    pub backup: Option<String>,
    /// The version of the host that did it.
    pub host_version: String,
}
