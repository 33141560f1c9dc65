//! The generations of a backend: which version of its component serves, and which stores.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mortise_config::Capability;
use mortise_store::inside::Measures;
use mortise_store::{Refusal, Result};

use crate::component::Compiled;

/// One loaded version of a backend's component.
pub struct Generation {
    /// Counted from 1 for each backend of a host.
    pub number: u64,
    /// Its component.
    pub compiled: Arc<Compiled>,
}

/// A backend that a host has opened stores of.
///
/// All its stores are served by one generation. As long as one of them is open, further ones are opened
/// with that generation too, whatever the plug-in folder holds by then: what is there was not tried yet.
#[derive(Default)]
pub struct Backend {
    /// Held shared while a store is opened, and alone while generations are swapped: no store misses a
    /// swap.
    pub swapping: Arc<tokio::sync::RwLock<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of the last generation that served.
    last: u64,
    /// Its stores keep it alive.
    current: Weak<Generation>,
    /// What served before: for a roll-back.
    previous: Option<Arc<Generation>>,
    /// The component that was to take over last, where it did not.
    refusal: Option<Refusal>,
    /// What its stores count, by their names.
    measures: HashMap<String, Weak<Measures>>,
}

impl Backend {
    /// What serves, or what `load` brings where nothing does. `granted` is all it may ask for.
    pub fn current_or(
        &self,
        granted: &[Capability],
        load: impl FnOnce() -> Result<Arc<Compiled>>,
    ) -> Result<Arc<Generation>> {
        if let Some(current) = self.current() {
            current.compiled.manifest.check_imports(granted)?;
            return Ok(current);
        }
        let compiled = load()?;
        let mut state = self.lock();
        // Another store may have been opened meanwhile.
        if let Some(current) = state.current.upgrade() {
            drop(state);
            current.compiled.manifest.check_imports(granted)?;
            return Ok(current);
        }
        let generation = state.next(compiled);
        state.serve(&generation);
        state.previous = None;
        state.refusal = None;
        Ok(generation)
    }

    /// What serves; none where no store is open.
    pub fn current(&self) -> Option<Arc<Generation>> {
        self.lock().current.upgrade()
    }

    /// What served before.
    pub fn previous(&self) -> Option<Arc<Generation>> {
        self.lock().previous.clone()
    }

    /// A generation that does not serve yet.
    pub fn next(&self, compiled: Arc<Compiled>) -> Arc<Generation> {
        self.lock().next(compiled)
    }

    /// From now on `generation` serves.
    pub fn serve(&self, generation: &Arc<Generation>) {
        let mut state = self.lock();
        state.previous = state.current.upgrade();
        state.serve(generation);
    }

    /// Keeps why the last swap failed, where it did.
    pub fn settle(&self, refusal: Option<Refusal>) {
        self.lock().refusal = refusal;
    }

    /// Why the last swap failed, where it did.
    pub fn refusal(&self) -> Option<Refusal> {
        self.lock().refusal.clone()
    }

    /// What the stores of this name count: the same as long as one of them is open.
    pub fn measures(&self, store: &str) -> Arc<Measures> {
        let mut state = self.lock();
        let kept = state.measures.get(store).and_then(Weak::upgrade);
        kept.unwrap_or_else(|| {
            state
                .measures
                .retain(|_, counted| counted.strong_count() > 0);
            let measures = Arc::default();
            let counted = Arc::downgrade(&measures);
            state.measures.insert(store.to_owned(), counted);
            measures
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&self, compiled: Arc<Compiled>) -> Arc<Generation> {
        let number = self.last + 1;
        Arc::new(Generation { number, compiled })
    }

    fn serve(&mut self, generation: &Arc<Generation>) {
        self.last = generation.number;
        self.current = Arc::downgrade(generation);
    }
}
