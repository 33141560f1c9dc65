//! Batches: all or nothing.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, find_all, refused};
use super::world::Subject;
use mortise_store::{CollectionStatistics, Draft, ErrorKind, Key, Store, Write};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "batch/all",
        "a batch may create, update and remove, and all of it happens, index entries included",
        all
    ),
    clause!(
        store,
        "batch/nothing-on-failure",
        "where one write of a batch fails, at whatever place, nothing of the batch happens",
        nothing_on_failure
    ),
    clause!(
        store,
        "batch/names-the-write",
        "a rejection names the write that failed, and its key",
        names_the_write
    ),
    clause!(
        subject,
        "batch/duplicate-key",
        "a batch that names a key twice is invalid, and nothing is written",
        duplicate_key
    ),
    clause!(
        subject,
        "batch/empty",
        "an empty batch answers an empty list, and takes no revision",
        empty
    ),
    clause!(
        subject,
        "batch/over-maximum",
        "a batch of more than max-batch writes is too-large, and nothing is written",
        over_maximum
    ),
    clause!(
        subject,
        "batch/mixed-collections",
        "one batch may write to several collections",
        mixed_collections
    ),
];

async fn all(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "batch/all");
    shelf
        .create_with(&["updated", "put", "removed"], "status", "old")
        .await?;
    let updated = shelf.there("updated").await?.revision();
    let removed = shelf.there("removed").await?.revision();
    let new = |id: &str| shelf.draft(id, "new").attribute("status", "new");
    let batch = vec![
        Write::create(new("created")),
        Write::update(new("updated"), updated),
        Write::delete(shelf.key("removed"), Some(removed)),
        Write::put(new("put")),
    ];
    let answer = shelf.store.apply(batch).await?;
    ensure!(
        answer.len() == 4,
        "a batch of 4 writes is answered {answer:?}"
    );
    for id in ["created", "updated", "put"] {
        let kept = shelf.there(id).await?;
        ensure!(
            kept.draft == new(id),
            "after the batch, {id} is {}",
            brief(&kept)
        );
    }
    shelf
        .absent("removed", "after a batch that removed it")
        .await?;
    shelf
        .finds(&shelf.query().with("status", "old"), &[])
        .await?;
    shelf
        .finds(
            &shelf.query().with("status", "new"),
            &["updated", "put", "created"],
        )
        .await
}

/// The writes that fail on a shelf that has `there` and nothing else, and how.
fn failing(shelf: &Shelf, stale: u64) -> Vec<(Write, ErrorKind)> {
    let there = || shelf.draft("there", "new").attribute("status", "new");
    let missing = || shelf.draft("missing", "new").attribute("status", "new");
    vec![
        (Write::create(there()), ErrorKind::AlreadyExists),
        (Write::update(there(), stale), ErrorKind::Conflict),
        (Write::update(missing(), stale), ErrorKind::NotFound),
        (
            Write::delete(shelf.key("missing"), None),
            ErrorKind::NotFound,
        ),
        (
            Write::delete(shelf.key("there"), Some(stale)),
            ErrorKind::Conflict,
        ),
    ]
}

/// Three writes that succeed, but for the one that is put among them.
fn around(shelf: &Shelf, position: usize, write: Write) -> Vec<Write> {
    let mut batch = vec![
        Write::create(shelf.draft("created", "").attribute("status", "new")),
        Write::put(shelf.draft("beside", "new").attribute("status", "new")),
        Write::delete(shelf.key("victim"), None),
    ];
    batch.insert(position, write);
    batch
}

async fn nothing_on_failure(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "batch/nothing-on-failure");
    shelf
        .create_with(&["there", "beside", "victim"], "status", "old")
        .await?;
    let before = find_all(&shelf.store, &shelf.query()).await?;
    let counted = count(&shelf).await?;
    let stale = shelf.there("victim").await?.revision() + 1_000;
    for position in 0..=3 {
        for (write, kind) in failing(&shelf, stale) {
            let what = format!("a batch whose write {position} fails with {kind:?}");
            let answer = shelf.store.apply(around(&shelf, position, write)).await;
            refused(&what, kind, answer)?;
            let after = find_all(&shelf.store, &shelf.query()).await?;
            ensure!(
                after == before,
                "{what} must change nothing: before {}, after {}",
                brief(&before),
                brief(&after)
            );
        }
    }
    for id in ["created", "missing"] {
        shelf.absent(id, "after batches that were refused").await?;
    }
    for record in &before {
        shelf
            .unchanged(record, "after batches that were refused")
            .await?;
    }
    shelf
        .finds(&shelf.query().with("status", "new"), &[])
        .await?;
    shelf
        .finds(
            &shelf.query().with("status", "old"),
            &["there", "beside", "victim"],
        )
        .await?;
    let recounted = count(&shelf).await?;
    ensure!(
        counted == recounted,
        "the statistics were {}, and after batches that were refused they are {}",
        brief(&counted),
        brief(&recounted)
    );
    Ok(())
}

