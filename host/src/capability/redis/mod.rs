//! The capability `redis`: the records of one store in one Redis deployment.
//!
//! All calls share one connection, and with it one pipeline. Each write is one script, which the server
//! runs as a whole: it checks the preconditions, takes the store's next revision, writes the records and
//! brings their index entries in step. The keys and the scripts are the host's; a guest hands over
//! records and gets records.
//!
//! - `grant`: which deployment. `topology`: which of its servers has the store. `connection`: the way
//!   there, and what became of a command.
//! - `layout`, `script`, `lua/`: how a store lies in Redis.
//! - `records`: what a guest can call. `answer`: what an answer means, and what becomes of bytes that make
//!   no record.
#![allow(
    clippy::result_large_err,
    reason = "the contract's errors carry records"
)]

mod answer;
mod connection;
mod grant;
mod layout;
mod records;
mod script;
mod topology;

use std::sync::Arc;

use redis::{Value, cmd};
use tokio::time::Instant;

pub(crate) use self::connection::{Connection, Effect, Failure};
use self::grant::Address;
pub use self::grant::RedisGrant;
pub(crate) use self::grant::{is_scheme, redacted};
use self::script::{Call, Script};
pub(crate) use self::topology::read;
use crate::arguments::Arguments;
use crate::bindings::mortise::persistence::redis::{Count, Host, Range, Run};
use crate::bindings::mortise::persistence::types::{Error as Contract, Rejection};
use crate::capability::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::instance::State;
use crate::limits::{Limits, MAX_PAGE_RECORDS, MAX_QUERY_ATTRIBUTES};
use crate::record::{Key, Order, Stamp, Stored, Timestamp, Write};

/// One store in Redis. Dropping the last handle closes the connection.
#[derive(Clone)]
pub(crate) struct Redis(Arc<Inner>);

struct Inner {
    connection: Connection,
    /// What all keys begin with.
    prefix: String,
    address: Address,
    /// The most bytes of all records together.
    max_store_bytes: Option<u64>,
    /// The most bytes of an answer.
    max_answer_bytes: u64,
    clock: Arc<dyn Clock>,
}

/// What a call of the capability answers.
type Answer<T> = Result<T, Contract>;

impl Redis {
    /// Reads what is needed to get in: the password, certificates. Connects to nobody yet.
    pub(crate) fn new(
        grant: &RedisGrant,
        namespace: &str,
        limits: &Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let prefix = layout::prefix(namespace);
        Ok(Self(Arc::new(Inner {
            connection: Connection::new(grant, &prefix, script::load_all())?,
            prefix,
            address: Address::parse(&grant.url)?,
            max_store_bytes: limits.store_bytes.map(|bytes| bytes.0),
            max_answer_bytes: limits.response_bytes.0,
            clock,
        })))
    }

    /// Whether its keys are those of the other, by the same addresses.
    pub(crate) fn is_same_storage(&self, other: &Self) -> bool {
        self.0.prefix == other.0.prefix && self.0.address.is_same_place(&other.0.address)
    }

    /// Connects, and makes sure that the store has this layout and that every command is allowed.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<()> {
        self.0.connection.connect().await.map_err(|error| {
            Error::new(
                error.kind(),
                Operation::Open,
                "there is no connection to Redis",
            )
            .with_source(error)
        })?;
        let failed = |kind, what: &str| Error::new(kind, Operation::Open, what.to_owned());
        let mut call = self.script(&script::OPEN);
        call.push(layout::LAYOUT);
        let answer = call.run(&self.0.connection, deadline).await;
        let answer = answer.map_err(|failure| match failure {
            Failure::Refused(error) => {
                let refused = failed(ErrorKind::Config, "Redis refuses the scripts of the store");
                let refused = match error.code() {
                    Some("MOVED") => refused
                        .with_hint("this server is a node of a cluster: write redis+cluster://"),
                    _ => refused
                        .with_hint("the ACL user needs @read, @write and @scripting on mortise:*"),
                };
                refused.with_source(error)
            }
            Failure::Unavailable(what) | Failure::Ambiguous(what) => {
                failed(ErrorKind::Unavailable, &what)
            }
        })?;
        let (found, refused): (String, String) = topology::read(answer).map_err(|error| {
            failed(ErrorKind::Config, "what answers is no Redis").with_source(error)
        })?;
        if found != layout::LAYOUT {
            let what = format!(
                "the store has the layout {found} in Redis, and this version knows {}",
                layout::LAYOUT
            );
            return Err(failed(ErrorKind::Config, &what).with_hint("use a newer version"));
        }
        // A server that refuses every write (full, a replica) leaves nothing half-done. One that refuses
        // this user some commands would.
        if refused.contains("NOPERM") || refused.contains("can't run this command") {
            let what = format!("Redis lets this user not write: {}", refused.trim());
            return Err(failed(ErrorKind::Config, &what)
                .with_hint("the ACL user needs @read, @write and @scripting on mortise:*"));
        }
        // Not every user may ask.
        let info = cmd("INFO").arg("memory").clone();
        let memory = self.0.connection.call(&info, Effect::Reads, deadline).await;
        let memory: String = memory
            .ok()
            .and_then(|memory| topology::read(memory).ok())
            .unwrap_or_default();
        if memory.contains("maxmemory_policy:allkeys") {
            tracing::warn!(
                "this Redis evicts keys when its memory is full, and would lose records: set its \
                 maxmemory-policy to noeviction"
            );
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// A call of a script; they all begin with the time.
    fn script(&self, script: &'static Script) -> Call {
        let mut call = script.on(&self.0.prefix);
        call.push(layout::instant(self.now()));
        call
    }

    async fn run(&self, call: &Call, deadline: Instant) -> Answer<Value> {
        let answer = call.run(&self.0.connection, deadline).await;
        answer.map_err(answer::meaning)
    }

    async fn read(&self, command: &redis::Cmd, deadline: Instant) -> Answer<Value> {
        let answer = self.0.connection.call(command, Effect::Reads, deadline);
        answer.await.map_err(answer::meaning)
    }
}

/// Whether a write that failed so may have happened.
fn in_doubt(error: &Contract) -> bool {
    matches!(error, Contract::Ambiguous(_))
}

/// What a guest hands over is held to the same rules as what callers do.
impl Host for State {
    async fn load(&mut self, key: Key) -> Answer<Option<Stored>> {
        self.checked(Operation::Load, |rules| rules.key(&key))?;
        let load = self.redis().load(key, self.deadline);
        self.context.reading(load).await
    }

