//! Every record of a store: page by page, and one by one.

use mortise_store::inside::{ErrorInside as _, MAX_EMPTY_PAGES};
use mortise_store::limits::MAX_PAGE_RECORDS;
use mortise_store::{Error, ErrorKind, Operation, Result, Revision, Store, Stored};

/// Reads a store from its first record to its last, and holds the backend to the order of creation: a
/// record that came twice could not be imported, and an export that goes back may never end.
pub struct Pages {
    store: Store,
    after: Option<String>,
    last: Revision,
    /// How many pages in a row had no record.
    empty: u32,
    ended: bool,
}

impl Pages {
    /// Those of this store.
    pub fn of(store: &Store) -> Self {
        Self {
            store: store.clone(),
            after: None,
            last: 0,
            empty: 0,
            ended: false,
        }
    }

    /// The next page, which may be empty; none after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Stored>>> {
        if self.ended {
            return Ok(None);
        }
        let page = self
            .store
            .export(self.after.clone(), MAX_PAGE_RECORDS)
            .await?;
        for stored in &page.records {
            if stored.stamp.create_revision <= self.last {
                let disorder = self.disorder("a record is out of order");
                return Err(disorder.with_key(stored.key().clone()));
            }
            self.last = stored.stamp.create_revision;
        }
        self.empty = match page.records.len() {
            0 => self.empty + 1,
            _ => 0,
        };
        if self.empty > MAX_EMPTY_PAGES {
            return Err(self.disorder("one page after another is empty"));
        }
        self.ended = page.next.is_none();
        self.after = page.next;
        Ok(Some(page.records))
    }

    fn disorder(&self, what: &str) -> Error {
        let message = format!("the backend does not export in the order of creation: {what}");
        Error::new(ErrorKind::Internal, Operation::Export, message)
            .with_backend(self.store.backend())
    }
}

/// As [`Pages`], one record after the other.
pub(super) struct Records {
    pages: Pages,
    page: std::vec::IntoIter<Stored>,
}

impl Records {
    pub(super) fn of(store: &Store) -> Self {
        Self {
            pages: Pages::of(store),
            page: Vec::new().into_iter(),
        }
    }

    /// The next record; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Stored>> {
        loop {
            if let Some(stored) = self.page.next() {
                return Ok(Some(stored));
            }
            match self.pages.next().await? {
                Some(page) => self.page = page.into_iter(),
                None => return Ok(None),
            }
        }
    }
}
