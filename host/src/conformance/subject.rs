//! One clause's own world: the component under test, a clock that the clause turns, and a storage that
//! nobody else has.

use std::any::Any;
use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::Engine;

use super::clause::Finding;
use crate::calls;
use crate::capability::Capability;
use crate::capability::clock::ManualClock;
use crate::capability::injector::Injector;
use crate::component::Compiled;
use crate::config::StoreConfig;
use crate::context::StoreContext;
use crate::error::Result;
use crate::host::Host;
use crate::instance::{Fault, Instance, Template};
use crate::limits::DEFAULT_POOLED_MEMORY;
use crate::record::{Description, Instances};
use crate::store::Store;

/// When the clock of a clause starts: 2026-01-01T00:00:00Z.
pub(super) const START: u64 = 1_767_225_600_000;
/// How long a call of an instance outside of any store may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one clause works on. Cheap to clone; all clones are one world.
#[derive(Clone)]
pub(super) struct Subject(Arc<Inner>);

struct Inner {
    host: Host,
    clock: Arc<ManualClock>,
    compiled: Arc<Compiled>,
    description: Description,
    config: StoreConfig,
    injector: Arc<Injector>,
    settings: Settings,
    /// Keeps the storage there until the clause ended.
    _place: Box<dyn Any + Send + Sync>,
}

/// What whoever runs the kit chose.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// What random choices begin with.
    pub(super) seed: u64,
    /// How many random sequences are tried.
    pub(super) cases: u32,
    /// The command of a process to kill, and its arguments.
    pub(super) worker: Option<Vec<OsString>>,
}

impl Subject {
    /// The world of a host on this clock. `config` grants exactly what the component imports, on a
    /// storage that is empty and is there as long as `place` is not dropped.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is another part of the world"
    )]
    pub(super) fn new(
        host: Host,
        clock: Arc<ManualClock>,
        compiled: Arc<Compiled>,
        description: Description,
        config: StoreConfig,
        injector: Arc<Injector>,
        settings: Settings,
        place: impl Any + Send + Sync,
    ) -> Self {
        Self(Arc::new(Inner {
            host,
            clock,
            compiled,
            description,
            config,
            injector,
            settings,
            _place: Box::new(place),
        }))
    }

    /// The host's clock. It stands still at [`START`] until it is turned.
    pub(super) fn clock(&self) -> &ManualClock {
        &self.0.clock
    }

    /// What the backend said about itself.
    pub(super) fn description(&self) -> &Description {
        &self.0.description
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.0.description.instances == Instances::Pooled
    }

    /// What random choices begin with.
    pub(super) fn seed(&self) -> u64 {
        self.0.settings.seed
    }

    /// How many random sequences are tried.
    pub(super) fn cases(&self) -> u32 {
        self.0.settings.cases
    }

    /// The command of a process to kill, and its arguments.
    pub(super) fn worker(&self) -> Option<&[OsString]> {
        self.0.settings.worker.as_deref()
    }

    /// What makes capabilities fail.
    pub(super) fn injector(&self) -> &Injector {
        &self.0.injector
    }

    /// The component's file.
    pub(super) fn component(&self) -> Result<Cow<'_, [u8]>> {
        self.0.host.component(&self.0.config.backend)
    }

    /// Whether it imports a capability that can fail.
    pub(super) fn uses_storage(&self) -> bool {
        let imports = self.0.compiled.manifest.capabilities();
        imports.into_iter().any(Capability::needs_grant)
    }

    /// How the store is configured.
    pub(super) fn config(&self) -> &StoreConfig {
        &self.0.config
    }

    /// Opens the store. Opened once more it is the same storage, or, of a singleton, an empty one.
    pub(super) async fn open(&self) -> Result<Store> {
        self.open_with(|config| config).await
    }

    /// Opens the store with a changed configuration: another namespace, options, limits.
    pub(super) async fn open_with(
        &self,
        change: impl FnOnce(StoreConfig) -> StoreConfig,
    ) -> Result<Store> {
        self.0.host.open_with(change(self.0.config.clone())).await
    }

    /// Closes the store, and opens it again.
    pub(super) async fn reopen(&self, store: Store) -> Result<Store> {
        drop(store);
        self.open().await
    }

    /// Passes over the clause where the backend does not keep records beyond its instances.
    pub(super) fn require_pooled(&self) -> Result<(), Finding> {
        match self.is_pooled() {
            true => Ok(()),
            false => Err(Finding::not_applicable(
                "the backend is a singleton: each of its stores has records of its own",
            )),
        }
    }

    /// Starts instances of one store that nobody opened yet.
    pub(super) async fn instances(&self, count: usize) -> Result<Vec<Instance>, Finding> {
        let Inner {
            compiled, config, ..
        } = &*self.0;
        let template = Template::new(self.engine(), compiled, &config.granted())?;
        self.start(&template, count).await
    }

    /// Starts an instance for which every capability traps.
    pub(super) async fn instance_without_capabilities(&self) -> Result<Instance, Finding> {
        let template = Template::without_capabilities(self.engine(), &self.0.compiled)?;
        let started = self.start(&template, 1).await?.pop();
        started.ok_or_else(|| Finding::broken("no instance started"))
    }

    async fn start(&self, template: &Template, count: usize) -> Result<Vec<Instance>, Finding> {
        let context = context(&self.0.host, &self.0.config, &self.0.compiled).await?;
        let mut instances = Vec::new();
        for _ in 0..count {
            let started = template.start(&context, DEFAULT_POOLED_MEMORY.0).await;
            instances.push(started.map_err(|fault| died("an instance does not start", fault))?);
        }
        Ok(instances)
    }

    /// Opens an instance as the host would.
    pub(super) async fn open_instance(&self, instance: &mut Instance) -> Result<(), Finding> {
        let Inner {
            config,
            description,
            ..
        } = &*self.0;
        let options = config.options_for(description.instances, DEFAULT_POOLED_MEMORY.0);
        let opened = instance.run(deadline(), calls::open(options));
        match opened.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Finding::broken(format!("open is refused: {error:?}"))),
            Err(fault) => Err(died("open does not answer", fault)),
        }
    }

    fn engine(&self) -> &Engine {
        self.0.host.0.compiler.engine()
    }
}

/// What the instances of a store share that is configured so.
pub(super) async fn context(
    host: &Host,
    config: &StoreConfig,
    compiled: &Compiled,
) -> Result<Arc<StoreContext>> {
    let manifest = &compiled.manifest;
    let context = StoreContext::open(host, &config.backend, config, manifest, Arc::default())?;
    context.connect(deadline()).await?;
    Ok(Arc::new(context))
}

/// What an instance says about itself.
pub(super) async fn describe(instance: &mut Instance) -> Result<Description, Fault> {
    instance.run(deadline(), calls::describe()).await
}

/// When a call of an instance that is begun now must have ended.
pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// The finding where an instance did not answer.
pub(super) fn died(what: &str, fault: Fault) -> Finding {
    Finding::broken(format!(
        "{what}: {}",
        fault.into_error(crate::Operation::Open)
    ))
}