    async fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Answer<Vec<Option<Stored>>> {
        self.checked(Operation::LoadMany, |rules| rules.keys(&keys))?;
        let load_many = self.redis().load_many(keys, max_bytes, self.deadline);
        self.context.reading(load_many).await
    }

    async fn find(&mut self, range: Range) -> Answer<Run> {
        self.checked(Operation::Find, |rules| {
            rules.page(None, range.limit)?;
            rules.revision(range.after)?;
            match &range.collection {
                Some(collection) => rules.collection(collection)?,
                None if range.order == Order::Updated || !range.attributes.is_empty() => {
                    return Err(rules.invalid("a range of all collections goes by create-revision"));
                }
                None => {}
            }
            rules.attributes(&range.attributes, MAX_QUERY_ATTRIBUTES)
        })?;
        let find = self.redis().find(range, self.deadline);
        self.context.reading(find).await
    }

    async fn commit(
        &mut self,
        batch: Vec<Write>,
        lifetime: Option<u64>,
    ) -> Result<Vec<Stamp>, Rejection> {
        self.checked(Operation::Apply, |rules| rules.batch(&batch))
            .map_err(|error| Rejection { index: 0, error })?;
        let (redis, deadline) = (self.redis().clone(), self.deadline);
        let commit = redis.commit(batch, lifetime, deadline);
        self.writing(commit, |rejection| in_doubt(&rejection.error))
            .await
    }

    async fn import(&mut self, records: Vec<Stored>) -> Answer<()> {
        self.checked(Operation::Import, |rules| rules.imported(&records))?;
        let (redis, deadline) = (self.redis().clone(), self.deadline);
        let import = redis.import(records, deadline);
        self.writing(import, in_doubt).await
    }

    async fn sweep(&mut self, limit: u32) -> Answer<u32> {
        self.checked(Operation::Sweep, |rules| rules.limit(limit))?;
        let sweep = self.redis().sweep(limit, self.deadline);
        self.context.reading(sweep).await
    }

    async fn clear(&mut self, collection: Option<String>) -> Answer<u64> {
        if let Some(collection) = &collection {
            self.checked(Operation::Clear, |rules| rules.collection(collection))?;
        }
        let (redis, deadline) = (self.redis().clone(), self.deadline);
        let clear = redis.clear(collection, deadline);
        self.writing(clear, in_doubt).await
    }

    async fn statistics(&mut self) -> Answer<Vec<Count>> {
        let statistics = self.redis().statistics(self.deadline);
        self.context.reading(statistics).await
    }

    async fn ping(&mut self) -> Answer<()> {
        let ping = self.redis().ping(self.deadline);
        self.context.reading(ping).await
    }
}

impl State {
    fn redis(&self) -> &Redis {
        let redis = self.context.redis.as_ref();
        redis.expect("redis is linked only where it is granted")
    }

    fn checked(
        &self,
        operation: Operation,
        check: impl FnOnce(&Arguments) -> Result<()>,
    ) -> Answer<()> {
        let limits = &self.context.limits;
        let rules = Arguments {
            operation,
            limits,
            max_body_bytes: limits.body_bytes.0,
            max_batch: MAX_PAGE_RECORDS as usize,
        };
        check(&rules).map_err(|error| Contract::Invalid(error.to_string()))
    }
}
