//! Hot swap: a new generation of a backend takes over while calls go on.
//!
//! The new component is checked and compiled beside the calls. Then it has to show, for each store of
//! its backend, that it works: a *canary* keeps a smoke set of the contract's promises in a scratch
//! namespace of the store's own storage, and after it an instance opens on the store itself. Only when all of
//! that held for all stores are they swapped. Calls under way end on the generation that they began on,
//! each within its own deadline. If anything fails, the old generation goes on, and nobody noticed.

mod canary;
mod refusal;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use mortise_config::Capability;
use mortise_engine::inside::{Backend, Breaker, Compiled, Engine, Generation};
use mortise_store::inside::{ErrorInside as _, Later, Place as _, blocking, finished};
use mortise_store::{Description, Digest, Error, ErrorKind, Operation, Result, Store};
use mortise_transfer::inside::hand_over;
use tokio::time::Instant;

use crate::host::Host;

pub use watch::Watch;

/// What a reload, or a roll-back, came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reload {
    /// The generation that serves now.
    pub generation: u64,
    /// Its component.
    pub digest: Digest,
    /// How many stores were swapped. None where the component is the one that served already.
    pub swapped: usize,
    /// How long a singleton's writes were held back while its records were handed over.
    pub held: Duration,
}

impl Host {
    /// Swaps all stores of a backend to the component that its name leads to now: in the plug-in folder,
    /// or carried. Does nothing where that is the one that serves.
    ///
    /// Goes on to its end if the caller gives up.
    ///
    /// # Errors
    ///
    /// What is wrong with the new component: `Component`, `NotGranted`, `Trap`, …; the old generation
    /// serves on. `Config` where no store of this backend is open.
    pub async fn reload(&self, backend: &str) -> Result<Reload> {
        self.swap_forward(backend).await
    }

    fn swap_forward<'a>(&'a self, backend: &'a str) -> Later<'a, Result<Reload>> {
        Box::pin(async move {
            let generations = self.0.engine.backend(backend);
            serving(&generations).map_err(|error| error.with_backend(backend))?;
            self.to_the_end(backend, |engine, name| async move {
                let backend = engine.backend(&name);
                let compiled = compile(&engine, &name).await?;
                let _alone = Arc::clone(&backend.swapping).write_owned().await;
                let serving = serving(&backend)?;
                let digest = compiled.manifest.digest;
                if serving.compiled.manifest.digest == digest {
                    return Ok(Reload {
                        generation: serving.number,
                        digest,
                        swapped: 0,
                        held: Duration::ZERO,
                    });
                }
                let generation = backend.next(compiled);
                for store in engine.stores(&name) {
                    canary::try_out(&engine, &store, &generation).await?;
                }
                swap(&engine, &name, generation).await
            })
            .await
        })
    }

    /// Swaps all stores of a backend back to the component that served before this one, as a generation
    /// of its own. The next roll-back leads forward again.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload); `Config` where none served before.
    pub async fn roll_back(&self, backend: &str) -> Result<Reload> {
        self.swap_back(backend).await
    }

    fn swap_back<'a>(&'a self, backend: &'a str) -> Later<'a, Result<Reload>> {
        Box::pin(async move {
            let generations = self.0.engine.backend(backend);
            let previous = serving(&generations).and_then(|_| {
                let none = || Error::config("no generation served before this one");
                generations.previous().ok_or_else(none)
            });
            let previous = previous.map_err(|error| error.with_backend(backend))?;
            self.to_the_end(backend, |engine, name| async move {
                let backend = engine.backend(&name);
                let _alone = Arc::clone(&backend.swapping).write_owned().await;
                // It served these stores before, and needs no canary.
                let generation = backend.next(Arc::clone(&previous.compiled));
                swap(&engine, &name, generation).await
            })
            .await
        })
    }

    /// Reloads every backend that stores are open of; what became of each.
    pub async fn reload_all(&self) -> Vec<(String, Result<Reload>)> {
        let mut reloads = Vec::new();
        for name in self.0.engine.serving_backends() {
            let reload = self.reload(&name).await;
            reloads.push((name, reload));
        }
        reloads
    }

