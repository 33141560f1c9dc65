//! What a query finds, and in which order.

use super::clause::{Clause, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, find_all};
use super::world::Subject;
use mortise_store::{Precondition, Remove, Store, Write};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "find/by-attribute",
        "a record is found by each pair that it carries",
        by_attribute
    ),
    clause!(
        subject,
        "find/several-values",
        "a record with several values under one name is found by each of them, once",
        several_values
    ),
    clause!(
        store,
        "find/and",
        "a query for several pairs finds the records that carry all of them",
        all_pairs
    ),
    clause!(
        subject,
        "find/name-counts",
        "the same value under another name does not match",
        name_counts
    ),
    clause!(
        store,
        "find/exact-value",
        "values are compared byte for byte: no case, no normal form, no prefix, no wildcard",
        exact_value
    ),
    clause!(
        store,
        "find/after-update",
        "an updated record is found by its new pairs, and no longer by its old ones",
        after_update
    ),
    clause!(
        store,
        "find/after-delete",
        "a deleted record is found by none of its pairs",
        after_delete
    ),
    clause!(
        subject,
        "find/after-batch",
        "what a batch put is found by its pairs, what it removed or replaced is not",
        after_batch
    ),
    clause!(
        subject,
        "find/unchanged-pairs",
        "a pair that an update keeps finds the record, once",
        unchanged_pairs
    ),
    clause!(
        store,
        "find/without-bodies",
        "without bodies, each body comes back empty, and all else as it is",
        without_bodies
    ),
    clause!(
        subject,
        "find/nothing",
        "where nothing matches, the page is empty and has no next",
        nothing
    ),
    clause!(
        store,
        "order/created",
        "the order created is by create-revision, also after updates",
        created
    ),
    clause!(
        store,
        "order/updated",
        "the order updated is by mod-revision",
        updated
    ),
    clause!(
        store,
        "order/descending",
        "descending turns either order around",
        descending
    ),
];

async fn by_attribute(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "find/by-attribute");
    for (id, status) in [("a", "new"), ("b", "done"), ("c", "new"), ("d", "")] {
        let draft = shelf
            .draft(id, "")
            .attribute("owner", id)
            .attribute("status", status);
        shelf.store.create(draft).await?;
    }
    shelf
        .finds(&shelf.query().with("status", "new"), &["a", "c"])
        .await?;
    shelf
        .finds(&shelf.query().with("status", "done"), &["b"])
        .await?;
    shelf
        .finds(&shelf.query().with("status", ""), &["d"])
        .await?;
    shelf
        .finds(&shelf.query().with("owner", "c"), &["c"])
        .await?;
    shelf.finds(&shelf.query(), &["a", "b", "c", "d"]).await
}

async fn several_values(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let draft = shelf
        .draft("a", "")
        .attribute("tag", "x")
        .attribute("tag", "y");
    shelf.store.create(draft.attribute("other", "x")).await?;
    shelf.create_with(&["b"], "tag", "y").await?;
    shelf.finds(&shelf.query().with("tag", "x"), &["a"]).await?;
    shelf
        .finds(&shelf.query().with("tag", "y"), &["a", "b"])
        .await?;
    shelf
        .finds(&shelf.query().with("tag", "x").with("tag", "y"), &["a"])
        .await?;
    shelf.finds(&shelf.query(), &["a", "b"]).await
}

async fn all_pairs(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "find/and");
    for (id, one, two) in [
        ("a", "1", "1"),
        ("b", "1", "2"),
        ("c", "2", "1"),
        ("d", "1", "1"),
    ] {
        let draft = shelf
            .draft(id, "")
            .attribute("one", one)
            .attribute("two", two);
        shelf.store.create(draft).await?;
    }
    let query = shelf.query();
    shelf
        .finds(
            &query.clone().with("one", "1").with("two", "1"),
            &["a", "d"],
        )
        .await?;
    shelf
        .finds(&query.clone().with("two", "2").with("one", "1"), &["b"])
        .await?;
    shelf
        .finds(&query.clone().with("one", "2").with("two", "2"), &[])
        .await?;
    // Two values of one name cannot both be the only one.
    shelf
        .finds(&query.with("one", "1").with("one", "2"), &[])
        .await
}

async fn name_counts(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf.create_with(&["a"], "owner", "x").await?;
    shelf.create_with(&["b"], "status", "x").await?;
    for (name, expected) in [("owner", ["a"]), ("status", ["b"])] {
        shelf
            .finds(&shelf.query().with(name, "x"), &expected)
            .await?;
    }
    for name in ["Owner", "own", "owners", "other"] {
        shelf.finds(&shelf.query().with(name, "x"), &[]).await?;
    }
    // Where a name ends and a value begins is no matter of taste.
    shelf.finds(&shelf.query().with("owne", "rx"), &[]).await
}

/// Values that some comparison takes for one another.
const LOOKALIKES: &[&str] = &[
    "", "a", "A", "ab", "a ", " a", "%", "_", "a%", "*", "?", "a\0", "a\0b", "\u{e9}", "e\u{301}",
    "'", "\\", "\n", "0", "00",
];

async fn exact_value(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "find/exact-value");
    let ids: Vec<String> = (0..LOOKALIKES.len())
        .map(|number| number.to_string())
        .collect();
    let drafts = ids.iter().zip(LOOKALIKES);
    let drafts = drafts.map(|(id, value)| shelf.draft(id, "").attribute("value", *value));
    shelf.create_all(drafts.collect()).await?;
    for (id, value) in ids.iter().zip(LOOKALIKES) {
        shelf
            .finds(&shelf.query().with("value", *value), &[id])
            .await?;
    }
    shelf.finds(&shelf.query().with("value", "b"), &[]).await
}

