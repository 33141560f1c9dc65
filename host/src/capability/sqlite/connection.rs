//! One SQLite connection, made safe to hand a stranger's SQL to.

use std::collections::BTreeSet;
use std::path::{Path, absolute};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{ErrorCode, OpenFlags};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Synchronous, statement};
use crate::bindings::mortise::persistence::sqlite::{Error as SqlError, Outcome, Rows, Statement};
use crate::files::beside;

/// Prepared statements that a connection keeps.
const CACHED_STATEMENTS: usize = 128;
/// After so many steps of SQLite's virtual machine it asks whether to go on.
const STEPS_A_CHECK: i32 = 1000;
/// How many checks a query may take on a caller's thread: some milliseconds' worth of work.
const BRIEF_CHECKS: u32 = 50;
/// Longest SQL text of a guest, in bytes.
const MAX_SQL_BYTES: i32 = 1 << 20;
/// Pages of the cache, in KiB.
const CACHE_KIB: i64 = 8192;
/// The write-ahead log is cut back to this after a checkpoint, in bytes.
const MAX_IDLE_WAL_BYTES: i64 = 64 << 20;
/// The write-ahead log is worked into the database when it has so many pages (16 MiB): a page that many
/// commits changed is then copied once.
const CHECKPOINT_PAGES: i64 = 4096;
/// The PRAGMAs that a guest may read.
const READABLE_PRAGMAS: [&str; 9] = [
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "page_count",
    "page_size",
    // ALTER TABLE ADD COLUMN looks at the rows with it.
    "quick_check",
    "table_info",
    "table_xinfo",
];
/// Functions that reach outside of the database, should a build of SQLite have them.
const DENIED_FUNCTIONS: [&str; 5] = [
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
];

/// The table that the host keeps in a backend's database; no guest writes to it.
pub(crate) const HISTORY: &str = "migration_history";
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

/// What statements do to tables, as the authorizer is asked for it. Names are in lower case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Made or changed: tables, indexes, triggers, views.
    pub(crate) defines: bool,
    /// Dropped.
    pub(crate) dropped: BTreeSet<String>,
    /// Rows are deleted, and not because the table is dropped.
    pub(crate) deleted_from: BTreeSet<String>,
    /// Rows are written or deleted.
    pub(crate) written: BTreeSet<String>,
}

impl Seen {
    fn see(&mut self, action: &AuthAction<'_>) {
        let name = |name: &str| {
            Some(name.to_ascii_lowercase()).filter(|name| !name.starts_with("sqlite_"))
        };
        match action {
            AuthAction::DropTable { table_name } => {
                self.defines = true;
                self.dropped.extend(name(table_name));
            }
            AuthAction::Delete { table_name } => {
                self.written.extend(name(table_name));
                let dropped = &self.dropped;
                let deleted = name(table_name).filter(|name| !dropped.contains(name));
                self.deleted_from.extend(deleted);
            }
            AuthAction::Insert { table_name } | AuthAction::Update { table_name, .. } => {
                self.written.extend(name(table_name));
            }
            AuthAction::CreateTable { .. }
            | AuthAction::CreateIndex { .. }
            | AuthAction::CreateTrigger { .. }
            | AuthAction::CreateView { .. }
            | AuthAction::DropIndex { .. }
            | AuthAction::DropTrigger { .. }
            | AuthAction::DropView { .. }
            | AuthAction::AlterTable { .. } => self.defines = true,
            _ => {}
        }
    }
}

/// How long a statement may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Budget {
    /// So many checks more, and no wait for a lock.
    Checks(u32),
    /// Until the deadline, waiting for locks too.
    Until(Instant),
}

/// What the connection's hooks and its owner tell each other.
struct Watch {
    /// The statement being prepared is the host's own.
    trusted: AtomicBool,
    budget: Mutex<Budget>,
    /// What the authorizer refused last.
    denied: Mutex<Option<String>>,
    /// What it was asked for since somebody wanted to know.
    seen: Mutex<Option<Seen>>,
}

