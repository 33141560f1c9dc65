//! How a database is opened: for writing, for reading, without a trace, or in memory.

use std::path::{Path, absolute};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mortise_config::Synchronous;
use mortise_store::inside::beside;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{ErrorCode, OpenFlags};
use tokio::time::Instant;

use super::Connection;
use super::guard::Watch;

/// Prepared statements that a connection keeps.
const CACHED_STATEMENTS: usize = 128;
/// Pages of the cache, in KiB.
const CACHE_KIB: i64 = 8192;
/// The write-ahead log is cut back to this after a checkpoint, in bytes.
const MAX_IDLE_WAL_BYTES: i64 = 64 << 20;
/// The write-ahead log is worked into the database when it has so many pages (16 MiB): a page that many
/// commits changed is then copied once.
const CHECKPOINT_PAGES: i64 = 4096;
/// What stands for itself in the path of a URI.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

/// What a connection is for.
pub(crate) enum Access {
    Read,
    Write {
        synchronous: Synchronous,
        max_file_bytes: Option<u64>,
    },
}

impl Connection {
    /// Opens the file; waits until `deadline` for other processes that hold it.
    pub(crate) fn open(
        file: &Path,
        access: Access,
        max_bytes: u64,
        deadline: Instant,
    ) -> rusqlite::Result<Self> {
        let mode = match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write { .. } => {
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
            }
        };
        let raw =
            rusqlite::Connection::open_with_flags(file, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        Self::guarded(raw, access, max_bytes, deadline)
    }

    /// Opens the file for reading, and leaves no trace: no byte of it or beside it changes.
    ///
    /// Without a write-ahead log it is read as it is: nobody has it open who wrote. A log is read by its
    /// index, which is not written to. Where that is gone, with the process that wrote the log, SQLite
    /// would make it anew: it does so beside a copy.
    pub(crate) fn look(file: &Path, max_bytes: u64, deadline: Instant) -> rusqlite::Result<Self> {
        let path = absolute(file).unwrap_or_else(|_| file.to_owned());
        let has =
            |suffix| std::fs::metadata(beside(&path, suffix)).is_ok_and(|file| file.len() > 0);
        let how = match (has("-wal"), has("-shm") || has("-journal")) {
            (true, false) => return Self::look_at_copy(&path, max_bytes, deadline),
            (false, false) => "mode=ro&immutable=1",
            _ => "mode=ro&readonly_shm=1",
        };
        let path = percent_encode(path.as_os_str().as_encoded_bytes(), IN_A_PATH);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let raw = rusqlite::Connection::open_with_flags(format!("file:{path}?{how}"), flags)?;
        Self::guarded(raw, Access::Read, max_bytes, deadline)
    }

    fn look_at_copy(file: &Path, max_bytes: u64, deadline: Instant) -> rusqlite::Result<Self> {
        let copied = || {
            let folder = tempfile::tempdir()?;
            let copy = folder.path().join("copy.db");
            std::fs::copy(file, &copy)?;
            std::fs::copy(beside(file, "-wal"), beside(&copy, "-wal"))?;
            Ok((folder, copy))
        };
        let (folder, copy) = copied().map_err(|error: std::io::Error| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
            let what = format!("it cannot be copied to look at its write-ahead log: {error}");
            rusqlite::Error::SqliteFailure(code, Some(what))
        })?;
        let raw = rusqlite::Connection::open(copy)?;
        let mut connection = Self::guarded(raw, Access::Read, max_bytes, deadline)?;
        connection.copy = Some(folder);
        Ok(connection)
    }

    /// An empty database in memory.
    pub(crate) fn scratch(max_bytes: u64, deadline: Instant) -> rusqlite::Result<Self> {
        let raw = rusqlite::Connection::open_in_memory()?;
        let connection = Self::guarded(raw, Access::Read, max_bytes, deadline)?;
        // Of a statement that comes from the cache, the authorizer would see nothing.
        connection.raw.set_prepared_statement_cache_capacity(0);
        Ok(connection)
    }

    fn guarded(
        raw: rusqlite::Connection,
        access: Access,
        max_bytes: u64,
        deadline: Instant,
    ) -> rusqlite::Result<Self> {
        let mut connection = Self {
            raw,
            watch: Arc::new(Watch::until(deadline)),
            max_bytes,
            copy: None,
        };
        connection.configure(&access, deadline)?;
        connection.guard()?;
        Ok(connection)
    }

    fn configure(&mut self, access: &Access, deadline: Instant) -> rusqlite::Result<()> {
        let watch = Arc::clone(&self.watch);
        self.raw
            .busy_handler(Some(move |attempt| watch.wait(attempt)))?;
        let raw = &self.raw;
        raw.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // A plan that looked at the values of parameters is made anew with each new value: a find took ten
        // times as long.
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        raw.pragma_update(None, "trusted_schema", false)?;
        if let Access::Write {
            synchronous,
            max_file_bytes,
        } = access
        {
            // The switch to the write-ahead log does not ask the busy handler.
            while let Err(error) = self.write_ahead() {
                if !is_busy(&error) || Instant::now() >= deadline {
                    return Err(error);
                }
                thread::sleep(Duration::from_micros(fastrand::u64(200..2000)));
            }
            let synchronous = match synchronous {
                Synchronous::Full => "FULL",
                Synchronous::Normal => "NORMAL",
            };
            raw.pragma_update(None, "synchronous", synchronous)?;
            raw.pragma_update(None, "foreign_keys", true)?;
            raw.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
            raw.pragma_update_and_check(
                None,
                "journal_size_limit",
                MAX_IDLE_WAL_BYTES,
                |_| Ok(()),
            )?;
            if let Some(bytes) = max_file_bytes {
                let page: u32 = raw.pragma_query_value(None, "page_size", |row| row.get(0))?;
                let pages = u32::try_from(bytes / u64::from(page))
                    .unwrap_or(u32::MAX - 1)
                    .max(1);
                raw.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            }
        }
        raw.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        Ok(())
    }

    fn write_ahead(&self) -> rusqlite::Result<()> {
        let mode: String =
            self.raw
                .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        match mode.as_str() {
            "wal" => Ok(()),
            other => Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
                Some(format!(
                    "the file system does not support a write-ahead log (journal mode stays {other})"
                )),
            )),
        }
    }
}

pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}
