//! Stores of the model: a place that keeps the contract, without a component.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use mortise_store::inside::{
    Arguments, ContractError, DraftInside as _, ErrorInside as _, Later, Place, StoreInside as _,
    status_of,
};
use mortise_store::limits::MAX_PAGE_RECORDS;
use mortise_store::{
    Clock, CollectionStatistics, Description, Digest, Draft, Error, ErrorKind, Instances, Key,
    Limits, Operation, Order, Page, Query, Result, Revision, Stamp, Status, Store, Stored,
    Timestamp, Write,
};

use super::contract::{Model, Refusal, position};

/// What the model is called as a backend, and its stores where nobody names them.
const NAME: &str = "model";
/// As a store that is opened without a namespace.
const NAMESPACE: &str = "default";
/// The largest body that the model takes.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// A place of a store that keeps the contract as the model of it says, in memory: for tests of what
/// stands on stores.
///
/// ```
/// use std::sync::Arc;
///
/// use mortise_conformance::ModelPlace;
/// use mortise_store::{Draft, Key, ManualClock};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let clock = Arc::new(ManualClock::new(1_000));
/// let store = ModelPlace::new(clock.clone()).store();
/// let key = Key::new("task", "a");
/// store.create(Draft::new(key.clone(), "{}").expires_at(2_000)).await.unwrap();
/// assert!(store.load(&key).await.unwrap().is_some());
/// clock.set(2_000);
/// assert!(store.load(&key).await.unwrap().is_none());
/// # });
/// ```
///
/// Nothing sweeps it but [`Store::sweep`]. Nothing of it outlives the process.
pub struct ModelPlace {
    name: String,
    namespace: String,
    description: Description,
    limits: Limits,
    clock: Arc<dyn Clock>,
    records: Arc<Mutex<Model>>,
}

impl ModelPlace {
    /// An empty store on this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let model = Model::new(0, clock.now());
        Self {
            name: NAME.to_owned(),
            namespace: NAMESPACE.to_owned(),
            description: Description {
                name: NAME.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                instances: Instances::Pooled,
                durable: false,
                max_body_bytes: MAX_BODY_BYTES,
                max_batch: MAX_PAGE_RECORDS,
            },
            limits: Limits::default(),
            clock,
            records: Arc::new(Mutex::new(model)),
        }
    }

    /// Sets the store's name. Default: `model`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what [`Store::namespace`] says. Default: `default`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the operator's limits. Those of sizes hold; nothing is slow here, and nothing traps.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what the backend says about itself.
    #[must_use]
    pub fn described(mut self, description: Description) -> Self {
        self.description = description;
        self
    }

    /// Another store on the same records: what is written to one of the two is read from the other.
    #[must_use]
    pub fn another(&self) -> Self {
        Self {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            description: self.description.clone(),
            limits: self.limits.clone(),
            clock: Arc::clone(&self.clock),
            records: Arc::clone(&self.records),
        }
    }

    /// The store that is here.
    pub fn store(self) -> Store {
        Store::at(Arc::new(self))
    }

    /// The records as they are now.
    fn model(&self) -> MutexGuard<'_, Model> {
        let mut model = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        model.now = self.clock.now();
        model
    }

    /// Makes a call once it is awaited, in one go.
    fn call<'a, T: Send>(
        &'a self,
        operation: Operation,
        call: impl FnOnce(&mut Model) -> Result<T, Refused> + Send + 'a,
    ) -> Later<'a, Result<T>> {
        Box::pin(async move {
            pause().await;
            call(&mut self.model()).map_err(|refused| {
                let error = Error::from_contract(operation, *refused.error);
                let error = error.with_backend(&self.description.name);
                match refused.write_index {
                    Some(index) => error.with_write_index(index),
                    None => error,
                }
            })
        })
    }

    /// Makes a call that may need room.
    fn write<'a, T: Send>(
        &'a self,
        operation: Operation,
        call: impl FnOnce(&mut Model) -> Result<T, Refusal> + Send + 'a,
    ) -> Later<'a, Result<T>> {
        self.call(operation, move |model| {
            let Some(most) = self.limits.store_bytes else {
                return Ok(call(model)?);
            };
            let before = model.clone();
            let answer = call(model)?;
            let bytes = model.bytes();
            if bytes > most.0 && bytes > before.bytes() {
                *model = before;
                let why = format!("the store would have {bytes} bytes, more than {most}");
                return Err(ContractError::TooLarge(why).into());
            }
            Ok(answer)
        })
    }

    /// As many of these as fit one page, and where the next one starts.
    fn page(&self, rest: Vec<Stored>, limit: u32, cursors: &Cursors) -> Page {
        let (mut records, mut bytes) = (Vec::<Stored>::new(), 0);
        let mut rest = rest.into_iter().peekable();
        while let Some(record) = rest.next_if(|record| {
            let size = record.draft.size();
            let fits = records.len() < limit as usize
                && (records.is_empty() || bytes + size <= self.limits.page_bytes.0);
            bytes += size;
            fits
        }) {
            records.push(record);
        }
        let last = records.last().filter(|_| rest.peek().is_some());
        Page {
            next: last.map(|record| cursors.after(record)),
            records,
        }
    }
}

