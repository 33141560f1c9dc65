//! The typed API on records.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::arguments::Arguments;
use crate::bindings::mortise::persistence::types::Error as Contract;
use crate::breaker::Breaker;
use crate::capability::log::GuestLog;
use crate::capability::redis::Redis;
use crate::capability::sqlite::Database;
use crate::capability::{Capability, clock::Clock};
use crate::component::Compiled;
use crate::config::{MAX_PAGE_BYTES_OPTION, MAX_STORE_BYTES_OPTION, StoreConfig};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::host::Host;
use crate::instance::{Call, Instance, StoreContext, Template};
use crate::limits::{DEFAULT_POOLED_MEMORY, DEFAULT_SINGLETON_MEMORY, Limits, MAX_PAGE_RECORDS};
use crate::manifest::Manifest;
use crate::pool::{Instances, OpenFault, Pool, Singleton, Starter};
use crate::quarantine::Quarantine;
use crate::record::{
    CollectionStatistics, Description, Draft, Instances as Kind, Key, Page, Query, Revision, Stamp,
    Stored, Write,
};
use crate::status::Status;

/// How many expired records one call of the sweeper removes.
const SWEEP_RECORDS: u32 = 500;

/// An opened store. Cheap to clone, callable from any number of tasks; it closes when the last clone
/// is dropped, which may block for some milliseconds while files are closed.
///
/// Each call checks its arguments against the contract's rules, runs on an instance of the backend
/// under the store's deadline, and either answers or fails with an [`Error`] that names the operation,
/// the backend and the record.
///
/// **Giving up a call** (dropping its future) leaves the store whole. A read simply ends. A write that
/// was under way may still happen, as with any store that is asked over a wire.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    name: String,
    backend: String,
    namespace: String,
    compiled: Arc<Compiled>,
    description: Description,
    context: Arc<StoreContext>,
    instances: Instances,
    breaker: Breaker,
    /// Why this is not the configured backend, but what the store falls back on.
    fallback: Option<String>,
}

type Answer<T> = Result<T, Contract>;

impl Store {
    pub(crate) async fn open(
        host: &Host,
        name: &str,
        config: StoreConfig,
        fallback: Option<String>,
    ) -> Result<Self> {
        config.check()?;
        let granted = config.granted();
        let loading = {
            let (host, config, name) = (host.clone(), config.clone(), name.to_owned());
            // Compiling and opening files block.
            tokio::task::spawn_blocking(move || load(&host, &name, &config))
        };
        let (compiled, context) = match loading.await {
            Ok(loaded) => loaded?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {
                let message = "the runtime is shutting down";
                return Err(Error::new(ErrorKind::Unavailable, Operation::Open, message));
            }
        };
        let template = Template::new(host.0.compiler.engine(), &compiled, &granted)?;
        let deadline = Instant::now() + config.limits.deadline;
        if let Some(redis) = &context.redis {
            redis.connect(deadline).await?;
        }
        let memory = config.limits.memory.unwrap_or(DEFAULT_POOLED_MEMORY);
        let fault = |fault: crate::instance::Fault| fault.into_error(Operation::Open);
        if let Some(target) = template.schema(&context, memory.0).await.map_err(fault)?
            && let Some(database) = &context.sqlite
        {
            database.prepare(target, deadline).await?;
        }
        let description = describe(&template, &context, memory.0, deadline)
            .await
            .map_err(fault)?;
        let singleton = description.instances == Kind::Singleton;
        let memory = match config.limits.memory {
            None if singleton => DEFAULT_SINGLETON_MEMORY,
            _ => memory,
        };
        let mut options = vec![(
            MAX_PAGE_BYTES_OPTION.to_owned(),
            config.limits.page_bytes.0.to_string(),
        )];
        let half = singleton.then_some(bytesize::ByteSize(memory.0 / 2));
        if let Some(bytes) = config.limits.store_bytes.or(half) {
            options.push((MAX_STORE_BYTES_OPTION.to_owned(), bytes.0.to_string()));
        }
        options.extend(config.options);
        let starter = Starter {
            template,
            context: Arc::clone(&context),
            options,
            memory: memory.0,
        };
        let refused = |error| open_error(error, Operation::Open);
        let first = starter.open(deadline).await.map_err(refused)?;
        let instances = match description.instances {
            Kind::Pooled => Instances::Pooled(Pool::new(starter, first)),
            Kind::Singleton => Instances::Singleton(Singleton::new(starter, first)),
        };
        let breaker = Breaker::new(name, &config.limits);
        let store = Self(Arc::new(Inner {
            name: name.to_owned(),
            backend: config.backend,
            namespace: config.namespace,
            compiled,
            description,
            context,
            instances,
            breaker,
            fallback,
        }));
        store
            .health()
            .await
            .map_err(|error| error.with_operation(Operation::Open))?;
        tokio::spawn(sweep_regularly(
            Arc::downgrade(&store.0),
            config.sweep_interval,
        ));
        tracing::debug!(store = name, backend = store.backend(), digest = %store.manifest().digest, "opened");
        Ok(store)
    }

