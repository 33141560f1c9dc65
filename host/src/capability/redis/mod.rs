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

mod connection;
mod grant;
mod layout;
mod script;
mod topology;

use std::sync::Arc;

use redis::{Value, cmd};
use tokio::time::Instant;

pub(crate) use self::connection::{Connection, Effect, Failure};
pub use self::grant::RedisGrant;
pub(crate) use self::grant::{is_scheme, redacted};
use self::script::{Arguments, Script};
pub(crate) use self::topology::read;
use crate::bindings::mortise::persistence::redis::{Count, Host, Range, Run};
use crate::bindings::mortise::persistence::types::{Error as Contract, Rejection};
use crate::capability::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::instance::State;
use crate::limits::Limits;
use crate::quarantine;
use crate::record::{
    Draft, Key, Order, Precondition, Put, Remove, Stamp, Stored, Timestamp, Write,
};

/// How many entries of a collection are counted in one round trip.
const COUNTED_AT_ONCE: u64 = 5_000;

/// One store in Redis. Dropping the last handle closes the connection.
#[derive(Clone)]
pub(crate) struct Redis(Arc<Inner>);

struct Inner {
    connection: Connection,
    /// What all keys begin with.
    prefix: String,
    /// The most bytes of all records together.
    max_store_bytes: Option<u64>,
    /// The most bytes of an answer.
    max_answer_bytes: u64,
    clock: Arc<dyn Clock>,
}