    /// Runs a swap as a task, so that no caller can leave it half-way, and tells of its end.
    async fn to_the_end<F>(
        &self,
        backend: &str,
        swap: impl FnOnce(Engine, String) -> F,
    ) -> Result<Reload>
    where
        F: Future<Output = Result<Reload>> + Send + 'static,
    {
        let swapping = swap(self.0.engine.clone(), backend.to_owned());
        let result = finished(tokio::spawn(swapping)).await;
        let result = result.map_err(|error| {
            error
                .with_operation(Operation::Reload)
                .with_backend(backend)
        });
        self.settle(backend, &result);
        result
    }
}

/// Reads, checks and compiles what a backend's name leads to.
async fn compile(engine: &Engine, name: &str) -> Result<Arc<Compiled>> {
    let (engine, name) = (engine.clone(), name.to_owned());
    // Each store has its own grants, and checks them when it opens.
    blocking(move || engine.load(&name, &Capability::ALL)).await
}

fn serving(backend: &Backend) -> Result<Arc<Generation>> {
    backend.current().ok_or_else(|| {
        Error::config("no store of this backend is open")
            .with_hint("there is nothing to swap: the next store that is opened loads it")
    })
}

/// Has `generation` serve all stores of a backend, or none.
async fn swap(engine: &Engine, backend: &str, generation: Arc<Generation>) -> Result<Reload> {
    let (mut swaps, mut unmigrated) = (Vec::new(), None);
    for store in engine.stores(backend) {
        let running = store.running();
        let successor = match store.another(Arc::clone(&generation)).await {
            Ok(successor) => successor,
            // Told only where nothing else is in the way of any store: then opening them anew is all that it takes.
            Err(error) if error.needs_migration() => {
                unmigrated.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        check_kin(&running.description, &successor.describe())?;
        swaps.push((store, running, successor));
    }
    if let Some(error) = unmigrated {
        return Err(error);
    }
    let (since, mut held) = (Instant::now(), Vec::new());
    for (store, running, successor) in &swaps {
        // What a singleton lost is not there to be handed over; its store says so until it is reopened.
        if let Some(singleton) = running.singleton()
            && !singleton.is_lost().await
        {
            let deadline = since + store.limits().upkeep_deadline;
            let writes = singleton
                .hold_writes(deadline)
                .await
                .ok_or_else(still_busy)?;
            let (from, to) = (Store::from(store), Store::from(successor));
            let handed_over = tokio::time::timeout_at(deadline, hand_over(&from, &to));
            handed_over.await.map_err(|_| still_busy())??;
            held.push(writes);
        }
    }
    // Nothing can fail any more.
    for (store, running, successor) in &swaps {
        let next = successor.running();
        let instances = match (running.singleton(), next.singleton()) {
            (Some(old), Some(new)) => {
                if !old.is_lost().await {
                    old.take_over(new).await;
                }
                &running.instances
            }
            _ => &next.instances,
        };
        store.run(next.on(instances, Breaker::new(store.name(), store.limits())));
    }
    engine.backend(backend).serve(&generation);
    let held = match held.is_empty() {
        true => Duration::ZERO,
        false => since.elapsed(),
    };
    Ok(Reload {
        generation: generation.number,
        digest: generation.compiled.manifest.digest,
        swapped: swaps.len(),
        held,
    })
}

fn still_busy() -> Error {
    Error::new(
        ErrorKind::Deadline,
        Operation::Reload,
        "the records were not handed over within the limit upkeep-deadline",
    )
}

/// Refuses a successor that keeps its records elsewhere than the one that serves.
fn check_kin(serving: &Description, successor: &Description) -> Result<()> {
    let kind = |description: &Description| (description.instances, description.durable);
    if kind(serving) == kind(successor) {
        return Ok(());
    }
    let told = |description: &Description| {
        let durable = if description.durable {
            "durable"
        } else {
            "not durable"
        };
        format!("{:?} and {durable}", description.instances).to_lowercase()
    };
    Err(Error::new(
        ErrorKind::Component,
        Operation::Reload,
        format!(
            "the new component is {}, the one that serves is {}",
            told(successor),
            told(serving)
        ),
    )
    .with_hint("another kind of backend needs a name of its own, and a store that is copied"))
}
