//! Migrations as an operator asks for them, of a store that is not opened for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::apply::{Applied, Job};
use super::failure::failed;
use super::history::{self, HistoryEntry};
use super::plan::{Found, Plan};
use super::rollback::{RolledBack, roll_back};
use super::schema::Schema;
use super::target::{Blueprint, MAX_BYTES, Wanted};
use crate::capability::Capability;
use crate::capability::clock::Clock;
use crate::capability::log::GuestLog;
use crate::capability::sqlite::{SqliteGrant, connection};
use crate::config::StoreConfig;
use crate::context::StoreContext;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::host::Host;
use crate::instance::Template;
use crate::limits::{DEFAULT_POOLED_MEMORY, Limits};
#[cfg(feature = "serve")]
use crate::store::Store;
use crate::work::blocking;

/// Where a store's database stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The database file.
    pub file: PathBuf,
    /// Whether it is there, and something was made in it.
    pub exists: bool,
    /// Whether it has to be migrated before this backend can use it.
    pub needed: bool,
    /// What a migration would do.
    pub plan: Plan,
    /// What was done last.
    pub last: Option<HistoryEntry>,
}

/// Migrates the database of a store, which is not opened: [`Host::migration`].
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

impl Host {
    /// The migrations of a store, named as for [`open`](Self::open). Loads the backend and asks it for its
    /// schema; opens no store.
    ///
    /// # Errors
    ///
    /// Those of `open`; `Unsupported` where the backend exports no schema, because it keeps its records
    /// elsewhere than in SQL.
    pub async fn migration(&self, store: &str) -> Result<Migrator> {
        let config = self.store_config(store)?;
        let backend = config.backend.clone();
        let migrator = Migrator::load(self, config).await;
        migrator.map_err(|error| {
            error
                .with_operation(Operation::Migrate)
                .with_backend(&backend)
        })
    }
}

impl Migrator {
    /// The migrations of a store that is open.
    #[cfg(feature = "serve")]
    pub(crate) async fn of(store: &Store) -> Result<Self> {
        let operation = Operation::Migrate;
        let local = store.local().ok_or_else(|| {
            let message = "a store of another server cannot be migrated from here";
            Error::new(ErrorKind::Unsupported, operation, message)
        })?;
        let migrator = Self::load(&local.0.host, local.0.config.clone()).await;
        migrator.map_err(|error| {
            error
                .with_operation(Operation::Migrate)
                .with_backend(store.backend())
        })
    }

    async fn load(host: &Host, config: StoreConfig) -> Result<Self> {
        config.check()?;
        let granted = config.granted();
        let compiled = {
            let (host, name, granted) = (host.clone(), config.backend.clone(), granted.clone());
            let load = move || {
                let bytes = host.0.registry.read(&name)?;
                host.0.compiler.load(&bytes, &granted)
            };
            blocking(load).await?
        };
        let uses_sqlite = compiled
            .manifest
            .capabilities()
            .contains(&Capability::Sqlite);
        let Some(grant) = config
            .sqlite
            .filter(|_| uses_sqlite && compiled.manifest.has_schema())
        else {
            let what = format!(
                "the backend {} exports no schema: there are no tables of its own to migrate",
                config.backend
            );
            return Err(Error::new(ErrorKind::Unsupported, Operation::Migrate, what)
                .with_hint("name a store of a backend over SQLite, such as sqlite:tasks.db"));
        };
        // It needs nothing to tell its schema.
        let template = Template::without_capabilities(host.0.compiler.engine(), &compiled)?;
        let context = Arc::new(StoreContext {
            clock: Arc::clone(&host.0.clock),
            log: GuestLog::new(config.backend.clone()),
            sqlite: None,
            redis: None,
            limits: config.limits.clone(),
            measures: Arc::default(),
            injector: None,
        });
        let memory = config.limits.memory.unwrap_or(DEFAULT_POOLED_MEMORY);
        let blueprint = template.schema(&context, memory.0).await;
        let blueprint = blueprint.map_err(|fault| fault.into_error(Operation::Migrate))?;
        Ok(Self {
            backend: config.backend,
            file: grant.file(&config.namespace),
            grant,
            blueprint: Arc::new(blueprint.unwrap_or_default()),
            limits: config.limits,
            clock: Arc::clone(&host.0.clock),
        })
    }

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
    pub async fn status(&self) -> Result<Status> {
        self.run(|this, deadline| {
            let (found, plan, mut history) = this.look(deadline)?;
            Ok(Status {
                file: this.file.clone(),
                exists: !found.is_new(),
                needed: !plan.is_empty() && !plan.creates,
                plan,
                last: history.pop(),
            })
        })
        .await
    }

    /// What [`apply`](Self::apply) would do. Errors as [`status`](Self::status).
    pub async fn plan(&self) -> Result<Plan> {
        self.run(|this, deadline| Ok(this.look(deadline)?.1)).await
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
    pub async fn apply(&self, confirmed: &[String]) -> Result<Option<Applied>> {
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
        .await
    }

    /// Restores the backup of the last migration, after a backup of what is there: that has the records
    /// that were written since.
    ///
    /// # Errors
    ///
    /// `Config`: there is nothing to go back to, or the backup is missing or damaged; `Unavailable`: the
    /// database is open elsewhere; `Io`.
    pub async fn roll_back(&self) -> Result<RolledBack> {
        self.run(|this, deadline| roll_back(&this.file, this.clock.now(), deadline))
            .await
    }

    /// Every migration of this database, the first one first.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    pub async fn history(&self) -> Result<Vec<HistoryEntry>> {
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
        .await
    }

    fn look(&self, deadline: Instant) -> Result<(Found, Plan, Vec<HistoryEntry>)> {
        let wanted = Wanted::read(self.blueprint.as_ref().clone(), deadline)?;
        let unreadable = |error| failed(format!("{} cannot be read", self.file.display()), error);
        let Some(database) = self.open_to_look(deadline)? else {
            let scratch =
                connection::Connection::scratch(MAX_BYTES, deadline).map_err(unreadable)?;
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
    fn open_to_look(&self, deadline: Instant) -> Result<Option<connection::Connection>> {
        if !self.file.exists() {
            return Ok(None);
        }
        let unopened = |error| failed(format!("{} does not open", self.file.display()), error);
        connection::Connection::look(&self.file, MAX_BYTES, deadline)
            .map_err(unopened)
            .map(Some)
    }

    /// Runs what blocks, until the deadline of the calls that touch a whole store.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, Instant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        let deadline = Instant::now() + self.limits.upkeep_deadline;
        let done = blocking(move || work(&this, deadline)).await;
        done.map_err(|error| {
            error
                .with_operation(Operation::Migrate)
                .with_backend(&self.backend)
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
