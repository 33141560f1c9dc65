//! The history of migrations: a table in the database itself, which only the host writes.

use mortise_store::inside::schema::Entry;
use mortise_store::schema::{HistoryEntry, Outcome};
use rusqlite::{Connection, OptionalExtension as _, Result, params};

use crate::connection::HISTORY;

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

pub(super) fn exists(database: &Connection) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let found = database.query_row(sql, [TABLE], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Adds a row, under the next id; makes the table where there is none.
pub(super) fn add(database: &Connection, entry: &Entry) -> Result<()> {
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
        Ok(Entry {
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
        }
        .into())
    })?;
    entries.collect()
}
