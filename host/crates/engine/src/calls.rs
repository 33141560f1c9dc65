//! The contract's functions as calls that any instance can run.

#![allow(
    clippy::result_large_err,
    reason = "an error of the contract has the record that is there"
)]

use mortise_store::inside::{ContractError, Rejection};
use mortise_store::{
    CollectionStatistics, Description, Draft, Key, Page, Query, Revision, Stamp, Stored, Write,
};

use crate::bindings::convert::{each, wit};
use crate::instance::{GuestCall, Instance};

/// What a backend answers.
pub type Answer<T> = Result<T, ContractError>;

/// Makes a type of the arguments of an exported function: a call of it. The arguments are converted to the WIT's types
/// by `as`, and the answer from them by what stands behind `:`.
macro_rules! calls {
    ($($interface:ident { $($(#[$doc:meta])* $name:ident = $export:ident($($argument:ident: $type:ty $(as $pass:expr)?),*) -> $answer:ty: $read:expr;)* })*) => {
        $($(
            $(#[$doc])*
            pub struct $name($(pub(crate) $type),*);

            impl GuestCall for $name {
                type Answer = $answer;

                fn run(self, instance: &mut Instance) -> impl Future<Output = wasmtime::Result<$answer>> + Send {
                    async move {
                        let Self($($argument),*) = self;
                        let (exports, store) = instance.$interface();
                        let answer = exports.$export(store, $(calls!(@pass $argument $($pass)?)),*).await?;
                        Ok($read(answer))
                    }
                }
            }
        )*)*
    };
    (@pass $argument:ident) => { $argument };
    (@pass $argument:ident $pass:expr) => { $pass };
}

calls! {
    lifecycle {
        /// Who the backend is.
        Describe = call_describe() -> Description: Description::from;
        /// Opens the instance.
        Open = call_open(options: Vec<(String, String)> as &options) -> Answer<()>: same;
        /// Whether the storage is reached.
        Health = call_health() -> Answer<()>: same;
    }
    records {
        /// Writes a record that is not there.
        Create = call_create(draft: Draft as &draft.into()) -> Answer<Stamp>: one;
        /// Reads a record.
        Load = call_load(key: Key as &key.into()) -> Answer<Option<Stored>>: maybe;
        /// Reads records.
        LoadMany = call_load_many(keys: Vec<Key> as &each(keys)) -> Answer<Vec<Option<Stored>>>: many;
        /// Replaces a record.
        Update = call_update(draft: Draft as &draft.into(), expect: Option<Revision>) -> Answer<Stamp>: one;
        /// Removes a record.
        Delete = call_delete(key: Key as &key.into(), expect: Option<Revision>) -> Answer<()>: same;
        /// Finds records.
        Find = call_find(query: Query as &query.into()) -> Answer<Page>: one;
        /// Writes all or nothing.
        Apply = call_apply(batch: Vec<Write> as &each(batch)) -> Result<Vec<Revision>, Rejection>: rejected;
    }
    transfer {
        /// One page of all records.
        Export = call_export(after: Option<String> as after.as_deref(), limit: u32) -> Answer<Page>: one;
        /// Writes records with their stamps.
        Import = call_import(records: Vec<Stored> as &each(records)) -> Answer<()>: same;
        /// Removes what has expired.
        Sweep = call_sweep(limit: u32) -> Answer<u32>: same;
        /// Removes every record.
        Clear = call_clear(collection: Option<String> as collection.as_deref()) -> Answer<u64>: same;
        /// Counts collections.
        Statistics = call_statistics() -> Answer<Vec<CollectionStatistics>>: list;
    }
}

/// What the WIT's types answer.
type Told<T> = Result<T, wit::ContractError>;

fn same<T>(answer: Told<T>) -> Answer<T> {
    answer.map_err(Into::into)
}

fn one<A, B: From<A>>(answer: Told<A>) -> Answer<B> {
    answer.map(B::from).map_err(Into::into)
}

fn maybe<A, B: From<A>>(answer: Told<Option<A>>) -> Answer<Option<B>> {
    answer.map(|one| one.map(B::from)).map_err(Into::into)
}

fn list<A, B: From<A>>(answer: Told<Vec<A>>) -> Answer<Vec<B>> {
    answer.map(each).map_err(Into::into)
}

fn many<A, B: From<A>>(answer: Told<Vec<Option<A>>>) -> Answer<Vec<Option<B>>> {
    let read = |list: Vec<Option<A>>| list.into_iter().map(|one| one.map(B::from)).collect();
    answer.map(read).map_err(Into::into)
}

fn rejected(answer: Result<Vec<Revision>, wit::Rejection>) -> Result<Vec<Revision>, Rejection> {
    answer.map_err(Into::into)
}
