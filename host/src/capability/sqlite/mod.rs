//! The capability `sqlite`: one database for one store.
//!
//! Reads run on a pool of read-only connections, each read as one statement; writes go through one
//! connection that commits many transactions with one fsync. Any number of processes may open the
//! same file: SQLite's write-ahead log keeps them apart.

pub(crate) mod connection;
pub(crate) mod statement;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use self::connection::{Access, Budget, Connection};
use self::writer::Writer;
use crate::bindings::mortise::persistence::sqlite::{
    Error as SqlError, Failure, Host, Outcome, Rows, Statement,
};
use crate::config::namespace_file;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::instance::State;
use crate::limits::Limits;
use crate::metrics::Measures;
use crate::migrate::{Blueprint, Migrate, Occasion, Preparation};
use crate::pool::permit;
use crate::record::Timestamp;

/// Read connections of one store, where the operator sets none.
const DEFAULT_READERS: usize = 8;
/// Most statements of one transaction.
const MAX_STATEMENTS: usize = 32_768;

/// When SQLite waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synchronous {
    /// At every commit: an acknowledged write survives a power cut.
    #[default]
    Full,
    /// At checkpoints: an acknowledged write survives the process, but perhaps not a power cut.
    Normal,
}

/// The grant of the capability `sqlite`: which file, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SqliteGrant {
    /// The database file; made where there is none. The folder must be there.
    pub path: PathBuf,
    /// When SQLite waits for the disk. Default: at every commit.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// Read connections. Default: 8.
    #[serde(default = "default_readers")]
    pub readers: usize,
    /// Whether a database with an older schema is migrated when the store is opened. Default: it is, where
    /// nothing is lost by it.
    #[serde(default)]
    pub migrate: Migrate,
}

fn default_readers() -> usize {
    DEFAULT_READERS
}

impl SqliteGrant {
    /// The database in the file at `path`, with the defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::default(),
            readers: DEFAULT_READERS,
            migrate: Migrate::default(),
        }
    }

    /// The file of a namespace.
    pub(crate) fn file(&self, namespace: &str) -> PathBuf {
        namespace_file(&self.path, namespace)
    }
}

/// One opened database. Dropping the last handle closes it.
#[derive(Clone)]
pub(crate) struct Database(Arc<Inner>);

struct Inner {
    file: PathBuf,
    grant: SqliteGrant,
    /// The most bytes of one value, one answer, one transaction's answers.
    max_bytes: u64,
    permits: Semaphore,
    readers: Mutex<Vec<Connection>>,
    /// The last to be dropped: the last connection that closes tidies up the write-ahead log.
    writer: Writer,
}

impl Database {
    /// Opens the file, and makes it where there is none. Blocks for a few milliseconds, and as long as
    /// another process holds the database, at most until the deadline.
    pub(crate) fn open(
        grant: &SqliteGrant,
        namespace: &str,
        limits: &Limits,
        measures: Arc<Measures>,
    ) -> Result<Self> {
        let file = grant.file(namespace);
        if grant.readers == 0 {
            return Err(Error::config("sqlite.readers is 0, expected at least 1"));
        }
        let deadline = Instant::now() + limits.deadline;
        let access = Access::Write {
            synchronous: grant.synchronous,
            max_file_bytes: limits.store_bytes.map(|bytes| bytes.0),
        };
        let max_bytes = limits.response_bytes.0;
        let connection = Connection::open(&file, access, max_bytes, deadline)
            .map_err(|error| open_error(&file, error))?;
        Ok(Self(Arc::new(Inner {
            writer: Writer::new(connection, measures),
            readers: Mutex::default(),
            permits: Semaphore::new(grant.readers),
            grant: grant.clone(),
            file,
            max_bytes,
        })))
    }

    /// Where it is.
    pub(crate) fn file(&self) -> &Path {
        &self.0.file
    }

    /// How the database is to be prepared for a backend.
    pub(crate) fn preparation(
        &self,
        blueprint: Blueprint,
        occasion: Occasion,
        now: Timestamp,
        deadline: Instant,
    ) -> Preparation {
        Preparation {
            file: self.0.file.clone(),
            migrate: self.0.grant.migrate,
            synchronous: self.0.grant.synchronous,
            occasion,
            blueprint,
            now,
            deadline,
        }
    }

