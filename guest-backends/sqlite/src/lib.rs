//! The SQLite backend: records in the database that the host gives it.
//!
//! It keeps nothing in its instance, so any number of instances, in any number of processes, serve one
//! store. Each read is one statement and sees one instant; each write is one transaction. The host makes
//! and migrates the tables.
//!
//! - `schema`: the tables.
//! - `database`: statements, answers, and what an error of the capability means.
//! - `row`: records to rows and back.
//! - `read`: load, find, export, statistics. `quarantine`: what becomes of rows that make no record.
//! - `write`: apply. `import`: records with their stamps. `upkeep`: sweep and clear.
#![allow(
    clippy::result_large_err,
    reason = "the contract's errors carry records; on the 32-bit target they are small enough"
)]

mod database;
mod import;
mod quarantine;
mod read;
mod row;
mod schema;
mod upkeep;
mod write;

use mortise_guest::{
    Backend, CollectionStatistics, Description, Error, Instances, Key, Options, Page, Query,
    Rejection, Stamp, Stored, Write, clock,
};

mortise_guest::export!(Sqlite, schema);

/// The backend `sqlite`.
#[derive(Debug)]
pub struct Sqlite;

impl Backend for Sqlite {
    fn describe() -> Description {
        Description {
            name: "sqlite".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instances: Instances::Pooled,
            durable: true,
            max_body_bytes: 64 << 20,
            max_batch: 1_000,
        }
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        // The host holds the file to it: what does not fit is `full`.
        options.take_u64("max-store-bytes")?;
        Ok(Self)
    }

    fn health(&mut self) -> Result<(), Error> {
        read::health()
    }

    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        read::load(&key, clock::now())
    }

    fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Result<Vec<Option<Stored>>, Error> {
        read::load_many(&keys, clock::now(), max_bytes)
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        write::apply(batch, clock::now())
    }

    fn find(&mut self, query: Query, max_bytes: u64) -> Result<Page, Error> {
        read::find(query, clock::now(), max_bytes)
    }

    fn export(&mut self, after: Option<String>, limit: u32, max_bytes: u64) -> Result<Page, Error> {
        read::export(after.as_deref(), limit, clock::now(), max_bytes)
    }

    fn import(&mut self, records: Vec<Stored>) -> Result<(), Error> {
        import::import(records, clock::now())
    }

    fn sweep(&mut self, limit: u32) -> Result<u32, Error> {
        upkeep::sweep(limit, clock::now())
    }

    fn clear(&mut self, collection: Option<String>) -> Result<u64, Error> {
        upkeep::clear(collection, clock::now())
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        read::statistics(clock::now())
    }
}
