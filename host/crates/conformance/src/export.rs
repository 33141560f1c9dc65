//! Export: every record of a store, page by page.

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, export_all, ids, refused};
use super::world::{START, Subject};
use mortise_store::{ErrorKind, Result, Store, Stored};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "transfer/export-all",
        "an export has every record of every collection, once, in create order, page by page",
        all
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
pub(crate) async fn exported(subject: &Subject) -> Result<(Shelf, Vec<Stored>), Finding> {
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
pub(crate) async fn elsewhere(subject: &Subject) -> Result<Shelf> {
    let name = format!("{}-elsewhere", subject.config().namespace);
    let opened = subject.open_with(|config| config.namespace(name)).await?;
    Ok(Shelf::of(opened, "task"))
}

pub(crate) async fn shows(shelf: &Shelf, when: &str, expected: &[Stored]) -> Outcome {
    let shown = export_all(&shelf.store, 100).await?;
    ensure!(
        shown == expected,
        "{when}, export has to show {}, and shows {}",
        brief(&expected),
        brief(&shown)
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
