//! One instance in one `wasmtime::Store`: calls under a deadline, and what went wrong when they fail.

use std::sync::Arc;
use std::time::Duration;

use mortise_capability_sqlite::inside::Blueprint;
use mortise_config::Capability;
use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Result};
use tokio::time::{Instant, timeout_at};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, UpdateDeadline};

use crate::bindings::convert::each;
use crate::bindings::exports::mortise::persistence::{lifecycle, store, transfer};
use crate::bindings::mortise::persistence::{clock, log, redis, sqlite};
use crate::bindings::schema::WithSchemaPre;
use crate::bindings::{Host_ as Bindings, Host_Pre as BindingsPre};
use crate::component::Compiled;
use crate::context::StoreContext;
use crate::fault::Fault;
use crate::state::{MemoryLimit, State};
use crate::wasi::Wasi;

/// What a guest has left of its deadline, at most, after a capability ran into it.
const LAST_WORD: Duration = Duration::from_millis(100);

/// A component linked with exactly what it was granted: instances come from here.
pub struct Template {
    bindings: BindingsPre<State>,
    schema: Option<WithSchemaPre<State>>,
    wasi: bool,
    engine: Engine,
}

impl Template {
    /// With what it was granted.
    ///
    /// # Errors
    ///
    /// `Component`: an import or export has another type than this host's.
    pub fn new(engine: &Engine, compiled: &Compiled, granted: &[Capability]) -> Result<Self> {
        let link = || -> wasmtime::Result<Self> {
            let mut linker = linker(engine, compiled)?;
            for capability in granted {
                grant(&mut linker, *capability)?;
            }
            Self::link(engine, compiled, &linker)
        };
        link().map_err(does_not_fit)
    }

    /// The same with none: each of its capabilities traps. For a component that must not call any.
    pub fn without_capabilities(engine: &Engine, compiled: &Compiled) -> Result<Self> {
        let link = || {
            let mut linker = linker(engine, compiled)?;
            trap_capabilities(&mut linker, engine, compiled)?;
            Self::link(engine, compiled, &linker)
        };
        link().map_err(does_not_fit)
    }

    fn link(
        engine: &Engine,
        compiled: &Compiled,
        linker: &Linker<State>,
    ) -> wasmtime::Result<Self> {
        let pre = linker.instantiate_pre(&compiled.component)?;
        let schema = match compiled.manifest.has_schema() {
            true => Some(WithSchemaPre::new(pre.clone())?),
            false => None,
        };
        Ok(Self {
            bindings: BindingsPre::new(pre)?,
            schema,
            wasi: compiled.manifest.uses_wasi(),
            engine: engine.clone(),
        })
    }

    /// Starts an instance, with `memory` bytes of linear memory at most.
    pub fn start<'a>(
        &'a self,
        context: &'a Arc<StoreContext>,
        memory: u64,
    ) -> Later<'a, Result<Instance, Fault>> {
        Box::pin(async move {
            let mut store = self.store(context, memory);
            match self.bindings.instantiate_async(&mut store).await {
                Ok(bindings) => Ok(Instance { store, bindings }),
                Err(error) => Err(fault_of(error, store.data())),
            }
        })
    }

    /// The backend's schema, where it has one. Asked of an instance of its own, before any is opened.
    pub fn schema<'a>(
        &'a self,
        context: &'a Arc<StoreContext>,
        memory: u64,
    ) -> Later<'a, Result<Option<Blueprint>, Fault>> {
        Box::pin(async move {
            let Some(schema) = &self.schema else {
                return Ok(None);
            };
            let mut store = self.store(context, memory);
            let asked = async {
                let bindings = schema.instantiate_async(&mut store).await?;
                let schema = bindings.mortise_persistence_schema();
                Ok(Blueprint {
                    target: schema.call_target(&mut store).await?,
                    steps: each(schema.call_steps(&mut store).await?),
                })
            };
            match timeout_at(Instant::now() + context.limits.deadline, asked).await {
                Ok(Ok(blueprint)) => Ok(Some(blueprint)),
                Ok(Err(error)) => Err(fault_of(error, store.data())),
                Err(_) => Err(Fault::Deadline { wrote: false }),
            }
        })
    }

    fn store(&self, context: &Arc<StoreContext>, memory: u64) -> wasmtime::Store<State> {
        let memory = MemoryLimit {
            bytes: usize::try_from(memory).unwrap_or(usize::MAX),
            refused: false,
        };
        let state = State {
            context: Arc::clone(context),
            wasi: self.wasi.then(|| Wasi::empty(&context.log)),
            deadline: Instant::now(),
            may_have_written: false,
            last_error_line: None,
            memory,
        };
        let answer = usize::try_from(context.limits.response_bytes.0).unwrap_or(usize::MAX);
        let mut store = wasmtime::Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        // tokio's own way to yield: timers and sockets are looked at before the guest goes on.
        store.epoch_deadline_callback(|_| {
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(tokio::task::yield_now()),
            ))
        });
        store.set_hostcall_fuel(answer);
        store
    }
}

