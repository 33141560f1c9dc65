//! The typed API on records.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::arguments::Arguments;
use crate::bindings::mortise::persistence::types::Rejection;
use crate::calls::{self, Answer};
use crate::config::StoreConfig;
use crate::context::StoreContext;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::generation::Generation;
use crate::handover;
use crate::host::Host;
use crate::instance::{Call, Instance};
use crate::limits::{Limits, MAX_PAGE_RECORDS};
use crate::manifest::Manifest;
use crate::metrics::Measures;
use crate::migrate::Occasion;
use crate::quarantine::Quarantine;
use crate::record::{
    CollectionStatistics, Description, Draft, Key, Page, Query, Revision, Stamp, Stored, Timestamp,
    Write,
};
use crate::running::Running;
use crate::snapshot::{Snapshot, Snapshots};
use crate::status::Status;
use crate::work::blocking;

/// How many expired records one call of the sweeper removes.
const SWEEP_RECORDS: u32 = 500;
/// How many calls the sweeper makes in a row: a backend that always finds more would keep it busy for ever.
const SWEEP_CALLS: u32 = 1_000;

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
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) host: Host,
    name: String,
    pub(crate) config: StoreConfig,
    pub(crate) context: Arc<StoreContext>,
    running: RwLock<Arc<Running>>,
    pub(crate) snapshots: Option<Snapshots>,
    /// Why this is not the configured backend, but what the store falls back on.
    fallback: OnceLock<String>,
}

impl Store {
    pub(crate) async fn open(host: &Host, name: &str, config: StoreConfig) -> Result<Self> {
        config.check()?;
        let backend = host.backend(&config.backend);
        let _no_swap = backend.swapping.read().await;
        let loading = {
            let (host, config, name) = (host.clone(), config.clone(), name.to_owned());
            let measures = backend.measures(&name);
            // Compiling and opening files block.
            move || load(&host, &name, &config, measures)
        };
        let (generation, context, snapshots) = blocking(loading).await?;
        context
            .connect(Instant::now() + config.limits.deadline)
            .await?;
        let occasion = Occasion::Open;
        let store =
            Self::start(host, name, config, generation, context, snapshots, occasion).await?;
        if let Some(snapshots) = &store.0.snapshots {
            if store.running().singleton().is_none() {
                let what = "the backend keeps its records outside of itself, expected no snapshot";
                return Err(Error::config(what));
            }
            snapshots.restore(&store).await?;
            let store = Arc::downgrade(&store.0);
            tokio::spawn(take_snapshots_regularly(store, snapshots.interval));
        }
        backend.add(Arc::downgrade(&store.0));
        tokio::spawn(sweep_regularly(
            Arc::downgrade(&store.0),
            store.0.config.sweep_interval,
        ));
        tracing::debug!(store = name, backend = store.backend(), digest = %store.manifest().digest, "opened");
        Ok(store)
    }

    /// A store that nobody but the caller knows of, healthy, served by `generation`.
    pub(crate) async fn start(
        host: &Host,
        name: &str,
        config: StoreConfig,
        generation: Arc<Generation>,
        context: Arc<StoreContext>,
        snapshots: Option<Snapshots>,
        occasion: Occasion,
    ) -> Result<Self> {
        let engine = host.0.compiler.engine();
        let running = Running::start(engine, name, generation, &config, &context, occasion).await?;
        let store = Self(Arc::new(Inner {
            host: host.clone(),
            name: name.to_owned(),
            config,
            context,
            running: RwLock::new(Arc::new(running)),
            snapshots,
            fallback: OnceLock::new(),
        }));
        store
            .health()
            .await
            .map_err(|error| error.with_operation(Operation::Open))?;
        Ok(store)
    }

    /// Says that this store stands in for another one, which did not open, and why.
    pub(crate) fn stands_in(&self, reason: String) {
        // It is said once, by who opened it.
        let _ = self.0.fallback.set(reason);
    }