    /// Its name in the configuration, or the backend's where it was opened by URL.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.0.backend
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// What the component says about itself by its imports and exports.
    pub fn manifest(&self) -> &Manifest {
        &self.0.compiled.manifest
    }

    /// What the backend says about itself.
    pub fn describe(&self) -> &Description {
        &self.0.description
    }

    /// How it is doing. Calls nothing: [`health`](Self::health) reaches the storage.
    pub fn status(&self) -> Status {
        let (traps, last_trap) = self.0.breaker.traps();
        Status {
            breaker: self.0.breaker.state(),
            traps,
            last_trap,
            state_lost: self.0.instances.is_lost(),
            fallback: self.0.fallback.clone(),
        }
    }

    /// How many instances are started and idle.
    pub fn idle_instances(&self) -> usize {
        self.0.instances.idle()
    }

    /// The largest body that this store takes: the smaller of the operator's limit and the backend's.
    pub fn max_body_bytes(&self) -> u64 {
        self.0
            .context
            .limits
            .body_bytes
            .0
            .min(self.0.description.max_body_bytes)
    }

    /// The corrupt records that were set aside.
    pub fn quarantine(&self) -> Quarantine {
        Quarantine::new(self.clone())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.context.limits
    }

    /// Writes a record that is not there yet.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; those of every call: `Invalid`, `TooLarge`, `Unavailable`, `Ambiguous`,
    /// `Internal`, `Trap`, `Deadline`, `StateLost`.
    pub async fn create(&self, draft: Draft) -> Result<Stamp> {
        let operation = Operation::Create;
        self.arguments(operation).draft(&draft)?;
        let key = draft.key.clone();
        self.call(operation, Some(key), move |instance| {
            Box::pin(async move {
                let (records, store) = instance.records();
                records.call_create(store, &draft).await
            })
        })
        .await
    }

    /// Reads a record; none where there is none, or an expired one.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it cannot be read back: it was set aside ([`quarantine`](Self::quarantine)); those
    /// of every call.
    pub async fn load(&self, key: &Key) -> Result<Option<Stored>> {
        let operation = Operation::Load;
        self.arguments(operation).key(key)?;
        let wanted = key.clone();
        self.call(operation, Some(key.clone()), move |instance| {
            Box::pin(async move {
                let (records, store) = instance.records();
                records.call_load(store, &wanted).await
            })
        })
        .await
    }

    /// Reads up to 1,000 records as of one instant, in the order asked; absent ones are none.
    ///
    /// # Errors
    ///
    /// `TooLarge` where they do not fit one answer (the limit `page-bytes`); `Corrupt`, as
    /// [`load`](Self::load); those of every call.
    pub async fn load_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Stored>>> {
        let operation = Operation::LoadMany;
        self.arguments(operation).keys(&keys)?;
        let count = keys.len();
        let answer = self
            .call(operation, None, move |instance| {
                Box::pin(async move {
                    let (records, store) = instance.records();
                    records.call_load_many(store, &keys).await
                })
            })
            .await?;
        self.answered(operation, count, answer.len())?;
        Ok(answer)
    }

    /// Replaces a record that is there; with a revision, only while it is unchanged since.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict` (with the current record); `Corrupt` where the answer depends on a record
    /// that cannot be read back; those of every call.
    pub async fn update(&self, draft: Draft, expect: Option<Revision>) -> Result<Stamp> {
        let operation = Operation::Update;
        let arguments = self.arguments(operation);
        arguments.draft(&draft)?;
        arguments.revision(expect)?;
        let key = draft.key.clone();
        self.call(operation, Some(key), move |instance| {
            Box::pin(async move {
                let (records, store) = instance.records();
                records.call_update(store, &draft, expect).await
            })
        })
        .await
    }

    /// Removes a record that is there; with a revision, only while it is unchanged since.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict` (with the current record); those of every call.
    pub async fn delete(&self, key: &Key, expect: Option<Revision>) -> Result<()> {
        let operation = Operation::Delete;
        let arguments = self.arguments(operation);
        arguments.key(key)?;
        arguments.revision(expect)?;
        let unwanted = key.clone();
        self.call(operation, Some(key.clone()), move |instance| {
            Box::pin(async move {
                let (records, store) = instance.records();
                records.call_delete(store, &unwanted, expect).await
            })
        })
        .await
    }

