//! Revisions and stamps.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, export_all, find_all};
use super::world::{START, Subject};
use mortise_store::{Precondition, Remove, Store, Write};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "revisions/ascending",
        "each write gets a higher revision than all before, over all collections",
        ascending
    ),
    clause!(
        subject,
        "revisions/one-for-each-write",
        "every write takes one revision, also each write of a batch, and nothing else takes any",
        one_for_each_write
    ),
    clause!(
        store,
        "revisions/never-reused",
        "a key that was deleted and created again gets a revision that no write had",
        never_reused
    ),
    clause!(
        store,
        "revisions/create-kept",
        "an update keeps create-revision and created-at, and changes mod-revision",
        create_kept
    ),
    clause!(
        store,
        "revisions/answered-is-stored",
        "the stamp that a write answers is the one that load, find and export show",
        answered_is_stored
    ),
    clause!(
        subject,
        "revisions/batch-order",
        "the revisions of a batch ascend in its order, and are those stored",
        batch_order
    ),
    clause!(
        subject,
        "stamps/created-at",
        "created-at is the host's clock at the creation, and stays through later writes",
        created_at
    ),
    clause!(
        subject,
        "stamps/updated-at",
        "updated-at is the host's clock at the last write",
        updated_at
    ),
    clause!(
        subject,
        "stamps/clock-steps-back",
        "where the clock steps back, writes succeed and revisions go on",
        clock_steps_back
    ),
];

async fn ascending(store: Store) -> Outcome {
    let one = Shelf::of(store.clone(), "revisions/ascending");
    let other = Shelf::of(store, "revisions/ascending too");
    let mut revisions = Vec::new();
    for id in ["a", "b"] {
        revisions.push(one.create(id, "").await?.mod_revision);
        revisions.push(other.create(id, "").await?.mod_revision);
    }
    let updated = other.store.update(other.draft("a", "2"), None).await?;
    revisions.push(updated.mod_revision);
    let put = one
        .store
        .apply(vec![Write::put(one.draft("c", ""))])
        .await?;
    revisions.extend(put);
    revisions.push(
        one.store
            .update(one.draft("b", "2"), None)
            .await?
            .mod_revision,
    );
    ensure!(
        revisions.is_sorted_by(|earlier, later| earlier < later),
        "writes in two collections got the revisions {revisions:?}"
    );
    Ok(())
}

async fn one_for_each_write(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let first = shelf.create("a", "").await?.mod_revision;
    let mut taken = vec![("the creation", first)];
    let updated = shelf.store.update(shelf.draft("a", "2"), None).await?;
    taken.push(("an update", updated.mod_revision));
    shelf.store.delete(&shelf.key("a"), None).await?;
    taken.push(("a deletion", updated.mod_revision + 1));
    taken.push((
        "a creation after it",
        shelf.create("b", "").await?.mod_revision,
    ));
    let batch = vec![
        Write::create(shelf.draft("c", "")),
        Write::put(shelf.draft("b", "2")),
        Write::create(shelf.draft("d", "")),
    ];
    for revision in shelf.store.apply(batch).await? {
        taken.push(("a write of a batch", revision));
    }
    // What reads takes none.
    shelf.there("c").await?;
    shelf.store.find(shelf.query()).await?;
    shelf.store.statistics().await?;
    taken.push((
        "a creation after reads",
        shelf.create("e", "").await?.mod_revision,
    ));
    for (number, (what, revision)) in (first..).zip(&taken) {
        ensure!(
            number == *revision,
            "{what} has to take the revision {number}, and took {revision}; all: {taken:?}"
        );
    }
    Ok(())
}

async fn never_reused(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "revisions/never-reused");
    let created = shelf.create("a", "").await?;
    let remove = Write::Remove(Remove {
        key: shelf.key("a"),
        expect: Precondition::None,
    });
    let mut last = created.mod_revision;
    for revision in shelf.store.apply(vec![remove]).await? {
        ensure!(
            revision > last,
            "after the revision {last}, the removal got {revision}"
        );
        last = revision;
    }
    for _ in 0..2 {
        let again = shelf.create("a", "").await?;
        ensure!(
            again.create_revision > last && again.mod_revision > last,
            "after the revision {last}, the key created again got {again:?}"
        );
        last = again.mod_revision;
        shelf.store.delete(&shelf.key("a"), None).await?;
    }
    Ok(())
}

