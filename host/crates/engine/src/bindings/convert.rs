//! Between the types that `bindgen!` makes of the WIT and the plain ones of the same fields.
//!
//! Each conversion is a pattern that names every field and every case, so that neither side can change alone. A list is
//! converted in place: it stays where it is in memory.

/// The types of the WIT.
pub(crate) mod wit {
    pub(crate) use crate::bindings::exports::mortise::persistence::lifecycle::{
        Description, Instances,
    };
    pub(crate) use crate::bindings::exports::mortise::persistence::transfer::CollectionStatistics;
    pub(crate) use crate::bindings::mortise::persistence::redis::{Count, Range, Run};
    pub(crate) use crate::bindings::mortise::persistence::sqlite::{
        Error as SqlError, Failure, Outcome, Rows, Statement, Value,
    };
    pub(crate) use crate::bindings::mortise::persistence::types::{
        Attribute, Draft, Error as ContractError, Key, Order, Page, Precondition, Put, Query,
        Rejection, Remove, Stamp, Stored, Write,
    };
    pub(crate) use crate::bindings::schema::exports::mortise::persistence::schema::Step;
}

/// The plain types.
mod plain {
    pub(super) use mortise_capability_redis::inside::{Count, Range, Run};
    pub(super) use mortise_capability_sqlite::inside::{
        Failure, Outcome, Rows, SqlError, Statement, Step, Value,
    };
    pub(super) use mortise_store::inside::{ContractError, Rejection};
    pub(super) use mortise_store::{
        Attribute, CollectionStatistics, Description, Draft, Instances, Key, Order, Page,
        Precondition, Put, Query, Remove, Stamp, Stored, Write,
    };
}

/// A list, converted where it is.
pub(crate) fn each<A, B: From<A>>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}

/// A record of the WIT, with all its fields; those with `each` are lists of records.
macro_rules! record {
    ($name:ident { $($field:ident $(: $each:ident)?),+ $(,)? }) => {
        record!(wit::$name => plain::$name { $($field $(: $each)?),+ });
        record!(plain::$name => wit::$name { $($field $(: $each)?),+ });
    };
    ($from:ident::$name:ident => $to:ident::$_name:ident { $($field:ident $(: $each:ident)?),+ }) => {
        impl From<$from::$name> for $to::$name {
            fn from($from::$name { $($field),+ }: $from::$name) -> Self {
                Self { $($field: record!(@ $field $($each)?)),+ }
            }
        }
    };
    (@ $field:ident) => { $field.into() };
    (@ $field:ident each) => { each($field) };
}

/// A variant, or an enumeration, of the WIT, with all its cases.
macro_rules! variant {
    ($name:ident { $($case:ident $(($value:ident))?),+ $(,)? }) => {
        variant!(wit::$name => plain::$name { $($case $(($value))?),+ });
        variant!(plain::$name => wit::$name { $($case $(($value))?),+ });
    };
    ($from:ident::$name:ident => $to:ident::$_name:ident { $($case:ident $(($value:ident))?),+ }) => {
        impl From<$from::$name> for $to::$name {
            fn from(value: $from::$name) -> Self {
                match value {
                    $($from::$name::$case $(($value))? => Self::$case $(($value.into()))?),+
                }
            }
        }
    };
}

record!(Key { collection, id });
record!(Attribute { name, value });
record!(Draft {
    key,
    body,
    attributes: each,
    expires_at,
});
record!(Stamp {
    create_revision,
    mod_revision,
    created_at,
    updated_at,
});
record!(Stored { draft, stamp });
variant!(Precondition {
    None,
    Absent,
    Present,
    UnchangedSince(revision),
});
record!(Put { draft, expect });
record!(Remove { key, expect });
variant!(Write {
    Put(put),
    Remove(remove),
});
variant!(Order { Created, Updated });
record!(Query {
    collection,
    attributes: each,
    order,
    descending,
    after,
    limit,
    bodies,
});
record!(Page {
    records: each,
    next,
});
variant!(ContractError {
    AlreadyExists(key),
    NotFound(key),
    Conflict(current),
    Invalid(text),
    TooLarge(text),
    Corrupt(key),
    Unsupported(text),
    Unavailable(text),
    Ambiguous(text),
    Internal(text),
});
record!(Rejection { index, error });

variant!(Instances { Pooled, Singleton });
record!(Description {
    name,
    version,
    instances,
    durable,
    max_body_bytes,
    max_batch,
});
record!(CollectionStatistics {
    collection,
    records,
    body_bytes,
});
record!(Step { version, sql });

variant!(Value {
    Null,
    Integer(integer),
    Real(real),
    Text(text),
    Blob(bytes),
});
record!(Statement {
    sql,
    params: each,
    expect_changed,
});
record!(Rows {
    columns,
    values: each,
    complete,
});
record!(Outcome { changed, rows });
variant!(SqlError {
    Busy,
    Full,
    Constraint(which),
    UnexpectedChanges(count),
    Denied(what),
    TooLarge(what),
    Interrupted,
    Corrupt(what),
    Ambiguous(what),
    Other(text),
});
record!(Failure { index, error });

record!(Range {
    collection,
    attributes: each,
    order,
    descending,
    after,
    limit,
    bodies,
    max_bytes,
});
record!(Run {
    records: each,
    more,
});
record!(Count {
    collection,
    records,
    body_bytes,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_stays_where_it_is_in_memory() {
        let stored = |id: &str| plain::Stored {
            draft: plain::Draft::new(plain::Key::new("task", id), id).attribute("name", id),
            stamp: plain::Stamp {
                create_revision: 1,
                mod_revision: 2,
                created_at: 3,
                updated_at: 4,
            },
        };
        let records = vec![stored("a"), stored("b")];
        let (list, attributes) = (
            records.as_ptr().addr(),
            records[1].draft.attributes.as_ptr().addr(),
        );
        let there: Vec<wit::Stored> = each(records.clone());
        assert_eq!(there[1].draft.key.id, "b");
        let back: Vec<plain::Stored> = each(there);
        assert_eq!(back, records);
        let there: Vec<wit::Stored> = each(records);
        assert_eq!(there.as_ptr().addr(), list);
        assert_eq!(there[1].draft.attributes.as_ptr().addr(), attributes);
        let values = vec![plain::Value::Integer(7), plain::Value::Null];
        let list = values.as_ptr().addr();
        let there: Vec<wit::Value> = each(values);
        assert_eq!(there.as_ptr().addr(), list);
    }
}
