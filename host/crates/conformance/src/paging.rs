//! Pages: their size, and the cursors between them.

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, ids, refused, told};
use super::world::Subject;
use mortise_store::{ErrorKind, Page, Query, Store};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        store,
        "paging/size-one",
        "with a limit of 1, the pages have every record once, in order",
        size_one
    ),
    clause!(
        store,
        "paging/last-page",
        "the page with the last record has no next, also where the limit divides the count",
        last_page
    ),
    clause!(
        subject,
        "paging/largest",
        "a page may have 1,000 records",
        largest
    ),
    clause!(
        subject,
        "paging/bad-limit",
        "the limits 0 and 1,001 are invalid",
        bad_limit
    ),
    clause!(
        subject,
        "paging/across-creates",
        "a cursor stays good while records are created: what was there is neither skipped nor repeated",
        across_creates
    ),
    clause!(
        subject,
        "paging/across-updates",
        "a cursor of the order created stays good while records are updated",
        across_updates
    ),
    clause!(
        subject,
        "paging/across-deletes",
        "a cursor stays good while records are deleted, also the one that it stands on",
        across_deletes
    ),
    clause!(
        subject,
        "paging/feed",
        "in the order updated, what changed since a cursor comes after it",
        feed
    ),
    clause!(
        store,
        "paging/foreign-cursor",
        "a cursor that is garbled, or of another query, is invalid",
        foreign_cursor
    ),
    clause!(
        subject,
        "paging/limit-may-differ",
        "limit and bodies may differ from page to page",
        limit_may_differ
    ),
];

/// Records `0` to `9` and so on that all carry one pair.
async fn filled(store: Store, clause: &str, count: usize) -> mortise_store::Result<Shelf> {
    let shelf = Shelf::of(store, clause);
    let drafts = (0..count).map(|number| {
        let id = number.to_string();
        shelf.draft(&id, &id).attribute("all", "")
    });
    shelf.create_all(drafts.collect()).await?;
    Ok(shelf)
}

/// The ways to ask for all records of such a shelf.
fn ways(shelf: &Shelf) -> [Query; 2] {
    [shelf.query(), shelf.query().with("all", "")]
}

/// The next page, which has to have these records.
async fn page(shelf: &Shelf, query: &Query, expected: &[&str]) -> Result<Page, Finding> {
    let page = shelf.store.find(query.clone()).await?;
    ensure!(
        ids(&page.records) == expected,
        "{}{} has to find {expected:?}, and found {:?}",
        told(query),
        if query.after.is_some() {
            " after a cursor"
        } else {
            ""
        },
        ids(&page.records)
    );
    Ok(page)
}

fn next(page: &Page) -> Result<Option<String>, Finding> {
    ensure!(
        page.next.is_some(),
        "the page of {:?} has no next, and more records match",
        ids(&page.records)
    );
    Ok(page.next.clone())
}

async fn size_one(store: Store) -> Outcome {
    let shelf = filled(store, "paging/size-one", 4).await?;
    let all = ["0", "1", "2", "3"];
    let reversed = ["3", "2", "1", "0"];
    for query in ways(&shelf) {
        let query = query.limit(1);
        for query in [query.clone(), query.by_update()] {
            shelf.finds(&query, &all).await?;
            shelf.finds(&query.descending(), &reversed).await?;
        }
    }
    let first = shelf.store.find(shelf.query().limit(1)).await?;
    ensure!(
        first.records.len() == 1,
        "with a limit of 1, a page has {} records",
        first.records.len()
    );
    Ok(())
}

async fn last_page(store: Store) -> Outcome {
    let shelf = filled(store, "paging/last-page", 4).await?;
    for query in ways(&shelf) {
        for limit in [4, 5, 1_000] {
            let page = page(&shelf, &query.clone().limit(limit), &["0", "1", "2", "3"]).await?;
            ensure!(
                page.next.is_none(),
                "with a limit of {limit}, the page of all 4 has a next"
            );
        }
        let query = query.limit(2);
        let first = page(&shelf, &query, &["0", "1"]).await?;
        let last = page(&shelf, &query.after(next(&first)?), &["2", "3"]).await?;
        ensure!(
            last.next.is_none(),
            "with a limit of 2, the second page of 4 records has a next"
        );
    }
    Ok(())
}

