//! The calls of a store that is opened here: each runs on an instance of its backend.

use tokio::time::Instant;
use tracing::Instrument as _;

use super::Local;
use crate::bindings::mortise::persistence::types::Rejection;
use crate::calls::{self, Answer};
use crate::error::{Error, Operation, Result};
use crate::handover;
use crate::instance::{Call, Instance};
use crate::record::{
    CollectionStatistics, Draft, Key, Page, Query, Revision, Stamp, Stored, Write,
};
use crate::store::report;

impl Local {
    pub(in crate::store) async fn create(&self, draft: Draft) -> Result<Stamp> {
        let key = draft.key.clone();
        let create = calls::create(draft);
        self.call(Operation::Create, Some(&key), create).await
    }

    pub(in crate::store) async fn load(&self, key: &Key) -> Result<Option<Stored>> {
        let load = calls::load(key.clone());
        self.call(Operation::Load, Some(key), load).await
    }

    pub(in crate::store) async fn load_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Stored>>> {
        let load_many = calls::load_many(keys);
        self.call(Operation::LoadMany, None, load_many).await
    }

    pub(in crate::store) async fn update(
        &self,
        draft: Draft,
        expect: Option<Revision>,
    ) -> Result<Stamp> {
        let key = draft.key.clone();
        let update = calls::update(draft, expect);
        self.call(Operation::Update, Some(&key), update).await
    }

    pub(in crate::store) async fn delete(&self, key: &Key, expect: Option<Revision>) -> Result<()> {
        let delete = calls::delete(key.clone(), expect);
        self.call(Operation::Delete, Some(key), delete).await
    }

    pub(in crate::store) async fn find(&self, query: Query) -> Result<Page> {
        self.call(Operation::Find, None, calls::find(query)).await
    }

    pub(in crate::store) async fn apply(&self, batch: Vec<Write>) -> Result<Vec<Revision>> {
        let operation = Operation::Apply;
        let keys: Vec<Key> = batch.iter().map(|write| write.key().clone()).collect();
        let rejected = |rejection: Rejection| {
            let index = rejection.index as usize;
            let error = Error::from_contract(operation, rejection.error).with_write_index(index);
            match keys.get(index) {
                Some(key) => error.with_key(key.clone()),
                None => error,
            }
        };
        let read = |answer: Result<_, Rejection>| answer.map_err(rejected);
        let apply = calls::apply(batch);
        self.call_gated(operation, true, None, apply, read).await
    }

    /// The revisions of a batch of one write that changes nothing, also while writes are held back.
    pub(in crate::store) async fn take_revision(&self) -> Result<Vec<Revision>> {
        let operation = Operation::Apply;
        let batch = calls::apply(vec![handover::nothing()]);
        let read = |answer: Result<_, Rejection>| {
            answer.map_err(|rejection| Error::from_contract(operation, rejection.error))
        };
        self.call_gated(operation, false, None, batch, read).await
    }

    pub(in crate::store) async fn export(&self, after: Option<String>, limit: u32) -> Result<Page> {
        let export = calls::export(after, limit);
        self.call(Operation::Export, None, export).await
    }

    pub(in crate::store) async fn import(&self, records: Vec<Stored>) -> Result<()> {
        let import = calls::import(records);
        self.call(Operation::Import, None, import).await
    }

    pub(in crate::store) async fn sweep(&self, limit: u32) -> Result<u32> {
        self.call(Operation::Sweep, None, calls::sweep(limit)).await
    }

    pub(in crate::store) async fn clear(&self, collection: Option<&str>) -> Result<u64> {
        let clear = calls::clear(collection.map(str::to_owned));
        self.call(Operation::Clear, None, clear).await
    }

    pub(in crate::store) async fn statistics(&self) -> Result<Vec<CollectionStatistics>> {
        let statistics = calls::statistics();
        self.call(Operation::Statistics, None, statistics).await
    }

    pub(in crate::store) async fn health(&self) -> Result<()> {
        self.call(Operation::Health, None, calls::health()).await
    }

    /// Runs one call whose answer is a result of the contract.
    async fn call<T, F>(&self, operation: Operation, key: Option<&Key>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Instance) -> Call<'a, Answer<T>> + Send + 'static,
    {
        let read =
            |answer: Answer<T>| answer.map_err(|refusal| Error::from_contract(operation, refusal));
        self.call_gated(operation, operation.writes(), key, call, read)
            .await
    }

    /// Runs one call: a span, the deadline, an instance, and the error in this crate's words.
    async fn call_gated<A, T, F>(
        &self,
        operation: Operation,
        gated: bool,
        key: Option<&Key>,
        call: F,
        read: impl FnOnce(A) -> Result<T>,
    ) -> Result<T>
    where
        A: Send + 'static,
        F: for<'a> FnOnce(&'a mut Instance) -> Call<'a, A> + Send + 'static,
    {
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