async fn after_update(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "find/after-update");
    shelf.create_with(&["a", "b"], "status", "old").await?;
    let new = shelf.draft("a", "").attribute("status", "new");
    shelf.store.update(new, None).await?;
    shelf
        .finds(&shelf.query().with("status", "old"), &["b"])
        .await?;
    shelf
        .finds(&shelf.query().with("status", "new"), &["a"])
        .await?;
    shelf.store.update(shelf.draft("a", ""), None).await?;
    shelf
        .finds(&shelf.query().with("status", "new"), &[])
        .await?;
    shelf
        .finds(&shelf.query().with("status", "old"), &["b"])
        .await
}

async fn after_delete(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "find/after-delete");
    shelf.create_with(&["a", "b"], "status", "new").await?;
    shelf.store.delete(&shelf.key("a"), None).await?;
    shelf
        .finds(&shelf.query().with("status", "new"), &["b"])
        .await?;
    // An entry that was left behind would lead to the next record of the name.
    shelf.create("a", "again").await?;
    shelf
        .finds(&shelf.query().with("status", "new"), &["b"])
        .await
}

async fn after_batch(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf
        .create_with(&["a", "b", "c", "d"], "status", "old")
        .await?;
    let remove = |id: &str, expect| {
        Write::Remove(Remove {
            key: shelf.key(id),
            expect,
        })
    };
    let batch = vec![
        Write::put(shelf.draft("a", "").attribute("status", "new")),
        remove("b", Precondition::None),
        remove("c", Precondition::Present),
        Write::create(shelf.draft("e", "").attribute("status", "new")),
    ];
    shelf.store.apply(batch).await?;
    shelf
        .finds(&shelf.query().with("status", "old"), &["d"])
        .await?;
    shelf
        .finds(&shelf.query().with("status", "new"), &["a", "e"])
        .await?;
    shelf.create_each(&["b", "c"]).await?;
    shelf
        .finds(&shelf.query().with("status", "old"), &["d"])
        .await
}

async fn unchanged_pairs(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf.create_with(&["a"], "kept", "1").await?;
    for number in 0..3 {
        let draft = shelf.draft("a", &number.to_string()).attribute("kept", "1");
        let draft = draft.attribute("number", number.to_string());
        shelf.store.update(draft, None).await?;
        shelf
            .finds(&shelf.query().with("kept", "1"), &["a"])
            .await?;
        shelf
            .finds(&shelf.query().with("kept", "1").by_update(), &["a"])
            .await?;
    }
    shelf.finds(&shelf.query().with("number", "0"), &[]).await
}

async fn without_bodies(store: Store) -> Outcome {
    let shelf = Shelf::of(store, "find/without-bodies");
    shelf.create_with(&["a", "b"], "status", "new").await?;
    for query in [shelf.query(), shelf.query().with("status", "new")] {
        let mut with = find_all(&shelf.store, &query).await?;
        for record in &mut with {
            ensure!(
                record.draft.body == record.key().id.as_bytes(),
                "with bodies, find shows {}",
                brief(record)
            );
            record.draft.body.clear();
        }
        let without = find_all(&shelf.store, &query.without_bodies()).await?;
        ensure!(
            with == without,
            "without bodies, {} has to be found, and {} is",
            brief(&with),
            brief(&without)
        );
    }
    Ok(())
}

async fn nothing(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf.create_with(&["a"], "status", "new").await?;
    let elsewhere = Shelf::of(shelf.store.clone(), "job");
    for query in [shelf.query().with("status", "x"), elsewhere.query()] {
        let page = shelf.store.find(query).await?;
        ensure!(
            page.records.is_empty() && page.next.is_none(),
            "where nothing matches, the page is {}",
            brief(&page)
        );
    }
    Ok(())
}

/// Three records in an order that is not that of their ids, the first one changed last.
async fn three(store: Store, clause: &str) -> mortise_store::Result<Shelf> {
    let shelf = Shelf::of(store, clause);
    shelf.create_with(&["c", "a", "b"], "all", "").await?;
    let changed = shelf.draft("c", "changed").attribute("all", "");
    shelf.store.update(changed, None).await?;
    Ok(shelf)
}

async fn created(store: Store) -> Outcome {
    let shelf = three(store, "order/created").await?;
    shelf.finds(&shelf.query(), &["c", "a", "b"]).await?;
    shelf
        .finds(&shelf.query().with("all", ""), &["c", "a", "b"])
        .await
}

async fn updated(store: Store) -> Outcome {
    let shelf = three(store, "order/updated").await?;
    shelf
        .finds(&shelf.query().by_update(), &["a", "b", "c"])
        .await?;
    shelf
        .finds(&shelf.query().with("all", "").by_update(), &["a", "b", "c"])
        .await
}

async fn descending(store: Store) -> Outcome {
    let shelf = three(store, "order/descending").await?;
    for query in [shelf.query(), shelf.query().with("all", "")] {
        let query = query.descending();
        for limit in [1, 100] {
            let query = query.clone().limit(limit);
            shelf.finds(&query, &["b", "a", "c"]).await?;
            shelf.finds(&query.by_update(), &["c", "b", "a"]).await?;
        }
    }
    Ok(())
}
