//! The Redis that is read. No command in here writes.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use mortise_capability_redis::inside::{Connection, Effect, Failure, read};
use mortise_config::RedisGrant;
use mortise_config::inside::RedisGrantInside as _;
use mortise_store::inside::ErrorInside as _;
use mortise_store::{Clock as _, Error, ErrorKind, Operation, Result, SystemClock, Timestamp};
use redis::{Cmd, FromRedisValue, RedisError, Value, cmd};
use tokio::time::Instant;

/// What the keys of the older store begin with.
const KEYS: &str = "task_persistence:*";
const TASK: &[u8] = b"task_persistence:task:";
const INDEX: &[u8] = b"task_persistence:request_index:";
/// How many keys the server looks at in one step of a scan.
const SCANNED_AT_ONCE: u32 = 1000;
/// How often a scan is begun before the connection counts as one that does not hold.
const SCANS: u32 = 5;
/// How long a command may take, where the grant says nothing shorter.
const DEADLINE: Duration = Duration::from_secs(30);

/// The database of the older store.
pub(super) struct Source {
    connection: Connection,
    /// Whether the server tells the instant at which a key expires, as Redis 7.0 and later do.
    tells_instants: bool,
}

/// The ids in the names of all keys.
#[derive(Default)]
pub(super) struct Keys {
    /// Of tasks.
    pub(super) tasks: HashSet<Vec<u8>>,
    /// Of requests.
    pub(super) indexes: HashSet<Vec<u8>>,
}

/// How long a key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// It is not there any more.
    Gone,
    Never,
    At(Timestamp),
}

/// What the server answers to one command.
type Answer<T> = Result<T, Failure>;

pub(super) fn task_key(id: &[u8]) -> Vec<u8> {
    [TASK, id].concat()
}

pub(super) fn index_key(request: &[u8]) -> Vec<u8> {
    [INDEX, request].concat()
}

impl Source {
    pub(super) async fn connect(grant: &RedisGrant) -> Result<Self> {
        if grant.names_cluster()? {
            return Err(Error::config(
                "a Redis Cluster is no source of an import: no single server has all of its keys",
            )
            .with_hint(
                "the older store knows no clusters; name its server as redis://HOST:PORT/DATABASE",
            ));
        }
        let mut source = Self {
            connection: Connection::new(grant, "", redis::Pipeline::new())?,
            tells_instants: true,
        };
        source.connection.connect().await.map_err(|error| {
            let message = "there is no connection to the Redis to import from";
            Error::new(error.kind(), Operation::Import, message).with_source(error)
        })?;
        let asked: Answer<i64> = source.ask(cmd("PEXPIRETIME").arg(TASK)).await;
        source.tells_instants = match asked {
            Ok(_) => true,
            Err(Failure::Refused(_)) => false,
            Err(failure) => return Err(failed(failure)),
        };
        Ok(source)
    }

    /// All keys. `told` is called after each step.
    pub(super) async fn keys(&self, mut told: impl FnMut()) -> Result<Keys> {
        let mut keys = Keys::default();
        for _ in 0..SCANS {
            let made = self.connection.made();
            self.scan(&mut keys, &mut told).await?;
            // A cursor means nothing to another server, or to the same one started anew, and keys would
            // be missing without a sign of it.
            if self.connection.made() == made {
                return Ok(keys);
            }
        }
        let message = "the connection to the Redis to import from does not hold";
        Err(Error::new(
            ErrorKind::Unavailable,
            Operation::Import,
            message,
        ))
    }

