//! Deletions.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, carries, export_all, refused};
use super::update::changed;
use super::world::Subject;
use mortise_store::{ErrorKind, Store};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "delete/removes",
        "a deleted record is absent from load, find and export, and no other is",
        delete_removes
    ),
    clause!(
        store,
        "delete/not-found",
        "a deletion of what is not there is not-found",
        delete_not_found
    ),
    clause!(
        subject,
        "delete/expected",
        "a deletion that expects the current revision succeeds",
        delete_expected
    ),
    clause!(
        store,
        "delete/stale",
        "a deletion that expects another revision is a conflict with the current record, and removes nothing",
        delete_stale
    ),
];

async fn delete_removes(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "delete/removes");
    shelf.create_with(&["a", "b", "c"], "all", "").await?;
    let others = [shelf.there("a").await?, shelf.there("c").await?];
    shelf.store.delete(&shelf.key("b"), None).await?;
    shelf.absent("b", "after it was deleted").await?;
    shelf.finds(&shelf.query(), &["a", "c"]).await?;
    let exported = export_all(&shelf.store, 100).await?;
    let left = exported
        .into_iter()
        .filter(|record| record.key().collection == shelf.query().collection);
    let left: Vec<_> = left.collect();
    ensure!(
        left == others,
        "after b was deleted, export shows {}",
        brief(&left)
    );
    for other in &others {
        shelf
            .unchanged(other, "after another record was deleted")
            .await?;
    }
    Ok(())
}

async fn delete_not_found(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "delete/not-found");
    shelf.create("b", "").await?;
    for expect in [None, Some(1)] {
        let answer = shelf.store.delete(&shelf.key("a"), expect).await;
        let error = refused(
            "a deletion of what is not there",
            ErrorKind::NotFound,
            answer,
        )?;
        ensure!(
            error.key() == Some(&shelf.key("a")),
            "not-found names {}",
            brief(&error.key())
        );
    }
    shelf.there("b").await?;
    Ok(())
}

async fn delete_expected(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf.create_each(&["a", "b"]).await?;
    let updated = shelf.store.update(shelf.draft("a", "2"), None).await?;
    shelf
        .store
        .delete(&shelf.key("a"), Some(updated.mod_revision))
        .await?;
    shelf.absent("a", "after it was deleted").await?;
    shelf.there("b").await?;
    Ok(())
}

async fn delete_stale(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "delete/stale");
    let stale = changed(&shelf).await?;
    let current = shelf.there("a").await?;
    for revision in stale {
        let answer = shelf.store.delete(&shelf.key("a"), Some(revision)).await;
        let error = refused(
            "a deletion that expects another revision",
            ErrorKind::Conflict,
            answer,
        )?;
        carries(&error, &current)?;
        shelf
            .unchanged(&current, "after a deletion that was refused")
            .await?;
    }
    shelf.finds(&shelf.query().with("value", "2"), &["a"]).await
}
