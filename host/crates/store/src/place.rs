//! Where a store is: what keeps its records.

use std::any::Any;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Operation, Result};
use crate::inside::Arguments;
use crate::limits::Limits;
use crate::measures::Measures;
use crate::record::{
    CollectionStatistics, Description, Draft, Key, Page, Query, Revision, Stamp, Stored, Timestamp,
    Write,
};
use crate::schema;
use crate::status::{Snapshot, Status};
use crate::store::Store;

/// What comes of a call, later. A crate hands out boxed futures, because rustc compiles the body of an `async fn` in
/// every crate that awaits it.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What keeps a store's records: an engine here, a server elsewhere, a model in a test.
///
/// Its calls take for granted that [`Store`] checked their arguments; `Store` checks the lengths of their answers, too.
pub trait Place: Any + Send + Sync {
    /// The store's name.
    fn name(&self) -> &str;

    /// The backend's name.
    fn backend(&self) -> &str;

    /// The store's namespace.
    fn namespace(&self) -> &str;

    /// The URL of the server that has it.
    fn server(&self) -> Option<&str> {
        None
    }

    /// What the backend says about itself.
    fn describe(&self) -> Description;

    /// How the store is doing. Calls nothing.
    fn status(&self) -> Status;

    /// The operator's limits.
    fn limits(&self) -> &Limits;

    /// The time, by the host's clock.
    fn now(&self) -> Timestamp;

    /// What checks the arguments of a call.
    fn arguments(&self, operation: Operation) -> Arguments<'_>;

    /// Whether what is written to one of the two is read from the other, as far as their configurations tell.
    fn shares_storage_with(&self, other: &dyn Place) -> bool;

    /// As [`Store::create`].
    fn create(&self, draft: Draft) -> Later<'_, Result<Stamp>>;

    /// As [`Store::load`].
    fn load<'a>(&'a self, key: &'a Key) -> Later<'a, Result<Option<Stored>>>;

    /// As [`Store::load_many`].
    fn load_many(&self, keys: Vec<Key>) -> Later<'_, Result<Vec<Option<Stored>>>>;

    /// As [`Store::update`].
    fn update(&self, draft: Draft, expect: Option<Revision>) -> Later<'_, Result<Stamp>>;

    /// As [`Store::delete`].
    fn delete<'a>(&'a self, key: &'a Key, expect: Option<Revision>) -> Later<'a, Result<()>>;

    /// As [`Store::find`].
    fn find(&self, query: Query) -> Later<'_, Result<Page>>;

    /// As [`Store::apply`].
    fn apply(&self, batch: Vec<Write>) -> Later<'_, Result<Vec<Revision>>>;

    /// Applies a write that changes nothing, also while writes are held back.
    fn take_revision(&self, nothing: Write) -> Later<'_, Result<Vec<Revision>>> {
        self.apply(vec![nothing])
    }

    /// As [`Store::export`].
    fn export(&self, after: Option<String>, limit: u32) -> Later<'_, Result<Page>>;

    /// As [`Store::import`].
    fn import(&self, records: Vec<Stored>) -> Later<'_, Result<()>>;

    /// As [`Store::sweep`].
    fn sweep(&self, limit: u32) -> Later<'_, Result<u32>>;

    /// As [`Store::clear`].
    fn clear<'a>(&'a self, collection: Option<&'a str>) -> Later<'a, Result<u64>>;

    /// As [`Store::statistics`].
    fn statistics(&self) -> Later<'_, Result<Vec<CollectionStatistics>>>;

    /// As [`Store::health`].
    fn health(&self) -> Later<'_, Result<()>>;

    /// As [`Store::reopen`]: nothing to do where records outlive an instance.
    fn reopen(&self) -> Later<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// As [`Store::snapshot`]: none where none is configured.
    fn snapshot(&self) -> Later<'_, Result<Option<Snapshot>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// As [`Store::close`].
    fn close(&self) -> Later<'_, Result<()>> {
        Box::pin(async { self.snapshot().await.map(drop) })
    }

    /// What can be done to a store of this process alone; none of one that a server has.
    fn here(&self) -> Option<&dyn Here> {
        None
    }
}

/// What keeps writes back as long as it lives.
pub type Held = Box<dyn Any + Send>;

/// Why writes are not held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHeld {
    /// The backend is no singleton: others write to its storage, too.
    Pooled,
    /// The writes under way did not end in time.
    Busy,
}

/// A store that this process has open.
pub trait Here: Send + Sync {
    /// Waits for the writes under way to a singleton, and holds back all others as long as the guard lives.
    fn hold_writes(&self, until: Instant) -> Later<'_, Result<Held, NotHeld>>;

    /// The file of its snapshots, and what keeps other processes off it; none where it takes none.
    fn snapshot_lock(&self) -> Option<(&Path, &File)>;

    /// What opened it.
    fn opener(&self) -> Arc<dyn Opener>;
}

/// What opens stores: a host.
pub trait Opener: Any + Send + Sync {
    /// Loads what opening a store would load. Opens nothing.
    fn prepare<'a>(&'a self, store: &'a str) -> Later<'a, Result<()>>;

    /// Takes the lock of a snapshot that another process hands over.
    fn inherit(&self, snapshot: PathBuf, lock: File);

    /// The backend whose component was refused last because it has to migrate a store first.
    fn unmigrated(&self) -> watch::Receiver<Option<String>>;

    /// Swaps a backend to the component that its name leads to now. What becomes of it is told in the log, too.
    fn reload<'a>(&'a self, backend: &'a str) -> Later<'a, Result<()>>;

    /// How the schema of a store stands that this opened.
    fn migration<'a>(&'a self, store: &'a Store) -> Later<'a, Result<schema::Status>>;

    /// What its open stores measured.
    fn measured(&self) -> Vec<Measured>;
}

/// What an open store measured, and how it is doing.
pub struct Measured {
    /// Its name.
    pub store: String,
    /// Its backend's name.
    pub backend: String,
    /// What it counted, together with the others of its name and backend.
    pub measures: Arc<Measures>,
    /// How it is doing.
    pub status: Status,
    /// Whether snapshots of it are configured.
    pub takes_snapshots: bool,
    /// Whether it has a SQLite database.
    pub has_sqlite: bool,
}
