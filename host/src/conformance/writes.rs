//! Single writes, and reads by key.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, carries, export_all, refused};
use super::subject::{START, Subject};
use crate::error::{ErrorKind, Result};
use crate::record::{Draft, Precondition, Put, Remove, Revision, Write};
use crate::store::Store;

pub(super) const CLAUSES: &[Clause] = &[
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
    clause!(
        store,
        "put/none",
        "a put without precondition creates, and replaces with the create-revision kept",
        put_none
    ),
    clause!(
        subject,
        "put/present",
        "a put that expects a record replaces it, or is not-found",
        put_present
    ),
    clause!(
        subject,
        "put/absent",
        "a put that expects no record creates it, or is already-exists",
        put_absent
    ),
    clause!(
        subject,
        "put/unchanged-since",
        "a put that expects a revision replaces it, or is a conflict, or not-found",
        put_unchanged_since
    ),
    clause!(
        store,
        "remove/none",
        "a removal without precondition succeeds on what is not there too, and takes a revision",
        remove_none
    ),
    clause!(
        subject,
        "remove/present",
        "a removal that expects a record removes it, or is not-found",
        remove_present
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
    let far = crate::limits::MAX_TIMESTAMP;
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
async fn changed(shelf: &Shelf) -> Result<[Revision; 2]> {
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

/// One write, by a batch of one; its revision.
async fn apply(store: &Store, write: Write) -> Result<Revision> {
    let revisions = store.apply(vec![write]).await?;
    Ok(revisions.into_iter().next().unwrap_or_default())
}

fn put(draft: Draft, expect: Precondition) -> Write {
    Write::Put(Put { draft, expect })
}

async fn put_none(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "put/none");
    let created = apply(
        &shelf.store,
        put(shelf.draft("a", "one"), Precondition::None),
    )
    .await?;
    let first = shelf.there("a").await?;
    ensure!(
        first.draft.body == b"one" && first.stamp.create_revision == created,
        "put as revision {created}, it is {}",
        brief(&first)
    );
    let replaced = apply(
        &shelf.store,
        put(shelf.draft("a", "two"), Precondition::None),
    )
    .await?;
    let second = shelf.there("a").await?;
    ensure!(
        second.draft.body == b"two"
            && second.stamp.create_revision == created
            && second.revision() == replaced,
        "created as revision {created}, put again as {replaced}, it is {}",
        brief(&second)
    );
    Ok(())
}

async fn put_present(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let write = || put(shelf.draft("a", "two"), Precondition::Present);
    let answer = apply(&shelf.store, write()).await;
    refused(
        "a put that expects a record where none is",
        ErrorKind::NotFound,
        answer,
    )?;
    shelf.absent("a", "after a put that was refused").await?;
    shelf.create("a", "one").await?;
    apply(&shelf.store, write()).await?;
    let kept = shelf.there("a").await?;
    ensure!(
        kept.draft.body == b"two",
        "after the put it is {}",
        brief(&kept)
    );
    Ok(())
}

async fn put_absent(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    apply(
        &shelf.store,
        put(shelf.draft("a", "one"), Precondition::Absent),
    )
    .await?;
    let first = shelf.there("a").await?;
    let answer = apply(
        &shelf.store,
        put(shelf.draft("a", "two"), Precondition::Absent),
    )
    .await;
    refused(
        "a put that expects no record where one is",
        ErrorKind::AlreadyExists,
        answer,
    )?;
    shelf
        .unchanged(&first, "after a put that was refused")
        .await
}

async fn put_unchanged_since(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let write = |revision| {
        put(
            shelf.draft("a", "new"),
            Precondition::UnchangedSince(revision),
        )
    };
    let answer = apply(&shelf.store, write(1)).await;
    refused(
        "a put that expects a revision where no record is",
        ErrorKind::NotFound,
        answer,
    )?;
    shelf.absent("a", "after a put that was refused").await?;
    let stale = changed(&shelf).await?;
    let current = shelf.there("a").await?;
    for revision in stale {
        let answer = apply(&shelf.store, write(revision)).await;
        let error = refused(
            "a put that expects another revision",
            ErrorKind::Conflict,
            answer,
        )?;
        carries(&error, &current)?;
        shelf
            .unchanged(&current, "after a put that was refused")
            .await?;
    }
    apply(&shelf.store, write(current.revision())).await?;
    let kept = shelf.there("a").await?;
    ensure!(
        kept.draft.body == b"new",
        "after the put it is {}",
        brief(&kept)
    );
    Ok(())
}

async fn remove_none(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "remove/none");
    let remove = |id: &str| {
        Write::Remove(Remove {
            key: shelf.key(id),
            expect: Precondition::None,
        })
    };
    let created = shelf.create("a", "").await?.mod_revision;
    shelf.create("b", "").await?;
    let removed = apply(&shelf.store, remove("a")).await?;
    shelf.absent("a", "after it was removed").await?;
    shelf.there("b").await?;
    let again = apply(&shelf.store, remove("a")).await?;
    let next = shelf.create("c", "").await?.mod_revision;
    ensure!(
        created < removed && removed < again && again < next,
        "created as {created}, removed as {removed}, and again as {again}, the next write is {next}"
    );
    Ok(())
}

async fn remove_present(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let remove = || Write::delete(shelf.key("a"), None);
    let answer = apply(&shelf.store, remove()).await;
    refused(
        "a removal that expects a record where none is",
        ErrorKind::NotFound,
        answer,
    )?;
    let draft = shelf.draft("a", "").expires_at(START + 1_000);
    shelf.store.create(draft).await?;
    shelf.create("b", "").await?;
    apply(&shelf.store, remove()).await?;
    shelf.absent("a", "after it was removed").await?;
    shelf.there("b").await?;
    Ok(())
}
