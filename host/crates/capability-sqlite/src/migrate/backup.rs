//! Backups of a database file, by SQLite's online backup: what a live write-ahead log holds is in them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, beside, folder_of, sync_folder_of};
use mortise_store::{Error, ErrorKind, Operation, Result, Timestamp};
use rusqlite::backup::{Backup, StepResult};
use tokio::time::Instant;

use super::failure::{failed, file_failed, refused};
use super::target::MAX_BYTES;
use crate::connection::{Access, Connection};

const PARTIAL: &str = ".backup.partial";

/// Writes `FILE.TIME.backup`, checked and on disk, or nothing.
pub(super) fn back_up(file: &Path, now: Timestamp, deadline: Instant) -> Result<PathBuf> {
    let unreadable = |error| {
        failed(
            format!("{} cannot be read for a backup", file.display()),
            error,
        )
    };
    let source = Connection::open(file, Access::Read, MAX_BYTES, deadline).map_err(unreadable)?;
    back_up_from(&source, file, now, deadline)
}

/// The same from a connection that is open.
pub(super) fn back_up_from(
    source: &Connection,
    file: &Path,
    now: Timestamp,
    deadline: Instant,
) -> Result<PathBuf> {
    let (name, partial) = names(file, now);
    let write = || -> Result<()> {
        let unwritable = |error| {
            failed(
                format!("the backup {} cannot be written", partial.display()),
                error,
            )
        };
        let mut target = rusqlite::Connection::open(&partial).map_err(unwritable)?;
        // It counts only once it was checked and is on disk.
        target
            .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            .map_err(unwritable)?;
        source.own(|source| copy(source, &mut target, deadline))?;
        drop(target);
        check(&partial)?;
        let unkept = |error| {
            file_failed(
                format!("the backup {} cannot be kept", name.display()),
                error,
            )
        };
        File::open(&partial)
            .and_then(|file| file.sync_all())
            .map_err(unkept)?;
        fs::rename(&partial, &name).map_err(unkept)?;
        sync_folder_of(&name).map_err(unkept)
    };
    match write() {
        Ok(()) => Ok(name),
        Err(error) => {
            // The error says more than that of the clearing away.
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

/// Copies a whole database over another, in one transaction of each.
pub(super) fn copy(
    source: &rusqlite::Connection,
    target: &mut rusqlite::Connection,
    deadline: Instant,
) -> Result<()> {
    let unwritable = |error| failed("the database cannot be copied", error);
    let backup = Backup::new(source, target).map_err(unwritable)?;
    loop {
        match backup.step(-1).map_err(unwritable)? {
            StepResult::Done => return Ok(()),
            _ if Instant::now() >= deadline => {
                let what = "other processes hold the database: it was not copied within the limit upkeep-deadline";
                return Err(Error::new(ErrorKind::Unavailable, Operation::Migrate, what)
                    .with_hint("try again, or close what has it open"));
            }
            // Locked: SQLite has no event for that.
            _ => thread::sleep(Duration::from_millis(fastrand::u64(1..10))),
        }
    }
}

/// Makes a copied database one whole file, without a log beside it, and refuses a damaged one.
pub(super) fn check(file: &Path) -> Result<()> {
    let damaged = |error| {
        failed(
            format!("the backup {} cannot be checked", file.display()),
            error,
        )
    };
    let backup = rusqlite::Connection::open(file).map_err(damaged)?;
    backup
        .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(damaged)?;
    let verdict: String = backup
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(damaged)?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(refused(format!(
        "the database in {} is damaged: {verdict}",
        file.display()
    ))
    .with_hint("mend it with `sqlite3 FILE .recover` before it is migrated"))
}

/// Removes what a process left that ended while it wrote a backup. To be called under the lock.
pub(super) fn clear_partials(file: &Path) {
    let (Some(stem), Ok(entries)) = (file.file_name(), fs::read_dir(folder_of(file))) else {
        return;
    };
    let prefix = format!("{}.", stem.to_string_lossy());
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_partial = name.starts_with(&prefix) && name.contains(PARTIAL);
        if is_partial && let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!(file = name, %error, "an unfinished backup was not removed");
        }
    }
}

/// A name that is free, and what it is called until it is whole.
fn names(file: &Path, now: Timestamp) -> (PathBuf, PathBuf) {
    let instant = i64::try_from(now)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = instant
        .unwrap_or_default()
        .strftime("%Y%m%dT%H%M%S%.3fZ")
        .to_string();
    let mut count = 1;
    loop {
        let number = if count == 1 {
            String::new()
        } else {
            format!("-{count}")
        };
        let name = beside(file, &format!(".{time}{number}.backup"));
        if !name.exists() {
            return (name, beside(file, &format!(".{time}{number}{PARTIAL}")));
        }
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn a_backup_has_what_only_the_log_holds_and_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        let live = rusqlite::Connection::open(&file).unwrap();
        live.execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE a (x); INSERT INTO a VALUES (7)",
        )
        .unwrap();
        let first = back_up(&file, 1_767_225_600_000, soon()).unwrap();
        let second = back_up(&file, 1_767_225_600_000, soon()).unwrap();
        assert!(
            first.ends_with("tasks.db.20260101T000000.000Z.backup"),
            "{first:?}"
        );
        assert!(
            second.ends_with("tasks.db.20260101T000000.000Z-2.backup"),
            "{second:?}"
        );
        drop(live);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        let backup = rusqlite::Connection::open(&first).unwrap();
        let x: i64 = backup
            .query_row("SELECT x FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!(x, 7);
        let mode: String = backup
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "delete");
    }

    #[test]
    fn what_was_left_unfinished_is_cleared_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        for name in [
            "tasks.db",
            "tasks.db.x.backup.partial",
            "tasks.db.x.backup",
            "other.db.x.backup.partial",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        clear_partials(&file);
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            ["other.db.x.backup.partial", "tasks.db", "tasks.db.x.backup"]
        );
    }
}
