//! Whole stores: export, import, clear, statistics.

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, export_all, ids, refused};
use super::subject::{START, Subject};
use crate::error::ErrorKind;
use crate::record::Stored;
use crate::store::Store;

pub(super) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "transfer/export-all",
        "an export has every record of every collection, once, in create order, page by page",
        all
    ),
    clause!(
        subject,
        "transfer/round-trip",
        "what is exported and imported into an empty store is the same, stamps and attributes included",
        round_trip
    ),
    clause!(
        subject,
        "transfer/continues-above",
        "after an import, revisions continue above the highest imported one",
        continues_above
    ),
    clause!(
        subject,
        "transfer/import-twice",
        "an import of what is there already succeeds and changes nothing",
        import_twice
    ),
    clause!(
        subject,
        "transfer/import-conflict",
        "an import over another record is a conflict, and nothing of it is written",
        import_conflict
    ),
    clause!(
        subject,
        "transfer/import-clash",
        "an import of a revision that another key's record carries is invalid, and nothing of it is written",
        import_clash
    ),
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
    clause!(
        subject,
        "transfer/foreign-cursor",
        "a cursor of find, or a garbled one, is invalid for export",
        foreign_cursor
    ),
];

async fn all(store: Store) -> Outcome {
    // Not to page through what other clauses wrote; where it stays, it does no harm.
    let _ = store.clear(None).await;
    let one = Shelf::of(store.clone(), "transfer/export-all");
    let other = Shelf::of(store.clone(), "transfer/a second");
    for (shelf, id) in [
        (&one, "z"),
        (&other, "b"),
        (&one, "a"),
        (&other, "a"),
        (&one, "m"),
    ] {
        shelf.create(id, id).await?;
    }
    // An update does not move a record.
    one.store.update(one.draft("z", "changed"), None).await?;
    for limit in [1, 2, 1_000] {
        let exported = export_all(&store, limit).await?;
        ensure!(
            exported.is_sorted_by_key(|record| record.stamp.create_revision),
            "in pages of {limit}, the create-revisions are not ascending: {:?}",
            exported
                .iter()
                .map(|record| record.stamp.create_revision)
                .collect::<Vec<_>>()
        );
        let own: Vec<&Stored> = exported
            .iter()
            .filter(|record| {
                let collection = &record.key().collection;
                [one.query().collection, other.query().collection].contains(collection)
            })
            .collect();
        let keys: Vec<_> = own.iter().map(|record| record.key().clone()).collect();
        let expected = [
            one.key("z"),
            other.key("b"),
            one.key("a"),
            other.key("a"),
            one.key("m"),
        ];
        ensure!(
            keys == expected,
            "in pages of {limit}, export has to show {}, and shows {}",
            brief(&expected),
            brief(&keys)
        );
        for record in own {
            one.unchanged(record, "shown by export").await?;
        }
    }
    Ok(())
}

/// A store with a history, and what an export of it shows.
async fn exported(subject: &Subject) -> Result<(Shelf, Vec<Stored>), Finding> {
    let shelf = Shelf::open(subject).await?;
    for number in 0..6 {
        let id = number.to_string();
        let draft = shelf
            .draft(&id, &id)
            .attribute("n", &id)
            .attribute("all", "");
        shelf.store.create(draft).await?;
        subject.clock().advance(7);
    }
    let job = Shelf::of(shelf.store.clone(), "job");
    let draft = job
        .draft("0", "\0job")
        .attribute("n", "0")
        .expires_at(START + 1_000_000);
    shelf.store.create(draft).await?;
    let changed = shelf
        .draft("3", "three")
        .attribute("n", "3")
        .attribute("all", "");
    shelf.store.update(changed, None).await?;
    shelf.store.delete(&shelf.key("5"), None).await?;
    let records = export_all(&shelf.store, 4).await?;
    let expected = ["0", "1", "2", "3", "4", "0"];
    ensure!(
        ids(&records) == expected,
        "export has to show {expected:?}, and shows {:?}",
        ids(&records)
    );
    Ok((shelf, records))
}

/// Another store, which is empty.
async fn elsewhere(subject: &Subject) -> crate::Result<Shelf> {
    let name = format!("{}-elsewhere", subject.config().namespace);
    let opened = subject.open_with(|config| config.namespace(name)).await?;
    Ok(Shelf::of(opened, "task"))
}

async fn shows(shelf: &Shelf, when: &str, expected: &[Stored]) -> Outcome {
    let shown = export_all(&shelf.store, 100).await?;
    ensure!(
        shown == expected,
        "{when}, export has to show {}, and shows {}",
        brief(&expected),
        brief(&shown)
    );
    Ok(())
}

