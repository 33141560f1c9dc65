//! A store that is opened here: its instances, its calls, and what is done for it now and then.

mod calls;

use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Place, Store};
use crate::arguments::Arguments;
use crate::config::StoreConfig;
use crate::context::StoreContext;
use crate::error::{Error, Operation, Result};
use crate::generation::Generation;
use crate::host::Host;
use crate::limits::{Limits, MAX_PAGE_RECORDS};
use crate::manifest::{Digest, Manifest};
use crate::metrics::Measures;
use crate::migrate::Occasion;
use crate::record::{Description, Timestamp};
use crate::running::Running;
use crate::snapshot::{Snapshot, Snapshots};
use crate::status::Status;
use crate::work::blocking;

/// How many expired records one call of the sweeper removes.
const SWEEP_RECORDS: u32 = 500;
/// How many calls the sweeper makes in a row: a backend that always finds more would keep it busy for ever.
const SWEEP_CALLS: u32 = 1_000;

/// A store that is opened here. What swaps its backend or writes its snapshots takes one of these, because none of
/// that can be done to a store that a server has. Its calls take for granted that their arguments were checked.
#[derive(Clone)]
pub(crate) struct Local(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) host: Host,
    name: String,
    pub(crate) config: StoreConfig,
    pub(crate) context: Arc<StoreContext>,
    running: RwLock<Arc<Running>>,
    pub(crate) snapshots: Option<Snapshots>,
    /// Why this is not the configured backend, but what the store falls back on.
    fallback: OnceLock<String>,
}

/// The same store, as callers hold it.
impl From<&Local> for Store {
    fn from(local: &Local) -> Self {
        Self(Place::Here(local.clone()))
    }
}

impl Local {
    pub(crate) async fn open(host: &Host, name: &str, config: StoreConfig) -> Result<Self> {
        config.check()?;
        let backend = host.backend(&config.backend);
        let _no_swap = backend.swapping.read().await;
        let loading = {
            let (host, config, name) = (host.clone(), config.clone(), name.to_owned());
            let measures = backend.measures(&name);
            // Compiling and opening files block.
            move || load(&host, &name, &config, measures)
        };
        let (generation, context, snapshots) = blocking(loading).await?;
        context
            .connect(Instant::now() + config.limits.deadline)
            .await?;
        let occasion = Occasion::Open;
        let store =
            Self::start(host, name, config, generation, context, snapshots, occasion).await?;
        if let Some(snapshots) = &store.0.snapshots {
            if store.running().singleton().is_none() {
                let what = "the backend keeps its records outside of itself, expected no snapshot";
                return Err(Error::config(what));
            }
            snapshots.restore(&Store::from(&store)).await?;
            let store = Arc::downgrade(&store.0);
            tokio::spawn(take_snapshots_regularly(store, snapshots.interval));
        }
        backend.add(Arc::downgrade(&store.0));
        tokio::spawn(sweep_regularly(
            Arc::downgrade(&store.0),
            store.0.config.sweep_interval,
        ));
        host.take_back_refusal(store.backend(), &store.digest());
        tracing::debug!(store = name, backend = store.backend(), digest = %store.digest(), "opened");
        Ok(store)
    }

