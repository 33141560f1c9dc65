//! Migrations as an operator asks for them, of a store that is not opened for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mortise_config::SqliteGrant;
use mortise_store::inside::schema::status;
use mortise_store::inside::{ErrorInside as _, Later, blocking};
use mortise_store::schema::{HistoryEntry, Plan, Status};
use mortise_store::{Clock, Limits, Operation, Result};
use tokio::time::Instant;

use super::apply::{Applied, Job};
use super::failure::failed;
use super::history;
use super::plan::Found;
use super::rollback::{RolledBack, roll_back};
use super::schema::Schema;
use super::target::{Blueprint, MAX_BYTES, Wanted};
use crate::connection::Connection;

/// Migrates the database of a store, which is not opened: `Host::migration`.
///
/// [`status`](Self::status), [`plan`](Self::plan) and [`history`](Self::history) write nothing at all,
/// neither to the database nor beside it.
#[derive(Clone)]
pub struct Migrator {
    backend: String,
    file: PathBuf,
    grant: SqliteGrant,
    blueprint: Arc<Blueprint>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

/// How the host makes one: embedders ask `Host::migration`.
pub trait MigratorInside {
    /// The migrations of the database in `file`, as it was granted, for the backend whose schema is
    /// `blueprint`.
    fn new(
        backend: String,
        file: PathBuf,
        grant: SqliteGrant,
        blueprint: Blueprint,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self;
}

impl MigratorInside for Migrator {
    fn new(
        backend: String,
        file: PathBuf,
        grant: SqliteGrant,
        blueprint: Blueprint,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            backend,
            file,
            grant,
            blueprint: Arc::new(blueprint),
            limits,
            clock,
        }
    }
}

impl Migrator {
    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where the database stands.
    ///
    /// # Errors
    ///
    /// `Config`: it is another program's, or has a newer schema than this backend; `Component`: the
    /// backend's own schema does not run; `Unavailable`, `Deadline`: it cannot be read now.
    pub fn status(&self) -> Later<'_, Result<Status>> {
        self.run(|this, deadline| {
            let (found, plan, mut history) = this.look(deadline)?;
            Ok(status(
                this.file.clone(),
                !found.is_new(),
                !plan.is_empty() && !plan.creates,
                plan,
                history.pop(),
            ))
        })
    }

    /// What [`apply`](Self::apply) would do. Errors as [`status`](Self::status).
    pub fn plan(&self) -> Later<'_, Result<Plan>> {
        self.run(|this, deadline| Ok(this.look(deadline)?.1))
    }

    /// Migrates the database, or creates it; none where nothing has to be done. Waits for another process
    /// that does so. `confirmed` names what may be lost ([`Loss::name`](super::Loss::name)).
    ///
    /// All or nothing: a migration that fails, or whose process is killed, leaves the database as it was.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status); `Config`: something would be lost that is not confirmed, or the rows do
    /// not allow it, each with its name; `Invalid`: what is confirmed would not be lost; `Io`: the backup
    /// cannot be written.
    pub fn apply(&self, confirmed: &[String]) -> Later<'_, Result<Option<Applied>>> {
        let confirmed = confirmed.to_vec();
        self.run(move |this, deadline| {
            let wanted = Wanted::read(this.blueprint.as_ref().clone(), deadline)?;
            let job = Job {
                file: &this.file,
                wanted: &wanted,
                synchronous: this.grant.synchronous,
                confirmed: &confirmed,
                now: this.clock.now(),
                deadline,
            };
            let applied = job.run()?;
            if let Some(applied) = &applied {
                super::open::log(&this.file, applied);
            }
            Ok(applied)
        })
    }

    /// Restores the backup of the last migration, after a backup of what is there: that has the records
    /// that were written since.
    ///
    /// # Errors
    ///
    /// `Config`: there is nothing to go back to, or the backup is missing or damaged; `Unavailable`: the
    /// database is open elsewhere; `Io`.
    pub fn roll_back(&self) -> Later<'_, Result<RolledBack>> {
        self.run(|this, deadline| roll_back(&this.file, this.clock.now(), deadline))
    }

    /// Every migration of this database, the first one first.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    pub fn history(&self) -> Later<'_, Result<Vec<HistoryEntry>>> {
        self.run(|this, deadline| {
            let Some(database) = this.open_to_look(deadline)? else {
                return Ok(Vec::new());
            };
            let unreadable = |error| {
                failed(
                    format!("the history of {} cannot be read", this.file.display()),
                    error,
                )
            };
            database.own(history::read).map_err(unreadable)
        })
    }

    fn look(&self, deadline: Instant) -> Result<(Found, Plan, Vec<HistoryEntry>)> {
        let wanted = Wanted::read(self.blueprint.as_ref().clone(), deadline)?;
        let unreadable = |error| failed(format!("{} cannot be read", self.file.display()), error);
        let Some(database) = self.open_to_look(deadline)? else {
            let scratch = Connection::scratch(MAX_BYTES, deadline).map_err(unreadable)?;
            let found = Found {
                schema: Schema::default(),
                version: 0,
                application: 0,
                has_history: false,
            };
            let plan = found.plan(&scratch, &wanted, deadline)?;
            return Ok((found, plan, Vec::new()));
        };
        // All as of one instant; it ends with the connection.
        database.execute_own("BEGIN").map_err(unreadable)?;
        let found = Found::read(&database, &self.file)?;
        found.check(&wanted, &self.file)?;
        let plan = found.plan(&database, &wanted, deadline)?;
        let history = database.own(history::read).map_err(unreadable)?;
        Ok((found, plan, history))
    }

    /// None where there is no file.
    fn open_to_look(&self, deadline: Instant) -> Result<Option<Connection>> {
        if !self.file.exists() {
            return Ok(None);
        }
        let unopened = |error| failed(format!("{} does not open", self.file.display()), error);
        Connection::look(&self.file, MAX_BYTES, deadline)
            .map_err(unopened)
            .map(Some)
    }

    /// Runs what blocks, until the deadline of the calls that touch a whole store.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, Instant) -> Result<T> + Send + 'static,
    ) -> Later<'_, Result<T>> {
        Box::pin(async move {
            let this = self.clone();
            let deadline = Instant::now() + self.limits.upkeep_deadline;
            let done = blocking(move || work(&this, deadline)).await;
            done.map_err(|error| {
                error
                    .with_operation(Operation::Migrate)
                    .with_backend(&self.backend)
            })
        })
    }
}

impl std::fmt::Debug for Migrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Migrator");
        shown
            .field("backend", &self.backend)
            .field("file", &self.file);
        shown.finish_non_exhaustive()
    }
}
