//! Loading a backend to migrate the database of a store, which is not opened for it.

use std::sync::Arc;

use mortise_capability_sqlite::inside::MigratorInside as _;
use mortise_capability_sqlite::migrate::Migrator;
use mortise_config::inside::{SqliteGrantInside as _, StoreConfigInside as _};
use mortise_config::{Capability, StoreConfig};
use mortise_engine::inside::{Engine, StoreContext, Template};
use mortise_store::inside::{ErrorInside as _, Later, blocking};
use mortise_store::limits::DEFAULT_POOLED_MEMORY;
use mortise_store::{Error, ErrorKind, Operation, Result};

use crate::host::Host;

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
        load(&self.0.engine, config).await
    }
}

/// The migrations of a store that is configured so.
pub(crate) fn load(engine: &Engine, config: StoreConfig) -> Later<'_, Result<Migrator>> {
    Box::pin(async move {
        let backend = config.backend.clone();
        let migrator = load_backend(engine, config).await;
        migrator.map_err(|error| {
            error
                .with_operation(Operation::Migrate)
                .with_backend(&backend)
        })
    })
}

async fn load_backend(engine: &Engine, config: StoreConfig) -> Result<Migrator> {
    config.check()?;
    let compiled = {
        let (engine, name, granted) = (engine.clone(), config.backend.clone(), config.granted());
        blocking(move || engine.load(&name, &granted)).await?
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
    let template = Template::without_capabilities(engine.compiler().engine(), &compiled)?;
    let clock = Arc::clone(engine.clock());
    let context =
        StoreContext::without_storage(Arc::clone(&clock), &config.backend, &config.limits);
    let memory = config.limits.memory.unwrap_or(DEFAULT_POOLED_MEMORY);
    let blueprint = template.schema(&Arc::new(context), memory.0).await;
    let blueprint = blueprint.map_err(|fault| fault.into_error(Operation::Migrate))?;
    let file = grant.file(&config.namespace);
    Ok(Migrator::new(
        config.backend,
        file,
        grant,
        blueprint.unwrap_or_default(),
        config.limits,
        clock,
    ))
}
