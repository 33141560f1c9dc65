//! The clauses that a canary has to pass before it serves.

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result, Store};

use super::clause::{Check, Finding};
use super::groups::clauses;

/// Checks the clauses that need no more than a store, one after another, on a store that is fresh and
/// empty. What they wrote stays there.
///
/// # Errors
///
/// `Component`: the first clause that does not hold, its promise, and what was found.
pub async fn smoke(store: &Store) -> Result<()> {
    let smoke: Vec<_> = clauses()
        .filter_map(|clause| match clause.check {
            Check::Store(check) => Some((clause, check)),
            Check::Subject(_) => None,
        })
        .collect();
    for (clause, check) in smoke {
        if let Err(Finding::Broken(found)) = check(store.clone()).await {
            let (id, sentence) = (clause.id, clause.sentence);
            let message =
                format!("the backend breaks {id}, which says: {sentence}. Found: {found}");
            return Err(
                Error::new(ErrorKind::Component, Operation::Open, message).with_hint(
                    "run `mortise plugin test` on the file: it checks every promise of the contract",
                ),
            );
        }
    }
    Ok(())
}
