//! One database for one store.
//!
//! Reads run on a pool of read-only connections, each read as one statement; writes go through one
//! connection that commits many transactions with one fsync. Any number of processes may open the
//! same file: SQLite's write-ahead log keeps them apart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mortise_config::SqliteGrant;
use mortise_config::inside::SqliteGrantInside as _;
use mortise_store::inside::{Commits, ErrorInside as _, permit};
use mortise_store::{Error, ErrorKind, Limits, Operation, Result};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::connection::{Access, Budget, Connection};
use crate::sql::{Error as SqlError, Failure, Outcome, Rows, Statement};
use crate::writer::Writer;

/// Most statements of one transaction.
const MAX_STATEMENTS: usize = 32_768;

/// One opened database. Dropping the last handle closes it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

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
    pub fn open(
        grant: &SqliteGrant,
        namespace: &str,
        limits: &Limits,
        commits: Arc<Commits>,
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
            writer: Writer::new(connection, commits),
            readers: Mutex::default(),
            permits: Semaphore::new(grant.readers),
            grant: grant.clone(),
            file,
            max_bytes,
        })))
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// What was granted.
    pub(crate) fn grant(&self) -> &SqliteGrant {
        &self.0.grant
    }

    /// One statement that only reads.
    ///
    /// It starts on the caller's thread, where a load takes microseconds. What has not ended after
    /// some milliseconds' worth of work, or finds the database locked, starts over on a thread that
    /// may block.
    pub async fn query(
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
    pub async fn transact(
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
