//! Schema migration, for backends that keep their records in SQL and export `schema`.
//!
//! The wanted schema is made in a scratch database in memory, from the backend's `target`, and compared with
//! the database's own. What differs becomes a [`Plan`]: the backend's own steps between versions first,
//! then tables, columns, indexes, triggers and views that are missing, and a rebuild for what ALTER TABLE
//! cannot do. What the database has beyond that stays.
//!
//! - A plan is worked out, and tried on an empty replay of the database, before anything is written.
//! - What would be lost has a name ([`Loss`]), and is refused unless the operator confirms it by this name.
//! - One transaction does all or nothing. A backup comes before it, and is checked; a lock keeps other
//!   processes waiting, which then find it done.
//! - `PRAGMA user_version` is the version of the last step that was taken; `PRAGMA application_id` marks the
//!   database ([`APPLICATION_ID`]); the table `migration_history` tells what was done.
//!
//! A store that is opened migrates by itself where nothing is lost, unless its grant says
//! [`Migrate::Manual`]. A hot swap never does. `Host::migration` is for operators:
//!
//! ```no_run
//! # use mortise_capability_sqlite::migrate::Migrator;
//! # async fn example(migrator: Migrator) -> mortise_store::Result<()> {
//! // From `host.migration("sqlite:tasks.db").await?`.
//! for change in migrator.plan().await?.changes {
//!     println!("{}: {}", change.what, change.why);
//! }
//! migrator.apply(&[]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//!
//! A backend's statements name their columns: those that a migration adds stand last. Each text of `target` and
//! of a step is one statement; an INSERT of `target` runs only where the table that it fills is created. Steps run with foreign
//! keys unchecked, as SQLite's own procedure for a rebuild wants it, so that they cascade nothing; they are
//! checked before the commit.

mod apply;
mod backup;
mod compare;
mod definition;
mod failure;
mod history;
mod lock;
pub(crate) mod migrator;
mod needs;
pub(crate) mod open;
mod plan;
mod rebuild;
mod rollback;
mod schema;
mod sql;
mod steps;
pub(crate) mod target;
#[cfg(test)]
mod tests;

pub use apply::Applied;
pub use migrator::Migrator;
pub use mortise_config::Migrate;
pub use mortise_store::schema::{Change, HistoryEntry, Loss, Outcome, Plan, Status};
pub use plan::APPLICATION_ID;
pub use rollback::RolledBack;
