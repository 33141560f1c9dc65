//! One instance in one `wasmtime::Store`: calls under a deadline, and what went wrong when they fail.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, ResourceLimiter, UpdateDeadline};

use crate::bindings::exports::mortise::persistence::{lifecycle, store, transfer};
use crate::bindings::mortise::persistence::{clock, log, redis, sqlite};
use crate::bindings::schema::WithSchemaPre;
use crate::bindings::{Host_ as Bindings, Host_Pre as BindingsPre};
use crate::capability::Capability;
use crate::capability::injector::Injectable;
use crate::capability::redis::Effect;
use crate::capability::wasi::Wasi;
use crate::component::Compiled;
use crate::context::StoreContext;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::migrate::Blueprint;

/// A call into an instance, boxed so that pool and singleton can run any of them.
pub(crate) type Call<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// What a guest has left of its deadline, at most, after a capability ran into it.
const LAST_WORD: Duration = Duration::from_millis(100);

/// What the host keeps beside one instance.
pub(crate) struct State {
    pub(crate) context: Arc<StoreContext>,
    pub(crate) wasi: Option<Wasi>,
    /// When the capabilities must have answered: a little before the call must have ended, so that
    /// the guest can still tell its caller what became of a write.
    pub(crate) deadline: Instant,
    /// Set as soon as the call under way handed a write to the storage.
    pub(crate) may_have_written: bool,
    /// The last line that the guest logged as an error: the message of its panic.
    pub(crate) last_error_line: Option<String>,
    memory: MemoryLimit,
}

impl State {
    /// Runs a write of a capability. Until it is known what became of it, it may have happened; of an
    /// error, `in_doubt` tells whether it still may.
    pub(crate) async fn writing<T, E: Injectable>(
        &mut self,
        write: impl Future<Output = Result<T, E>>,
        in_doubt: impl FnOnce(&E) -> bool,
    ) -> Result<T, E> {
        let wrote_before = std::mem::replace(&mut self.may_have_written, true);
        let result = match &self.context.injector {
            None => write.await,
            Some(injector) => injector.run(Effect::Writes, write).await,
        };
        if let Err(error) = &result
            && !in_doubt(error)
        {
            self.may_have_written = wrote_before;
        }
        result
    }
}

/// Refuses growth over the limit, and remembers that it did.
struct MemoryLimit {
    bytes: usize,
    refused: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.refused |= desired > self.bytes;
        Ok(desired <= self.bytes)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= crate::engine::TABLE_ELEMENTS)
    }
}

/// A component linked with exactly what it was granted: instances come from here.
pub(crate) struct Template {
    bindings: BindingsPre<State>,
    schema: Option<WithSchemaPre<State>>,
    wasi: bool,
    engine: Engine,
}

impl Template {
    pub(crate) fn new(
        engine: &Engine,
        compiled: &Compiled,
        granted: &[Capability],
    ) -> Result<Self> {
        let link = || -> wasmtime::Result<Self> {
            let mut linker = linker(engine, compiled)?;
            for capability in granted {
                type Own = HasSelf<State>;
                match capability {
                    Capability::Clock => {
                        clock::add_to_linker::<_, Own>(&mut linker, |state| state)?
                    }
                    Capability::Log => log::add_to_linker::<_, Own>(&mut linker, |state| state)?,
                    Capability::Sqlite => {
                        sqlite::add_to_linker::<_, Own>(&mut linker, |state| state)?
                    }
                    Capability::Redis => {
                        redis::add_to_linker::<_, Own>(&mut linker, |state| state)?
                    }
                }
            }
            Self::link(engine, compiled, &linker)
        };
        link().map_err(does_not_fit)
    }

