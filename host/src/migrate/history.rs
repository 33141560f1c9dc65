//! The history of migrations: a table in the database itself, which only the host writes.

use rusqlite::{Connection, OptionalExtension as _, Result, params};
use serde::Serialize;

use crate::capability::sqlite::connection::HISTORY;
use crate::record::Timestamp;

pub(super) const TABLE: &str = HISTORY;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS migration_history (
    id INTEGER PRIMARY KEY,
    from_version INTEGER NOT NULL,
    to_version INTEGER NOT NULL,
    schema_digest TEXT NOT NULL,
    statements TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('applied', 'rolled back')),
    backup TEXT,
    host_version TEXT NOT NULL
) STRICT";

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

pub(super) fn exists(database: &Connection) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let found = database.query_row(sql, [TABLE], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Adds a row, under the next id; makes the table where there is none.
pub(super) fn add(database: &Connection, entry: &HistoryEntry) -> Result<()> {
    database.execute_batch(CREATE)?;
    let statements = serde_json::Value::from(entry.statements.clone()).to_string();
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut insert = database.prepare(
        "INSERT INTO migration_history (from_version, to_version, schema_digest, statements, started_at, \
         duration_ms, outcome, backup, host_version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    insert.execute(params![
        entry.from,
        entry.to,
        entry.schema_digest,
        statements,
        number(entry.started_at),
        number(entry.duration_ms),
        entry.outcome.as_str(),
        entry.backup,
        entry.host_version,
    ])?;
    Ok(())
}

/// All rows, the first one first; none where there is no such table.
pub(super) fn read(database: &Connection) -> Result<Vec<HistoryEntry>> {
    if !exists(database)? {
        return Ok(Vec::new());
    }
    let mut all = database.prepare(
        "SELECT id, from_version, to_version, schema_digest, statements, started_at, duration_ms, \
         outcome, backup, host_version FROM migration_history ORDER BY id",
    )?;
    let entries = all.query_map([], |row| {
        let number = |index| -> Result<u64> { Ok(row.get::<_, i64>(index)?.cast_unsigned()) };
        let statements: String = row.get(4)?;
        let outcome: String = row.get(7)?;
        Ok(HistoryEntry {
            id: number(0)?,
            from: row.get(1)?,
            to: row.get(2)?,
            schema_digest: row.get(3)?,
            statements: serde_json::from_str(&statements).unwrap_or_default(),
            started_at: number(5)?,
            duration_ms: number(6)?,
            outcome: match outcome == Outcome::Applied.as_str() {
                true => Outcome::Applied,
                false => Outcome::RolledBack,
            },
            backup: row.get(8)?,
            host_version: row.get(9)?,
        })
    })?;
    entries.collect()
}
