//! Migration when a store is opened.

use std::path::{Path, PathBuf};

use mortise_config::{Migrate, Synchronous};
use mortise_store::inside::ErrorInside as _;
use mortise_store::schema::Plan;
use mortise_store::{Result, Timestamp};
use tokio::time::Instant;

use super::apply::{Applied, Job};
use super::failure::{component, failed, refused};
use super::plan::{self, Found};
use super::target::{Blueprint, MAX_BYTES, Wanted};
use crate::connection::{Access, Connection};
use crate::database::Database;

/// Who wants the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A store is opened.
    Open,
    /// A generation is to take over a store that is open: another one serves it meanwhile, on the schema
    /// that is there.
    Swap,
}

/// What a store's database needs to be prepared.
pub struct Preparation {
    pub(super) file: PathBuf,
    pub(super) migrate: Migrate,
    pub(super) synchronous: Synchronous,
    pub(super) occasion: Occasion,
    pub(super) blueprint: Blueprint,
    /// By the host's clock.
    pub(super) now: Timestamp,
    /// The limit for what touches a whole store, from now on.
    pub(super) deadline: Instant,
}

impl Preparation {
    /// How a database is to be prepared for a backend.
    pub fn of(
        database: &Database,
        blueprint: Blueprint,
        occasion: Occasion,
        now: Timestamp,
        deadline: Instant,
    ) -> Self {
        let grant = database.grant();
        Self {
            file: database.file().to_owned(),
            migrate: grant.migrate,
            synchronous: grant.synchronous,
            occasion,
            blueprint,
            now,
            deadline,
        }
    }

    /// Makes the backend's tables in an empty database, migrates an older one where that is allowed, and
    /// refuses what is not this backend's. Blocks. A database that needs nothing is only read.
    pub fn run(self) -> Result<()> {
        let wanted = Wanted::read(self.blueprint, self.deadline)?;
        let unreadable = |error| failed(format!("{} cannot be read", self.file.display()), error);
        let plan = {
            let database = Connection::open(&self.file, Access::Read, MAX_BYTES, self.deadline)
                .map_err(unreadable)?;
            // All as of one instant; it ends with the connection.
            database.execute_own("BEGIN").map_err(unreadable)?;
            let found = Found::read(&database, &self.file)?;
            found.check(&wanted, &self.file)?;
            found.plan(&database, &wanted, self.deadline)?
        };
        if plan.is_empty() {
            return Ok(());
        }
        if !plan.creates {
            check_permission(&self.file, self.occasion, self.migrate, &plan)?;
        }
        let job = Job {
            file: &self.file,
            wanted: &wanted,
            synchronous: self.synchronous,
            confirmed: &[],
            now: self.now,
            deadline: self.deadline,
        };
        if let Some(applied) = job.run()? {
            log(&self.file, &applied);
        }
        Ok(())
    }
}

fn check_permission(file: &Path, occasion: Occasion, migrate: Migrate, plan: &Plan) -> Result<()> {
    let changes = || {
        let changes = plan.changes.iter();
        changes
            .map(|change| format!("{} ({})", change.what, change.why))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let file = file.display();
    match (occasion, migrate) {
        (Occasion::Swap, migrate) => {
            let error = component(format!(
                "the component wants another schema than {file} has, and a hot swap never migrates: {}",
                changes()
            ));
            Err(match migrate == Migrate::Auto && plan::check(plan, &[]).is_ok() {
                true => error
                    .with_migration_needed()
                    .with_hint("close the store and open it anew: then it is migrated"),
                false => error.with_hint(
                    "look at it with `mortise migrate plan`, run `mortise migrate apply`, and open the store anew",
                ),
            })
        }
        (Occasion::Open, Migrate::Manual) => Err(refused(format!(
            "{file} has to be migrated, from version {} to {}, and the grant says migrate = \"manual\": {}",
            plan.from,
            plan.to,
            changes()
        ))
        .with_hint("look at it with `mortise migrate plan`, then run `mortise migrate apply`")),
        (Occasion::Open, Migrate::Auto) => plan::check(plan, &[]),
    }
}

/// Tells the log of what was done.
pub(super) fn log(file: &Path, applied: &Applied) {
    let Applied {
        plan,
        backup,
        duration_ms,
    } = applied;
    let (file, backup) = (
        file.display(),
        backup.as_ref().map(|backup| backup.display().to_string()),
    );
    if plan.creates {
        tracing::debug!(%file, version = plan.to, "the tables were made");
        return;
    }
    let changes = plan.changes.len();
    tracing::info!(%file, from = plan.from, to = plan.to, changes, backup, duration_ms, "migrated");
}
