//! A store that a server has, as a place.

use std::any::Any;

use mortise_store::inside::{Arguments, Later, Place};
use mortise_store::limits::MAX_PAGE_RECORDS;
use mortise_store::{
    CollectionStatistics, Description, Draft, Key, Limits, Operation, Page, Query, Result,
    Revision, Snapshot, Stamp, Status, Stored, Timestamp, Write,
};

use super::Remote;

// Each call is the method of the same name beside this file, in a box.
impl Place for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    fn backend(&self) -> &str {
        &self.backend
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn server(&self) -> Option<&str> {
        Some(self.url())
    }

    fn describe(&self) -> Description {
        self.served().description.clone()
    }

    fn status(&self) -> Status {
        self.served().status.clone()
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The time, by the clock of this host.
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn arguments(&self, operation: Operation) -> Arguments<'_> {
        let limits = self.limits();
        let max_batch = self.served().description.max_batch;
        Arguments {
            operation,
            limits,
            max_body_bytes: limits.body_bytes.0,
            max_batch: max_batch.min(MAX_PAGE_RECORDS) as usize,
        }
    }

    fn shares_storage_with(&self, other: &dyn Place) -> bool {
        let other: &dyn Any = other;
        let other = other.downcast_ref::<Self>();
        other.is_some_and(|other| (self.url(), self.name()) == (other.url(), other.name()))
    }

    fn create(&self, draft: Draft) -> Later<'_, Result<Stamp>> {
        Box::pin(self.create(draft))
    }

    fn load<'a>(&'a self, key: &'a Key) -> Later<'a, Result<Option<Stored>>> {
        Box::pin(self.load(key))
    }

    fn load_many(&self, keys: Vec<Key>) -> Later<'_, Result<Vec<Option<Stored>>>> {
        Box::pin(self.load_many(keys))
    }

    fn update(&self, draft: Draft, expect: Option<Revision>) -> Later<'_, Result<Stamp>> {
        Box::pin(self.update(draft, expect))
    }

    fn delete<'a>(&'a self, key: &'a Key, expect: Option<Revision>) -> Later<'a, Result<()>> {
        Box::pin(self.delete(key, expect))
    }

    fn find(&self, query: Query) -> Later<'_, Result<Page>> {
        Box::pin(self.find(query))
    }

    fn apply(&self, batch: Vec<Write>) -> Later<'_, Result<Vec<Revision>>> {
        Box::pin(self.apply(batch))
    }

    fn export(&self, after: Option<String>, limit: u32) -> Later<'_, Result<Page>> {
        Box::pin(self.export(after, limit))
    }

    fn import(&self, records: Vec<Stored>) -> Later<'_, Result<()>> {
        Box::pin(self.import(records))
    }

    fn sweep(&self, limit: u32) -> Later<'_, Result<u32>> {
        Box::pin(self.sweep(limit))
    }

    fn clear<'a>(&'a self, collection: Option<&'a str>) -> Later<'a, Result<u64>> {
        Box::pin(self.clear(collection))
    }

    fn statistics(&self) -> Later<'_, Result<Vec<CollectionStatistics>>> {
        Box::pin(self.statistics())
    }

    fn health(&self) -> Later<'_, Result<()>> {
        Box::pin(self.health())
    }

    fn reopen(&self) -> Later<'_, Result<()>> {
        let cannot = self.cannot(Operation::Open, "started anew");
        Box::pin(async { Err(cannot) })
    }

    fn snapshot(&self) -> Later<'_, Result<Option<Snapshot>>> {
        let cannot = self.cannot(Operation::Snapshot, "written to disk");
        Box::pin(async { Err(cannot) })
    }

    fn close(&self) -> Later<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
