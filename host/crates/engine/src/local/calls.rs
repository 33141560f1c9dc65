//! The store as a place: each call runs on an instance of its backend.

use std::any::Any;

use mortise_store::inside::{
    Arguments, ErrorInside as _, Here, Later, Place, Rejection, report, status_of,
};
use mortise_store::limits::MAX_PAGE_RECORDS;
use mortise_store::{
    CollectionStatistics, Description, Draft, Error, Key, Limits, Operation, Page, Query, Result,
    Revision, Snapshot, Stamp, Status, Stored, Timestamp, Write,
};
use mortise_transfer::inside::Snapshots;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::Local;
use crate::calls::{self, Answer};
use crate::instance::GuestCall;

impl Place for Local {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn backend(&self) -> &str {
        &self.0.config.backend
    }

    fn namespace(&self) -> &str {
        &self.0.config.namespace
    }

    fn describe(&self) -> Description {
        self.running().description.clone()
    }

    fn status(&self) -> Status {
        let running = self.running();
        let snapshots = self.0.snapshots.as_ref();
        let generation = &running.generation;
        let mut status = status_of(generation.number, generation.compiled.manifest.digest);
        (status.traps, status.last_trap) = running.breaker.traps();
        status.refusal = self.0.origin.backend.refusal();
        status.breaker = running.breaker.state();
        status.state_lost = running.instances.is_lost();
        status.snapshot = snapshots.and_then(Snapshots::last);
        status.snapshot_taken_at = snapshots.and_then(Snapshots::taken_at);
        status.instances = running.instances.counts();
        status.fallback = self.0.fallback.get().cloned();
        status
    }

    fn limits(&self) -> &Limits {
        &self.0.context.limits
    }

    fn now(&self) -> Timestamp {
        self.0.context.clock.now()
    }

    fn arguments(&self, operation: Operation) -> Arguments<'_> {
        let limits = self.limits();
        let running = self.running();
        let about = &running.description;
        Arguments {
            operation,
            limits,
            max_body_bytes: limits.body_bytes.0.min(about.max_body_bytes),
            max_batch: about.max_batch.min(MAX_PAGE_RECORDS) as usize,
        }
    }

    fn shares_storage_with(&self, other: &dyn Place) -> bool {
        let other = (other as &dyn Any).downcast_ref::<Self>();
        other.is_some_and(|other| {
            std::sync::Arc::ptr_eq(&self.0, &other.0)
                || self.0.context.is_same_storage(&other.0.context)
        })
    }

    fn create(&self, draft: Draft) -> Later<'_, Result<Stamp>> {
        Box::pin(async move {
            let key = draft.key.clone();
            let create = calls::Create(draft);
            self.call(Operation::Create, Some(&key), create).await
        })
    }

    fn load<'a>(&'a self, key: &'a Key) -> Later<'a, Result<Option<Stored>>> {
        let load = calls::Load(key.clone());
        Box::pin(self.call(Operation::Load, Some(key), load))
    }

    fn load_many(&self, keys: Vec<Key>) -> Later<'_, Result<Vec<Option<Stored>>>> {
        Box::pin(self.call(Operation::LoadMany, None, calls::LoadMany(keys)))
    }

    fn update(&self, draft: Draft, expect: Option<Revision>) -> Later<'_, Result<Stamp>> {
        Box::pin(async move {
            let key = draft.key.clone();
            let update = calls::Update(draft, expect);
            self.call(Operation::Update, Some(&key), update).await
        })
    }

    fn delete<'a>(&'a self, key: &'a Key, expect: Option<Revision>) -> Later<'a, Result<()>> {
        let delete = calls::Delete(key.clone(), expect);
        Box::pin(self.call(Operation::Delete, Some(key), delete))
    }

    fn find(&self, query: Query) -> Later<'_, Result<Page>> {
        Box::pin(self.call(Operation::Find, None, calls::Find(query)))
    }

    fn apply(&self, batch: Vec<Write>) -> Later<'_, Result<Vec<Revision>>> {
        Box::pin(async move {
            let operation = Operation::Apply;
            let keys: Vec<Key> = batch.iter().map(|write| write.key().clone()).collect();
            let rejected = |rejection: Rejection| {
                let index = rejection.index as usize;
                let error =
                    Error::from_contract(operation, rejection.error).with_write_index(index);
                match keys.get(index) {
                    Some(key) => error.with_key(key.clone()),
                    None => error,
                }
            };
            let read = |answer: Result<_, Rejection>| answer.map_err(rejected);
            let apply = calls::Apply(batch);
            self.call_gated(operation, true, None, apply, read).await
        })
    }

    fn take_revision(&self, nothing: Write) -> Later<'_, Result<Vec<Revision>>> {
        Box::pin(async move {
            let operation = Operation::Apply;
            let batch = calls::Apply(vec![nothing]);
            let read = |answer: Result<_, Rejection>| {
                answer.map_err(|rejection| Error::from_contract(operation, rejection.error))
            };
            self.call_gated(operation, false, None, batch, read).await
        })
    }

    fn export(&self, after: Option<String>, limit: u32) -> Later<'_, Result<Page>> {
        Box::pin(self.call(Operation::Export, None, calls::Export(after, limit)))
    }

    fn import(&self, records: Vec<Stored>) -> Later<'_, Result<()>> {
        Box::pin(self.call(Operation::Import, None, calls::Import(records)))
    }

    fn sweep(&self, limit: u32) -> Later<'_, Result<u32>> {
        Box::pin(self.call(Operation::Sweep, None, calls::Sweep(limit)))
    }

    fn clear<'a>(&'a self, collection: Option<&'a str>) -> Later<'a, Result<u64>> {
        let clear = calls::Clear(collection.map(str::to_owned));
        Box::pin(self.call(Operation::Clear, None, clear))
    }

    fn statistics(&self) -> Later<'_, Result<Vec<CollectionStatistics>>> {
        Box::pin(self.call(Operation::Statistics, None, calls::Statistics()))
    }

    fn health(&self) -> Later<'_, Result<()>> {
        Box::pin(self.call(Operation::Health, None, calls::Health()))
    }

    fn reopen(&self) -> Later<'_, Result<()>> {
        Box::pin(self.start_anew())
    }

    fn snapshot(&self) -> Later<'_, Result<Option<Snapshot>>> {
        Box::pin(self.take_snapshot())
    }

    fn here(&self) -> Option<&dyn Here> {
        Some(self)
    }
}

