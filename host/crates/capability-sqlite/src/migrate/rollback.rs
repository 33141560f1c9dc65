//! Back to the database as it was before its last migration: its backup, restored.

use std::fs;
use std::path::{Path, PathBuf};

use mortise_config::Synchronous;
use mortise_store::inside::schema::Entry;
use mortise_store::inside::{ErrorInside as _, beside};
use mortise_store::schema::{HistoryEntry, Outcome};
use mortise_store::{Error, ErrorKind, Operation, Result, Timestamp};
use serde::Serialize;
use tokio::time::Instant;

use super::backup::{back_up_from, check, clear_partials, copy};
use super::failure::{failed, file_failed, refused};
use super::history;
use super::lock::Lock;
use super::plan::Found;
use super::target::MAX_BYTES;
use crate::connection::{Access, Connection, is_busy};

/// What a roll-back did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RolledBack {
    /// The version that the database had.
    pub from: u32,
    /// The version that it has now.
    pub to: u32,
    /// The backup that was restored.
    pub restored: PathBuf,
    /// The backup of what was there until now, with the records that were written since the migration.
    pub backup: PathBuf,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// Restores the backup of the last migration that has one.
pub(super) fn roll_back(file: &Path, now: Timestamp, deadline: Instant) -> Result<RolledBack> {
    let start = Instant::now();
    let _lock = Lock::take(file, deadline)?;
    clear_partials(file);
    let entry = last_with_backup(file, deadline)?;
    let name = entry.backup.as_deref().unwrap_or_default();
    let restored = file.with_file_name(name);
    if !restored.is_file() {
        return Err(refused(format!(
            "the backup {} of the last migration is not there",
            restored.display()
        ))
        .with_hint("put it back into the database's folder"));
    }
    let mut database = open_alone(file, deadline)?;
    let found = Found::read(&database, file)?;
    let backup = back_up_from(&database, file, now, deadline)?;
    let prepared = beside(file, ".restore.backup.partial");
    let mut restore = || -> Result<u32> {
        let uncopied =
            |error| file_failed(format!("{} cannot be copied", restored.display()), error);
        fs::copy(&restored, &prepared).map_err(uncopied)?;
        check(&prepared)?;
        let unopened = |error| failed(format!("{} does not open", restored.display()), error);
        let source =
            Connection::open(&prepared, Access::Read, MAX_BYTES, deadline).map_err(unopened)?;
        let old = Found::read(&source, &restored)?;
        drop(source);
        // The row comes with the rest, in one transaction: there is no moment without it.
        let note = Entry {
            id: 0,
            from: found.version,
            to: old.version,
            schema_digest: old.schema.digest(),
            statements: Vec::new(),
            started_at: now,
            duration_ms: millis_since(start),
            outcome: Outcome::RolledBack,
            backup: backup
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let source = rusqlite::Connection::open(&prepared).map_err(unopened)?;
        history::add(&source, &note).map_err(unopened)?;
        database.own_alone(|database| copy(&source, database, deadline))?;
        Ok(old.version)
    };
    let done = restore();
    for suffix in ["", "-journal"] {
        // It may never have been made.
        let _ = fs::remove_file(beside(&prepared, suffix));
    }
    match done {
        Ok(to) => Ok(RolledBack {
            from: found.version,
            to,
            restored,
            backup,
            duration_ms: millis_since(start),
        }),
        Err(error) => {
            // Nothing was changed, so that it is of no use. The error says more than that of the removal.
            let _ = fs::remove_file(&backup);
            Err(error)
        }
    }
}

/// The last migration that was applied and has a backup.
fn last_with_backup(file: &Path, deadline: Instant) -> Result<HistoryEntry> {
    let unreadable = |error| {
        failed(
            format!("the history of {} cannot be read", file.display()),
            error,
        )
    };
    let database = Connection::look(file, MAX_BYTES, deadline).map_err(unreadable)?;
    let entries = database.own(history::read).map_err(unreadable)?;
    let has_backup =
        |entry: &HistoryEntry| entry.outcome == Outcome::Applied && entry.backup.is_some();
    entries.into_iter().rev().find(has_backup).ok_or_else(|| {
        refused(format!(
            "{} has no migration that can be rolled back",
            file.display()
        ))
        .with_hint("see what was done with `mortise migrate history`")
    })
}

/// Opens the database for this connection alone. Leaving the write-ahead log needs just that; the next that
/// opens it takes it up again.
fn open_alone(file: &Path, deadline: Instant) -> Result<Connection> {
    let access = Access::Write {
        synchronous: Synchronous::Full,
        max_file_bytes: None,
    };
    let alone = || {
        let database = Connection::open(file, access, MAX_BYTES, deadline)?;
        database.own(|raw| {
            raw.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
            raw.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
            raw.execute_batch("BEGIN EXCLUSIVE; COMMIT")
        })?;
        Ok(database)
    };
    alone().map_err(|error: rusqlite::Error| match is_busy(&error) {
        true => {
            let what = format!("{} is open elsewhere; nothing was changed", file.display());
            Error::new(ErrorKind::Unavailable, Operation::Migrate, what)
                .with_hint("close every store that is open of it, in all processes, and try again")
                .with_source(error)
        }
        false => failed(format!("{} does not open", file.display()), error),
    })
}

fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