impl Place for ModelPlace {
    fn name(&self) -> &str {
        &self.name
    }

    fn backend(&self) -> &str {
        &self.description.name
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn status(&self) -> Status {
        let mut status = status_of(1, Digest::of(NAME.as_bytes()));
        status.instances.idle = self.limits.concurrency;
        status.instances.max = self.limits.concurrency;
        status
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn arguments(&self, operation: Operation) -> Arguments<'_> {
        let about = &self.description;
        Arguments {
            operation,
            limits: &self.limits,
            max_body_bytes: self.limits.body_bytes.0.min(about.max_body_bytes),
            max_batch: about.max_batch.min(MAX_PAGE_RECORDS) as usize,
        }
    }

    fn shares_storage_with(&self, other: &dyn Place) -> bool {
        let other: &dyn Any = other;
        let other = other.downcast_ref::<Self>();
        other.is_some_and(|other| Arc::ptr_eq(&self.records, &other.records))
    }

    fn create(&self, draft: Draft) -> Later<'_, Result<Stamp>> {
        self.write(Operation::Create, |model| model.create(draft))
    }

    fn load<'a>(&'a self, key: &'a Key) -> Later<'a, Result<Option<Stored>>> {
        self.call(Operation::Load, |model| Ok(model.load(key).cloned()))
    }

