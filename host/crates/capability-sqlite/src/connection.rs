//! One SQLite connection, made safe to hand a stranger's SQL to.
//!
//! - `guard`: what a guest's statement may do, and for how long.
//! - `open`: how a file is opened, for writing, for reading, or without a trace.
//! - `run`: how statements run, a guest's and the host's own.

mod guard;
mod open;
mod run;

use std::sync::Arc;

use tempfile::TempDir;

use self::guard::Watch;
pub(crate) use self::guard::{Budget, HISTORY, Seen};
pub(crate) use self::open::{Access, is_busy};

/// A guarded connection. Used by one thread at a time.
pub(crate) struct Connection {
    raw: rusqlite::Connection,
    watch: Arc<Watch>,
    max_bytes: u64,
    /// Where the database is a copy, which is removed after it is closed.
    copy: Option<TempDir>,
}
