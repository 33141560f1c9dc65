//! One store in Redis: opened, and what a guest can do with it.
#![allow(
    clippy::result_large_err,
    reason = "the contract's errors carry records"
)]

mod answer;
mod records;

use std::sync::Arc;

use mortise_config::RedisGrant;
use mortise_config::inside::Address;
use mortise_store::inside::{ContractError as Contract, ErrorInside as _, Later};
use mortise_store::{Clock, Error, ErrorKind, Limits, Operation, Result, Timestamp};
use redis::{Value, cmd};
use tokio::time::Instant;

use crate::connection::{Connection, Effect, Failure};
use crate::script::{Call, Script};
use crate::{layout, link, script};

/// One store in Redis. Dropping the last handle closes the connection.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

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
    pub fn new(
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
    pub fn is_same_storage(&self, other: &Self) -> bool {
        self.0.prefix == other.0.prefix && self.0.address.is_same_place(&other.0.address)
    }

    /// Connects, and makes sure that the store has this layout and that every command is allowed.
    pub fn connect(&self, deadline: Instant) -> Later<'_, Result<()>> {
        Box::pin(async move {
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
                    let refused =
                        failed(ErrorKind::Config, "Redis refuses the scripts of the store");
                    let refused = match error.code() {
                        Some("MOVED") => refused.with_hint(
                            "this server is a node of a cluster: write redis+cluster://",
                        ),
                        _ => refused.with_hint(
                            "the ACL user needs @read, @write and @scripting on mortise:*",
                        ),
                    };
                    refused.with_source(error)
                }
                Failure::Unavailable(what) | Failure::Ambiguous(what) => {
                    failed(ErrorKind::Unavailable, &what)
                }
            })?;
            let (found, refused): (String, String) = link::read(answer).map_err(|error| {
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
                .and_then(|memory| link::read(memory).ok())
                .unwrap_or_default();
            if memory.contains("maxmemory_policy:allkeys") {
                tracing::warn!(
                    "this Redis evicts keys when its memory is full, and would lose records: set its \
                     maxmemory-policy to noeviction"
                );
            }
            Ok(())
        })
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
