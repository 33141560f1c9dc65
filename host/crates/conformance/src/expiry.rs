//! An expired record is absent from every call. The clauses turn the clock.

use super::clause::{Clause, Finding, Outcome, brief, clause, ensure};
use super::shelf::{Shelf, export_all, find_all, ids, refused};
use super::world::{START, Subject};
use mortise_store::{ErrorKind, Precondition, Put, Write};

pub(crate) const CLAUSES: &[Clause] = &[
    clause!(
        subject,
        "expiry/boundary",
        "a record is there until a millisecond before it expires, and absent from then on",
        boundary
    ),
    clause!(
        subject,
        "expiry/past",
        "a record that is written with an expiry in the past reads as absent",
        past
    ),
    clause!(
        subject,
        "expiry/load-many",
        "load-many shows no expired record",
        load_many
    ),
    clause!(subject, "expiry/find", "find shows no expired record", find),
    clause!(
        subject,
        "expiry/find-by-attribute",
        "find by attribute shows no expired record",
        find_by_attribute
    ),
    clause!(
        subject,
        "expiry/export",
        "export shows no expired record",
        export
    ),
    clause!(
        subject,
        "expiry/statistics",
        "statistics count no expired record",
        statistics
    ),
    clause!(
        subject,
        "expiry/update",
        "an update of an expired record is not-found",
        update
    ),
    clause!(
        subject,
        "expiry/delete",
        "a deletion of an expired record is not-found",
        delete
    ),
    clause!(
        subject,
        "expiry/create",
        "a creation over an expired record succeeds, as a new record",
        create
    ),
    clause!(
        subject,
        "expiry/apply",
        "to the preconditions of a batch an expired record is absent",
        apply
    ),
    clause!(
        subject,
        "expiry/recreated-entries",
        "after a creation over an expired record, its old pairs find nothing",
        recreated_entries
    ),
    clause!(
        subject,
        "expiry/prolonged",
        "a record that was updated with a later expiry lives on until then",
        prolonged
    ),
    clause!(
        subject,
        "expiry/removed",
        "a record that was updated without an expiry never expires",
        removed
    ),
    clause!(
        subject,
        "expiry/sweep",
        "a sweep removes what is expired, the longest expired first, at most the limit; answers how many; takes no revision",
        sweep
    ),
    clause!(
        subject,
        "expiry/pages",
        "expired records between two others cost no page a record, and end no paging",
        pages
    ),
];

/// When the record `mortal` of [`half_expired`] expires.
const END: u64 = START + 1_000;

/// A store of two records that carry the same pair: `lasting`, and `mortal`, which just expired.
async fn half_expired(subject: &Subject) -> Result<Shelf, Finding> {
    let shelf = Shelf::open(subject).await?;
    for (id, end) in [("lasting", None), ("mortal", Some(END))] {
        let mut draft = shelf.draft(id, id).attribute("all", "");
        draft.expires_at = end;
        shelf.store.create(draft).await?;
    }
    subject.clock().set(END);
    Ok(shelf)
}

async fn boundary(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let draft = shelf.draft("a", "").expires_at(END);
    shelf.store.create(draft.clone()).await?;
    subject.clock().set(END - 1);
    let kept = shelf.there("a").await?;
    ensure!(
        kept.draft == draft,
        "written as {}, it is {}",
        brief(&draft),
        brief(&kept)
    );
    subject.clock().set(END);
    shelf.absent("a", "at the instant of its expiry").await?;
    subject.clock().set(END + 1_000_000);
    shelf.absent("a", "long after its expiry").await
}

async fn past(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    for (id, end) in [
        ("now", START),
        ("before", START - 1),
        ("at the beginning", 0),
    ] {
        let draft = shelf.draft(id, "").attribute("all", "").expires_at(end);
        shelf.store.create(draft).await?;
        shelf
            .absent(id, &format!("at {START}, created with the expiry {end},"))
            .await?;
    }
    shelf.finds(&shelf.query().with("all", ""), &[]).await
}

async fn load_many(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    let keys = ["mortal", "lasting", "mortal"]
        .map(|id| shelf.key(id))
        .to_vec();
    let loaded = shelf.store.load_many(keys).await?;
    let there: Vec<_> = loaded.iter().map(Option::is_some).collect();
    ensure!(
        there == [false, true, false],
        "load-many shows {}",
        brief(&loaded)
    );
    Ok(())
}