/// A call into an instance: pool and singleton run any of them.
pub trait GuestCall: Send + 'static {
    /// What the component answers.
    type Answer: Send + 'static;

    /// Makes the call.
    fn run(
        self,
        instance: &mut Instance,
    ) -> impl Future<Output = wasmtime::Result<Self::Answer>> + Send;
}

/// A running component.
pub struct Instance {
    store: wasmtime::Store<State>,
    bindings: Bindings,
}

impl Instance {
    /// Runs one call. An error means that the instance is spent.
    pub async fn run<C: GuestCall>(
        &mut self,
        deadline: Instant,
        call: C,
    ) -> Result<C::Answer, Fault> {
        let state = self.store.data_mut();
        let patience = deadline.saturating_duration_since(Instant::now());
        state.deadline = deadline - (patience / 10).min(LAST_WORD);
        state.may_have_written = false;
        state.last_error_line = None;
        // In a box, so that what holds it is small: see `Instances::call`.
        match timeout_at(deadline, Box::pin(call.run(self))).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(fault_of(error, self.store.data())),
            Err(_) => Err(Fault::Deadline {
                wrote: self.store.data().may_have_written,
            }),
        }
    }

    /// The exports of `lifecycle`, with the store to call them in.
    pub(crate) fn lifecycle(&mut self) -> (&lifecycle::Guest, &mut wasmtime::Store<State>) {
        (
            self.bindings.mortise_persistence_lifecycle(),
            &mut self.store,
        )
    }

    /// The exports of `store`, with the store to call them in.
    pub(crate) fn records(&mut self) -> (&store::Guest, &mut wasmtime::Store<State>) {
        (self.bindings.mortise_persistence_store(), &mut self.store)
    }

    /// The exports of `transfer`, with the store to call them in.
    pub(crate) fn transfer(&mut self) -> (&transfer::Guest, &mut wasmtime::Store<State>) {
        (
            self.bindings.mortise_persistence_transfer(),
            &mut self.store,
        )
    }
}

/// Lets a component import a capability.
fn grant(linker: &mut Linker<State>, capability: Capability) -> wasmtime::Result<()> {
    type Own = HasSelf<State>;
    match capability {
        Capability::Clock => clock::add_to_linker::<_, Own>(linker, |state| state),
        Capability::Log => log::add_to_linker::<_, Own>(linker, |state| state),
        Capability::Sqlite => sqlite::add_to_linker::<_, Own>(linker, |state| state),
        Capability::Redis => redis::add_to_linker::<_, Own>(linker, |state| state),
        other => Err(wasmtime::Error::msg(format!(
            "this engine does not have the capability {other}"
        ))),
    }
}

/// Has every function of a capability trap. Not by `define_unknown_imports_as_traps`, which hides WASI, no
/// capability, from a component that asks for another patch release of it than this host's.
fn trap_capabilities(
    linker: &mut Linker<State>,
    engine: &Engine,
    compiled: &Compiled,
) -> wasmtime::Result<()> {
    for (name, import) in compiled.component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(capability) = import.ty else {
            continue;
        };
        if name.starts_with("wasi:") {
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (function, export) in capability.exports(engine) {
            if let ComponentItem::ComponentFunc(_) = export.ty {
                let called = format!("{name} was called: {function}");
                instance.func_new(function, move |_, _, _, _| {
                    Err(wasmtime::Error::msg(called.clone()))
                })?;
            }
        }
    }
    Ok(())
}

/// With WASI where the component imports it, and nothing else.
fn linker(engine: &Engine, compiled: &Compiled) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    if compiled.manifest.uses_wasi() {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    Ok(linker)
}

fn does_not_fit(error: wasmtime::Error) -> Error {
    Error::new(
        ErrorKind::Component,
        Operation::Open,
        "the component does not fit this host: an import or export has another type",
    )
    .with_source(error)
}

/// Reads from a failed call what happened.
fn fault_of(error: wasmtime::Error, state: &State) -> Fault {
    let wrote = state.may_have_written;
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Fault::Exhausted(error);
    }
    if state.memory.refused {
        let limit = bytesize::ByteSize(state.memory.bytes as u64);
        return Fault::Memory {
            limit,
            wrote,
            source: error,
        };
    }
    // wasmtime keeps this error's type to itself.
    if error
        .chain()
        .any(|cause| cause.to_string().contains("fuel allocated for hostcalls"))
    {
        return Fault::Answer {
            limit: state.context.limits.response_bytes,
            wrote,
        };
    }
    Fault::Trap {
        last_words: state.last_error_line.clone(),
        wrote,
        source: error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_can_be_granted() {
        let mut linker = Linker::new(&Engine::default());
        for capability in Capability::ALL {
            grant(&mut linker, capability).unwrap();
        }
    }
}