impl Watch {
    /// Whether the statement must stop now.
    fn check(&self) -> bool {
        match &mut *self.budget.lock().unwrap_or_else(PoisonError::into_inner) {
            Budget::Checks(0) => true,
            Budget::Checks(left) => {
                *left -= 1;
                false
            }
            Budget::Until(deadline) => Instant::now() >= *deadline,
        }
    }

    /// Whether to wait for a lock that another process holds; waits a moment if so.
    ///
    /// Short and uneven pauses: with SQLite's own, which grow to 100 ms, a process that tries rarely
    /// finds the gap between two writers that never rest.
    fn wait(&self, attempt: i32) -> bool {
        match *self.budget.lock().unwrap_or_else(PoisonError::into_inner) {
            Budget::Until(deadline) if Instant::now() < deadline => {}
            _ => return false,
        }
        let longest = 50 << attempt.clamp(0, 5);
        thread::sleep(Duration::from_micros(fastrand::u64(50..=longest)));
        true
    }

    fn authorize(&self, action: &AuthAction<'_>) -> Authorization {
        if self.trusted.load(Ordering::Relaxed) {
            return Authorization::Allow;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = &mut *seen {
            seen.see(action);
        }
        drop(seen);
        let what = match action {
            AuthAction::Attach { .. } => "ATTACH or VACUUM".to_owned(),
            AuthAction::Detach { .. } => "DETACH".to_owned(),
            AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
                "transaction control".to_owned()
            }
            AuthAction::CreateVtable { .. } | AuthAction::DropVtable { .. } => {
                "virtual tables".to_owned()
            }
            AuthAction::CreateTempIndex { .. }
            | AuthAction::CreateTempTable { .. }
            | AuthAction::CreateTempTrigger { .. }
            | AuthAction::CreateTempView { .. } => "temporary tables".to_owned(),
            AuthAction::Pragma { pragma_name, .. }
                if !READABLE_PRAGMAS.contains(&pragma_name.to_ascii_lowercase().as_str()) =>
            {
                format!("PRAGMA {pragma_name}")
            }
            AuthAction::Function { function_name }
                if DENIED_FUNCTIONS.contains(&function_name.to_ascii_lowercase().as_str()) =>
            {
                format!("the function {function_name}")
            }
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name }
            | AuthAction::DropTable { table_name }
            | AuthAction::AlterTable { table_name, .. }
            | AuthAction::CreateTable { table_name }
            | AuthAction::CreateIndex { table_name, .. }
            | AuthAction::CreateTrigger { table_name, .. }
            | AuthAction::CreateView {
                view_name: table_name,
            } if table_name.eq_ignore_ascii_case(HISTORY) => {
                format!("the table {HISTORY} but to read it")
            }
            AuthAction::Unknown { .. } => "an operation that this host does not know".to_owned(),
            _ => return Authorization::Allow,
        };
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
        Authorization::Deny
    }
}

