//! Bodies, keys and attributes come back byte for byte.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use crate::record::{Draft, Key};
use crate::store::Store;

pub(super) const CLAUSES: &[Clause] = &[clause!(
    store,
    "values/empty-body",
    "an empty body is kept, and is not an absent record",
    empty_body
)];

async fn empty_body(store: Store) -> Outcome {
    let key = Key::new("values/empty-body", "a");
    store.create(Draft::new(key.clone(), "")).await?;
    let loaded = store.load(&key).await?;
    ensure!(
        loaded
            .as_ref()
            .is_some_and(|record| record.draft.body.is_empty()),
        "after the creation with an empty body, load answered {}",
        brief(&loaded)
    );
    Ok(())
}
