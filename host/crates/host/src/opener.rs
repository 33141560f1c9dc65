//! The host, as its stores know it.

use std::fs::File;
use std::path::PathBuf;

use mortise_engine::inside::Local;
use mortise_store::inside::{ErrorInside as _, Later, Measured, Opener};
use mortise_store::{Error, ErrorKind, Operation, Result, Store, schema};
use tokio::sync::watch;

use crate::host::Host;
use crate::migration;

impl Opener for Host {
    fn prepare<'a>(&'a self, store: &'a str) -> Later<'a, Result<()>> {
        self.load(store)
    }

    fn inherit(&self, snapshot: PathBuf, lock: File) {
        self.0.engine.inherited_locks().add(snapshot, lock);
    }

    fn unmigrated(&self) -> watch::Receiver<Option<String>> {
        self.0.unmigrated.subscribe()
    }

    fn reload<'a>(&'a self, backend: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move { Host::reload(self, backend).await.map(drop) })
    }

    fn migration<'a>(&'a self, store: &'a Store) -> Later<'a, Result<schema::Status>> {
        Box::pin(async move {
            let local = Local::of(store).ok_or_else(|| {
                let message = "a store of another server cannot be migrated from here";
                Error::new(ErrorKind::Unsupported, Operation::Migrate, message)
            })?;
            let config = local.config().clone();
            let migrator = migration::load(&self.0.engine, config).await?;
            migrator.status().await
        })
    }

    fn measured(&self) -> Vec<Measured> {
        self.0.engine.measured()
    }
}