async fn largest(subject: Subject) -> Outcome {
    const COUNT: usize = 1_001;
    let shelf = Shelf::open(&subject).await?;
    let names: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    let drafts = names
        .iter()
        .map(|id| shelf.draft(id, "").attribute("all", ""));
    shelf.create_all(drafts.collect()).await?;
    for query in ways(&shelf) {
        let page = shelf.store.find(query.clone().limit(1_000)).await?;
        ensure!(
            ids(&page.records) == names[..1_000],
            "of {COUNT} small records, a page of 1,000 has {}, from {:?} to {:?}",
            page.records.len(),
            ids(&page.records).first(),
            ids(&page.records).last()
        );
        let rest = query.limit(1_000).after(next(&page)?);
        let rest = shelf.store.find(rest).await?;
        ensure!(
            ids(&rest.records) == names[1_000..] && rest.next.is_none(),
            "after 1,000 of {COUNT} records, the next page is {}",
            brief(&rest)
        );
    }
    let exported = shelf.store.export(None, 1_000).await?;
    ensure!(
        ids(&exported.records) == names[..1_000],
        "of {COUNT} small records, a page of export of 1,000 has {}",
        exported.records.len()
    );
    Ok(())
}

async fn bad_limit(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf.create("a", "").await?;
    for limit in [0, 1_001, u32::MAX] {
        let found = shelf.store.find(shelf.query().limit(limit)).await;
        refused(
            &format!("find with the limit {limit}"),
            ErrorKind::Invalid,
            found,
        )?;
        let exported = shelf.store.export(None, limit).await;
        refused(
            &format!("export with the limit {limit}"),
            ErrorKind::Invalid,
            exported,
        )?;
        let swept = shelf.store.sweep(limit).await;
        refused(
            &format!("sweep with the limit {limit}"),
            ErrorKind::Invalid,
            swept,
        )?;
    }
    shelf.finds(&shelf.query(), &["a"]).await
}

