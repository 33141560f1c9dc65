//! One clause's own world: the component under test, a clock that the clause turns, and a storage that
//! nobody else has.
//!
//! Whoever runs the clauses makes it: the kit of the host for a component, a test for the model.

use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use mortise_config::StoreConfig;
use mortise_store::inside::{ContractError, Injected, Later, Rejection};
use mortise_store::{
    Description, Draft, Error, Instances, Key, ManualClock, Result, Revision, Stamp, Store, Stored,
    Write,
};

use crate::clause::Finding;

/// When the clock of a clause starts: 2026-01-01T00:00:00Z.
pub const START: u64 = 1_767_225_600_000;

/// What one clause works on, made anew for each.
pub trait World: Send + Sync + 'static {
    /// The clock of its stores. It stands still at [`START`] until it is turned.
    fn clock(&self) -> &ManualClock;

    /// What the backend said about itself.
    fn description(&self) -> &Description;

    /// How the store is configured: it grants exactly what the component imports, on a storage that is
    /// empty, and is there as long as the world is.
    fn config(&self) -> &StoreConfig;

    /// What whoever runs the clauses chose.
    fn settings(&self) -> &Settings;

    /// Whether the component imports a capability that can fail.
    fn uses_storage(&self) -> bool;

    /// The component's file.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn component(&self) -> Result<Cow<'_, [u8]>>;

    /// Opens a store that is configured so. Opened once more it is the same storage, or, of a singleton,
    /// an empty one.
    fn open(&self, config: StoreConfig) -> Later<'_, Result<Store>>;

    /// What makes the capabilities of all its stores fail, or wait.
    fn faults(&self) -> &dyn Faults;

    /// Starts instances of one store that nobody opened yet.
    fn bare(&self, count: usize) -> Later<'_, Result<Vec<Box<dyn Bare>>, Finding>>;

    /// Starts an instance for which every capability traps.
    fn bare_without_capabilities(&self) -> Later<'_, Result<Box<dyn Bare>, Finding>>;
}

/// What whoever runs the clauses chose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What random choices begin with.
    pub seed: u64,
    /// How many random sequences are tried.
    pub cases: u32,
    /// The command of a process to kill, and its arguments.
    pub worker: Option<Vec<OsString>>,
}

/// Faults to order: what all instances of a world's stores pass on their way to a capability.
pub trait Faults: Send + Sync {
    /// Makes the `k`-th call from now on fail, counted from 1; for [`Injected::Full`], the `k`-th write.
    fn order(&self, fault: Injected, k: u32);

    /// Takes the order back; false where it was carried out already.
    fn withdraw(&self) -> bool;

    /// Lets calls wait for one another until the answer is dropped: so many go on together. One that is
    /// left alone goes on when its patience ends.
    fn meet(&self, callers: usize, patience: Duration) -> Box<dyn Meeting + '_>;
}

/// Calls wait for one another until this is dropped.
pub trait Meeting: Send + Sync {}

impl<T: Send + Sync> Meeting for T {}

/// What a bare instance said to a call: the backend's own answer, or why there was none.
pub type Said<T, E = ContractError> = Result<std::result::Result<T, E>>;

/// One instance of the component, outside of any store: nothing checks what it is asked, nor what it
/// answers. Each call has to end within a patience of the world's own.
pub trait Bare: Send {
    /// What the instance says about itself.
    fn describe(&mut self) -> Later<'_, Result<Description>>;

    /// Opens the instance as the host would.
    fn open(&mut self) -> Later<'_, Said<()>>;

    /// As the contract has it.
    fn health(&mut self) -> Later<'_, Said<()>>;

    /// As the contract has it.
    fn create(&mut self, draft: Draft) -> Later<'_, Said<Stamp>>;

    /// As the contract has it.
    fn load(&mut self, key: Key) -> Later<'_, Said<Option<Stored>>>;

    /// As the contract has it.
    fn apply(&mut self, batch: Vec<Write>) -> Later<'_, Said<Vec<Revision>, Rejection>>;
}

/// The finding where an instance did not answer.
pub fn died(what: &str, error: Error) -> Finding {
    Finding::broken(format!("{what}: {error}"))
}

/// A world, as clauses see it. Cheap to clone; all clones are one world.
#[derive(Clone)]
pub struct Subject(Arc<dyn World>);

impl Subject {
    /// What a clause works on.
    pub fn new(world: impl World) -> Self {
        Self(Arc::new(world))
    }

    /// The host's clock. It stands still at [`START`] until it is turned.
    pub(crate) fn clock(&self) -> &ManualClock {
        self.0.clock()
    }

    /// What the backend said about itself.
    pub(crate) fn description(&self) -> &Description {
        self.0.description()
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.description().instances == Instances::Pooled
    }

    /// What random choices begin with.
    #[cfg(feature = "kit")]
    pub(crate) fn seed(&self) -> u64 {
        self.0.settings().seed
    }

    /// How many random sequences are tried.
    #[cfg(feature = "kit")]
    pub(crate) fn cases(&self) -> u32 {
        self.0.settings().cases
    }

    /// The command of a process to kill, and its arguments.
    #[cfg(feature = "kit")]
    pub(crate) fn worker(&self) -> Option<&[OsString]> {
        self.0.settings().worker.as_deref()
    }

    /// What makes capabilities fail.
    #[cfg(feature = "kit")]
    pub(crate) fn faults(&self) -> &dyn Faults {
        self.0.faults()
    }

    /// The component's file.
    #[cfg(feature = "kit")]
    pub(crate) fn component(&self) -> Result<Cow<'_, [u8]>> {
        self.0.component()
    }

    /// Whether it imports a capability that can fail.
    #[cfg(feature = "kit")]
    pub(crate) fn uses_storage(&self) -> bool {
        self.0.uses_storage()
    }

    /// How the store is configured.
    pub(crate) fn config(&self) -> &StoreConfig {
        self.0.config()
    }

    /// Opens the store. Opened once more it is the same storage, or, of a singleton, an empty one.
    pub(crate) async fn open(&self) -> Result<Store> {
        self.open_with(|config| config).await
    }

    /// Opens the store with a changed configuration: another namespace, options, limits.
    pub(crate) fn open_with(
        &self,
        change: impl FnOnce(StoreConfig) -> StoreConfig,
    ) -> Later<'_, Result<Store>> {
        self.0.open(change(self.config().clone()))
    }

    /// Closes the store, and opens it again.
    pub(crate) async fn reopen(&self, store: Store) -> Result<Store> {
        drop(store);
        self.open().await
    }

    /// Passes over the clause where the backend does not keep records beyond its instances.
    pub(crate) fn require_pooled(&self) -> Result<(), Finding> {
        match self.is_pooled() {
            true => Ok(()),
            false => Err(Finding::not_applicable(
                "the backend is a singleton: each of its stores has records of its own",
            )),
        }
    }

    /// Starts instances of one store that nobody opened yet.
    pub(crate) async fn instances(&self, count: usize) -> Result<Vec<Box<dyn Bare>>, Finding> {
        self.0.bare(count).await
    }

    /// Starts an instance for which every capability traps.
    pub(crate) async fn instance_without_capabilities(&self) -> Result<Box<dyn Bare>, Finding> {
        self.0.bare_without_capabilities().await
    }
}

/// Opens an instance as the host would.
pub(crate) async fn open_instance(instance: &mut Box<dyn Bare>) -> Result<(), Finding> {
    match instance.open().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Finding::broken(format!("open is refused: {error:?}"))),
        Err(error) => Err(died("open does not answer", error)),
    }
}
