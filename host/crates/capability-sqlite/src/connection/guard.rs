//! What a guest's statement may do, and for how long: the authorizer, the progress handler, SQLite's limits.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use tokio::time::Instant;

use super::Connection;

/// After so many steps of SQLite's virtual machine it asks whether to go on.
const STEPS_A_CHECK: i32 = 1000;
/// Longest SQL text of a guest, in bytes.
const MAX_SQL_BYTES: i32 = 1 << 20;
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
pub(super) struct Watch {
    /// The statement being prepared is the host's own.
    pub(super) trusted: AtomicBool,
    pub(super) budget: Mutex<Budget>,
    /// What the authorizer refused last.
    pub(super) denied: Mutex<Option<String>>,
    /// What it was asked for since somebody wanted to know.
    pub(super) seen: Mutex<Option<Seen>>,
}

impl Watch {
    /// Of statements that may go on until the deadline.
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            trusted: AtomicBool::new(false),
            budget: Mutex::new(Budget::Until(deadline)),
            denied: Mutex::default(),
            seen: Mutex::default(),
        }
    }

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
    pub(super) fn wait(&self, attempt: i32) -> bool {
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

impl Connection {
    /// From here on, what a guest sends is checked.
    pub(super) fn guard(&mut self) -> rusqlite::Result<()> {
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
}
