//! The Redis backend: records in the Redis that the host gives it.
//!
//! It keeps nothing in its instance, so any number of instances, in any number of processes, serve one
//! store. Each call is one of the capability, and with it one round trip; the host owns the keys and the
//! scripts. What is decided here: how long records live, and how a run of records becomes a page.
//!
//! Options: `ttl` (`90s`, `24h`, `7d`; none by default: a paused task must not die because nobody asked
//! for it), and `ttl-policy`: `on-write` counts it from a record's last write, `fixed` from its
//! creation. A draft that names its own expiry keeps it; but under `on-write`, no update lets a record end
//! sooner than the `ttl` from then: who loads a record and updates it names the expiry that it had.
#![allow(
    clippy::result_large_err,
    reason = "the contract's errors carry records; on the 32-bit target they are small enough"
)]

mod lifetime;

use mortise_guest::redis::{self, Range, Run};
use mortise_guest::{
    Backend, CollectionStatistics, Cursors, Description, Error, Instances, Key, Options, Order,
    Page, Precondition, Query, Rejection, Stamp, Stored, Write, clock,
};

use crate::lifetime::Lifetime;

mortise_guest::export!(Redis);

/// The backend `redis`.
#[derive(Debug)]
pub struct Redis {
    lifetime: Lifetime,
}

impl Backend for Redis {
    fn describe() -> Description {
        Description {
            name: "redis".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instances: Instances::Pooled,
            // As far as the server is: `appendonly yes` and `appendfsync always` make it so.
            durable: true,
            max_body_bytes: 64 << 20,
            max_batch: 1_000,
        }
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        // The host counts the bytes.
        options.take_u64("max-store-bytes")?;
        let lifetime = Lifetime::from_options(options)?;
        Ok(Self { lifetime })
    }

    fn health(&mut self) -> Result<(), Error> {
        redis::ping()
    }

    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        redis::load(&key)
    }

    fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Result<Vec<Option<Stored>>, Error> {
        redis::load_many(&keys, max_bytes)
    }

    fn apply(&mut self, mut batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        if let Lifetime::OnWrite(ttl) = self.lifetime {
            let end = clock::now().saturating_add(ttl).min(lifetime::LAST_INSTANT);
            for write in &mut batch {
                if let Write::Put(put) = write {
                    let at = put.draft.expires_at.get_or_insert(end);
                    if !matches!(put.expect, Precondition::Absent | Precondition::None) {
                        *at = end.max(*at);
                    }
                }
            }
        }
        redis::commit(&batch, self.lifetime.since_creation())
    }

    fn find(&mut self, query: Query, max_bytes: u64) -> Result<Page, Error> {
        let cursors = Cursors::of_query(&query);
        let range = Range {
            after: cursors.read(query.after.as_deref())?,
            collection: Some(query.collection),
            attributes: query.attributes,
            order: query.order,
            descending: query.descending,
            limit: query.limit,
            bodies: query.bodies,
            max_bytes,
        };
        Ok(page(redis::find(&range)?, query.order, &cursors))
    }

    fn export(&mut self, after: Option<String>, limit: u32, max_bytes: u64) -> Result<Page, Error> {
        let cursors = Cursors::of_export();
        let range = Range {
            after: cursors.read(after.as_deref())?,
            collection: None,
            attributes: Vec::new(),
            order: Order::Created,
            descending: false,
            limit,
            bodies: true,
            max_bytes,
        };
        Ok(page(redis::find(&range)?, Order::Created, &cursors))
    }

    fn import(&mut self, records: Vec<Stored>) -> Result<(), Error> {
        redis::import(&records)
    }

    fn sweep(&mut self, limit: u32) -> Result<u32, Error> {
        redis::sweep(limit)
    }

    fn clear(&mut self, collection: Option<String>) -> Result<u64, Error> {
        redis::clear(collection.as_deref())
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        let counts = redis::statistics()?.into_iter();
        let statistics = counts.map(|count| CollectionStatistics {
            collection: count.collection,
            records: count.records,
            body_bytes: count.body_bytes,
        });
        Ok(statistics.collect())
    }
}

/// A run as a page: where more follow, the next one starts behind its last record.
fn page(run: Run, order: Order, cursors: &Cursors) -> Page {
    let last = run.records.last().filter(|_| run.more);
    let next = last.map(|record| cursors.write(record.position(order)));
    Page {
        records: run.records,
        next,
    }
}