    /// What serves its calls now. One that serves a call stays until the call has ended.
    pub(crate) fn running(&self) -> Arc<Running> {
        Arc::clone(
            &self
                .0
                .running
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// From now on, `running` serves its calls.
    pub(crate) fn run(&self, running: Running) {
        *self
            .0
            .running
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(running);
    }

    /// Its name in the configuration, or the backend's where it was opened by URL.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.0.config.backend
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.0.config.namespace
    }

    /// What the component says about itself by its imports and exports.
    pub fn manifest(&self) -> Manifest {
        self.running().generation.compiled.manifest.clone()
    }

    /// What the backend says about itself.
    pub fn describe(&self) -> Description {
        self.running().description.clone()
    }

    /// How it is doing. Calls nothing: [`health`](Self::health) reaches the storage.
    pub fn status(&self) -> Status {
        let running = self.running();
        let (traps, last_trap) = running.breaker.traps();
        let snapshots = self.0.snapshots.as_ref();
        Status {
            generation: running.generation.number,
            digest: running.generation.compiled.manifest.digest,
            refusal: self.0.host.backend(self.backend()).refusal(),
            breaker: running.breaker.state(),
            traps,
            last_trap,
            state_lost: running.instances.is_lost(),
            snapshot: snapshots.and_then(Snapshots::last),
            snapshot_taken_at: snapshots.and_then(Snapshots::taken_at),
            instances: running.instances.counts(),
            fallback: self.0.fallback.get().cloned(),
        }
    }

    /// How many instances are started and idle.
    pub fn idle_instances(&self) -> usize {
        self.running().instances.counts().idle
    }

    /// The largest body that this store takes: the smaller of the operator's limit and the backend's.
    pub fn max_body_bytes(&self) -> u64 {
        self.arguments(Operation::Create).max_body_bytes
    }

    /// Whether what is written to one of the two is read from the other, as far as their configurations
    /// tell: the same file, or the same namespace of the Redis at the same address.
    pub fn shares_storage_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.context.is_same_storage(&other.0.context)
    }

    /// The corrupt records that were set aside.
    pub fn quarantine(&self) -> Quarantine {
        Quarantine::new(self.clone())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.context.limits
    }