    /// A store that nobody but the caller knows of, healthy, served by `generation`.
    pub(crate) async fn start(
        host: &Host,
        name: &str,
        config: StoreConfig,
        generation: Arc<Generation>,
        context: Arc<StoreContext>,
        snapshots: Option<Snapshots>,
        occasion: Occasion,
    ) -> Result<Self> {
        let engine = host.0.compiler.engine();
        let running = Running::start(engine, name, generation, &config, &context, occasion).await?;
        let store = Self(Arc::new(Inner {
            host: host.clone(),
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
    }

    /// Says that this store stands in for another one, which did not open, and why.
    pub(crate) fn stands_in(&self, reason: String) {
        // It is said once, by who opened it.
        let _ = self.0.fallback.set(reason);
    }

    /// What serves its calls now. One that serves a call stays until the call has ended.
    pub(crate) fn running(&self) -> Arc<Running> {
        Arc::clone(
            &self
                .0
                .running
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// From now on, `running` serves its calls.
    pub(crate) fn run(&self, running: Running) {
        *self
            .0
            .running
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(running);
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn backend(&self) -> &str {
        &self.0.config.backend
    }

    pub(super) fn namespace(&self) -> &str {
        &self.0.config.namespace
    }

    pub(super) fn manifest(&self) -> Manifest {
        self.running().generation.compiled.manifest.clone()
    }

    fn digest(&self) -> Digest {
        self.running().generation.compiled.manifest.digest
    }

    pub(crate) fn describe(&self) -> Description {
        self.running().description.clone()
    }

    pub(crate) fn status(&self) -> Status {
        let running = self.running();
        let (traps, last_trap) = running.breaker.traps();
        let snapshots = self.0.snapshots.as_ref();
        Status {
            generation: running.generation.number,
            digest: running.generation.compiled.manifest.digest,
            refusal: self.0.host.backend(self.backend()).refusal(),
            breaker: running.breaker.state(),
            traps,
            last_trap,
            state_lost: running.instances.is_lost(),
            snapshot: snapshots.and_then(Snapshots::last),
            snapshot_taken_at: snapshots.and_then(Snapshots::taken_at),
            instances: running.instances.counts(),
            fallback: self.0.fallback.get().cloned(),
        }
    }

    pub(super) fn shares_storage_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.context.is_same_storage(&other.0.context)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.context.limits
    }

    /// The time, by the host's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.context.clock.now()
    }

    pub(super) async fn reopen(&self) -> Result<()> {
        let running = self.running();
        let Some(singleton) = running.singleton() else {
            return Ok(());
        };
        let Some(snapshots) = &self.0.snapshots else {
            let deadline = Instant::now() + self.limits().deadline;
            let fresh = running.fresh_instance(deadline).await;
            let fresh = fresh.map_err(|fault| {
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

    pub(crate) async fn snapshot(&self) -> Result<Option<Snapshot>> {
        match &self.0.snapshots {
            Some(snapshots) if snapshots.is_behind() => snapshots.take(self).await.map(Some),
            _ => Ok(None),
        }
    }

    /// A store that nobody but the caller knows of, on the same storage, served by `generation`.
    pub(crate) async fn another(&self, generation: Arc<Generation>) -> Result<Self> {
        let (config, context) = (self.0.config.clone(), Arc::clone(&self.0.context));
        Self::start(
            &self.0.host,
            &self.0.name,
            config,
            generation,
            context,
            None,
            Occasion::Swap,
        )
        .await
        .map_err(|error| error.with_backend(self.backend()))
    }

    /// What checks the arguments of a call.
    pub(crate) fn arguments(&self, operation: Operation) -> Arguments<'_> {
        let limits = self.limits();
        let running = self.running();
        let about = &running.description;
        Arguments {
            operation,
            limits,
            max_body_bytes: limits.body_bytes.0.min(about.max_body_bytes),
            max_batch: about.max_batch.min(MAX_PAGE_RECORDS) as usize,
        }
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

/// What blocks: reading and compiling the component, opening the database.
fn load(
    host: &Host,
    name: &str,
    config: &StoreConfig,
    measures: Arc<Measures>,
) -> Result<(Arc<Generation>, Arc<StoreContext>, Option<Snapshots>)> {
    let granted = config.granted();
    let generation = host.backend(&config.backend).current_or(&granted, || {
        let bytes = host.0.registry.read(&config.backend)?;
        host.0.compiler.load(&bytes, &granted)
    })?;
    let manifest = &generation.compiled.manifest;
    let context = StoreContext::open(host, name, config, manifest, measures)?;
    let snapshot = config.snapshot.as_ref();
    let locks = &host.0.inherited_locks;
    let snapshots = snapshot.map(|snapshot| Snapshots::open(snapshot, &config.namespace, locks));
    Ok((generation, Arc::new(context), snapshots.transpose()?))
}

/// Takes snapshots as long as the store is open.
async fn take_snapshots_regularly(store: Weak<Inner>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(inner) = store.upgrade() else { return };
        // Reported where it is taken; the next round tries again.
        let _ = Local(inner).snapshot().await;
    }
}

/// Removes expired records as long as the store is open.
async fn sweep_regularly(store: Weak<Inner>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        for _ in 0..SWEEP_CALLS {
            let Some(inner) = store.upgrade() else { return };
            match Local(inner).sweep(SWEEP_RECORDS).await {
                Ok(SWEEP_RECORDS) => {}
                Ok(_) => break,
                // Reported by the call itself; the next round tries again.
                Err(_) => break,
            }
        }
    }
}