impl Local {
    /// Runs one call whose answer is a result of the contract.
    async fn call<T, C>(&self, operation: Operation, key: Option<&Key>, call: C) -> Result<T>
    where
        C: GuestCall<Answer = Answer<T>>,
    {
        let read =
            |answer: Answer<T>| answer.map_err(|refusal| Error::from_contract(operation, refusal));
        self.call_gated(operation, operation.writes(), key, call, read)
            .await
    }

    /// Runs one call: a span, the deadline, an instance, and the error in this crate's words.
    async fn call_gated<T, C: GuestCall>(
        &self,
        operation: Operation,
        gated: bool,
        key: Option<&Key>,
        call: C,
        read: impl FnOnce(C::Answer) -> Result<T>,
    ) -> Result<T> {
        let running = self.running();
        let limits = self.limits();
        let patience = match operation {
            Operation::Clear | Operation::Statistics => limits.upkeep_deadline,
            _ => limits.deadline,
        };
        let span = tracing::debug_span!(
            "call",
            store = self.name(),
            backend = self.backend(),
            operation = operation.as_str()
        );
        // One reading for all.
        let now = Instant::now();
        let measures = &self.0.context.measures;
        let under_way = measures.begin(operation, now);
        let answer = match running.breaker.admit(now, || running.instances.is_lost()) {
            Ok(pass) => {
                let waits = &measures.waits;
                let call = running.instances.call(now, patience, gated, waits, call);
                let answer = call.instrument(span.clone()).await;
                if pass.ended(&answer) {
                    measures.traps.add();
                }
                answer
            }
            Err(rest) => Err(rest),
        };
        // What a sweep removes was absent before.
        if gated
            && operation != Operation::Sweep
            && let Some(snapshots) = &self.0.snapshots
        {
            snapshots.note_change();
        }
        let answer = answer
            .map_err(|fault| fault.into_error(operation))
            .and_then(read);
        under_way.ended(answer.as_ref().err().map(Error::kind));
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error.with_backend(self.backend()),
        };
        let error = match key {
            Some(key) => error.with_key(key.clone()),
            None => error,
        };
        span.in_scope(|| report(&error));
        Err(error)
    }
}
