//! From the body of a record to a value, and what becomes of a body that makes none.

use mortise_store::inside::{CORRUPT_HINT, ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Result, Store, Stored};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::versioned::Versioned;

/// Why the body of a record is not what is looked for.
enum Undecodable {
    /// It is no JSON at all, so nobody wrote it: it was damaged.
    NoJson(serde_json::Error),
    /// It is JSON of another shape: perhaps a newer platform's, to which it is a live record.
    AnotherShape(serde_json::Error),
}

/// The value that a record keeps. A record that is no JSON is set aside; one of another shape stays, because
/// a platform that is older than another one on the same store must not move away that one's live records.
///
/// `what` names the value in the error: "agent task".
pub(crate) async fn decode<T: DeserializeOwned>(
    store: &Store,
    operation: Operation,
    what: &str,
    stored: &Stored,
) -> Result<Versioned<T>> {
    match parse(stored) {
        Ok(value) => Ok(value),
        Err(reason) => Err(corrupt(store, operation, what, stored, reason).await),
    }
}

/// The values of a page, each after its id. Records that are no JSON are set aside, logged as errors and left
/// out.
pub(crate) async fn decode_page<T: DeserializeOwned>(
    store: &Store,
    what: &str,
    records: Vec<Stored>,
) -> Result<Vec<(String, Versioned<T>)>> {
    let mut values = Vec::with_capacity(records.len());
    for stored in records {
        match parse(&stored) {
            Ok(value) => values.push((stored.draft.key.id, value)),
            Err(reason) => {
                let left_out = matches!(reason, Undecodable::NoJson(_));
                let error = corrupt(store, Operation::Find, what, &stored, reason).await;
                if !left_out {
                    return Err(error);
                }
                tracing::error!(?error, "a corrupt record was left out");
            }
        }
    }
    Ok(values)
}

fn parse<T: DeserializeOwned>(stored: &Stored) -> Result<Versioned<T>, Undecodable> {
    let body = &stored.draft.body;
    match serde_json::from_slice(body) {
        Ok(value) => Ok(Versioned::read(value, stored)),
        Err(error) => Err(match serde_json::from_slice::<&RawValue>(body) {
            Ok(_) => Undecodable::AnotherShape(error),
            Err(error) => Undecodable::NoJson(error),
        }),
    }
}

fn corrupt<'a>(
    store: &'a Store,
    operation: Operation,
    what: &'a str,
    stored: &'a Stored,
    reason: Undecodable,
) -> Later<'a, Error> {
    Box::pin(async move {
        let (message, hint, source) = match reason {
            Undecodable::AnotherShape(source) => (format!("the record is no {what}"), None, source),
            Undecodable::NoJson(source) => {
                let why = format!("the body is no JSON: {source}");
                let set_aside = store.quarantine().set_aside(stored, &why).await;
                let what_became = match &set_aside {
                    Ok(id) => format!("it was set aside as {id}"),
                    Err(error) if error.is_not_found() || error.is_conflict() => {
                        "others set it aside, or wrote over it, meanwhile".to_owned()
                    }
                    Err(error) => format!("it could not be set aside: {error}"),
                };
                let message = format!("the record is no JSON; {what_became}");
                (message, set_aside.is_ok().then_some(CORRUPT_HINT), source)
            }
        };
        let error = Error::new(ErrorKind::Corrupt, operation, message)
            .with_backend(store.backend())
            .with_key(stored.key().clone())
            .with_source(source);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    })
}