    /// The time, by the host's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.context.clock.now()
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
        self.call(operation, Some(&key), calls::create(draft)).await
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
        let load = calls::load(key.clone());
        self.call(operation, Some(key), load).await
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
        let check = |answer: &Vec<_>| self.answered(operation, count, answer.len());
        self.call_checked(operation, None, calls::load_many(keys), check)
            .await
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
        self.call(operation, Some(&key), calls::update(draft, expect))
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
        let delete = calls::delete(key.clone(), expect);
        self.call(operation, Some(key), delete).await
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
        let after = query.after.clone();
        let check = |page: &Page| self.moved_on(operation, after.as_deref(), page);
        self.call_checked(operation, None, calls::find(query), check)
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
        let rejected = |rejection: Rejection| {
            let index = rejection.index as usize;
            let error = Error::from_contract(operation, rejection.error).with_write_index(index);
            match keys.get(index) {
                Some(key) => error.with_key(key.clone()),
                None => error,
            }
        };
        let read = |answer: Result<Vec<Revision>, Rejection>| {
            let revisions = answer.map_err(rejected)?;
            self.answered(operation, keys.len(), revisions.len())?;
            Ok(revisions)
        };
        self.call_gated(operation, true, None, calls::apply(batch), read)
            .await
    }

    /// Takes a revision by a write that changes nothing, also while writes are held back.
    pub(crate) async fn take_revision(&self) -> Result<Revision> {
        let operation = Operation::Apply;
        let batch = calls::apply(vec![handover::nothing()]);
        let read = |answer: Result<Vec<Revision>, Rejection>| match answer {
            Ok(revisions) => {
                self.answered(operation, 1, revisions.len())?;
                Ok(revisions[0])
            }
            Err(rejection) => Err(Error::from_contract(operation, rejection.error)),
        };
        self.call_gated(operation, false, None, batch, read).await
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
        let export = calls::export(after.clone(), limit);
        let check = |page: &Page| self.moved_on(operation, after.as_deref(), page);
        self.call_checked(operation, None, export, check).await
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
        self.call(operation, None, calls::import(records)).await
    }

    /// Removes up to `limit` expired records (1 to 1,000); how many went. The store does so by itself
    /// every `sweep-interval`.
    pub async fn sweep(&self, limit: u32) -> Result<u32> {
        let operation = Operation::Sweep;
        self.arguments(operation).limit(limit)?;
        self.call(operation, None, calls::sweep(limit)).await
    }

    /// Removes every record of a collection, or of all; how many unexpired ones went.
    pub async fn clear(&self, collection: Option<&str>) -> Result<u64> {
        let operation = Operation::Clear;
        if let Some(collection) = collection {
            self.arguments(operation).collection(collection)?;
        }
        let collection = collection.map(str::to_owned);
        self.call(operation, None, calls::clear(collection)).await
    }

    /// Counts every collection that holds a record.
    pub async fn statistics(&self) -> Result<Vec<CollectionStatistics>> {
        self.call(Operation::Statistics, None, calls::statistics())
            .await
    }

    /// Reaches the storage and comes back, or says why not.
    pub async fn health(&self) -> Result<()> {
        self.call(Operation::Health, None, calls::health()).await
    }

    /// Starts a singleton that lost its state anew: from its snapshot, where it has one, else without
    /// records. Does nothing for a pooled backend, which loses none.
    pub async fn reopen(&self) -> Result<()> {
        let running = self.running();
        let Some(singleton) = running.singleton() else {
            return Ok(());
        };
        let Some(snapshots) = &self.0.snapshots else {
            let deadline = Instant::now() + self.limits().deadline;
            let fresh = running.fresh_instance(deadline).await;
            let fresh = fresh.map_err(|fault| {
                let error = fault.into_error(Operation::Open);
                error.with_backend(self.backend())
            })?;
            singleton.replace(fresh).await;
            return Ok(());
        };
        // Nobody sees records before all of them are there.
        let fresh = self.another(Arc::clone(&running.generation)).await?;
        snapshots.restore(&fresh).await?;
        if let Some(fresh) = fresh.running().singleton() {
            singleton.take_over(fresh).await;
        }
        Ok(())
    }

    /// Takes a snapshot of a singleton, where one is configured and something was written since the last;
    /// none otherwise. The store does so by itself every `interval`.
    ///
    /// # Errors
    ///
    /// `Io` where the file cannot be written: the one before is still there; `StateLost`.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>> {
        match &self.0.snapshots {
            Some(snapshots) if snapshots.is_behind() => snapshots.take(self).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Ends the work with a store: takes the last snapshot, where one is configured. To be called before
    /// the last clone is dropped, which cannot wait for it.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub async fn close(self) -> Result<()> {
        self.snapshot().await?;
        Ok(())
    }

    /// A store that nobody but the caller knows of, on the same storage, served by `generation`.
    pub(crate) async fn another(&self, generation: Arc<Generation>) -> Result<Self> {
        let (config, context) = (self.0.config.clone(), Arc::clone(&self.0.context));
        Self::start(
            &self.0.host,
            &self.0.name,
            config,
            generation,
            context,
            None,
            Occasion::Swap,
        )
        .await
        .map_err(|error| error.with_backend(self.backend()))
    }

    /// What checks the arguments of a call.
    pub(crate) fn arguments(&self, operation: Operation) -> Arguments<'_> {
        let limits = self.limits();
        let running = self.running();
        let about = &running.description;
        Arguments {
            operation,
            limits,
            max_body_bytes: limits.body_bytes.0.min(about.max_body_bytes),
            max_batch: about.max_batch.min(MAX_PAGE_RECORDS) as usize,
        }
    }

    /// Runs one call whose answer is a result of the contract.
    async fn call<T, F>(&self, operation: Operation, key: Option<&Key>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Instance) -> Call<'a, Answer<T>> + Send + 'static,
    {
        self.call_checked(operation, key, call, |_| Ok(())).await
    }

    /// The same, and refuses what the backend may not answer.
    async fn call_checked<T, F>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        call: F,
        check: impl FnOnce(&T) -> Result<()>,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Instance) -> Call<'a, Answer<T>> + Send + 'static,
    {
        let read = |answer: Answer<T>| {
            let answer = answer.map_err(|refusal| Error::from_contract(operation, refusal))?;
            check(&answer)?;
            Ok(answer)
        };
        self.call_gated(operation, operation.writes(), key, call, read)
            .await
    }

    /// Runs one call: a span, the deadline, an instance, and the error in this crate's words.
    async fn call_gated<A, T, F>(
        &self,
        operation: Operation,
        gated: bool,
        key: Option<&Key>,
        call: F,
        read: impl FnOnce(A) -> Result<T>,
    ) -> Result<T>
    where
        A: Send + 'static,
        F: for<'a> FnOnce(&'a mut Instance) -> Call<'a, A> + Send + 'static,
    {
        let running = self.running();
        let limits = self.limits();
        let patience = match operation {
            Operation::Clear | Operation::Statistics => limits.upkeep_deadline,
            _ => limits.deadline,
        };
        let span = tracing::debug_span!(
            "call",
            store = self.name(),
            backend = self.backend(),
            operation = operation.as_str()
        );
        // One reading for all.
        let now = Instant::now();
        let measures = &self.0.context.measures;
        let under_way = measures.begin(operation, now);
        let answer = match running.breaker.admit(now, || running.instances.is_lost()) {
            Ok(pass) => {
                let waits = &measures.waits;
                let call = running.instances.call(now, patience, gated, waits, call);
                let answer = call.instrument(span.clone()).await;
                if pass.ended(&answer) {
                    measures.traps.add();
                }
                answer
            }
            Err(rest) => Err(rest),
        };
        // What a sweep removes was absent before.
        if gated
            && operation != Operation::Sweep
            && let Some(snapshots) = &self.0.snapshots
        {
            snapshots.note_change();
        }
        let answer = answer
            .map_err(|fault| fault.into_error(operation))
            .and_then(read);
        under_way.ended(answer.as_ref().err().map(Error::kind));
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error.with_backend(self.backend()),
        };
        let error = match key {
            Some(key) => error.with_key(key.clone()),
            None => error,
        };
        span.in_scope(|| report(&error));
        Err(error)
    }

    /// Refuses a page that goes on where it started: whoever asks for all pages would never be done.
    fn moved_on(&self, operation: Operation, after: Option<&str>, page: &Page) -> Result<()> {
        if page.next.is_none() || page.next.as_deref() != after {
            return Ok(());
        }
        let message = "the backend answered a page that goes on where it started";
        Err(Error::new(ErrorKind::Internal, operation, message))
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
        Err(Error::new(kind, operation, message))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.snapshots.as_ref().is_some_and(Snapshots::is_behind) {
            tracing::warn!(
                store = self.name,
                "dropped without being closed: what was written since the last snapshot is lost"
            );
        }
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
    measures: Arc<Measures>,
) -> Result<(Arc<Generation>, Arc<StoreContext>, Option<Snapshots>)> {
    let granted = config.granted();
    let generation = host.backend(&config.backend).current_or(&granted, || {
        let bytes = host.0.registry.read(&config.backend)?;
        host.0.compiler.load(&bytes, &granted)
    })?;
    let manifest = &generation.compiled.manifest;
    let context = StoreContext::open(host, name, config, manifest, measures)?;
    let snapshot = config.snapshot.as_ref();
    let snapshots = snapshot.map(|snapshot| Snapshots::open(snapshot, &config.namespace));
    Ok((generation, Arc::new(context), snapshots.transpose()?))
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

/// Takes snapshots as long as the store is open.
async fn take_snapshots_regularly(store: Weak<Inner>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(inner) = store.upgrade() else { return };
        // Reported where it is taken; the next round tries again.
        let _ = Store(inner).snapshot().await;
    }
}

/// Removes expired records as long as the store is open.
async fn sweep_regularly(store: Weak<Inner>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        for _ in 0..SWEEP_CALLS {
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
