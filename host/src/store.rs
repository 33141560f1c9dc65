//! The typed API on records.

mod local;

pub(crate) use local::{Inner, Local};

use crate::arguments::Arguments;
#[cfg(feature = "client")]
use crate::client::Remote;
use crate::error::{Error, ErrorKind, Operation, Result};
#[cfg(feature = "serve")]
use crate::host::Host;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::quarantine::Quarantine;
use crate::record::{
    CollectionStatistics, Description, Draft, Key, Page, Query, Revision, Stamp, Stored, Timestamp,
    Write,
};
use crate::snapshot::Snapshot;
use crate::status::Status;

/// An opened store. Cheap to clone, callable from any number of tasks; it closes when the last clone
/// is dropped, which may block for some milliseconds while files are closed.
///
/// Each call checks its arguments against the contract's rules, runs on an instance of the backend
/// under the store's deadline, and either answers or fails with an [`Error`] that names the operation,
/// the backend and the record.
///
/// **Giving up a call** (dropping its future) leaves the store whole. A read simply ends. A write that
/// was under way may still happen, as with any store that is asked over a wire.
///
/// It is served here, or by a server that is reached over HTTP (feature `client`): all calls are the same.
#[derive(Clone)]
pub struct Store(Place);

/// Where a store is.
#[derive(Clone)]
enum Place {
    Here(Local),
    #[cfg(feature = "client")]
    There(Remote),
}

/// Asks where the store is, without waiting.
macro_rules! told {
    ($store:ident.$told:ident($($argument:expr),*)) => {
        match &$store.0 {
            Place::Here(local) => local.$told($($argument),*),
            #[cfg(feature = "client")]
            Place::There(remote) => remote.$told($($argument),*),
        }
    };
}

/// Makes a call where the store is.
macro_rules! called {
    ($store:ident.$call:ident($($argument:expr),*)) => {
        match &$store.0 {
            Place::Here(local) => local.$call($($argument),*).await,
            // In a box, so that the calls that stay here need no room for it.
            #[cfg(feature = "client")]
            Place::There(remote) => Box::pin(remote.$call($($argument),*)).await,
        }
    };
}

impl Store {
    /// Its name in the configuration, or the backend's where it was opened by URL.
    pub fn name(&self) -> &str {
        told!(self.name())
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        told!(self.backend())
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        told!(self.namespace())
    }

    /// The URL of the server that has it; none where it is opened here.
    pub fn server(&self) -> Option<&str> {
        match &self.0 {
            Place::Here(_) => None,
            #[cfg(feature = "client")]
            Place::There(remote) => Some(remote.server()),
        }
    }

    /// What the component says about itself by its imports and exports. Of a store that a server has, the digest is
    /// known and nothing else.
    pub fn manifest(&self) -> Manifest {
        told!(self.manifest())
    }

    /// What the backend says about itself.
    pub fn describe(&self) -> Description {
        told!(self.describe())
    }

    /// How it is doing. Calls nothing: [`health`](Self::health) reaches the storage. Of a store that a server has, this
    /// is what the server said when the store was opened, or its health asked for last.
    pub fn status(&self) -> Status {
        told!(self.status())
    }

    /// The host that opened it; none of a store that a server has.
    #[cfg(feature = "serve")]
    pub(crate) fn host(&self) -> Option<&Host> {
        match &self.0 {
            Place::Here(local) => Some(&local.0.host),
            #[cfg(feature = "client")]
            Place::There(_) => None,
        }
    }

    /// How many instances are started and idle. None of a store that a server has are told.
    pub fn idle_instances(&self) -> usize {
        self.status().instances.idle
    }

    /// The largest body that this store takes: the smaller of the operator's limit and the backend's.
    pub fn max_body_bytes(&self) -> u64 {
        self.arguments(Operation::Create).max_body_bytes
    }