async fn round_trip(subject: Subject) -> Outcome {
    let (_, records) = exported(&subject).await?;
    let shelf = elsewhere(&subject).await?;
    // The clock of an import is no record's.
    subject.clock().advance(1_000);
    shelf.store.import(records.clone()).await?;
    shows(&shelf, "after the import", &records).await?;
    for record in &records {
        shelf.unchanged(record, "after the import").await?;
    }
    shelf.finds(&shelf.query().with("n", "3"), &["3"]).await?;
    shelf
        .finds(&shelf.query().with("all", ""), &["0", "1", "2", "3", "4"])
        .await?;
    shelf
        .finds(&shelf.query().by_update(), &["0", "1", "2", "4", "3"])
        .await
}

async fn continues_above(subject: Subject) -> Outcome {
    let (_, records) = exported(&subject).await?;
    let highest = records
        .iter()
        .map(Stored::revision)
        .max()
        .unwrap_or_default();
    let shelf = elsewhere(&subject).await?;
    shelf.store.import(records).await?;
    let next = shelf.create("new", "").await?;
    ensure!(
        next.create_revision > highest,
        "the highest revision imported is {highest}, and the next write got {next:?}"
    );
    let updated = shelf.store.update(shelf.draft("0", "new"), None).await?;
    ensure!(
        updated.mod_revision > next.mod_revision,
        "after {next:?}, an update got {updated:?}"
    );
    Ok(())
}

async fn import_twice(subject: Subject) -> Outcome {
    let (shelf, records) = exported(&subject).await?;
    shelf.store.import(records.clone()).await?;
    shows(&shelf, "after an import of what is there", &records).await?;
    let shelf = elsewhere(&subject).await?;
    shelf.store.import(records[..3].to_vec()).await?;
    // Some of it is there, some is new.
    shelf.store.import(records.clone()).await?;
    shelf.store.import(records.clone()).await?;
    shows(&shelf, "after three imports", &records).await
}

async fn import_conflict(subject: Subject) -> Outcome {
    let (_, records) = exported(&subject).await?;
    let shelf = elsewhere(&subject).await?;
    // So that no revision of ours is one of theirs.
    for _ in 0..20 {
        shelf.create("passing", "").await?;
        shelf.store.delete(&shelf.key("passing"), None).await?;
    }
    shelf
        .store
        .create(shelf.draft("3", "ours").attribute("n", "ours"))
        .await?;
    let before = export_all(&shelf.store, 100).await?;
    let answer = shelf.store.import(records).await;
    let error = refused("an import over another record", ErrorKind::Conflict, answer)?;
    ensure!(
        error.current() == before.first(),
        "the conflict has to carry the record that is there, and carries {}",
        brief(&error.current())
    );
    shows(&shelf, "after an import that was refused", &before).await?;
    shelf
        .absent("0", "after an import that was refused")
        .await?;
    shelf.finds(&shelf.query().with("n", "ours"), &["3"]).await
}

async fn import_clash(subject: Subject) -> Outcome {
    let (shelf, records) = exported(&subject).await?;
    let mut taken = records[0].clone();
    let mut free = taken.clone();
    taken.draft.key = shelf.key("taken");
    free.draft.key = shelf.key("free");
    let highest = records
        .iter()
        .map(Stored::revision)
        .max()
        .unwrap_or_default();
    free.stamp.create_revision = highest + 10;
    free.stamp.mod_revision = highest + 10;
    for create_revision in [true, false] {
        if !create_revision {
            // The create-revision is nobody's: the mod-revision alone is.
            taken.stamp.create_revision = highest + 9;
            taken.stamp.mod_revision = highest + 10;
        }
        let batch = match create_revision {
            true => vec![free.clone(), taken.clone()],
            false => {
                shelf.store.import(vec![free.clone()]).await?;
                vec![taken.clone()]
            }
        };
        let before = export_all(&shelf.store, 100).await?;
        let answer = shelf.store.import(batch).await;
        refused(
            "an import of a revision that another record carries",
            ErrorKind::Invalid,
            answer,
        )?;
        shows(&shelf, "after an import that was refused", &before).await?;
        shelf
            .absent("taken", "after an import that was refused")
            .await?;
    }
    Ok(())
}

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

async fn foreign_cursor(subject: Subject) -> Outcome {
    let (shelf, _) = exported(&subject).await?;
    let found = shelf.store.find(shelf.query().limit(1)).await?.next;
    let next = shelf.store.export(None, 2).await?.next;
    let (Some(found), Some(next)) = (found, next) else {
        return Err(Finding::broken("a page of some of the records has no next"));
    };
    for cursor in [
        found,
        "x".to_owned(),
        "🦀".to_owned(),
        "0".repeat(200),
        String::new(),
    ] {
        let what = format!("export after the cursor {}", brief(&cursor));
        let answer = shelf.store.export(Some(cursor), 2).await;
        refused(&what, ErrorKind::Invalid, answer)?;
    }
    let page = shelf.store.export(Some(next), 2).await?;
    ensure!(
        ids(&page.records) == ["2", "3"],
        "after its own cursor, export shows {:?}",
        ids(&page.records)
    );
    Ok(())
}