    /// One statement that only reads.
    ///
    /// It starts on the caller's thread, where a load takes microseconds. What has not ended after
    /// some milliseconds' worth of work, or finds the database locked, starts over on a thread that
    /// may block.
    async fn query(
        &self,
        statement: Statement,
        max_bytes: Option<u64>,
        deadline: Instant,
    ) -> Result<Rows, SqlError> {
        let inner = &self.0;
        let Some(permit) = permit(&inner.permits, deadline).await else {
            return Err(SqlError::Busy);
        };
        let reader = self.reader(deadline)?;
        if let Some(result) = reader.query_briefly(&statement, max_bytes) {
            self.put_back(reader);
            return result;
        }
        // The permit goes with the connection: both come back when the query ends, even if nobody
        // waits for it any more.
        permit.forget();
        let database = self.clone();
        let (reply, answer) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let result = reader.query(&statement, max_bytes, Budget::Until(deadline));
            database.put_back(reader);
            database.0.permits.add_permits(1);
            // Nobody waits where the call was given up.
            let _ = reply.send(result);
        });
        answer.await.unwrap_or(Err(SqlError::Interrupted))
    }

    /// All statements in one transaction.
    async fn transact(
        &self,
        statements: Vec<Statement>,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, Failure> {
        if statements.len() > MAX_STATEMENTS {
            let error = SqlError::TooLarge(format!(
                "{} statements, more than the {MAX_STATEMENTS} that a transaction may have",
                statements.len()
            ));
            return Err(Failure { index: 0, error });
        }
        self.0.writer.run(statements, deadline).await
    }

    fn reader(&self, deadline: Instant) -> Result<Connection, SqlError> {
        let idle = self.readers().pop();
        match idle {
            Some(reader) => Ok(reader),
            None => Connection::open(&self.0.file, Access::Read, self.0.max_bytes, deadline)
                .map_err(|error| {
                    tracing::error!(file = %self.0.file.display(), %error, "no read connection");
                    SqlError::Other("the database does not open".to_owned())
                }),
        }
    }

    fn put_back(&self, reader: Connection) {
        let mut readers = self.readers();
        if readers.len() < self.0.grant.readers {
            readers.push(reader);
        }
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.0
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_error(file: &Path, error: rusqlite::Error) -> Error {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let refused = Error::new(
        ErrorKind::Config,
        Operation::Open,
        format!("the SQLite database {} does not open", file.display()),
    );
    match folder {
        Some(folder) if !folder.is_dir() => {
            refused.with_hint(format!("make the folder {} first", folder.display()))
        }
        _ => refused.with_source(error),
    }
}

impl Host for State {
    async fn query(
        &mut self,
        statement: Statement,
        max_bytes: Option<u64>,
    ) -> Result<Rows, SqlError> {
        let deadline = self.deadline;
        let query = self.sqlite().query(statement, max_bytes, deadline);
        self.context.reading(query).await
    }

    async fn transact(&mut self, statements: Vec<Statement>) -> Result<Vec<Outcome>, Failure> {
        let (database, deadline) = (self.sqlite().clone(), self.deadline);
        let in_doubt = |failure: &Failure| matches!(failure.error, SqlError::Ambiguous(_));
        self.writing(database.transact(statements, deadline), in_doubt)
            .await
    }
}

impl State {
    fn sqlite(&self) -> &Database {
        self.context
            .sqlite
            .as_ref()
            .expect("sqlite is linked only where it is granted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_file_of_its_own() {
        let grant = SqliteGrant::new("data/tasks.db");
        assert_eq!(grant.file("default"), Path::new("data/tasks.db"));
        assert_eq!(grant.file("acme"), Path::new("data/tasks+acme.db"));
        assert_eq!(grant.file("../x"), Path::new("data/tasks+%2E%2E%2Fx.db"));
        assert_ne!(
            grant.file("A"),
            grant.file("a"),
            "file systems may ignore case"
        );
    }
}