    /// Whether what is written to one of the two is read from the other, as far as their configurations
    /// tell: the same file, the same namespace of the Redis at the same address, or the same store of the same
    /// server.
    pub fn shares_storage_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Place::Here(one), Place::Here(other)) => one.shares_storage_with(other),
            #[cfg(feature = "client")]
            (Place::There(one), Place::There(other)) => one.shares_storage_with(other),
            #[cfg(feature = "client")]
            _ => false,
        }
    }

    /// The corrupt records that were set aside.
    pub fn quarantine(&self) -> Quarantine {
        Quarantine::new(self.clone())
    }

    pub(crate) fn limits(&self) -> &Limits {
        told!(self.limits())
    }

    /// The time, by the host's clock: also where a server has the store, whose clock may differ by a little.
    pub(crate) fn now(&self) -> Timestamp {
        told!(self.now())
    }

    /// What checks the arguments of a call.
    pub(crate) fn arguments(&self, operation: Operation) -> Arguments<'_> {
        told!(self.arguments(operation))
    }

    /// Writes a record that is not there yet.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; those of every call: `Invalid`, `TooLarge`, `Unavailable`, `Ambiguous`,
    /// `Internal`, `Trap`, `Deadline`, `StateLost`.
    pub async fn create(&self, draft: Draft) -> Result<Stamp> {
        self.arguments(Operation::Create).draft(&draft)?;
        called!(self.create(draft))
    }

    /// Reads a record; none where there is none, or an expired one.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it cannot be read back: it was set aside ([`quarantine`](Self::quarantine)); those
    /// of every call.
    pub async fn load(&self, key: &Key) -> Result<Option<Stored>> {
        self.arguments(Operation::Load).key(key)?;
        called!(self.load(key))
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
        let answer = called!(self.load_many(keys))?;
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
        let arguments = self.arguments(Operation::Update);
        arguments.draft(&draft)?;
        arguments.revision(expect)?;
        called!(self.update(draft, expect))
    }

    /// Removes a record that is there; with a revision, only while it is unchanged since.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict` (with the current record); those of every call.
    pub async fn delete(&self, key: &Key, expect: Option<Revision>) -> Result<()> {
        let arguments = self.arguments(Operation::Delete);
        arguments.key(key)?;
        arguments.revision(expect)?;
        called!(self.delete(key, expect))
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
        let page = called!(self.find(query))?;
        self.moved_on(operation, after.as_deref(), &page)?;
        Ok(page)
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
        let count = batch.len();
        let revisions = called!(self.apply(batch))?;
        self.answered(operation, count, revisions.len())?;
        Ok(revisions)
    }

    /// Takes a revision by a write that changes nothing, also while writes are held back.
    pub(crate) async fn take_revision(&self) -> Result<Revision> {
        let revisions = called!(self.take_revision())?;
        self.answered(Operation::Apply, 1, revisions.len())?;
        Ok(revisions[0])
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
        let page = called!(self.export(after.clone(), limit))?;
        self.moved_on(operation, after.as_deref(), &page)?;
        Ok(page)
    }

    /// Writes up to 1,000 records with their stamps, all or none. What is there with the same stamp is
    /// left alone.
    ///
    /// # Errors
    ///
    /// `Conflict` where another record is under a key, `Invalid` where a revision is taken by another
    /// record; those of every call.
    pub async fn import(&self, records: Vec<Stored>) -> Result<()> {
        self.arguments(Operation::Import).imported(&records)?;
        called!(self.import(records))
    }

    /// Removes up to `limit` expired records (1 to 1,000); how many went. The store does so by itself
    /// every `sweep-interval`.
    pub async fn sweep(&self, limit: u32) -> Result<u32> {
        self.arguments(Operation::Sweep).limit(limit)?;
        called!(self.sweep(limit))
    }

    /// Removes every record of a collection, or of all; how many unexpired ones went.
    pub async fn clear(&self, collection: Option<&str>) -> Result<u64> {
        if let Some(collection) = collection {
            self.arguments(Operation::Clear).collection(collection)?;
        }
        called!(self.clear(collection))
    }

    /// Counts every collection that holds a record.
    pub async fn statistics(&self) -> Result<Vec<CollectionStatistics>> {
        called!(self.statistics())
    }

    /// Reaches the storage and comes back, or says why not.
    pub async fn health(&self) -> Result<()> {
        called!(self.health())
    }

    /// Starts a singleton that lost its state anew: from its snapshot, where it has one, else without
    /// records. Does nothing for a pooled backend, which loses none.
    ///
    /// # Errors
    ///
    /// `Unsupported` where a server has the store; those of [`Host::open`](crate::Host::open).
    pub async fn reopen(&self) -> Result<()> {
        match &self.0 {
            Place::Here(local) => local.reopen().await,
            #[cfg(feature = "client")]
            Place::There(remote) => Err(remote.cannot(Operation::Open, "started anew")),
        }
    }

    /// Takes a snapshot of a singleton, where one is configured and something was written since the last;
    /// none otherwise. The store does so by itself every `interval`.
    ///
    /// # Errors
    ///
    /// `Io` where the file cannot be written: the one before is still there; `StateLost`;
    /// `Unsupported` where a server has the store.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>> {
        match &self.0 {
            Place::Here(local) => local.snapshot().await,
            #[cfg(feature = "client")]
            Place::There(remote) => Err(remote.cannot(Operation::Snapshot, "written to disk")),
        }
    }

    /// Itself, where it is opened here.
    #[cfg(feature = "serve")]
    pub(crate) fn local(&self) -> Option<&Local> {
        match &self.0 {
            Place::Here(local) => Some(local),
            #[cfg(feature = "client")]
            Place::There(_) => None,
        }
    }

    /// Ends the work with a store: takes the last snapshot, where one is configured. To be called before
    /// the last clone is dropped, which cannot wait for it. A store that a server has stays open there.
    ///
    /// # Errors
    ///
    /// `Io` and `StateLost`, as [`snapshot`](Self::snapshot).
    pub async fn close(self) -> Result<()> {
        match &self.0 {
            Place::Here(local) => local.snapshot().await.map(drop),
            #[cfg(feature = "client")]
            Place::There(_) => Ok(()),
        }
    }

    /// Refuses a page that goes on where it started: whoever asks for all pages would never be done.
    fn moved_on(&self, operation: Operation, after: Option<&str>, page: &Page) -> Result<()> {
        if page.next.is_none() || page.next.as_deref() != after {
            return Ok(());
        }
        let message = "the backend answered a page that goes on where it started";
        Err(Error::new(ErrorKind::Internal, operation, message).with_backend(self.backend()))
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

#[cfg(feature = "client")]
impl From<Remote> for Store {
    fn from(remote: Remote) -> Self {
        Self(Place::There(remote))
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

/// Tells the log about what an operator should know.
pub(crate) fn report(error: &Error) {
    match error.kind() {
        ErrorKind::Trap | ErrorKind::Deadline | ErrorKind::StateLost | ErrorKind::Ambiguous => {
            tracing::warn!(?error, "a call failed");
        }
        ErrorKind::Corrupt | ErrorKind::Internal => tracing::error!(?error, "a call failed"),
        _ => tracing::debug!(?error, "a call failed"),
    }
}
