//! Clear, and what statistics count.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::export::{exported, shows};
use super::shelf::Shelf;
use super::world::{START, Subject};
use mortise_store::Store;

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        subject,
        "transfer/clear-collection",
        "clear removes one collection, index entries included, and answers how many unexpired records went",
        clear_collection
    ),
    clause!(
        subject,
        "transfer/clear-all",
        "clear without a collection removes all of them",
        clear_all
    ),
    clause!(
        subject,
        "transfer/clear-revisions",
        "after a clear, revisions go on from where they were",
        clear_revisions
    ),
    clause!(
        store,
        "transfer/statistics",
        "statistics count records and body bytes of every collection that holds a record, by name",
        statistics
    ),
];

async fn clear_collection(subject: Subject) -> Outcome {
    let (tasks, _) = exported(&subject).await?;
    let job = Shelf::of(tasks.store.clone(), "job");
    let kept = job.there("0").await?;
    let mortal = tasks.draft("mortal", "").expires_at(START + 1_000);
    tasks.store.create(mortal).await?;
    subject.clock().set(START + 1_000);
    let gone = tasks.store.clear(Some("task")).await?;
    ensure!(
        gone == 5,
        "of 5 unexpired records and an expired one, clear says that {gone} went"
    );
    tasks.finds(&tasks.query(), &[]).await?;
    tasks.finds(&tasks.query().with("all", ""), &[]).await?;
    tasks
        .absent("0", "after its collection was cleared")
        .await?;
    job.unchanged(&kept, "after another collection was cleared")
        .await?;
    job.finds(&job.query().with("n", "0"), &["0"]).await?;
    // With the clock back, what was expired is gone too.
    subject.clock().set(START);
    tasks
        .absent("mortal", "after its collection was cleared")
        .await?;
    tasks.create("0", "again").await?;
    tasks.finds(&tasks.query().with("all", ""), &[]).await?;
    let gone = tasks.store.clear(Some("nothing")).await?;
    ensure!(
        gone == 0,
        "of a collection without records, clear says that {gone} went"
    );
    tasks.there("0").await?;
    Ok(())
}

async fn clear_all(subject: Subject) -> Outcome {
    let (tasks, records) = exported(&subject).await?;
    let gone = tasks.store.clear(None).await?;
    ensure!(
        gone == records.len() as u64,
        "of {} records, clear says that {gone} went",
        records.len()
    );
    shows(&tasks, "after the clear", &[]).await?;
    for record in &records {
        let loaded = tasks.store.load(record.key()).await?;
        ensure!(
            loaded.is_none(),
            "after the clear, load finds {}",
            brief(&loaded)
        );
    }
    tasks.finds(&tasks.query().with("all", ""), &[]).await?;
    let counted = tasks.store.statistics().await?;
    ensure!(
        counted.is_empty(),
        "after the clear, the statistics are {}",
        brief(&counted)
    );
    Ok(())
}

async fn clear_revisions(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let mut last = 0;
    for collection in [None, Some("task")] {
        for id in ["a", "b"] {
            last = shelf.create(id, "").await?.mod_revision;
        }
        shelf.store.clear(collection).await?;
        let next = shelf.create("a", "").await?.mod_revision;
        ensure!(
            next > last,
            "after the revision {last} and a clear, the next write got {next}"
        );
        shelf.store.clear(collection).await?;
        last = next;
    }
    let next = shelf.create("a", "").await?.mod_revision;
    ensure!(
        next > last,
        "after the revision {last} and a clear, the next write got {next}"
    );
    Ok(())
}

async fn statistics(store: Store) -> Outcome {
    let names = [
        "transfer/statistics b",
        "transfer/statistics a",
        "transfer/statistics empty",
    ];
    let [b, a, empty] = names.map(|name| Shelf::of(store.clone(), name));
    b.create("1", "four").await?;
    b.create("2", "").await?;
    a.create("1", "sixsix").await?;
    a.store.update(a.draft("1", "seven77"), None).await?;
    empty.create("1", "gone").await?;
    empty.store.delete(&empty.key("1"), None).await?;
    let counted = store.statistics().await?;
    ensure!(
        counted.is_sorted_by(|one, next| one.collection < next.collection),
        "the collections are not by name, ascending: {}",
        brief(&counted)
    );
    let own: Vec<_> = counted
        .iter()
        .filter(|entry| names.contains(&entry.collection.as_str()))
        .map(|entry| (entry.collection.as_str(), entry.records, entry.body_bytes))
        .collect();
    let expected = [(names[1], 1, 7), (names[0], 2, 4)];
    ensure!(
        own == expected,
        "the statistics (collection, records, body bytes) have to be {expected:?}, and are {own:?}"
    );
    Ok(())
}