    fn load_many(&self, keys: Vec<Key>) -> Later<'_, Result<Vec<Option<Stored>>>> {
        self.call(Operation::LoadMany, move |model| {
            let loaded = keys.iter().map(|key| model.load(key).cloned());
            let loaded: Vec<_> = loaded.collect();
            let sizes = loaded.iter().flatten().map(|record| record.draft.size());
            let (bytes, most) = (sizes.sum::<u64>(), self.limits.page_bytes);
            if bytes > most.0 {
                let why = format!("the records have {bytes} bytes, more than {most}");
                return Err(ContractError::TooLarge(why).into());
            }
            Ok(loaded)
        })
    }

    fn update(&self, draft: Draft, expect: Option<Revision>) -> Later<'_, Result<Stamp>> {
        self.write(Operation::Update, move |model| model.update(draft, expect))
    }

    fn delete<'a>(&'a self, key: &'a Key, expect: Option<Revision>) -> Later<'a, Result<()>> {
        self.call(Operation::Delete, move |model| {
            Ok(model.delete(key, expect)?)
        })
    }

    fn find(&self, query: Query) -> Later<'_, Result<Page>> {
        self.call(Operation::Find, move |model| {
            let cursors = Cursors::of(&query);
            let after = cursors.read(query.after.as_deref())?;
            Ok(self.page(model.find(&query, after), query.limit, &cursors))
        })
    }

    fn apply(&self, batch: Vec<Write>) -> Later<'_, Result<Vec<Revision>>> {
        self.write(Operation::Apply, |model| model.apply(batch))
    }

    fn export(&self, after: Option<String>, limit: u32) -> Later<'_, Result<Page>> {
        self.call(Operation::Export, move |model| {
            let cursors = Cursors::of_export();
            let after = cursors.read(after.as_deref())?;
            Ok(self.page(model.export(after), limit, &cursors))
        })
    }

    fn import(&self, records: Vec<Stored>) -> Later<'_, Result<()>> {
        self.write(Operation::Import, |model| {
            // Each of them is true.
            let first = |refusals: Vec<Refusal>| refusals.into_iter().next();
            match model.import(records).map_err(first) {
                Err(Some(refusal)) => Err(refusal),
                Ok(()) | Err(None) => Ok(()),
            }
        })
    }

    fn sweep(&self, limit: u32) -> Later<'_, Result<u32>> {
        self.call(Operation::Sweep, move |model| Ok(model.sweep(limit)))
    }

    fn clear<'a>(&'a self, collection: Option<&'a str>) -> Later<'a, Result<u64>> {
        self.call(Operation::Clear, move |model| Ok(model.clear(collection)))
    }

    fn statistics(&self) -> Later<'_, Result<Vec<CollectionStatistics>>> {
        self.call(Operation::Statistics, |model| Ok(model.statistics()))
    }

    fn health(&self) -> Later<'_, Result<()>> {
        self.call(Operation::Health, |_| Ok(()))
    }
}

impl fmt::Debug for ModelPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelPlace")
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Lets other tasks go on first, as a store does that waits for its storage.
fn pause() -> impl Future<Output = ()> + Send {
    let mut paused = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Why a call is refused, in the contract's words.
struct Refused {
    error: Box<ContractError>,
    write_index: Option<usize>,
}

impl From<ContractError> for Refused {
    fn from(error: ContractError) -> Self {
        Self {
            error: Box::new(error),
            write_index: None,
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let error = match (refusal.kind, refusal.key, refusal.current) {
            (ErrorKind::AlreadyExists, Some(key), _) => ContractError::AlreadyExists(key),
            (ErrorKind::NotFound, Some(key), _) => ContractError::NotFound(key),
            (ErrorKind::Conflict, _, Some(current)) => ContractError::Conflict(*current),
            _ => ContractError::Invalid("another record carries one of the revisions".to_owned()),
        };
        Self {
            error: Box::new(error),
            write_index: refusal.write_index,
        }
    }
}

/// The cursors of one query: `QUERY.POSITION`, the query as a hash.
struct Cursors {
    query: u64,
    order: Order,
}

impl Cursors {
    fn of(query: &Query) -> Self {
        let mut hasher = DefaultHasher::new();
        query.collection.hash(&mut hasher);
        for pair in &query.attributes {
            (&pair.name, &pair.value).hash(&mut hasher);
        }
        (query.order as u8, query.descending).hash(&mut hasher);
        Self {
            query: hasher.finish(),
            order: query.order,
        }
    }

    fn of_export() -> Self {
        Self {
            query: 0,
            order: Order::Created,
        }
    }

    /// Where the page starts that comes after a record.
    fn after(&self, record: &Stored) -> String {
        format!("{:016x}.{}", self.query, position(record, self.order))
    }

    /// The position that a cursor stands for.
    fn read(&self, cursor: Option<&str>) -> Result<Option<Revision>, Refused> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let own = format!("{:016x}.", self.query);
        let position = cursor.strip_prefix(&own).and_then(|at| at.parse().ok());
        match position {
            Some(position) => Ok(Some(position)),
            None => {
                let why = "the cursor is not of this query".to_owned();
                Err(ContractError::Invalid(why).into())
            }
        }
    }
}
