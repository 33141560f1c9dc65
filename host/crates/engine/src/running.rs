//! A generation at work for one store: its instances, opened and ready to be called.

use std::sync::Arc;

use mortise_capability_sqlite::inside::{Occasion, Preparation};
use mortise_config::StoreConfig;
use mortise_config::inside::StoreConfigInside as _;
use mortise_store::inside::{ErrorInside as _, blocking};
use mortise_store::limits::{DEFAULT_POOLED_MEMORY, DEFAULT_SINGLETON_MEMORY};
use mortise_store::{Description, Instances as Kind, Operation, Result};
use tokio::time::Instant;
use wasmtime::Engine;

use crate::breaker::Breaker;
use crate::calls;
use crate::context::StoreContext;
use crate::fault::{Fault, OpenFault};
use crate::generation::Generation;
use crate::instance::{Instance, Template};
use crate::pool::{Instances, Pool, Singleton, Starter};

/// What serves a store's calls.
pub struct Running {
    /// What serves.
    pub generation: Arc<Generation>,
    /// What the backend said about itself.
    pub description: Description,
    /// Those of a singleton go on from generation to generation, because calls queue for them.
    pub instances: Arc<Instances>,
    starter: Arc<Starter>,
    pub(crate) breaker: Breaker,
}

impl Running {
    /// Links the component with what it was granted, prepares its tables, asks who it is and opens a
    /// first instance.
    pub(crate) async fn start(
        engine: &Engine,
        store: &str,
        generation: Arc<Generation>,
        config: &StoreConfig,
        context: &Arc<StoreContext>,
        occasion: Occasion,
    ) -> Result<Self> {
        let template = Template::new(engine, &generation.compiled, &config.granted())?;
        let memory = config.limits.memory.unwrap_or(DEFAULT_POOLED_MEMORY);
        let fault = |fault: Fault| fault.into_error(Operation::Open);
        if let Some(blueprint) = template.schema(context, memory.0).await.map_err(fault)?
            && let Some(database) = &context.sqlite
        {
            let until = Instant::now() + config.limits.upkeep_deadline;
            let now = context.clock.now();
            let preparation = Preparation::of(database, blueprint, occasion, now, until);
            let prepared = blocking(move || preparation.run()).await;
            prepared.map_err(|error| error.with_operation(Operation::Open))?;
        }
        // A migration may have taken longer than a call.
        let deadline = Instant::now() + config.limits.deadline;
        // Asked of an instance of its own, before any is opened.
        let mut instance = template.start(context, memory.0).await.map_err(fault)?;
        let description = instance.run(deadline, calls::Describe()).await;
        let description = description.map_err(fault)?;
        let singleton = description.instances == Kind::Singleton;
        let memory = match config.limits.memory {
            None if singleton => DEFAULT_SINGLETON_MEMORY,
            _ => memory,
        };
        let options = config.options_for(description.instances, memory.0);
        let starter = Arc::new(Starter {
            template,
            context: Arc::clone(context),
            options,
            memory: memory.0,
        });
        let first = starter.open(deadline).await;
        let first = first.map_err(|fault| fault.into_error(Operation::Open))?;
        let instances = Arc::new(match description.instances {
            Kind::Pooled => Instances::Pooled(Box::new(Pool::new(Arc::clone(&starter), first))),
            Kind::Singleton => Instances::Singleton(Singleton::new(first)),
        });
        Ok(Self {
            generation,
            description,
            instances,
            starter,
            breaker: Breaker::new(store, &config.limits),
        })
    }

    /// The same generation, on these instances.
    #[must_use]
    pub fn on(&self, instances: &Arc<Instances>, breaker: Breaker) -> Self {
        Self {
            generation: Arc::clone(&self.generation),
            description: self.description.clone(),
            instances: Arc::clone(instances),
            starter: Arc::clone(&self.starter),
            breaker,
        }
    }

    /// One more instance, opened. What it holds in its memory, no other knows.
    pub(crate) async fn fresh_instance(&self, deadline: Instant) -> Result<Instance, OpenFault> {
        self.starter.open(deadline).await
    }

    /// The singleton, where it is one.
    pub fn singleton(&self) -> Option<&Singleton> {
        match &*self.instances {
            Instances::Singleton(singleton) => Some(singleton),
            Instances::Pooled(_) => None,
        }
    }
}
