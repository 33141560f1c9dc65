//! How statements run on a connection: a guest's, and the host's own.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{Budget, Connection, Seen};
use crate::sql::{Error as SqlError, Outcome, Rows, Statement};
use crate::statement;

/// How many checks a query may take on a caller's thread: some milliseconds' worth of work.
const BRIEF_CHECKS: u32 = 50;

impl Connection {
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