/// Why a call of the capability failed.
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
            connection: Connection::new(grant, &prefix)?,
            prefix,
            max_store_bytes: limits.store_bytes.map(|bytes| bytes.0),
            max_answer_bytes: limits.response_bytes.0,
            clock,
        })))
    }

    /// Connects, and makes sure that the store has this layout and that every command is allowed.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<()> {
        self.0.connection.connect().await.map_err(|error| {
            let kind = match error.is_lasting {
                true => ErrorKind::Config,
                false => ErrorKind::Unavailable,
            };
            Error::new(kind, Operation::Open, "there is no connection to Redis").with_source(error)
        })?;
        let failed = |kind, what: &str| Error::new(kind, Operation::Open, what.to_owned());
        let mut arguments = self.arguments();
        arguments.push(layout::LAYOUT);
        let answer = self.run(&script::OPEN, &arguments, deadline).await;
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
        let (found, refused): (String, String) = read(answer).map_err(|error| {
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
        Ok(())
    }

    async fn load(&self, key: Key, deadline: Instant) -> Answer<Option<Stored>> {
        let stored_under = layout::record_key(&self.0.prefix, &key);
        let answer = self.read(cmd("GET").arg(stored_under), deadline).await?;
        match answer {
            Value::Nil => Ok(None),
            Value::BulkString(value) => Ok(self.live(self.decode(key, value, deadline).await?)),
            other => Err(odd(&other)),
        }
    }

    async fn load_many(
        &self,
        keys: Vec<Key>,
        max_bytes: u64,
        deadline: Instant,
    ) -> Answer<Vec<Option<Stored>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = cmd("MGET");
        for key in &keys {
            command.arg(layout::record_key(&self.0.prefix, key));
        }
        let answer = self.read(&command, deadline).await?;
        let values: Vec<Option<Vec<u8>>> = read(answer).map_err(|error| odd(&error))?;
        if values.len() != keys.len() {
            return Err(odd(&values.len()));
        }
        let (mut records, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        for (key, value) in keys.into_iter().zip(values) {
            let record = match value {
                None => None,
                Some(value) => self.live(self.decode(key, value, deadline).await?),
            };
            bytes += record.as_ref().map_or(0, |record| record.draft.size());
            records.push(record);
        }
        if bytes > max_bytes {
            return Err(Contract::TooLarge(format!(
                "the records asked for are over {max_bytes} bytes: ask for fewer"
            )));
        }
        Ok(records)
    }

    async fn find(&self, range: Range, deadline: Instant) -> Answer<Run> {
        let mut arguments = self.arguments();
        arguments
            .number(u64::from(range.limit))
            .number(range.max_bytes.min(self.0.max_answer_bytes))
            .flag(range.bodies)
            .flag(range.descending)
            .push(range.after.map(layout::revision).unwrap_or_default())
            .push(match range.order {
                Order::Created => "c",
                Order::Updated => "u",
            })
            .push(range.collection.unwrap_or_default());
        for attribute in range.attributes {
            arguments.push(attribute.name).push(attribute.value);
        }
        loop {
            let answer = self.run(&script::FIND, &arguments, deadline).await;
            let answer = answer.map_err(|failure| self.meaning(failure))?;
            let mut values = read::<Vec<Value>>(answer)
                .map_err(|error| odd(&error))?
                .into_iter();
            let more = values.next().and_then(|more| read(more).ok());
            let more = more.ok_or_else(|| odd(&"no page"))?;
            let mut run = Run {
                records: Vec::with_capacity(values.len() / 2),
                more,
            };
            let mut unreadable = None;
            while let (Some(name), Some(value)) = (values.next(), values.next()) {
                let key = read(name).ok().and_then(layout::key_of);
                let key = key.ok_or_else(|| odd(&"a record without a name"))?;
                let value = read(value).map_err(|error| odd(&error))?;
                match self.decode(key, value, deadline).await {
                    Ok(record) => run.records.push(record),
                    Err(error) => unreadable = Some(error),
                }
            }
            match unreadable {
                // All that was found was set aside. What comes after it has not been looked at.
                Some(error) if run.records.is_empty() && run.more => {
                    if Instant::now() >= deadline {
                        return Err(error);
                    }
                }
                _ => return Ok(run),
            }
        }
    }

    async fn commit(
        &self,
        batch: Vec<Write>,
        lifetime: Option<u64>,
        deadline: Instant,
    ) -> Result<Vec<Stamp>, Rejection> {
        let as_a_whole = |error| Rejection { index: 0, error };
        let keys: Vec<Key> = batch.iter().map(|write| write.key().clone()).collect();
        let writes = batch.len();
        let mut arguments = self.arguments();
        arguments.number(self.0.max_store_bytes).number(lifetime);
        for write in batch {
            push_write(&mut arguments, write);
        }
        let answer = self.run(&script::COMMIT, &arguments, deadline).await;
        let answer = answer.map_err(|failure| as_a_whole(self.meaning(failure)))?;
        match Verdict::read(answer).map_err(as_a_whole)? {
            // It is committed: an answer that cannot be read leaves the caller in doubt.
            Verdict::Ok(stamps) => stamps
                .into_iter()
                .map(read_stamp)
                .collect::<Option<Vec<_>>>()
                .filter(|stamps| stamps.len() == writes)
                .ok_or_else(|| {
                    let what = "the server's answer to the commit is odd".to_owned();
                    as_a_whole(Contract::Ambiguous(what))
                }),
            Verdict::No(why, index, value) => {
                let key = keys
                    .into_iter()
                    .nth(index)
                    .ok_or_else(|| as_a_whole(odd(&index)))?;
                let error = self.refusal(&why, key, value, deadline).await;
                let index = index as u32;
                Err(Rejection { index, error })
            }
        }
    }

    async fn import(&self, records: Vec<Stored>, deadline: Instant) -> Answer<()> {
        let keys: Vec<Key> = records.iter().map(|record| record.key().clone()).collect();
        let mut arguments = self.arguments();
        arguments.number(self.0.max_store_bytes);
        for Stored { draft, stamp } in records {
            arguments
                .push(draft.key.collection)
                .push(draft.key.id)
                .push(layout::revision(stamp.create_revision))
                .push(layout::revision(stamp.mod_revision))
                .push(layout::instant(stamp.created_at))
                .push(layout::instant(stamp.updated_at))
                .push(layout::expiry(draft.expires_at))
                .push(layout::attributes(&draft.attributes))
                .push(draft.body);
        }
        let answer = self.run(&script::IMPORT, &arguments, deadline).await;
        match Verdict::read(answer.map_err(|failure| self.meaning(failure))?)? {
            Verdict::Ok(_) => Ok(()),
            Verdict::No(why, index, value) => {
                let key = keys.into_iter().nth(index).ok_or_else(|| odd(&index))?;
                Err(self.refusal(&why, key, value, deadline).await)
            }
        }
    }

    async fn sweep(&self, limit: u32, deadline: Instant) -> Answer<u32> {
        let mut arguments = self.arguments();
        arguments.number(u64::from(limit));
        let answer = self.run(&script::SWEEP, &arguments, deadline).await;
        read(answer.map_err(|failure| self.meaning(failure))?).map_err(|error| odd(&error))
    }

    async fn clear(&self, collection: Option<String>, deadline: Instant) -> Answer<u64> {
        let mut arguments = self.arguments();
        arguments.push(collection.unwrap_or_default());
        let answer = self.run(&script::CLEAR, &arguments, deadline).await;
        read(answer.map_err(|failure| self.meaning(failure))?).map_err(|error| odd(&error))
    }

    async fn statistics(&self, deadline: Instant) -> Answer<Vec<Count>> {
        let key = format!("{}collections", self.0.prefix);
        let answer = self.read(cmd("SMEMBERS").arg(key), deadline).await?;
        let mut collections: Vec<String> = read(answer).map_err(|error| odd(&error))?;
        collections.sort_unstable();
        let mut counts = Vec::new();
        for collection in collections {
            let mut count = Count {
                collection,
                records: 0,
                body_bytes: 0,
            };
            let mut after = String::new();
            loop {
                let mut arguments = self.arguments();
                arguments
                    .push(count.collection.as_str())
                    .push(after)
                    .number(COUNTED_AT_ONCE);
                let answer = self.run(&script::COUNT, &arguments, deadline).await;
                let answer = answer.map_err(|failure| self.meaning(failure))?;
                let (last, records, bytes): (String, u64, u64) =
                    read(answer).map_err(|error| odd(&error))?;
                count.records += records;
                count.body_bytes += bytes;
                after = last;
                if after.is_empty() {
                    break;
                }
            }
            if count.records > 0 {
                counts.push(count);
            }
        }
        Ok(counts)
    }

    async fn ping(&self, deadline: Instant) -> Answer<()> {
        let key = format!("{}revision", self.0.prefix);
        self.read(cmd("GET").arg(key), deadline).await.map(drop)
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The arguments that every script begins with.
    fn arguments(&self) -> Arguments {
        let mut arguments = Arguments::default();
        arguments.push(layout::instant(self.now()));
        arguments
    }

    async fn run(
        &self,
        script: &Script,
        arguments: &Arguments,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let Inner {
            connection, prefix, ..
        } = &*self.0;
        script.run(connection, prefix, arguments, deadline).await
    }

    async fn read(&self, command: &redis::Cmd, deadline: Instant) -> Answer<Value> {
        let answer = self.0.connection.call(command, Effect::Reads, deadline);
        answer.await.map_err(|failure| self.meaning(failure))
    }

    /// None where the record is expired.
    fn live(&self, record: Stored) -> Option<Stored> {
        let expired = record.draft.expires_at.is_some_and(|at| at <= self.now());
        (!expired).then_some(record)
    }

    /// The record in these bytes. Bytes that make none are set aside.
    async fn decode(&self, key: Key, value: Vec<u8>, deadline: Instant) -> Answer<Stored> {
        match layout::decode(key.clone(), value) {
            Ok(record) => Ok(record),
            Err((unreadable, value)) => {
                self.set_aside(&key, unreadable, value, deadline).await;
                Err(Contract::Corrupt(key))
            }
        }
    }

    /// Moves bytes that make no record into quarantine, unless others have changed them. Where that
    /// fails they stay where they are.
    async fn set_aside(
        &self,
        key: &Key,
        unreadable: layout::Unreadable,
        value: Vec<u8>,
        deadline: Instant,
    ) {
        let layout::Unreadable { reason, salvaged } = unreadable;
        let sha1 = script::sha1(&value);
        let (attributes, body) = match salvaged {
            Some((attributes, head)) => (attributes, value[head..].to_vec()),
            None => (Vec::new(), value),
        };
        // The same bytes under the same key are the same entry, whoever finds them.
        let id = script::sha1(format!("{sha1} {key}").as_bytes());
        let entry = quarantine::entry(&id, key, reason, body, attributes);
        let mut arguments = self.arguments();
        arguments.number(None).number(None);
        arguments
            .push("R")
            .push(format!("={sha1}"))
            .push(key.collection.as_str())
            .push(key.id.as_str());
        push_write(&mut arguments, Write::put(entry));
        match self.run(&script::COMMIT, &arguments, deadline).await {
            Ok(_) => tracing::error!(%key, reason, entry = id, "a corrupt record was set aside"),
            Err(failure) => {
                tracing::error!(%key, reason, ?failure, "a corrupt record cannot be set aside");
            }
        }
    }

    /// Why a script wrote nothing, as the contract says it.
    async fn refusal(
        &self,
        why: &str,
        key: Key,
        value: Option<Vec<u8>>,
        deadline: Instant,
    ) -> Contract {
        match (why, value) {
            ("exists", _) => Contract::AlreadyExists(key),
            ("missing", _) => Contract::NotFound(key),
            ("changed" | "corrupt", Some(value)) => {
                match self.decode(key.clone(), value, deadline).await {
                    Ok(record) if why == "changed" => Contract::Conflict(record),
                    Ok(_) => Contract::Unavailable("the record was just repaired".to_owned()),
                    Err(error) => error,
                }
            }
            ("full", _) => Contract::TooLarge("the store is full".to_owned()),
            ("taken", _) => Contract::Invalid(format!(
                "a revision of {:?} belongs to another record",
                key.id
            )),
            (other, _) => odd(&other),
        }
    }

    /// What a failure means to the guest's caller. What the server said may name servers: it goes to the
    /// log, and not through the guest.
    fn meaning(&self, failure: Failure) -> Contract {
        let error = match failure {
            Failure::Unavailable(what) => return Contract::Unavailable(what),
            Failure::Ambiguous(what) => return Contract::Ambiguous(what),
            Failure::Refused(error) => error,
        };
        let said = error.to_string();
        // Before version 7, the reason of a refusal within a script stands in its text.
        let is = |code: &str| error.code() == Some(code) || said.contains(code);
        if is("OOM") {
            return Contract::TooLarge("the server's memory is full (maxmemory)".to_owned());
        }
        tracing::error!(%error, "Redis refused a command");
        let what = if is("READONLY") {
            "the server is a read-only replica"
        } else if is("MISCONF") {
            "the server cannot write its snapshots, and takes no writes"
        } else if is("NOREPLICAS") {
            "the server has too few replicas, and takes no writes"
        } else if is("NOPERM") || is("NOAUTH") {
            "the server does not allow it"
        } else {
            return Contract::Internal(
                "the server refused the command: see the host's log".to_owned(),
            );
        };
        Contract::Unavailable(what.to_owned())
    }
}

/// What a script that writes answered.
enum Verdict {
    Ok(Vec<Value>),
    /// Why not, at which place, and the bytes that are there.
    No(String, usize, Option<Vec<u8>>),
}

impl Verdict {
    fn read(answer: Value) -> Answer<Self> {
        let mut values = read::<Vec<Value>>(answer)
            .map_err(|error| odd(&error))?
            .into_iter();
        let verdict: String = values
            .next()
            .and_then(|verdict| read(verdict).ok())
            .ok_or_else(|| odd(&"no verdict"))?;
        if verdict == "ok" {
            return Ok(Self::Ok(values.collect()));
        }
        let place = values.next().and_then(|place| read(place).ok());
        let place = place.ok_or_else(|| odd(&verdict))?;
        let value = values.next().and_then(|value| read(value).ok());
        Ok(Self::No(verdict, place, value))
    }
}

fn push_write(arguments: &mut Arguments, write: Write) {
    let expect = |expect: Precondition| match expect {
        Precondition::None => "*".to_owned(),
        Precondition::Absent => "-".to_owned(),
        Precondition::Present => "+".to_owned(),
        Precondition::UnchangedSince(revision) => layout::revision(revision),
    };
    match write {
        Write::Put(Put {
            draft,
            expect: when,
        }) => {
            let Draft {
                key,
                body,
                attributes,
                expires_at,
            } = draft;
            arguments
                .push("P")
                .push(expect(when))
                .push(key.collection)
                .push(key.id)
                .push(layout::expiry(expires_at))
                .push(layout::attributes(&attributes))
                .push(body);
        }
        Write::Remove(Remove { key, expect: when }) => {
            arguments
                .push("R")
                .push(expect(when))
                .push(key.collection)
                .push(key.id);
        }
    }
}

fn read_stamp(value: Value) -> Option<Stamp> {
    let text: String = read(value).ok()?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse().ok();
    Some(Stamp {
        create_revision: number(0, 19)?,
        mod_revision: number(19, 38)?,
        created_at: number(38, 53)?,
        updated_at: number(53, 68)?,
    })
}

fn odd(answer: &dyn std::fmt::Debug) -> Contract {
    tracing::error!(?answer, "the answer of Redis is odd");
    Contract::Internal("the server's answer is not what the script gives".to_owned())
}

impl Host for State {
    async fn load(&mut self, key: Key) -> Answer<Option<Stored>> {
        self.redis().load(key, self.deadline).await
    }

    async fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Answer<Vec<Option<Stored>>> {
        self.redis().load_many(keys, max_bytes, self.deadline).await
    }

    async fn find(&mut self, range: Range) -> Answer<Run> {
        self.redis().find(range, self.deadline).await
    }

    async fn commit(
        &mut self,
        batch: Vec<Write>,
        lifetime: Option<u64>,
    ) -> Result<Vec<Stamp>, Rejection> {
        let (redis, deadline) = (self.redis(), self.deadline);
        let commit = redis.commit(batch, lifetime, deadline);
        self.writing(commit, |rejection| &rejection.error).await
    }

    async fn import(&mut self, records: Vec<Stored>) -> Answer<()> {
        let (redis, deadline) = (self.redis(), self.deadline);
        self.writing(redis.import(records, deadline), |error| error)
            .await
    }

    async fn sweep(&mut self, limit: u32) -> Answer<u32> {
        self.redis().sweep(limit, self.deadline).await
    }

    async fn clear(&mut self, collection: Option<String>) -> Answer<u64> {
        let (redis, deadline) = (self.redis(), self.deadline);
        self.writing(redis.clear(collection, deadline), |error| error)
            .await
    }

    async fn statistics(&mut self) -> Answer<Vec<Count>> {
        self.redis().statistics(self.deadline).await
    }

    async fn ping(&mut self) -> Answer<()> {
        self.redis().ping(self.deadline).await
    }
}

impl State {
    fn redis(&self) -> Redis {
        let redis = self.context.redis.as_ref();
        redis
            .expect("redis is linked only where it is granted")
            .clone()
    }

    /// Runs a write. Until it is known what became of it, it may have happened.
    async fn writing<T, E>(
        &mut self,
        write: impl Future<Output = Result<T, E>>,
        cause: impl Fn(&E) -> &Contract,
    ) -> Result<T, E> {
        let wrote_before = std::mem::replace(&mut self.may_have_written, true);
        let result = write.await;
        if let Err(error) = &result
            && !matches!(cause(error), Contract::Ambiguous(_))
        {
            self.may_have_written = wrote_before;
        }
        result
    }
}