async fn create_kept(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "revisions/create-kept");
    let created = shelf.create("a", "").await?;
    ensure!(
        created.create_revision == created.mod_revision,
        "a creation is one write, and its stamp is {created:?}"
    );
    let updated = shelf.store.update(shelf.draft("a", "2"), None).await?;
    ensure!(
        updated.create_revision == created.create_revision
            && updated.created_at == created.created_at
            && updated.mod_revision > created.mod_revision,
        "created as {created:?}, updated to {updated:?}"
    );
    let kept = shelf.there("a").await?.stamp;
    ensure!(
        kept.create_revision == created.create_revision && kept.created_at == created.created_at,
        "created as {created:?}, and after an update it is {kept:?}"
    );
    Ok(())
}

async fn answered_is_stored(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "revisions/answered-is-stored");
    let mut answered = shelf.create("a", "").await?;
    for what in ["a creation", "an update"] {
        let loaded = shelf.there("a").await?.stamp;
        ensure!(
            loaded == answered,
            "{what} answered {answered:?}, load shows {loaded:?}"
        );
        let found = find_all(&shelf.store, &shelf.query()).await?;
        let all = export_all(&shelf.store, 100).await?;
        let exported = all.iter().filter(|record| record.key() == &shelf.key("a"));
        for (call, shown) in [
            ("find", found.iter().collect::<Vec<_>>()),
            ("export", exported.collect()),
        ] {
            let stamps: Vec<_> = shown.iter().map(|record| record.stamp).collect();
            ensure!(
                stamps == [answered],
                "{what} answered {answered:?}, {call} shows {stamps:?}"
            );
        }
        if what == "a creation" {
            answered = shelf.store.update(shelf.draft("a", "2"), None).await?;
        }
    }
    Ok(())
}

async fn batch_order(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf.create_each(&["m", "y"]).await?;
    // Neither in the order of ids, nor creations first.
    let names = ["z", "m", "a", "y", "b"];
    let batch = names.iter().map(|id| Write::put(shelf.draft(id, "batch")));
    let revisions = shelf.store.apply(batch.collect()).await?;
    ensure!(
        revisions.is_sorted_by(|earlier, later| earlier < later),
        "the writes of a batch got the revisions {revisions:?}"
    );
    for (id, revision) in names.iter().zip(&revisions) {
        let stored = shelf.there(id).await?;
        ensure!(
            stored.revision() == *revision,
            "the write of {id:?} was answered {revision}, and stored as {}",
            brief(&stored.stamp)
        );
    }
    Ok(())
}

async fn created_at(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    subject.clock().set(START + 12_345);
    let stamp = shelf.create("a", "").await?;
    ensure!(
        stamp.created_at == START + 12_345,
        "created at {}, and created-at is {}",
        START + 12_345,
        stamp.created_at
    );
    let shown = shelf.there("a").await?.stamp;
    ensure!(shown.created_at == stamp.created_at, "load shows {shown:?}");
    subject.clock().advance(1);
    let updated = shelf.store.update(shelf.draft("a", "2"), None).await?;
    let shown = shelf.there("a").await?.stamp;
    ensure!(
        updated.created_at == stamp.created_at && shown.created_at == stamp.created_at,
        "created at {}, updated later, which answered {updated:?}, and load shows {shown:?}",
        stamp.created_at
    );
    Ok(())
}

async fn updated_at(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let created = shelf.create("a", "").await?;
    ensure!(
        created.updated_at == START,
        "created at {START}, and updated-at is {}",
        created.updated_at
    );
    subject.clock().advance(1);
    let updated = shelf.store.update(shelf.draft("a", "2"), None).await?;
    let shown = shelf.there("a").await?.stamp;
    ensure!(
        updated.updated_at == START + 1 && shown.updated_at == START + 1,
        "updated at {}, answered {updated:?}, and load shows {shown:?}",
        START + 1
    );
    subject.clock().advance(1);
    shelf
        .store
        .apply(vec![Write::put(shelf.draft("a", "3"))])
        .await?;
    let shown = shelf.there("a").await?.stamp;
    ensure!(
        shown.updated_at == START + 2,
        "put at {}, and load shows {shown:?}",
        START + 2
    );
    Ok(())
}

async fn clock_steps_back(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let created = shelf.create("a", "").await?;
    subject.clock().set(START - 1_000_000);
    let updated = shelf
        .store
        .update(shelf.draft("a", "2"), Some(created.mod_revision))
        .await?;
    let other = shelf.create("b", "").await?;
    ensure!(
        created.mod_revision < updated.mod_revision && updated.mod_revision < other.mod_revision,
        "with the clock back, {created:?} is followed by {updated:?} and {other:?}"
    );
    shelf.finds(&shelf.query(), &["a", "b"]).await?;
    shelf.finds(&shelf.query().by_update(), &["a", "b"]).await
}