async fn find(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    for query in [shelf.query(), shelf.query().by_update()] {
        shelf.finds(&query, &["lasting"]).await?;
        shelf.finds(&query.descending(), &["lasting"]).await?;
    }
    Ok(())
}

async fn find_by_attribute(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    for query in [shelf.query(), shelf.query().by_update()] {
        shelf.finds(&query.with("all", ""), &["lasting"]).await?;
    }
    Ok(())
}

async fn export(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    let exported = export_all(&shelf.store, 100).await?;
    ensure!(
        ids(&exported) == ["lasting"],
        "export shows {}",
        brief(&exported)
    );
    Ok(())
}

async fn statistics(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    let all_gone = Shelf::of(shelf.store.clone(), "job");
    let draft = all_gone.draft("a", "").expires_at(END);
    shelf.store.create(draft).await?;
    let counted = shelf.store.statistics().await?;
    let counted: Vec<_> = counted
        .iter()
        .map(|entry| (entry.collection.as_str(), entry.records, entry.body_bytes))
        .collect();
    ensure!(
        counted == [("task", 1, 7)],
        "of 2 records in task 1 is expired, and the one in job is: the statistics are {counted:?}"
    );
    Ok(())
}

async fn update(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    for expect in [None, Some(2)] {
        let answer = shelf.store.update(shelf.draft("mortal", "x"), expect).await;
        refused(
            "an update of an expired record",
            ErrorKind::NotFound,
            answer,
        )?;
        shelf
            .absent("mortal", "after an update that was refused")
            .await?;
    }
    shelf
        .store
        .update(shelf.draft("lasting", "x"), None)
        .await?;
    Ok(())
}

async fn delete(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    for expect in [None, Some(2)] {
        let answer = shelf.store.delete(&shelf.key("mortal"), expect).await;
        refused(
            "a deletion of an expired record",
            ErrorKind::NotFound,
            answer,
        )?;
    }
    shelf.there("lasting").await?;
    Ok(())
}

async fn create(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    let last = shelf.there("lasting").await?.revision() + 1;
    let stamp = shelf.create("mortal", "again").await?;
    ensure!(
        stamp.create_revision > last && stamp.created_at == END,
        "the record of the revision {last} expired at {END}, and the new one is {stamp:?}"
    );
    let kept = shelf.there("mortal").await?;
    ensure!(
        kept.stamp == stamp && kept.draft == shelf.draft("mortal", "again"),
        "created again, it is {}",
        brief(&kept)
    );
    Ok(())
}

async fn apply(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    let put = |expect| {
        let draft = shelf.draft("mortal", "again");
        vec![Write::Put(Put { draft, expect })]
    };
    let expired = shelf.there("lasting").await?.revision() + 1;
    for (what, batch) in [
        ("a put that expects a record", put(Precondition::Present)),
        (
            "a put that expects a revision",
            put(Precondition::UnchangedSince(expired)),
        ),
        (
            "a removal that expects a record",
            vec![Write::delete(shelf.key("mortal"), None)],
        ),
        (
            "a removal that expects a revision",
            vec![Write::delete(shelf.key("mortal"), Some(expired))],
        ),
    ] {
        let answer = shelf.store.apply(batch).await;
        refused(
            &format!("{what}, of an expired one,"),
            ErrorKind::NotFound,
            answer,
        )?;
        shelf
            .absent("mortal", "after a batch that was refused")
            .await?;
    }
    let revision = shelf.store.apply(put(Precondition::Absent)).await?;
    let kept = shelf.there("mortal").await?;
    ensure!(
        revision == [kept.stamp.create_revision],
        "put over an expired record as {revision:?}, it is {}",
        brief(&kept.stamp)
    );
    Ok(())
}

async fn recreated_entries(subject: Subject) -> Outcome {
    let shelf = half_expired(&subject).await?;
    let draft = shelf.draft("mortal", "again").attribute("new", "");
    shelf.store.create(draft).await?;
    shelf
        .finds(&shelf.query().with("all", ""), &["lasting"])
        .await?;
    shelf
        .finds(&shelf.query().with("new", ""), &["mortal"])
        .await?;
    shelf.finds(&shelf.query(), &["lasting", "mortal"]).await
}

