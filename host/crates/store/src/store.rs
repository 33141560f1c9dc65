//! The typed API on records.

use std::sync::Arc;

use crate::error::{Error, ErrorInside as _, ErrorKind, Operation, Result};
use crate::inside::Arguments;
use crate::limits::Limits;
use crate::place::{Here, Later, Place};
use crate::quarantine::Quarantine;
use crate::record::{
    CollectionStatistics, Description, Draft, Key, Page, Query, Revision, Stamp, Stored, Timestamp,
    Write,
};
use crate::status::{Snapshot, Status};

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
/// It is served here, or by a server that is reached over HTTP (feature `client` of the host): all calls are the same.
#[derive(Clone)]
pub struct Store(Arc<dyn Place>);

impl Store {
    /// Its name in the configuration, or the backend's where it was opened by URL.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        self.0.backend()
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.0.namespace()
    }

    /// The URL of the server that has it; none where it is opened here.
    pub fn server(&self) -> Option<&str> {
        self.0.server()
    }

    /// What the backend says about itself.
    pub fn describe(&self) -> Description {
        self.0.describe()
    }

    /// How it is doing. Calls nothing: [`health`](Self::health) reaches the storage. Of a store that a server has, this
    /// is what the server said when the store was opened, or its health asked for last.
    pub fn status(&self) -> Status {
        self.0.status()
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
        self.0.shares_storage_with(&*other.0)
    }

    /// The corrupt records that were set aside.
    pub fn quarantine(&self) -> Quarantine {
        Quarantine::new(self.clone())
    }

    /// Writes a record that is not there yet.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; those of every call: `Invalid`, `TooLarge`, `Unavailable`, `Ambiguous`,
    /// `Internal`, `Trap`, `Deadline`, `StateLost`.
    pub async fn create(&self, draft: Draft) -> Result<Stamp> {
        self.arguments(Operation::Create).draft(&draft)?;
        self.0.create(draft).await
    }

    /// Reads a record; none where there is none, or an expired one.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it cannot be read back: it was set aside ([`quarantine`](Self::quarantine)); those
    /// of every call.
    pub async fn load(&self, key: &Key) -> Result<Option<Stored>> {
        self.arguments(Operation::Load).key(key)?;
        self.0.load(key).await
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
        let answer = self.0.load_many(keys).await?;
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
        self.0.update(draft, expect).await
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
        self.0.delete(key, expect).await
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
        let page = self.0.find(query).await?;
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
        let revisions = self.0.apply(batch).await?;
        self.answered(operation, count, revisions.len())?;
        Ok(revisions)
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
        let page = self.0.export(after.clone(), limit).await?;
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
        self.0.import(records).await
    }

    /// Removes up to `limit` expired records (1 to 1,000); how many went. The store does so by itself
    /// every `sweep-interval`.
    pub async fn sweep(&self, limit: u32) -> Result<u32> {
        self.arguments(Operation::Sweep).limit(limit)?;
        self.0.sweep(limit).await
    }

    /// Removes every record of a collection, or of all; how many unexpired ones went.
    pub async fn clear(&self, collection: Option<&str>) -> Result<u64> {
        if let Some(collection) = collection {
            self.arguments(Operation::Clear).collection(collection)?;
        }
        self.0.clear(collection).await
    }

    /// Counts every collection that holds a record.
    pub async fn statistics(&self) -> Result<Vec<CollectionStatistics>> {
        self.0.statistics().await
    }

    /// Reaches the storage and comes back, or says why not.
    pub async fn health(&self) -> Result<()> {
        self.0.health().await
    }

    /// Starts a singleton that lost its state anew: from its snapshot, where it has one, else without
    /// records. Does nothing for a pooled backend, which loses none.
    ///
    /// # Errors
    ///
    /// `Unsupported` where a server has the store; those of `Host::open`.
    pub async fn reopen(&self) -> Result<()> {
        self.0.reopen().await
    }

    /// Takes a snapshot of a singleton, where one is configured and something was written since the last;
    /// none otherwise. The store does so by itself every `interval`.
    ///
    /// # Errors
    ///
    /// `Io` where the file cannot be written: the one before is still there; `StateLost`;
    /// `Unsupported` where a server has the store.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>> {
        self.0.snapshot().await
    }

    /// Ends the work with a store: takes the last snapshot, where one is configured. To be called before
    /// the last clone is dropped, which cannot wait for it. A store that a server has stays open there.
    ///
    /// # Errors
    ///
    /// `Io` and `StateLost`, as [`snapshot`](Self::snapshot).
    pub async fn close(self) -> Result<()> {
        self.0.close().await
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

/// What siblings of this crate ask of a store.
pub trait StoreInside {
    /// The store that is at this place.
    fn at(place: Arc<dyn Place>) -> Self;

    /// Where it is.
    fn place(&self) -> &dyn Place;

    /// What can be done to a store of this process alone; none of one that a server has.
    fn here(&self) -> Option<&dyn Here>;

    /// The operator's limits.
    fn limits(&self) -> &Limits;

    /// The time, by the host's clock: also where a server has the store, whose clock may differ by a little.
    fn now(&self) -> Timestamp;

    /// What checks the arguments of a call.
    fn arguments(&self, operation: Operation) -> Arguments<'_>;

    /// Takes a revision by a write that changes nothing, also while writes are held back.
    fn take_revision(&self) -> Later<'_, Result<Revision>>;
}

impl StoreInside for Store {
    fn at(place: Arc<dyn Place>) -> Self {
        Self(place)
    }

    fn place(&self) -> &dyn Place {
        &*self.0
    }

    fn here(&self) -> Option<&dyn Here> {
        self.0.here()
    }

    fn limits(&self) -> &Limits {
        self.0.limits()
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn arguments(&self, operation: Operation) -> Arguments<'_> {
        self.0.arguments(operation)
    }

    fn take_revision(&self) -> Later<'_, Result<Revision>> {
        Box::pin(async {
            // Removing what is not there, or the mark, changes nothing.
            let revisions = self.0.take_revision(Write::remove(revision_mark())).await?;
            self.answered(Operation::Apply, 1, revisions.len())?;
            Ok(revisions[0])
        })
    }
}

/// The key of a record that is never there for a caller to see: it carries a revision from store to store.
pub fn revision_mark() -> Key {
    Key::new("mortise.revision", "last")
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
pub fn report(error: &Error) {
    match error.kind() {
        ErrorKind::Trap | ErrorKind::Deadline | ErrorKind::StateLost | ErrorKind::Ambiguous => {
            tracing::warn!(?error, "a call failed");
        }
        ErrorKind::Corrupt | ErrorKind::Internal => tracing::error!(?error, "a call failed"),
        _ => tracing::debug!(?error, "a call failed"),
    }
}