    /// One page of the records that match. Go on with `query.after(page.next)`. Corrupt records are set
    /// aside and left out.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not of this query; those of every call.
    pub async fn find(&self, query: Query) -> Result<Page> {
        let operation = Operation::Find;
        self.arguments(operation).query(&query)?;
        self.call(operation, None, move |instance| {
            Box::pin(async move {
                let (records, store) = instance.records();
                records.call_find(store, &query).await
            })
        })
        .await
    }

    /// All writes or none, in order; answers the revision of each.
    ///
    /// # Errors
    ///
    /// That of the write that failed the batch, which [`Error::write_index`] names; those of every
    /// call.
    pub async fn apply(&self, batch: Vec<Write>) -> Result<Vec<Revision>> {
        let operation = Operation::Apply;
        self.arguments(operation).batch(&batch)?;
        let keys: Vec<Key> = batch.iter().map(|write| write.key().clone()).collect();
        let answer = self
            .call(operation, None, move |instance| {
                Box::pin(async move {
                    let (records, store) = instance.records();
                    // A rejection is an answer too: which write, and why.
                    Ok(Ok(records.call_apply(store, &batch).await?))
                })
            })
            .await?;
        match answer {
            Ok(revisions) => {
                self.answered(operation, keys.len(), revisions.len())?;
                Ok(revisions)
            }
            Err(rejection) => {
                let index = rejection.index as usize;
                let error = Error::from_contract(operation, rejection.error)
                    .with_backend(self.backend())
                    .with_write_index(index);
                Err(match keys.into_iter().nth(index) {
                    Some(key) => error.with_key(key),
                    None => error,
                })
            }
        }
    }

    /// One page of every record of every collection, in the order of their creation. Corrupt records are
    /// set aside, and come on a later page as what they were set aside as.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not of an export; those of every call.
    pub async fn export(&self, after: Option<String>, limit: u32) -> Result<Page> {
        let operation = Operation::Export;
        self.arguments(operation).page(after.as_deref(), limit)?;
        self.call(operation, None, move |instance| {
            Box::pin(async move {
                let (transfer, store) = instance.transfer();
                transfer.call_export(store, after.as_deref(), limit).await
            })
        })
        .await
    }

    /// Writes up to 1,000 records with their stamps, all or none. What is there with the same stamp is
    /// left alone.
    ///
    /// # Errors
    ///
    /// `Conflict` where another record is under a key, `Invalid` where a revision is taken by another
    /// record; those of every call.
    pub async fn import(&self, records: Vec<Stored>) -> Result<()> {
        let operation = Operation::Import;
        self.arguments(operation).imported(&records)?;
        self.call(operation, None, move |instance| {
            Box::pin(async move {
                let (transfer, store) = instance.transfer();
                transfer.call_import(store, &records).await
            })
        })
        .await
    }

    /// Removes up to `limit` expired records (1 to 1,000); how many went. The store does so by itself
    /// every `sweep-interval`.
    pub async fn sweep(&self, limit: u32) -> Result<u32> {
        let operation = Operation::Sweep;
        self.arguments(operation).limit(limit)?;
        self.call(operation, None, move |instance| {
            Box::pin(async move {
                let (transfer, store) = instance.transfer();
                transfer.call_sweep(store, limit).await
            })
        })
        .await
    }

    /// Removes every record of a collection, or of all; how many unexpired ones went.
    pub async fn clear(&self, collection: Option<&str>) -> Result<u64> {
        let operation = Operation::Clear;
        if let Some(collection) = collection {
            self.arguments(operation).collection(collection)?;
        }
        let collection = collection.map(str::to_owned);
        self.call(operation, None, move |instance| {
            Box::pin(async move {
                let (transfer, store) = instance.transfer();
                transfer.call_clear(store, collection.as_deref()).await
            })
        })
        .await
    }

    /// Counts every collection that holds a record.
    pub async fn statistics(&self) -> Result<Vec<CollectionStatistics>> {
        self.call(Operation::Statistics, None, move |instance| {
            Box::pin(async move {
                let (transfer, store) = instance.transfer();
                transfer.call_statistics(store).await
            })
        })
        .await
    }

    /// Reaches the storage and comes back, or says why not.
    pub async fn health(&self) -> Result<()> {
        self.call(Operation::Health, None, move |instance| {
            Box::pin(async move {
                let (lifecycle, store) = instance.lifecycle();
                lifecycle.call_health(store).await
            })
        })
        .await
    }

    /// Starts a singleton that lost its state anew, without records. Does nothing for a pooled backend,
    /// which loses none.
    pub async fn reopen(&self) -> Result<()> {
        let Instances::Singleton(singleton) = &self.0.instances else {
            return Ok(());
        };
        let deadline = Instant::now() + self.0.context.limits.deadline;
        singleton
            .reopen(deadline)
            .await
            .map_err(|fault| open_error(fault, Operation::Open).with_backend(self.backend()))
    }

