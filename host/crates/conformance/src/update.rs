//! Creations, updates, and reads by key.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, carries, refused};
use mortise_store::limits::MAX_TIMESTAMP;
use mortise_store::{ErrorKind, Result, Revision, Store};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "create/already-exists",
        "a creation of what is there is already-exists, names the key, and leaves the record as it is",
        already_exists
    ),
    clause!(
        store,
        "load/absent",
        "load answers none where there is no record",
        load_absent
    ),
    clause!(
        store,
        "load-many/in-order",
        "load-many answers in the order asked, with none for what is absent",
        load_many
    ),
    clause!(
        store,
        "update/replaces",
        "an update replaces body, attributes and expiry as a whole",
        update_replaces
    ),
    clause!(
        store,
        "update/not-found",
        "an update of what is not there is not-found, and writes nothing",
        update_not_found
    ),
    clause!(
        store,
        "update/expected",
        "an update that expects the current revision succeeds",
        update_expected
    ),
    clause!(
        store,
        "update/stale",
        "an update that expects another revision is a conflict with the current record, and changes nothing",
        update_stale
    ),
];

async fn already_exists(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "create/already-exists");
    let first = shelf.draft("a", "one").attribute("value", "one");
    shelf.store.create(first).await?;
    let before = shelf.there("a").await?;
    let second = shelf.draft("a", "two").attribute("value", "two");
    let answer = shelf.store.create(second).await;
    let error = refused("a second creation", ErrorKind::AlreadyExists, answer)?;
    ensure!(
        error.key() == Some(&shelf.key("a")),
        "already-exists names {}",
        brief(&error.key())
    );
    shelf
        .unchanged(&before, "after a creation that was refused")
        .await?;
    shelf.finds(&shelf.query().with("value", "two"), &[]).await
}

async fn load_absent(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "load/absent");
    shelf.absent("a", "in an empty collection").await?;
    shelf.create("ab", "").await?;
    shelf.absent("a", "beside another record").await?;
    shelf.absent("abc", "beside another record").await
}

async fn load_many(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "load-many/in-order");
    shelf.create_each(&["a", "b", "c"]).await?;
    let asked = ["c", "x", "a", "c", "b"];
    let keys = asked.iter().map(|id| shelf.key(id)).collect();
    let loaded = shelf.store.load_many(keys).await?;
    let found: Vec<_> = loaded
        .iter()
        .map(|record| record.as_ref().map(|record| record.key().id.as_str()))
        .collect();
    let expected = [Some("c"), None, Some("a"), Some("c"), Some("b")];
    ensure!(
        found == expected,
        "asked for {asked:?}, of which x is absent, load-many found {found:?}"
    );
    for record in loaded.into_iter().flatten() {
        shelf.unchanged(&record, "shown by load-many").await?;
    }
    let none = shelf.store.load_many(Vec::new()).await?;
    ensure!(
        none.is_empty(),
        "asked for nothing, load-many found {}",
        brief(&none)
    );
    Ok(())
}

async fn update_replaces(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "update/replaces");
    let far = MAX_TIMESTAMP;
    let old = shelf
        .draft("a", "a longer body")
        .attribute("old", "1")
        .attribute("both", "1");
    shelf.store.create(old.expires_at(far)).await?;
    shelf.create("b", "other").await?;
    let other = shelf.there("b").await?;
    let new = shelf
        .draft("a", "short")
        .attribute("new", "2")
        .attribute("both", "1");
    for new in [
        new.clone(),
        new.clone().expires_at(far - 1),
        shelf.draft("a", ""),
    ] {
        shelf.store.update(new.clone(), None).await?;
        let kept = shelf.there("a").await?.draft;
        ensure!(
            kept == new,
            "updated to {}, it is {}",
            brief(&new),
            brief(&kept)
        );
    }
    shelf
        .unchanged(&other, "after updates of another record")
        .await
}

async fn update_not_found(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "update/not-found");
    for expect in [None, Some(1)] {
        let answer = shelf.store.update(shelf.draft("a", "x"), expect).await;
        let error = refused(
            "an update of what is not there",
            ErrorKind::NotFound,
            answer,
        )?;
        ensure!(
            error.key() == Some(&shelf.key("a")),
            "not-found names {}",
            brief(&error.key())
        );
        shelf
            .absent("a", "after an update that was refused")
            .await?;
    }
    shelf.finds(&shelf.query(), &[]).await
}

async fn update_expected(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "update/expected");
    let mut stamp = shelf.create("a", "0").await?;
    for body in ["1", "2"] {
        stamp = shelf
            .store
            .update(shelf.draft("a", body), Some(stamp.mod_revision))
            .await?;
        let kept = shelf.there("a").await?;
        ensure!(
            kept.draft.body == body.as_bytes() && kept.stamp == stamp,
            "updated to {body:?} as {stamp:?}, it is {}",
            brief(&kept)
        );
    }
    Ok(())
}

/// A record that was changed since its creation, and revisions that it does not have.
pub(crate) async fn changed(shelf: &Shelf) -> Result<[Revision; 2]> {
    let first = shelf
        .store
        .create(shelf.draft("a", "one").attribute("value", "1"))
        .await?;
    let second = shelf
        .draft("a", "two")
        .attribute("value", "2")
        .attribute("more", "");
    let current = shelf.store.update(second, None).await?;
    // Revisions are as good as any number: one that is to come is stale too.
    Ok([first.mod_revision, current.mod_revision + 1_000_000])
}

async fn update_stale(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "update/stale");
    let stale = changed(&shelf).await?;
    let current = shelf.there("a").await?;
    for revision in stale {
        let third = shelf.draft("a", "three").attribute("value", "3");
        let answer = shelf.store.update(third, Some(revision)).await;
        let error = refused(
            "an update that expects another revision",
            ErrorKind::Conflict,
            answer,
        )?;
        carries(&error, &current)?;
        shelf
            .unchanged(&current, "after an update that was refused")
            .await?;
    }
    shelf.finds(&shelf.query().with("value", "3"), &[]).await?;
    shelf.finds(&shelf.query().with("value", "2"), &["a"]).await
}
