//! Schema migration, for backends that keep their records in SQL and export `schema`.
//!
//! A store that is opened migrates by itself where nothing is lost, unless its grant says
//! [`Migrate::Manual`]. A hot swap never does. [`Host::migration`](crate::Host::migration) is for operators:
//!
//! ```no_run
//! # async fn example(host: mortise::Host) -> mortise::Result<()> {
//! let migrator = host.migration("sqlite:tasks.db").await?;
//! for change in migrator.plan().await?.changes {
//!     println!("{}: {}", change.what, change.why);
//! }
//! migrator.apply(&[]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`mortise_capability_sqlite::migrate`] tells how a plan is made, and what it never does.

pub use mortise_capability_sqlite::migrate::*;