    /// What checks the arguments of a call.
    pub(crate) fn arguments(&self, operation: Operation) -> Arguments<'_> {
        Arguments {
            operation,
            limits: &self.0.context.limits,
            max_body_bytes: self.max_body_bytes(),
            max_batch: self.0.description.max_batch.min(MAX_PAGE_RECORDS) as usize,
        }
    }

    /// Runs one call: a span, the deadline, an instance, and the error in this crate's words.
    async fn call<T, F>(&self, operation: Operation, key: Option<Key>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Instance) -> Call<'a, Answer<T>> + Send + 'static,
    {
        let inner = &*self.0;
        let limits = &inner.context.limits;
        let patience = match operation {
            Operation::Clear | Operation::Statistics => limits.upkeep_deadline,
            _ => limits.deadline,
        };
        let span = tracing::debug_span!(
            "call",
            store = inner.name,
            backend = inner.backend,
            operation = operation.as_str()
        );
        let answer = inner
            .breaker
            .guard(
                || inner.instances.is_lost(),
                inner.instances.call(patience, call),
            )
            .instrument(span.clone())
            .await;
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(refusal)) => Error::from_contract(operation, refusal),
            Err(fault) => open_error(fault, operation),
        };
        let error = error.with_backend(&inner.backend);
        let error = match key {
            Some(key) => error.with_key(key),
            None => error,
        };
        span.in_scope(|| report(&error));
        Err(error)
    }

    /// Refuses an answer of another length than the question.
    fn answered(&self, operation: Operation, asked: usize, answered: usize) -> Result<()> {
        if asked == answered {
            return Ok(());
        }
        let message =
            format!("the backend answered {answered} values where {asked} were asked for");
        let kind = if operation.writes() {
            ErrorKind::Ambiguous
        } else {
            ErrorKind::Internal
        };
        Err(Error::new(kind, operation, message).with_backend(self.backend()))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("name", &self.name())
            .field("backend", &self.backend())
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}

/// What blocks: reading and compiling the component, opening the database.
fn load(
    host: &Host,
    name: &str,
    config: &StoreConfig,
) -> Result<(Arc<Compiled>, Arc<StoreContext>)> {
    let bytes = host.0.registry.read(&config.backend)?;
    let compiled = host.0.compiler.load(&bytes, &config.granted())?;
    let wants = compiled.manifest.capabilities();
    let wants = |capability| wants.contains(&capability);
    let clock: Arc<dyn Clock> = Arc::clone(&host.0.clock);
    let sqlite = match &config.sqlite {
        Some(grant) if wants(Capability::Sqlite) => {
            Some(Database::open(grant, &config.namespace, &config.limits)?)
        }
        _ => None,
    };
    let redis = match &config.redis {
        Some(grant) if wants(Capability::Redis) => {
            let clock = Arc::clone(&clock);
            Some(Redis::new(grant, &config.namespace, &config.limits, clock)?)
        }
        _ => None,
    };
    let log = GuestLog::new(name.to_owned());
    let limits = config.limits.clone();
    Ok((
        compiled,
        Arc::new(StoreContext {
            clock,
            log,
            sqlite,
            redis,
            limits,
        }),
    ))
}

/// Asks an instance of its own who the backend is.
async fn describe(
    template: &Template,
    context: &Arc<StoreContext>,
    memory: u64,
    deadline: Instant,
) -> Result<Description, crate::instance::Fault> {
    let mut instance = template.start(context, memory).await?;
    instance
        .run(deadline, |instance| {
            Box::pin(async move {
                let (lifecycle, store) = instance.lifecycle();
                lifecycle.call_describe(store).await
            })
        })
        .await
}

fn open_error(fault: OpenFault, operation: Operation) -> Error {
    match fault {
        OpenFault::Fault(fault) => fault.into_error(operation),
        OpenFault::Refused(refusal) => Error::from_contract(operation, refusal),
        OpenFault::Resting(rest) => rest.into_error(operation),
    }
}

/// Tells the log about what an operator should know.
fn report(error: &Error) {
    match error.kind() {
        ErrorKind::Trap | ErrorKind::Deadline | ErrorKind::StateLost | ErrorKind::Ambiguous => {
            tracing::warn!(?error, "a call failed");
        }
        ErrorKind::Corrupt | ErrorKind::Internal => tracing::error!(?error, "a call failed"),
        _ => tracing::debug!(?error, "a call failed"),
    }
}

/// Removes expired records as long as the store is open.
async fn sweep_regularly(store: Weak<Inner>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        loop {
            let Some(inner) = store.upgrade() else { return };
            match Store(inner).sweep(SWEEP_RECORDS).await {
                Ok(SWEEP_RECORDS) => {}
                Ok(_) => break,
                // Reported by the call itself; the next round tries again.
                Err(_) => break,
            }
        }
    }
}
