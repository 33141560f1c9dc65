//! Opening a store, in stages that look down only: check, load, place, start, restore.

use std::sync::Arc;
use std::time::Duration;

use mortise_capability_sqlite::inside::Occasion;
use mortise_config::StoreConfig;
use mortise_config::inside::{SnapshotConfigInside as _, StoreConfigInside as _};
use mortise_store::inside::{ErrorInside as _, Later, Measures, Opener, Place as _, blocking};
use mortise_store::{Error, Result, Store};
use mortise_transfer::inside::Snapshots;
use tokio::time::Instant;

use crate::context::StoreContext;
use crate::engine::Engine;
use crate::generation::Generation;
use crate::local::{Local, Origin, WeakLocal};

/// How many expired records one call of the sweeper removes.
const SWEEP_RECORDS: u32 = 500;
/// How many calls the sweeper makes in a row: a backend that always finds more would keep it busy for ever.
const SWEEP_CALLS: u32 = 1_000;

/// What was loaded and opened for a store that has not started.
struct Placed {
    generation: Arc<Generation>,
    context: Arc<StoreContext>,
    snapshots: Option<Snapshots>,
}

impl Engine {
    /// Opens a store under this name, for `opener`.
    ///
    /// # Errors
    ///
    /// Those of `Host::open`.
    pub fn open<'a>(
        &'a self,
        opener: Arc<dyn Opener>,
        name: &'a str,
        config: StoreConfig,
    ) -> Later<'a, Result<Local>> {
        Box::pin(async move {
            config.check()?;
            let origin = self.origin(&config, opener);
            let _no_swap = origin.backend.swapping.read().await;
            let placed = place(self, &origin, name, &config).await?;
            let store = start(&origin, name, config, placed).await?;
            restore(&store).await?;
            self.add(&store);
            let interval = store.config().sweep_interval;
            tokio::spawn(sweep_regularly(store.downgrade(), interval));
            tracing::debug!(store = name, backend = store.backend(), digest = %store.digest(), "opened");
            Ok(store)
        })
    }
}

/// Loads the component and opens the storage.
async fn place(
    engine: &Engine,
    origin: &Origin,
    name: &str,
    config: &StoreConfig,
) -> Result<Placed> {
    let loading = {
        let (engine, origin) = (engine.clone(), origin.clone());
        let (config, name) = (config.clone(), name.to_owned());
        let measures = origin.backend.measures(&name);
        // Compiling and opening files block.
        move || load(&engine, &origin, &name, &config, measures)
    };
    let placed = blocking(loading).await?;
    let deadline = Instant::now() + config.limits.deadline;
    placed.context.connect(deadline).await?;
    Ok(placed)
}

/// What blocks: reading and compiling the component, opening the database.
fn load(
    engine: &Engine,
    origin: &Origin,
    name: &str,
    config: &StoreConfig,
    measures: Arc<Measures>,
) -> Result<Placed> {
    let granted = config.granted();
    let generation = origin
        .backend
        .current_or(&granted, || engine.load(&config.backend, &granted))?;
    let manifest = &generation.compiled.manifest;
    let context = engine.context(name, config, manifest, measures)?;
    let locks = engine.inherited_locks();
    let snapshots = config.snapshot.as_ref().map(|snapshot| {
        let file = snapshot.file(&config.namespace);
        Snapshots::open(file, snapshot.interval, locks)
    });
    Ok(Placed {
        generation,
        context,
        snapshots: snapshots.transpose()?,
    })
}

/// Has the generation serve the store.
async fn start(origin: &Origin, name: &str, config: StoreConfig, placed: Placed) -> Result<Local> {
    let Placed {
        generation,
        context,
        snapshots,
    } = placed;
    let occasion = Occasion::Open;
    Local::start(
        origin, name, config, generation, context, snapshots, occasion,
    )
    .await
}

/// Writes the records of its snapshot to a singleton, and takes further ones.
async fn restore(store: &Local) -> Result<()> {
    let Some(snapshots) = store.snapshots() else {
        return Ok(());
    };
    if store.running().singleton().is_none() {
        let what = "the backend keeps its records outside of itself, expected no snapshot";
        return Err(Error::config(what));
    }
    snapshots.restore(&Store::from(store)).await?;
    let interval = snapshots.interval;
    tokio::spawn(take_snapshots_regularly(store.downgrade(), interval));
    Ok(())
}

/// Takes snapshots as long as the store is open.
async fn take_snapshots_regularly(store: WeakLocal, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(store) = store.upgrade() else { return };
        // Reported where it is taken; the next round tries again.
        let _ = store.snapshot().await;
    }
}

/// Removes expired records as long as the store is open.
async fn sweep_regularly(store: WeakLocal, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        for _ in 0..SWEEP_CALLS {
            let Some(store) = store.upgrade() else { return };
            match store.sweep(SWEEP_RECORDS).await {
                Ok(SWEEP_RECORDS) => {}
                Ok(_) => break,
                // Reported by the call itself; the next round tries again.
                Err(_) => break,
            }
        }
    }
}