/// A guarded connection. Used by one thread at a time.
pub(crate) struct Connection {
    raw: rusqlite::Connection,
    watch: Arc<Watch>,
    max_bytes: u64,
    /// Where the database is a copy, which is removed after it is closed.
    copy: Option<TempDir>,
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
        let watch = Arc::new(Watch {
            trusted: AtomicBool::new(false),
            budget: Mutex::new(Budget::Until(deadline)),
            denied: Mutex::default(),
            seen: Mutex::default(),
        });
        let mut connection = Self {
            raw,
            watch,
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

    /// From here on, what a guest sends is checked.
    fn guard(&mut self) -> rusqlite::Result<()> {
        let raw = &self.raw;
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        let length = i32::try_from(self.max_bytes).unwrap_or(i32::MAX);
        raw.set_limit(Limit::SQLITE_LIMIT_LENGTH, length)?;
        raw.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES.min(length))?;
        raw.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        raw.set_limit(Limit::SQLITE_LIMIT_COLUMN, 200)?;
        raw.set_limit(Limit::SQLITE_LIMIT_EXPR_DEPTH, 100)?;
        raw.set_limit(Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50)?;
        raw.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)?;
        raw.set_limit(Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10)?;
        raw.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
        let watch = Arc::clone(&self.watch);
        self.raw
            .progress_handler(STEPS_A_CHECK, Some(move || watch.check()))?;
        let watch = Arc::clone(&self.watch);
        self.raw.authorizer(Some(move |context: AuthContext<'_>| {
            watch.authorize(&context.action)
        }))
    }

    /// Runs one of the host's own statements, such as `BEGIN IMMEDIATE`. Never through the cache of
    /// prepared statements, from which a guest could fetch it.
    pub(crate) fn execute_own(&self, sql: &str) -> rusqlite::Result<()> {
        self.own(|raw| raw.execute_batch(sql))
    }

    /// The same for what answers, or is no statement. Past the cache, too.
    pub(crate) fn own<T>(&self, work: impl FnOnce(&rusqlite::Connection) -> T) -> T {
        self.watch.trusted.store(true, Ordering::Relaxed);
        let result = work(&self.raw);
        self.watch.trusted.store(false, Ordering::Relaxed);
        result
    }

    /// The same for what needs the connection alone.
    pub(crate) fn own_alone<T>(&mut self, work: impl FnOnce(&mut rusqlite::Connection) -> T) -> T {
        self.watch.trusted.store(true, Ordering::Relaxed);
        let result = work(&mut self.raw);
        self.watch.trusted.store(false, Ordering::Relaxed);
        result
    }

    /// Runs one statement of a guest that has no parameters; what it does to which tables.
    pub(crate) fn run(&self, sql: &str) -> Result<Seen, SqlError> {
        let seen = || {
            self.watch
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        *seen() = Some(Seen::default());
        let statement = Statement {
            sql: sql.to_owned(),
            params: Vec::new(),
            expect_changed: None,
        };
        let done = self.execute(&statement, &mut self.max_answer_bytes());
        let seen = seen().take().unwrap_or_default();
        done.map(|_| seen)
    }

    /// How long what follows may take.
    pub(crate) fn allow(&self, budget: Budget) {
        *self
            .watch
            .budget
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = budget;
    }

    /// A query as far as it goes within some milliseconds' worth of work; none where it takes longer
    /// or has to wait for a lock.
    pub(crate) fn query_briefly(
        &self,
        statement: &Statement,
        max_bytes: Option<u64>,
    ) -> Option<Result<Rows, SqlError>> {
        match self.query(statement, max_bytes, Budget::Checks(BRIEF_CHECKS)) {
            Err(SqlError::Interrupted | SqlError::Busy) => None,
            result => Some(result),
        }
    }

    /// One statement that only reads.
    pub(crate) fn query(
        &self,
        statement: &Statement,
        max_bytes: Option<u64>,
        budget: Budget,
    ) -> Result<Rows, SqlError> {
        self.allow(budget);
        let mut left = self.max_bytes;
        statement::read(&self.raw, statement, max_bytes, &mut left)
            .map_err(|error| self.told(error))
    }

    /// One statement of a transaction, whose answers together may take `left` bytes more.
    pub(crate) fn execute(
        &self,
        statement: &Statement,
        left: &mut u64,
    ) -> Result<Outcome, SqlError> {
        statement::write(&self.raw, statement, left).map_err(|error| self.told(error))
    }

    /// How many rows were changed since the connection was opened, by triggers and foreign keys too.
    pub(crate) fn total_changes(&self) -> u64 {
        self.raw.total_changes()
    }

    /// How many bytes the answers to one transaction may have.
    pub(crate) fn max_answer_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Whether no transaction is open, because SQLite rolled it back.
    pub(crate) fn is_rolled_back(&self) -> bool {
        self.raw.is_autocommit()
    }

    /// Adds to a refusal what was refused.
    fn told(&self, error: SqlError) -> SqlError {
        let denied = self
            .watch
            .denied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match denied {
            Some(what) => SqlError::Denied(format!("no guest may use {what}")),
            None => error,
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
