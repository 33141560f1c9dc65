//! Import: records with their stamps, all or none.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::export::{elsewhere, exported, shows};
use super::shelf::{export_all, refused};
use super::world::Subject;
use mortise_store::{ErrorKind, Stored};

pub(crate) const CLAUSES: &[Clause] = &[
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
];

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
