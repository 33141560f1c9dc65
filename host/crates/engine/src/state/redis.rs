//! The interface `redis`: the records of one store in Redis.
//!
//! What a guest hands over is held to the same rules as what callers do.
#![allow(
    clippy::result_large_err,
    reason = "the contract's errors carry records"
)]

use mortise_capability_redis::inside::{Range, Redis};
use mortise_store::inside::{Arguments, ContractError, Rejection};
use mortise_store::limits::{MAX_PAGE_RECORDS, MAX_QUERY_ATTRIBUTES};
use mortise_store::{Key, Operation, Order, Result, Stored, Write};

use super::State;
use crate::bindings::convert::{each, wit};
use crate::bindings::mortise::persistence::redis::Host;

/// What a call of the capability answers.
type Answer<T> = Result<T, wit::ContractError>;

/// Whether a write that failed so may have happened.
fn in_doubt(error: &ContractError) -> bool {
    matches!(error, ContractError::Ambiguous(_))
}

impl Host for State {
    async fn load(&mut self, key: wit::Key) -> Answer<Option<wit::Stored>> {
        let key = Key::from(key);
        self.checked(Operation::Load, |rules| rules.key(&key))?;
        let load = self.redis().load(key, self.deadline);
        let loaded = self.context.reading(load).await?;
        Ok(loaded.map(Into::into))
    }

    async fn load_many(
        &mut self,
        keys: Vec<wit::Key>,
        max_bytes: u64,
    ) -> Answer<Vec<Option<wit::Stored>>> {
        let keys: Vec<Key> = each(keys);
        self.checked(Operation::LoadMany, |rules| rules.keys(&keys))?;
        let load_many = self.redis().load_many(keys, max_bytes, self.deadline);
        let loaded = self.context.reading(load_many).await?;
        let loaded = loaded.into_iter();
        Ok(loaded.map(|record| record.map(Into::into)).collect())
    }

    async fn find(&mut self, range: wit::Range) -> Answer<wit::Run> {
        let range = Range::from(range);
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
        let run = self.context.reading(find).await?;
        Ok(run.into())
    }

    async fn commit(
        &mut self,
        batch: Vec<wit::Write>,
        lifetime: Option<u64>,
    ) -> Result<Vec<wit::Stamp>, wit::Rejection> {
        let batch: Vec<Write> = each(batch);
        self.checked(Operation::Apply, |rules| rules.batch(&batch))
            .map_err(|error| wit::Rejection { index: 0, error })?;
        let (redis, deadline) = (self.redis().clone(), self.deadline);
        let commit = redis.commit(batch, lifetime, deadline);
        let in_doubt = |rejection: &Rejection| in_doubt(&rejection.error);
        let stamps = self.writing(commit, in_doubt).await?;
        Ok(each(stamps))
    }

    async fn import(&mut self, records: Vec<wit::Stored>) -> Answer<()> {
        let records: Vec<Stored> = each(records);
        self.checked(Operation::Import, |rules| rules.imported(&records))?;
        let (redis, deadline) = (self.redis().clone(), self.deadline);
        let import = redis.import(records, deadline);
        Ok(self.writing(import, in_doubt).await?)
    }

    async fn sweep(&mut self, limit: u32) -> Answer<u32> {
        self.checked(Operation::Sweep, |rules| rules.limit(limit))?;
        let sweep = self.redis().sweep(limit, self.deadline);
        Ok(self.context.reading(sweep).await?)
    }

    async fn clear(&mut self, collection: Option<String>) -> Answer<u64> {
        if let Some(collection) = &collection {
            self.checked(Operation::Clear, |rules| rules.collection(collection))?;
        }
        let (redis, deadline) = (self.redis().clone(), self.deadline);
        let clear = redis.clear(collection, deadline);
        Ok(self.writing(clear, in_doubt).await?)
    }

    async fn statistics(&mut self) -> Answer<Vec<wit::Count>> {
        let statistics = self.redis().statistics(self.deadline);
        let counts = self.context.reading(statistics).await?;
        Ok(each(counts))
    }

    async fn ping(&mut self) -> Answer<()> {
        let ping = self.redis().ping(self.deadline);
        Ok(self.context.reading(ping).await?)
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
        check(&rules).map_err(|error| wit::ContractError::Invalid(error.to_string()))
    }
}
