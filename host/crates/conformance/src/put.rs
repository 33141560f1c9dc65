//! Puts and removals, each in a batch of one.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, carries, refused};
use super::update::changed;
use super::world::{START, Subject};
use mortise_store::{Draft, ErrorKind, Precondition, Put, Remove, Result, Revision, Store, Write};

pub(crate) const CLAUSES: &[Clause] = &[
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