    async fn scan(&self, keys: &mut Keys, told: &mut impl FnMut()) -> Result<()> {
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(KEYS);
            scan.arg("COUNT").arg(SCANNED_AT_ONCE);
            let (next, found): (String, Vec<Vec<u8>>) = self.ask(&scan).await.map_err(failed)?;
            for key in found {
                if let Some(id) = key.strip_prefix(TASK) {
                    keys.tasks.insert(id.to_vec());
                } else if let Some(request) = key.strip_prefix(INDEX) {
                    keys.indexes.insert(request.to_vec());
                }
            }
            told();
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// The length of each task's value; none where it is no string.
    pub(super) async fn lengths(&self, ids: &[Vec<u8>]) -> Result<Vec<Option<u64>>> {
        let ids = ids.iter();
        let commands = ids.map(|id| cmd("STRLEN").arg(task_key(id)).take());
        self.ask_typed(commands).await
    }

    /// Each task's value; none where it is no string.
    pub(super) async fn values(&self, ids: &[&Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = cmd("MGET");
        for id in ids {
            command.arg(task_key(id));
        }
        let values: Vec<_> = self.ask(&command).await.map_err(failed)?;
        if values.len() != ids.len() {
            return Err(odd());
        }
        Ok(values)
    }

    /// What a task's value is: `list`, `hash`.
    pub(super) async fn kind(&self, id: &[u8]) -> Result<String> {
        let command = cmd("TYPE").arg(task_key(id)).take();
        self.ask(&command).await.map_err(failed)
    }

    /// When each task expires.
    pub(super) async fn expiries(
        &self,
        ids: impl Iterator<Item = &Vec<u8>>,
    ) -> Result<Vec<Expiry>> {
        let (name, since) = match self.tells_instants {
            true => ("PEXPIRETIME", 0),
            false => ("PTTL", SystemClock.now()),
        };
        let commands = ids.map(|id| cmd(name).arg(task_key(id)).take());
        let answers = self.ask_all::<i64>(commands).await;
        let expiry = |answer: Answer<i64>| match answer {
            Ok(-2) => Ok(Expiry::Gone),
            Ok(-1) => Ok(Expiry::Never),
            Ok(time) => match u64::try_from(time) {
                Ok(time) => Ok(Expiry::At(since.saturating_add(time))),
                Err(_) => Err(odd()),
            },
            Err(failure) => Err(failed(failure)),
        };
        answers.into_iter().map(expiry).collect()
    }

    /// The members of each request's index set; none where it is no set.
    pub(super) async fn members(&self, requests: &[&Vec<u8>]) -> Result<Vec<Option<Vec<Vec<u8>>>>> {
        let requests = requests.iter();
        let commands = requests.map(|request| cmd("SMEMBERS").arg(index_key(request)).take());
        self.ask_typed(commands).await
    }

    /// The answers of commands that the server refuses where a key has another type: none for those.
    async fn ask_typed<T: FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
    ) -> Result<Vec<Option<T>>> {
        let answers = self.ask_all(commands).await.into_iter();
        let typed = answers.map(|answer| match answer {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Refused(error)) if error.code() == Some("WRONGTYPE") => Ok(None),
            Err(failure) => Err(failed(failure)),
        });
        typed.collect()
    }

    /// Sends all at once, in one pipeline.
    async fn ask_all<T: FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
    ) -> Vec<Answer<T>> {
        let asked = commands.map(|command| async move { self.ask(&command).await });
        join_all(asked).await
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Answer<T> {
        let deadline = Instant::now() + DEADLINE;
        let answer: Value = self
            .connection
            .call(command, Effect::Reads, deadline)
            .await?;
        read(answer).map_err(Failure::Refused)
    }
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::Refused(error) => refused(error),
        Failure::Unavailable(what) | Failure::Ambiguous(what) => {
            let message = format!("the Redis to import from: {what}");
            Error::new(ErrorKind::Unavailable, Operation::Import, message)
        }
    }
}

fn refused(error: RedisError) -> Error {
    let message = "the Redis to import from refuses a command";
    let refused = Error::new(ErrorKind::Config, Operation::Import, message);
    let refused = match error.code() {
        Some("NOPERM") => refused
            .with_hint("the ACL user needs +@read and ~task_persistence:*; it writes nothing"),
        Some("MOVED") => {
            refused.with_hint("this server is a node of a cluster, which is no source")
        }
        _ => refused,
    };
    refused.with_source(error)
}

fn odd() -> Error {
    let message = "the Redis to import from gives an odd answer";
    Error::new(ErrorKind::Config, Operation::Import, message)
}
