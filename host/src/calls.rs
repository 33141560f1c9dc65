//! The contract's functions as calls that any instance can run.

use crate::bindings::mortise::persistence::types::{Error as Contract, Rejection};
use crate::instance::{Call, Instance};
use crate::record::{
    CollectionStatistics, Description, Draft, Key, Page, Query, Revision, Stamp, Stored, Write,
};

/// What a backend answers.
pub(crate) type Answer<T> = Result<T, Contract>;

/// Makes a function that captures the arguments of an exported function, for an instance to call it.
macro_rules! calls {
    ($($interface:ident { $($name:ident = $export:ident($($argument:ident: $type:ty $(as $pass:expr)?),*) -> $answer:ty;)* })*) => {
        $($(
            pub(crate) fn $name($($argument: $type),*)
                -> impl for<'a> FnOnce(&'a mut Instance) -> Call<'a, $answer> + Send + 'static
            {
                move |instance| {
                    Box::pin(async move {
                        let (exports, store) = instance.$interface();
                        exports.$export(store, $(calls!(@pass $argument $($pass)?)),*).await
                    })
                }
            }
        )*)*
    };
    (@pass $argument:ident) => { $argument };
    (@pass $argument:ident $pass:expr) => { $pass };
}

calls! {
    lifecycle {
        describe = call_describe() -> Description;
        open = call_open(options: Vec<(String, String)> as &options) -> Answer<()>;
        health = call_health() -> Answer<()>;
    }
    records {
        create = call_create(draft: Draft as &draft) -> Answer<Stamp>;
        load = call_load(key: Key as &key) -> Answer<Option<Stored>>;
        load_many = call_load_many(keys: Vec<Key> as &keys) -> Answer<Vec<Option<Stored>>>;
        update = call_update(draft: Draft as &draft, expect: Option<Revision>) -> Answer<Stamp>;
        delete = call_delete(key: Key as &key, expect: Option<Revision>) -> Answer<()>;
        find = call_find(query: Query as &query) -> Answer<Page>;
        apply = call_apply(batch: Vec<Write> as &batch) -> Result<Vec<Revision>, Rejection>;
    }
    transfer {
        export = call_export(after: Option<String> as after.as_deref(), limit: u32) -> Answer<Page>;
        import = call_import(records: Vec<Stored> as &records) -> Answer<()>;
        sweep = call_sweep(limit: u32) -> Answer<u32>;
        clear = call_clear(collection: Option<String> as collection.as_deref()) -> Answer<u64>;
        statistics = call_statistics() -> Answer<Vec<CollectionStatistics>>;
    }
}