    /// The same with none: each of its capabilities traps. For a component that must not call any.
    pub(crate) fn without_capabilities(engine: &Engine, compiled: &Compiled) -> Result<Self> {
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
    pub(crate) async fn start(
        &self,
        context: &Arc<StoreContext>,
        memory: u64,
    ) -> Result<Instance, Fault> {
        let mut store = self.store(context, memory);
        match self.bindings.instantiate_async(&mut store).await {
            Ok(bindings) => Ok(Instance { store, bindings }),
            Err(error) => Err(fault_of(error, store.data())),
        }
    }

    /// The backend's schema, where it has one. Asked of an instance of its own, before any is opened.
    pub(crate) async fn schema(
        &self,
        context: &Arc<StoreContext>,
        memory: u64,
    ) -> Result<Option<Blueprint>, Fault> {
        let Some(schema) = &self.schema else {
            return Ok(None);
        };
        let mut store = self.store(context, memory);
        let asked = async {
            let bindings = schema.instantiate_async(&mut store).await?;
            let schema = bindings.mortise_persistence_schema();
            Ok(Blueprint {
                target: schema.call_target(&mut store).await?,
                steps: schema.call_steps(&mut store).await?,
            })
        };
        match timeout_at(Instant::now() + context.limits.deadline, asked).await {
            Ok(Ok(blueprint)) => Ok(Some(blueprint)),
            Ok(Err(error)) => Err(fault_of(error, store.data())),
            Err(_) => Err(Fault::Deadline { wrote: false }),
        }
    }

    fn store(&self, context: &Arc<StoreContext>, memory: u64) -> wasmtime::Store<State> {
        let memory = MemoryLimit {
            bytes: usize::try_from(memory).unwrap_or(usize::MAX),
            refused: false,
        };
        let state = State {
            context: Arc::clone(context),
            wasi: self.wasi.then(|| Wasi::empty(context)),
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

/// A running component.
pub(crate) struct Instance {
    pub(crate) store: wasmtime::Store<State>,
    bindings: Bindings,
}

/// Why a call did not end with an answer. The instance must not be called again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the component trapped")]
    Trap {
        last_words: Option<String>,
        wrote: bool,
        source: wasmtime::Error,
    },
    #[error("the component asked for more than its {limit} of memory")]
    Memory {
        limit: bytesize::ByteSize,
        wrote: bool,
        source: wasmtime::Error,
    },
    #[error("the component handed over more than the {limit} that an answer may have")]
    Answer {
        limit: bytesize::ByteSize,
        wrote: bool,
    },
    #[error("the call did not end within its deadline")]
    Deadline { wrote: bool },
    #[error("no instance was free within the deadline of {0:?}")]
    Busy(Duration),
    #[error("writes were held back for the whole deadline of {0:?}, while all records were read")]
    Held(Duration),
    #[error("the backend keeps its records in memory, and lost them when it trapped")]
    StateLost,
    #[error("the host runs as many instances as it may")]
    Exhausted(wasmtime::Error),
}

impl Fault {
    /// The public error for a call of `operation` that ended so.
    pub(crate) fn into_error(self, operation: Operation) -> Error {
        let message = self.to_string();
        let (kind, wrote) = match &self {
            Self::Trap { wrote, .. } | Self::Memory { wrote, .. } => (ErrorKind::Trap, *wrote),
            Self::Answer { wrote, .. } => (ErrorKind::TooLarge, *wrote),
            Self::Deadline { wrote } => (ErrorKind::Deadline, *wrote),
            Self::Busy(_) | Self::Held(_) | Self::Exhausted(_) => (ErrorKind::Unavailable, false),
            Self::StateLost => (ErrorKind::StateLost, false),
        };
        let mut error = if wrote {
            let message = format!("the write may or may not have happened: {message}");
            Error::new(ErrorKind::Ambiguous, operation, message)
                .with_hint("load the record before trying again")
        } else {
            Error::new(kind, operation, message)
        };
        match self {
            Self::Trap {
                last_words, source, ..
            } => {
                error = error.with_backend_message(last_words).with_source(source);
            }
            Self::Memory { source, .. } | Self::Exhausted(source) => {
                error = error.with_source(source);
            }
            Self::StateLost => error = error.with_hint("reopen the store; it starts empty"),
            Self::Busy(_) => error = error.with_hint("raise the limit `concurrency`, or try again"),
            Self::Held(_) => {
                error = error.with_hint("a hot swap or a snapshot is under way: try again")
            }
            Self::Answer { .. } => error = error.with_hint("ask for less at once"),
            Self::Deadline { .. } => {}
        }
        error
    }
}

impl Instance {
    /// Runs one call. An error means that the instance is spent.
    pub(crate) async fn run<T>(
        &mut self,
        deadline: Instant,
        call: impl for<'a> FnOnce(&'a mut Self) -> Call<'a, T>,
    ) -> Result<T, Fault> {
        let state = self.store.data_mut();
        let patience = deadline.saturating_duration_since(Instant::now());
        state.deadline = deadline - (patience / 10).min(LAST_WORD);
        state.may_have_written = false;
        state.last_error_line = None;
        match timeout_at(deadline, call(self)).await {
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
