//! What an answer of the server means, and what becomes of bytes that make no record.

use mortise_store::inside::{ContractError as Contract, entry_of};
use mortise_store::{Key, Stored, Write};
use redis::{FromRedisValue, Value};
use tokio::time::Instant;

use super::records::push_write;
use super::{Answer, Redis};
use crate::connection::Failure;
use crate::{layout, script};

/// What a script that writes answered.
pub(super) enum Verdict {
    Ok(Vec<Value>),
    /// Why not, at which place, and the bytes that are there.
    No(String, usize, Option<Vec<u8>>),
}

impl Verdict {
    pub(super) fn read(answer: Value) -> Answer<Self> {
        // It may be written: an answer that cannot be read leaves the caller in doubt.
        Self::parts(answer).ok_or_else(in_doubt)
    }

    fn parts(answer: Value) -> Option<Self> {
        let mut values = read::<Vec<Value>>(answer).ok()?.into_iter();
        let verdict: String = read(values.next()?).ok()?;
        if verdict == "ok" {
            return Some(Self::Ok(values.collect()));
        }
        let place = read(values.next()?).ok()?;
        let value = values.next().and_then(|value| read(value).ok());
        Some(Self::No(verdict, place, value))
    }
}

impl Redis {
    /// None where the record is expired.
    pub(super) fn live(&self, record: Stored) -> Option<Stored> {
        let expired = record.draft.expires_at.is_some_and(|at| at <= self.now());
        (!expired).then_some(record)
    }

    /// The record in these bytes. Bytes that make none are set aside.
    pub(super) async fn decode(
        &self,
        key: Key,
        value: Vec<u8>,
        deadline: Instant,
    ) -> Answer<Stored> {
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
        let mut entry = entry_of(key, reason, body, attributes);
        entry.key.id.clone_from(&id);
        let mut call = self.script(&script::COMMIT);
        call.push("").push("");
        call.push("R")
            .push(format!("={sha1}"))
            .push(key.collection.as_str())
            .push(key.id.as_str());
        push_write(&mut call, Write::put(entry));
        let answer = self.run(&call, deadline).await.and_then(Verdict::read);
        match answer {
            Ok(Verdict::Ok(_)) => {
                tracing::error!(%key, reason, entry = id, "a corrupt record was set aside");
            }
            Ok(Verdict::No(..)) => tracing::warn!(%key, reason, "others changed a corrupt record"),
            Err(error) => {
                tracing::error!(%key, reason, ?error, "a corrupt record cannot be set aside");
            }
        }
    }

    /// Why a script wrote nothing, as the contract says it.
    pub(super) async fn refusal(
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
}

/// What a failure means to the guest's caller. What the server said may name servers: it goes to the
/// log, and not through the guest.
pub(super) fn meaning(failure: Failure) -> Contract {
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
        return Contract::Internal("the server refused the command: see the host's log".to_owned());
    };
    Contract::Unavailable(what.to_owned())
}

/// An answer as a value of `T`.
pub(super) fn read<T: FromRedisValue>(answer: Value) -> Answer<T> {
    redis::from_redis_value(answer).map_err(|error| odd(&error))
}

/// The error of an answer that the scripts do not give.
pub(super) fn odd(answer: &dyn std::fmt::Debug) -> Contract {
    tracing::error!(?answer, "the answer of Redis is odd");
    Contract::Internal("the server's answer is not what the script gives".to_owned())
}

/// The error of a write whose answer cannot be read.
pub(super) fn in_doubt() -> Contract {
    Contract::Ambiguous("the server's answer to the write is odd".to_owned())
}
