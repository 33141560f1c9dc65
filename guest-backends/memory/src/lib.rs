//! The in-memory backend: records in the component's own linear memory.
//!
//! It is a singleton, and its records go with its instance. It never traps on what it is given: it
//! counts what every record takes and answers `too-large` before the memory is used up. B-trees hold
//! everything: they grow by one small node at a time, and no choice of keys makes them slow.
//!
//! - `shelf`: the records by create-revision, and every way to find one: by key, by attribute in both
//!   orders, by expiry. Keeps them in step.
//! - `hashed`: what is looked up by text.
//! - `store`: the rules of the contract over a shelf.
//! - `find`: pages.
//! - `import`: records with their stamps.
//! - `cost`: how much memory a record takes.
#![allow(
    clippy::result_large_err,
    reason = "the contract's errors carry records; on the 32-bit target they are small enough"
)]

mod cost;
mod find;
mod hashed;
mod import;
mod shelf;
mod store;

use std::borrow::Cow;

use mortise_guest::{
    Backend, CollectionStatistics, Description, Error, Instances, Key, Options, Page, Query,
    Rejection, Stamp, Stored, Write, clock, load_each,
};

use crate::store::Store;

mortise_guest::export!(Memory);

/// The backend `memory`.
#[derive(Debug)]
pub struct Memory(Store);

impl Backend for Memory {
    fn describe() -> Description {
        Description {
            name: "memory".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instances: Instances::Singleton,
            durable: false,
            max_body_bytes: 64 << 20,
            max_batch: 1_000,
        }
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        Ok(Self(Store::new(options.require_u64("max-store-bytes")?)))
    }

    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        Ok(self.lend(key)?.map(Cow::into_owned))
    }

    fn lend(&mut self, key: Key) -> Result<Option<Cow<'_, Stored>>, Error> {
        Ok(self.0.load_at(&key, clock::now).map(Cow::Borrowed))
    }

    fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Result<Vec<Option<Stored>>, Error> {
        let now = clock::now();
        load_each(keys, max_bytes, |key| Ok(self.0.load(&key, now).cloned()))
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        self.0.apply(batch, clock::now())
    }

    fn find(&mut self, query: Query, max_bytes: u64) -> Result<Page, Error> {
        self.0.find(query, clock::now(), max_bytes)
    }

    fn export(&mut self, after: Option<String>, limit: u32, max_bytes: u64) -> Result<Page, Error> {
        self.0
            .export(after.as_deref(), limit, clock::now(), max_bytes)
    }

    fn import(&mut self, records: Vec<Stored>) -> Result<(), Error> {
        self.0.import(records, clock::now())
    }

    fn sweep(&mut self, limit: u32) -> Result<u32, Error> {
        Ok(self.0.sweep(limit, clock::now()))
    }

    fn clear(&mut self, collection: Option<String>) -> Result<u64, Error> {
        Ok(self.0.clear(collection.as_deref(), clock::now()))
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        Ok(self.0.statistics(clock::now()))
    }
}
