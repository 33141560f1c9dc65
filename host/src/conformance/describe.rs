//! What a backend says about itself, how it opens, and whether it is well.

use super::clause::{Clause, Outcome, clause, ensure};
use super::subject::{self, Subject, died};
use crate::store::Store;

pub(super) const CLAUSES: &[Clause] = &[
    clause!(
        subject,
        "describe/stable",
        "`describe` answers the same on every instance, before and after `open`",
        stable
    ),
    clause!(
        store,
        "health/answers",
        "`health` reaches the storage and comes back",
        health
    ),
];

async fn stable(subject: Subject) -> Outcome {
    let mut instance = subject.instance().await?;
    let fault = |fault| died("`describe` does not answer", fault);
    let first = subject::describe(&mut instance).await.map_err(fault)?;
    let again = subject::describe(&mut instance).await.map_err(fault)?;
    ensure!(
        first == again,
        "an instance that is not opened said {first:?}, and then {again:?}"
    );
    Ok(())
}

async fn health(store: Store) -> Outcome {
    Ok(store.health().await?)
}
