//! What makes a clause short: one collection of one store, and what is asked of it most.

use super::clause::{Finding, brief, ensure};
use super::world::Subject;
use mortise_store::{Draft, Error, ErrorKind, Key, Query, Result, Stamp, Store, Stored, Write};

/// More pages than any clause has records: a backend whose cursors do not move on is found out.
const MOST_PAGES: usize = 3_000;

/// One collection of a store.
pub(crate) struct Shelf {
    pub(crate) store: Store,
    collection: String,
}

impl Shelf {
    /// The collection of a clause that may share its store with other clauses: it is named after it.
    pub(crate) fn of(store: Store, clause: &str) -> Self {
        let collection = clause.to_owned();
        Self { store, collection }
    }

    /// A collection of a store that the clause has for itself.
    pub(crate) async fn open(subject: &Subject) -> Result<Self> {
        Ok(Self::of(subject.open().await?, "task"))
    }

    pub(crate) fn key(&self, id: &str) -> Key {
        Key::new(self.collection.as_str(), id)
    }

    pub(crate) fn draft(&self, id: &str, body: &str) -> Draft {
        Draft::new(self.key(id), body)
    }

    /// Every record of the collection.
    pub(crate) fn query(&self) -> Query {
        Query::new(self.collection.as_str())
    }

    pub(crate) async fn create(&self, id: &str, body: &str) -> Result<Stamp> {
        self.store.create(self.draft(id, body)).await
    }

    /// Creates records whose bodies are their ids.
    pub(crate) async fn create_each(&self, ids: &[&str]) -> Result<()> {
        for id in ids {
            self.create(id, id).await?;
        }
        Ok(())
    }

    /// Creates records that carry this pair, and whose bodies are their ids.
    pub(crate) async fn create_with(&self, ids: &[&str], name: &str, value: &str) -> Result<()> {
        for id in ids {
            let draft = self.draft(id, id).attribute(name, value);
            self.store.create(draft).await?;
        }
        Ok(())
    }

    /// Creates many records by as few batches as the backend takes: each costs its storage a commit.
    pub(crate) async fn create_all(&self, drafts: Vec<Draft>) -> Result<()> {
        let most = self.store.describe().max_batch.clamp(1, 100) as usize;
        for drafts in drafts.chunks(most) {
            let batch = drafts.iter().cloned().map(Write::create).collect();
            self.store.apply(batch).await?;
        }
        Ok(())
    }

    pub(crate) async fn load(&self, id: &str) -> Result<Option<Stored>> {
        self.store.load(&self.key(id)).await
    }

    /// Reads a record that has to be there.
    pub(crate) async fn there(&self, id: &str) -> Result<Stored, Finding> {
        self.load(id).await?.ok_or_else(|| {
            Finding::broken(format!(
                "load finds no record {}, which was written",
                self.key(id)
            ))
        })
    }

    /// Finds out whether `load` sees no such record.
    pub(crate) async fn absent(&self, id: &str, when: &str) -> Result<(), Finding> {
        let loaded = self.load(id).await?;
        ensure!(
            loaded.is_none(),
            "{when}, load has to find no {id:?}, and found {}",
            brief(&loaded)
        );
        Ok(())
    }

    /// Finds out whether a record is as it was.
    pub(crate) async fn unchanged(&self, before: &Stored, when: &str) -> Result<(), Finding> {
        let now = self.store.load(before.key()).await?;
        ensure!(
            now.as_ref() == Some(before),
            "{when}, the record has to be {}, and is {}",
            brief(before),
            brief(&now)
        );
        Ok(())
    }

    /// Finds out whether a query finds these records, in this order.
    pub(crate) async fn finds(&self, query: &Query, expected: &[&str]) -> Result<(), Finding> {
        let found = find_all(&self.store, query).await?;
        ensure!(
            ids(&found) == expected,
            "{} has to find {}, and found {}",
            told(query),
            brief(&expected),
            brief(&ids(&found))
        );
        Ok(())
    }
}

/// Every record that a query finds, page by page.
pub(crate) async fn find_all(store: &Store, query: &Query) -> Result<Vec<Stored>, Finding> {
    let mut records = Vec::new();
    let mut after = None;
    for _ in 0..MOST_PAGES {
        let page = store.find(query.clone().after(after)).await?;
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return Ok(records);
        }
    }
    let told = told(query);
    Err(Finding::broken(format!(
        "{told} has no end: {MOST_PAGES} pages, and a next one"
    )))
}

/// Every record of a store, by export, page by page.
pub(crate) async fn export_all(store: &Store, limit: u32) -> Result<Vec<Stored>, Finding> {
    let mut records = Vec::new();
    let mut after = None;
    for _ in 0..MOST_PAGES {
        let page = store.export(after, limit).await?;
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return Ok(records);
        }
    }
    Err(Finding::broken(format!(
        "export has no end: {MOST_PAGES} pages, and a next one"
    )))
}

/// The ids of records, in their order.
pub(crate) fn ids(records: &[Stored]) -> Vec<&str> {
    let ids = records.iter().map(|record| record.key().id.as_str());
    ids.collect()
}

/// The error of a call that has to be refused in this way.
pub(crate) fn refused<T: std::fmt::Debug>(
    what: &str,
    kind: ErrorKind,
    answer: Result<T>,
) -> Result<Error, Finding> {
    match answer {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Finding::broken(format!(
            "{what} has to be refused with {kind:?}, and failed with {:?}: {error}",
            error.kind()
        ))),
        Ok(answer) => Err(Finding::broken(format!(
            "{what} has to be refused with {kind:?}, and was answered {}",
            brief(&answer)
        ))),
    }
}

/// Finds out whether a refusal carries the record as it is.
pub(crate) fn carries(error: &Error, current: &Stored) -> Result<(), Finding> {
    ensure!(
        error.current() == Some(current),
        "the conflict has to carry the current record, {}, and carries {}",
        brief(current),
        brief(&error.current())
    );
    Ok(())
}

/// A query as a reader of the report can follow it.
pub(crate) fn told(query: &Query) -> String {
    let mut text = format!("find in {:?}", query.collection);
    for pair in &query.attributes {
        text.push_str(&format!(" with {:?}={:?}", pair.name, pair.value));
    }
    let order = format!("{:?}", query.order).to_lowercase();
    let direction = if query.descending { ", descending" } else { "" };
    text.push_str(&format!(
        " (order {order}{direction}, limit {})",
        query.limit
    ));
    text
}