async fn prolonged(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let draft = |end| shelf.draft("a", "").attribute("all", "").expires_at(end);
    shelf.store.create(draft(END)).await?;
    shelf.store.update(draft(END + 10), None).await?;
    for now in [END, END + 9] {
        subject.clock().set(now);
        shelf.there("a").await?;
        shelf.finds(&shelf.query().with("all", ""), &["a"]).await?;
        // What is swept by an expiry that is no longer so is lost.
        let swept = shelf.store.sweep(100).await?;
        ensure!(
            swept == 0,
            "the expiry was moved, and a sweep removed {swept} records"
        );
    }
    shelf.there("a").await?;
    subject.clock().set(END + 10);
    shelf
        .absent("a", "at the instant of its later expiry")
        .await
}

async fn removed(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    shelf
        .store
        .create(shelf.draft("a", "").expires_at(END))
        .await?;
    shelf.store.update(shelf.draft("a", ""), None).await?;
    subject.clock().set(END + 1_000_000);
    shelf.there("a").await?;
    let swept = shelf.store.sweep(100).await?;
    ensure!(
        swept == 0,
        "the expiry was taken away, and a sweep removed {swept} records"
    );
    shelf.there("a").await?;
    shelf.finds(&shelf.query(), &["a"]).await
}

async fn sweep(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let mut last = shelf.create("lasting", "").await?.mod_revision;
    for (id, age) in [
        ("2nd", 20),
        ("4th", 10),
        ("1st", 25),
        ("3rd", 15),
        ("later", 0),
    ] {
        let draft = shelf.draft(id, "").expires_at(END - age);
        last = shelf.store.create(draft).await?.mod_revision;
    }
    let swept = shelf.store.sweep(100).await?;
    ensure!(
        swept == 0,
        "before anything expired, a sweep removed {swept} records"
    );
    subject.clock().set(END - 1);
    let swept = shelf.store.sweep(2).await?;
    ensure!(
        swept == 2,
        "of 4 expired records, a sweep of 2 removed {swept}"
    );
    // With the clock back, what was not swept is there.
    subject.clock().set(START);
    let left = find_all(&shelf.store, &shelf.query()).await?;
    ensure!(
        ids(&left) == ["lasting", "4th", "3rd", "later"],
        "the two longest expired were 1st and 2nd, and a sweep of 2 left {:?}",
        ids(&left)
    );
    subject.clock().set(END - 1);
    for expected in [2, 0] {
        let swept = shelf.store.sweep(1_000).await?;
        ensure!(
            swept == expected,
            "of {expected} expired records, a sweep removed {swept}"
        );
    }
    subject.clock().set(START);
    shelf.finds(&shelf.query(), &["lasting", "later"]).await?;
    let next = shelf.create("new", "").await?.mod_revision;
    ensure!(
        next == last + 1,
        "after the revision {last} and some sweeps, the next write got {next}"
    );
    Ok(())
}

async fn pages(subject: Subject) -> Outcome {
    let shelf = Shelf::open(&subject).await?;
    let mut lasting = Vec::new();
    for number in 0..30 {
        let id = format!("{number}");
        let mut draft = shelf.draft(&id, "").attribute("all", "");
        // Runs of expired records that are longer than a page, at either end too.
        match number % 10 == 5 {
            true => lasting.push(id),
            false => draft.expires_at = Some(END),
        }
        shelf.store.create(draft).await?;
    }
    subject.clock().set(END);
    let lasting: Vec<_> = lasting.iter().map(String::as_str).collect();
    let mut reversed = lasting.clone();
    reversed.reverse();
    for query in [shelf.query(), shelf.query().with("all", "")] {
        for limit in [1, 2, 100] {
            let query = query.clone().limit(limit);
            shelf.finds(&query, &lasting).await?;
            shelf.finds(&query.clone().by_update(), &lasting).await?;
            shelf.finds(&query.descending(), &reversed).await?;
        }
    }
    for limit in [1, 2, 100] {
        let exported = export_all(&shelf.store, limit).await?;
        ensure!(
            ids(&exported) == lasting,
            "in pages of {limit}, export has to show {lasting:?}, and shows {:?}",
            ids(&exported)
        );
    }
    Ok(())
}