/// The shelf's own line of the statistics.
async fn count(shelf: &Shelf) -> mortise_store::Result<Option<CollectionStatistics>> {
    let own = shelf.query().collection;
    let mut counted = shelf.store.statistics().await?.into_iter();
    Ok(counted.find(|entry| entry.collection == own))
}

async fn names_the_write(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "batch/names-the-write");
    shelf
        .create_with(&["there", "beside", "victim"], "status", "old")
        .await?;
    let current = shelf.there("there").await?;
    let stale = shelf.there("victim").await?.revision() + 1_000;
    for position in [0, 3] {
        for (write, kind) in failing(&shelf, stale) {
            let key = write.key().clone();
            let what = format!("a batch whose write {position} fails with {kind:?}");
            let answer = shelf.store.apply(around(&shelf, position, write)).await;
            let error = refused(&what, kind, answer)?;
            ensure!(
                error.write_index() == Some(position) && error.key() == Some(&key),
                "{what}, of {key}, names the write {:?} of {}",
                error.write_index(),
                brief(&error.key())
            );
            let carried = (kind == ErrorKind::Conflict).then_some(&current);
            ensure!(
                error.current() == carried,
                "{what} has to carry {}, and carries {}",
                brief(&carried),
                brief(&error.current())
            );
        }
    }
    Ok(())
}

async fn duplicate_key(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let batch = vec![
        Write::put(shelf.draft("b", "")),
        Write::put(shelf.draft("a", "1")),
        Write::delete(shelf.key("a"), None),
    ];
    let answer = shelf.store.apply(batch).await;
    refused("a batch that names a key twice", ErrorKind::Invalid, answer)?;
    shelf.finds(&shelf.query(), &[]).await?;
    // The same id in another collection is another key.
    let other = Key::new("job", "a");
    let batch = vec![
        Write::put(shelf.draft("a", "1")),
        Write::put(Draft::new(other, "2")),
    ];
    shelf.store.apply(batch).await?;
    Ok(())
}

async fn empty(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let before = shelf.create("a", "").await?.mod_revision;
    let answer = shelf.store.apply(Vec::new()).await?;
    ensure!(answer.is_empty(), "an empty batch is answered {answer:?}");
    let after = shelf.create("b", "").await?.mod_revision;
    ensure!(
        after == before + 1,
        "after the revision {before} and an empty batch, the next write got {after}"
    );
    Ok(())
}

async fn over_maximum(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf.create("there", "").await?;
    let most = subject.description().max_batch.min(1_000);
    let batch = (0..=most).map(|number| Write::put(shelf.draft(&number.to_string(), "")));
    let answer = shelf.store.apply(batch.collect()).await;
    let what = format!("a batch of {} writes, where {most} are allowed,", most + 1);
    refused(&what, ErrorKind::TooLarge, answer)?;
    shelf.finds(&shelf.query(), &["there"]).await
}

async fn mixed_collections(subject: Subject) -> Outcome {
    let tasks = Shelf::open(&subject).await?;
    let jobs = Shelf::of(tasks.store.clone(), "job");
    tasks.create_with(&["a"], "status", "old").await?;
    let draft = |shelf: &Shelf, id: &str| shelf.draft(id, "").attribute("status", "new");
    let batch = vec![
        Write::put(draft(&jobs, "a")),
        Write::delete(tasks.key("a"), None),
        Write::create(draft(&tasks, "b")),
        Write::create(draft(&jobs, "c")),
    ];
    tasks.store.apply(batch).await?;
    tasks
        .absent(
            "a",
            "after a batch that removed it, and put the same id elsewhere",
        )
        .await?;
    tasks
        .finds(&tasks.query().with("status", "new"), &["b"])
        .await?;
    jobs.finds(&jobs.query().with("status", "new"), &["a", "c"])
        .await?;
    tasks.finds(&tasks.query().with("status", "old"), &[]).await
}