async fn across_creates(subject: Subject) -> Outcome {
    let shelf = filled(subject.open().await?, "task", 5).await?;
    let mut extra = 0;
    for query in ways(&shelf) {
        let forward = query.clone().limit(2);
        let first = page(&shelf, &forward, &["0", "1"]).await?;
        let create = |extra: i32| {
            shelf
                .draft(&format!("new {extra}"), "")
                .attribute("all", "")
        };
        extra += 1;
        shelf.store.create(create(extra)).await?;
        let second = page(&shelf, &forward.clone().after(next(&first)?), &["2", "3"]).await?;
        let third = shelf.store.find(forward.after(next(&second)?)).await?;
        ensure!(
            ids(&third.records).first() == Some(&"4"),
            "after 3, the next page begins with {:?}",
            ids(&third.records).first()
        );
        // Backwards, what is new is before the cursor.
        let backward = query.limit(2).descending();
        let mut found = Vec::new();
        let mut after = None;
        for _ in 0..10 {
            let page = shelf.store.find(backward.clone().after(after)).await?;
            found.extend(ids(&page.records).into_iter().map(str::to_owned));
            if extra % 2 == 1 {
                extra += 1;
                shelf.store.create(create(extra)).await?;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let old: Vec<_> = found.iter().filter(|id| !id.starts_with("new")).collect();
        ensure!(
            old == ["4", "3", "2", "1", "0"],
            "descending, while records were created, the pages had {found:?}"
        );
    }
    Ok(())
}

async fn across_updates(subject: Subject) -> Outcome {
    let shelf = filled(subject.open().await?, "task", 6).await?;
    for query in ways(&shelf) {
        let query = query.limit(2);
        let first = page(&shelf, &query, &["0", "1"]).await?;
        for id in ["1", "4", "2"] {
            let draft = shelf.draft(id, "changed").attribute("all", "");
            shelf.store.update(draft, None).await?;
        }
        let second = page(&shelf, &query.clone().after(next(&first)?), &["2", "3"]).await?;
        let third = page(&shelf, &query.after(next(&second)?), &["4", "5"]).await?;
        ensure!(
            third.next.is_none(),
            "the page with the last record has a next"
        );
    }
    Ok(())
}

async fn across_deletes(subject: Subject) -> Outcome {
    let store = subject.open().await?;
    for number in 0..4 {
        let shelf = filled(store.clone(), &format!("task {number}"), 8).await?;
        let query = ways(&shelf)[number % 2].clone().limit(3);
        let query = if number < 2 { query } else { query.by_update() };
        let first = page(&shelf, &query, &["0", "1", "2"]).await?;
        // The record that the cursor stands on, one before it, one after it.
        for id in ["2", "0", "4"] {
            shelf.store.delete(&shelf.key(id), None).await?;
        }
        let second = page(
            &shelf,
            &query.clone().after(next(&first)?),
            &["3", "5", "6"],
        )
        .await?;
        shelf.store.delete(&shelf.key("7"), None).await?;
        if let Some(after) = second.next {
            let last = page(&shelf, &query.after(Some(after)), &[]).await?;
            ensure!(
                last.next.is_none(),
                "the empty page after the last record has a next"
            );
        }
    }
    Ok(())
}

async fn feed(subject: Subject) -> Outcome {
    let shelf = filled(subject.open().await?, "task", 3).await?;
    for query in ways(&shelf) {
        let query = query.by_update().limit(2);
        let before = shelf.store.find(query.clone()).await?;
        let mut seen: Vec<String> = ids(&before.records)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let changed = seen.remove(0);
        let draft = shelf.draft(&changed, "again").attribute("all", "");
        shelf.store.update(draft, None).await?;
        let after = shelf.store.find(query.after(next(&before)?)).await?;
        let found = ids(&after.records);
        ensure!(
            found.len() == 2 && found[1] == changed && !seen.iter().any(|id| id == found[0]),
            "after {:?}, {changed:?} was changed, and the feed goes on with {found:?}",
            ids(&before.records)
        );
    }
    Ok(())
}

async fn foreign_cursor(store: Store) -> Outcome {
    let shelf = filled(store, "paging/foreign-cursor", 4).await?;
    let other = filled(shelf.store.clone(), "paging/foreign-cursor too", 3).await?;
    let query = shelf.query().limit(2);
    let own = next(&page(&shelf, &query, &["0", "1"]).await?)?;
    let of = async |query: Query| -> Result<String, Finding> {
        let page = shelf.store.find(query).await?;
        Ok(next(&page)?.unwrap_or_default())
    };
    let mut foreign = vec![
        ("of another collection", of(other.query().limit(2)).await?),
        (
            "of other attributes",
            of(query.clone().with("all", "")).await?,
        ),
        ("of the other order", of(query.clone().by_update()).await?),
        (
            "of the other direction",
            of(query.clone().descending()).await?,
        ),
        ("that is empty", String::new()),
        ("that is garbled", "x".to_owned()),
        ("that is garbled", "🦀".to_owned()),
        ("that is garbled", "0".repeat(200)),
        (
            "that is garbled",
            own.iter().flat_map(|own| own.chars().rev()).collect(),
        ),
    ];
    if let Some(exported) = shelf.store.export(None, 1).await?.next {
        foreign.push(("of an export", exported));
    }
    for (what, cursor) in foreign {
        // A cursor that reads the same both ways is its own.
        if Some(&cursor) == own.as_ref() && what == "that is garbled" {
            continue;
        }
        let answer = shelf.store.find(query.clone().after(Some(cursor))).await;
        refused(
            &format!("find after a cursor {what}"),
            ErrorKind::Invalid,
            answer,
        )?;
    }
    // And the other way round: what is asked for counts too, not only what is handed over.
    for (what, foreign) in [
        ("with attributes", query.clone().with("all", "")),
        ("in the other order", query.clone().by_update()),
        ("in the other direction", query.clone().descending()),
    ] {
        let answer = shelf.store.find(foreign.after(own.clone())).await;
        let what = format!("find {what} after a cursor of a query that is not so");
        refused(&what, ErrorKind::Invalid, answer)?;
    }
    page(&shelf, &query.after(own), &["2", "3"]).await?;
    Ok(())
}

async fn limit_may_differ(subject: Subject) -> Outcome {
    let shelf = filled(subject.open().await?, "task", 6).await?;
    for query in ways(&shelf) {
        let first = page(&shelf, &query.clone().limit(1), &["0"]).await?;
        let wider = query.clone().limit(3).without_bodies().after(next(&first)?);
        let second = page(&shelf, &wider, &["1", "2", "3"]).await?;
        let third = page(&shelf, &query.limit(100).after(next(&second)?), &["4", "5"]).await?;
        ensure!(
            third
                .records
                .iter()
                .all(|record| !record.draft.body.is_empty()),
            "with bodies again, a page shows {}",
            brief(&third.records)
        );
    }
    Ok(())
}
