//! What a clause works on: the component under test in a host of its own, on a storage that nobody else has.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use mortise_config::inside::StoreConfigInside as _;
use mortise_config::{Capability, StoreConfig};
use mortise_conformance::inside::{Bare, Faults, Finding, Meeting, Said, Settings, World, died};
use mortise_engine::inside::{Compiled, Fault, Injector, Instance, StoreContext, Template};
use mortise_store::inside::{Injected, Later, Rejection};
use mortise_store::limits::DEFAULT_POOLED_MEMORY;
use mortise_store::{
    Description, Draft, Key, ManualClock, Operation, Result, Revision, Stamp, Store, Stored, Write,
};
use tokio::time::Instant;

use crate::host::Host;

/// How long a call of an instance outside of any store may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The world of a host on a clock of its own.
pub(super) struct HostWorld {
    pub(super) host: Host,
    pub(super) clock: Arc<ManualClock>,
    pub(super) compiled: Arc<Compiled>,
    pub(super) description: Description,
    /// Grants exactly what the component imports, on a storage that is empty and is there as long as `place` is not
    /// dropped.
    pub(super) config: StoreConfig,
    pub(super) faults: Ordered,
    pub(super) settings: Settings,
    /// Keeps the storage there until the clause ended.
    pub(super) _place: Box<dyn Any + Send + Sync>,
}

impl World for HostWorld {
    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn config(&self) -> &StoreConfig {
        &self.config
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn uses_storage(&self) -> bool {
        let imports = self.compiled.manifest.capabilities();
        imports.into_iter().any(Capability::needs_grant)
    }

    fn component(&self) -> Result<Cow<'_, [u8]>> {
        self.host.component(&self.config.backend)
    }

    fn open(&self, config: StoreConfig) -> Later<'_, Result<Store>> {
        Box::pin(self.host.open_with(config))
    }

    fn faults(&self) -> &dyn Faults {
        &self.faults
    }

    fn bare(&self, count: usize) -> Later<'_, Result<Vec<Box<dyn Bare>>, Finding>> {
        Box::pin(async move {
            let engine = self.host.0.engine.compiler().engine();
            let template = Template::new(engine, &self.compiled, &self.config.granted())?;
            self.start(&template, count).await
        })
    }

    fn bare_without_capabilities(&self) -> Later<'_, Result<Box<dyn Bare>, Finding>> {
        Box::pin(async move {
            let engine = self.host.0.engine.compiler().engine();
            let template = Template::without_capabilities(engine, &self.compiled)?;
            let started = self.start(&template, 1).await?.pop();
            started.ok_or_else(|| Finding::broken("no instance started"))
        })
    }
}

impl HostWorld {
    async fn start(
        &self,
        template: &Template,
        count: usize,
    ) -> Result<Vec<Box<dyn Bare>>, Finding> {
        let context = context(&self.host, &self.config, &self.compiled).await?;
        let (instances, memory) = (self.description.instances, DEFAULT_POOLED_MEMORY.0);
        let options = self.config.options_for(instances, memory);
        let mut started: Vec<Box<dyn Bare>> = Vec::new();
        for _ in 0..count {
            let instance = template.start(&context, memory).await;
            let instance =
                instance.map_err(|fault| died("an instance does not start", no_answer(fault)))?;
            let options = options.clone();
            started.push(Box::new(BareInstance { instance, options }));
        }
        Ok(started)
    }
}

/// What the instances of a store share that is configured so.
pub(super) async fn context(
    host: &Host,
    config: &StoreConfig,
    compiled: &Compiled,
) -> Result<Arc<StoreContext>> {
    let manifest = &compiled.manifest;
    let engine = &host.0.engine;
    let context = engine.context(&config.backend, config, manifest, Arc::default())?;
    context.connect(deadline()).await?;
    Ok(context)
}

/// When a call of an instance that is begun now must have ended.
pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

fn no_answer(fault: Fault) -> mortise_store::Error {
    fault.into_error(Operation::Open)
}

/// An instance that belongs to no store.
struct BareInstance {
    instance: Instance,
    /// What it is opened with.
    options: Vec<(String, String)>,
}

impl Bare for BareInstance {
    fn describe(&mut self) -> Later<'_, Result<Description>> {
        Box::pin(async { self.instance.describe(deadline()).await.map_err(no_answer) })
    }

    fn open(&mut self) -> Later<'_, Said<()>> {
        let options = self.options.clone();
        let opened = self.instance.open(deadline(), options);
        Box::pin(async { opened.await.map_err(no_answer) })
    }

    fn health(&mut self) -> Later<'_, Said<()>> {
        Box::pin(async { self.instance.health(deadline()).await.map_err(no_answer) })
    }

    fn create(&mut self, draft: Draft) -> Later<'_, Said<Stamp>> {
        let created = self.instance.create(deadline(), draft);
        Box::pin(async { created.await.map_err(no_answer) })
    }

    fn load(&mut self, key: Key) -> Later<'_, Said<Option<Stored>>> {
        let loaded = self.instance.load(deadline(), key);
        Box::pin(async { loaded.await.map_err(no_answer) })
    }

    fn apply(&mut self, batch: Vec<Write>) -> Later<'_, Said<Vec<Revision>, Rejection>> {
        let applied = self.instance.apply(deadline(), batch);
        Box::pin(async { applied.await.map_err(no_answer) })
    }
}

/// Faults to order, as the engine carries them out.
pub(super) struct Ordered(pub(super) Arc<Injector>);

impl Faults for Ordered {
    fn order(&self, fault: Injected, k: u32) {
        self.0.order(fault, k);
    }

    fn withdraw(&self) -> bool {
        self.0.withdraw()
    }

    fn meet(&self, callers: usize, patience: Duration) -> Box<dyn Meeting + '_> {
        Box::new(self.0.meet(callers, patience))
    }
}
