//! What runs backends: one engine, the backends that it knows, and the stores that are open on it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mortise_config::{Capability, StoreConfig};
use mortise_store::inside::{Measured, Measures, Opener};
use mortise_store::{Clock, Result};
use mortise_transfer::inside::InheritedLocks;

use crate::artifacts::Artifacts;
use crate::component::{Compiled, Compiler};
use crate::context::StoreContext;
use crate::generation::Backend;
use crate::injector::Injector;
use crate::instance::Template;
use crate::local::{Local, Origin, WeakLocal};
use crate::manifest::Manifest;
use crate::registry::Registry;
use crate::wasm;

/// Runs backends. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    compiler: Arc<Compiler>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    injector: Option<Arc<Injector>>,
    backends: Mutex<HashMap<String, Arc<Backend>>>,
    /// The stores that were opened, by their backends.
    stores: Mutex<HashMap<String, Vec<WeakLocal>>>,
    inherited_locks: InheritedLocks,
}

impl Engine {
    /// Starts the engine. Nothing is compiled or opened yet.
    ///
    /// # Errors
    ///
    /// `Config`: it does not start.
    pub fn new(
        registry: Registry,
        cache_dir: Option<&Path>,
        max_instances: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let artifacts = Artifacts::open(cache_dir);
        let compiler = Compiler::new(wasm::engine(max_instances)?, artifacts);
        Ok(Self::with(
            Arc::new(compiler),
            Arc::new(registry),
            clock,
            None,
        ))
    }

    /// The same compiled components and the same backends on another clock. Every call of a capability passes the
    /// injector.
    #[must_use]
    pub fn for_kit(&self, clock: Arc<dyn Clock>, injector: Arc<Injector>) -> Self {
        let (compiler, registry) = (&self.0.compiler, &self.0.registry);
        Self::with(
            Arc::clone(compiler),
            Arc::clone(registry),
            clock,
            Some(injector),
        )
    }

    fn with(
        compiler: Arc<Compiler>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        injector: Option<Arc<Injector>>,
    ) -> Self {
        Self(Arc::new(Inner {
            compiler,
            registry,
            clock,
            injector,
            backends: Mutex::default(),
            stores: Mutex::default(),
            inherited_locks: InheritedLocks::default(),
        }))
    }

    /// Where backends are found.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What compiles components.
    pub fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }

    /// Where the time comes from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The locks of snapshots that another process hands over.
    pub fn inherited_locks(&self) -> &InheritedLocks {
        &self.0.inherited_locks
    }

    /// Reads, checks and compiles what a backend's name leads to. Blocks.
    ///
    /// # Errors
    ///
    /// What is in the way: `Config`, `Component`, `NotGranted`.
    pub fn load(&self, backend: &str, granted: &[Capability]) -> Result<Arc<Compiled>> {
        let bytes = self.0.registry.read(backend)?;
        self.0.compiler.load(&bytes, granted)
    }

    /// Whether a component runs that is granted all it asks for. Compiles it, and runs nothing of it. Blocks.
    ///
    /// # Errors
    ///
    /// `Component`: what is in the way.
    pub fn check(&self, component: &[u8]) -> Result<()> {
        let granted = Capability::ALL;
        let compiled = self.0.compiler.load(component, &granted)?;
        Template::new(self.0.compiler.engine(), &compiled, &granted)?;
        Ok(())
    }

    /// The generations of a backend that stores are opened of.
    pub fn backend(&self, name: &str) -> Arc<Backend> {
        let mut backends = locked(&self.0.backends);
        Arc::clone(backends.entry(name.to_owned()).or_default())
    }

    /// The backends that stores are open of.
    pub fn serving_backends(&self) -> Vec<String> {
        let backends = locked(&self.0.backends);
        let serving = backends
            .iter()
            .filter(|(_, backend)| backend.current().is_some());
        serving.map(|(name, _)| name.clone()).collect()
    }

    /// The stores of a backend that are open.
    pub fn stores(&self, backend: &str) -> Vec<Local> {
        let stores = locked(&self.0.stores);
        let stores = stores.get(backend).into_iter().flatten();
        stores.filter_map(WeakLocal::upgrade).collect()
    }

    /// Adds a store, which is served by the current generation of its backend.
    pub(crate) fn add(&self, store: &Local) {
        let mut stores = locked(&self.0.stores);
        let of_backend = stores.entry(store.config().backend.clone()).or_default();
        of_backend.retain(WeakLocal::is_open);
        of_backend.push(store.downgrade());
    }

    /// What the open stores measured.
    pub fn measured(&self) -> Vec<Measured> {
        let backends = self.serving_backends().into_iter();
        let stores = backends.flat_map(|backend| self.stores(&backend));
        stores.map(|store| store.measured()).collect()
    }

    /// What a store of this configuration comes from.
    pub(crate) fn origin(&self, config: &StoreConfig, opener: Arc<dyn Opener>) -> Origin {
        Origin {
            engine: self.0.compiler.engine().clone(),
            backend: self.backend(&config.backend),
            opener,
        }
    }

    /// Opens the storage that a store is granted and its component asks for. Blocks where a file has to be opened;
    /// connects to nobody yet.
    ///
    /// # Errors
    ///
    /// What is in the way: `Config`, `Io`, `Unavailable`.
    pub fn context(
        &self,
        name: &str,
        config: &StoreConfig,
        manifest: &Manifest,
        measures: Arc<Measures>,
    ) -> Result<Arc<StoreContext>> {
        let (clock, injector) = (Arc::clone(&self.0.clock), self.0.injector.clone());
        let context = StoreContext::open(clock, injector, name, config, manifest, measures)?;
        Ok(Arc::new(context))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
