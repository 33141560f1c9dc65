//! A store that is opened here: its instances, its calls, and what is done for it now and then.

mod calls;

use std::any::Any;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use mortise_capability_sqlite::inside::Occasion;
use mortise_config::StoreConfig;
use mortise_store::inside::{
    ErrorInside as _, Held, Here, Later, Measured, NotHeld, Opener, Place, StoreInside as _,
};
use mortise_store::{Digest, Operation, Result, Snapshot, Store};
use mortise_transfer::inside::Snapshots;
use tokio::time::Instant;
use wasmtime::Engine;

use crate::context::StoreContext;
use crate::fault::OpenFault;
use crate::generation::{Backend, Generation};
use crate::running::Running;

/// A store that is opened here. What swaps its backend takes one of these, because that cannot be done to a store that a
/// server has. Its calls take for granted that their arguments were checked.
#[derive(Clone)]
pub struct Local(Arc<Inner>);

struct Inner {
    origin: Origin,
    name: String,
    config: StoreConfig,
    context: Arc<StoreContext>,
    running: RwLock<Arc<Running>>,
    snapshots: Option<Snapshots>,
    /// Why this is not the configured backend, but what the store falls back on.
    fallback: OnceLock<String>,
}

/// What a store comes from.
#[derive(Clone)]
pub struct Origin {
    /// What runs its instances.
    pub(crate) engine: Engine,
    /// The generations of its backend.
    pub(crate) backend: Arc<Backend>,
    /// What opened it.
    pub(crate) opener: Arc<dyn Opener>,
}

/// A store that may have been closed.
pub(crate) struct WeakLocal(Weak<Inner>);

impl WeakLocal {
    /// The store, while it is open.
    pub(crate) fn upgrade(&self) -> Option<Local> {
        self.0.upgrade().map(Local)
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// The same store, as callers hold it.
impl From<&Local> for Store {
    fn from(local: &Local) -> Self {
        Self::at(Arc::new(local.clone()))
    }
}

impl Local {
    /// The store that is opened here; none where another process has it.
    pub fn of(store: &Store) -> Option<&Self> {
        (store.place() as &dyn Any).downcast_ref()
    }

    /// A store that nobody but the caller knows of, healthy, served by `generation`.
    pub fn start<'a>(
        origin: &'a Origin,
        name: &'a str,
        config: StoreConfig,
        generation: Arc<Generation>,
        context: Arc<StoreContext>,
        snapshots: Option<Snapshots>,
        occasion: Occasion,
    ) -> Later<'a, Result<Self>> {
        Box::pin(async move {
            let engine = &origin.engine;
            let running =
                Running::start(engine, name, generation, &config, &context, occasion).await?;
            let store = Self(Arc::new(Inner {
                origin: origin.clone(),
                name: name.to_owned(),
                config,
                context,
                running: RwLock::new(Arc::new(running)),
                snapshots,
                fallback: OnceLock::new(),
            }));
            store
                .health()
                .await
                .map_err(|error| error.with_operation(Operation::Open))?;
            Ok(store)
        })
    }

    /// The store, as long as others keep it open.
    pub(crate) fn downgrade(&self) -> WeakLocal {
        WeakLocal(Arc::downgrade(&self.0))
    }

    /// Says that this store stands in for another one, which did not open, and why.
    pub fn stands_in(&self, reason: String) {
        // It is said once, by who opened it.
        let _ = self.0.fallback.set(reason);
    }

    /// What serves its calls now. One that serves a call stays until the call has ended.
    pub fn running(&self) -> Arc<Running> {
        Arc::clone(
            &self
                .0
                .running
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// From now on, `running` serves its calls.
    pub fn run(&self, running: Running) {
        *self
            .0
            .running
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(running);
    }

    /// What it comes from.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// How it is configured.
    pub fn config(&self) -> &StoreConfig {
        &self.0.config
    }

    /// The snapshots of a singleton, where some are configured.
    pub(crate) fn snapshots(&self) -> Option<&Snapshots> {
        self.0.snapshots.as_ref()
    }

    /// The component that serves.
    pub fn digest(&self) -> Digest {
        self.running().generation.compiled.manifest.digest
    }

    /// A store that nobody but the caller knows of, on the same storage, served by `generation`.
    pub fn another(&self, generation: Arc<Generation>) -> Later<'_, Result<Self>> {
        Box::pin(async move {
            let (config, context) = (self.0.config.clone(), Arc::clone(&self.0.context));
            Self::start(
                &self.0.origin,
                &self.0.name,
                config,
                generation,
                context,
                None,
                Occasion::Swap,
            )
            .await
            .map_err(|error| error.with_backend(self.backend()))
        })
    }

    /// What it measured, and how it is doing.
    pub(crate) fn measured(&self) -> Measured {
        Measured {
            store: self.0.name.clone(),
            backend: self.0.config.backend.clone(),
            measures: Arc::clone(&self.0.context.measures),
            status: self.status(),
            takes_snapshots: self.0.snapshots.is_some(),
            has_sqlite: self.0.context.sqlite.is_some(),
        }
    }

    async fn start_anew(&self) -> Result<()> {
        let running = self.running();
        let Some(singleton) = running.singleton() else {
            return Ok(());
        };
        let Some(snapshots) = &self.0.snapshots else {
            let deadline = Instant::now() + self.limits().deadline;
            let fresh = running.fresh_instance(deadline).await;
            let fresh = fresh.map_err(|fault: OpenFault| {
                let error = fault.into_error(Operation::Open);
                error.with_backend(self.backend())
            })?;
            singleton.replace(fresh).await;
            return Ok(());
        };
        // Nobody sees records before all of them are there.
        let fresh = self.another(Arc::clone(&running.generation)).await?;
        snapshots.restore(&Store::from(&fresh)).await?;
        if let Some(fresh) = fresh.running().singleton() {
            singleton.take_over(fresh).await;
        }
        Ok(())
    }

    async fn take_snapshot(&self) -> Result<Option<Snapshot>> {
        let Some(snapshots) = &self.0.snapshots else {
            return Ok(None);
        };
        if !snapshots.is_behind() {
            return Ok(None);
        }
        let measures = &self.0.context.measures;
        let taken = snapshots.take(&Store::from(self), measures).await;
        taken.map(Some)
    }
}

impl Here for Local {
    fn hold_writes(&self, until: Instant) -> Later<'_, Result<Held, NotHeld>> {
        Box::pin(async move {
            let running = self.running();
            let singleton = running.singleton().ok_or(NotHeld::Pooled)?;
            let held = singleton.hold_writes(until).await.ok_or(NotHeld::Busy)?;
            Ok(Box::new(held) as Held)
        })
    }

    fn snapshot_lock(&self) -> Option<(&Path, &File)> {
        self.0.snapshots.as_ref().map(Snapshots::lock)
    }

    fn opener(&self) -> Arc<dyn Opener> {
        Arc::clone(&self.0.origin.opener)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.snapshots.as_ref().is_some_and(Snapshots::is_behind) {
            tracing::warn!(
                store = self.name,
                "dropped without being closed: what was written since the last snapshot is lost"
            );
        }
    }
}
