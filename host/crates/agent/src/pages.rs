//! Pages of entities.

use mortise_store::inside::{ErrorInside as _, MAX_EMPTY_PAGES};
use mortise_store::{Attribute, Error, ErrorKind, Operation, Query, Result, Store};
use serde::de::DeserializeOwned;

use crate::decode::decode_page;
use crate::json::Object;
use crate::versioned::Versioned;

/// Which entities to list. More fields may come: end a literal with `..EntityQuery::default()`.
#[derive(Debug, Clone, Default)]
pub struct EntityQuery {
    /// Only those that carry each of these.
    pub attributes: Vec<Attribute>,
    /// Newest first, instead of oldest.
    pub newest_first: bool,
    /// `next` of an earlier page.
    pub after: Option<String>,
    /// 1 to 1,000 a page; 0 stands for 100.
    pub limit: u32,
}

impl EntityQuery {
    /// Those that carry this attribute.
    pub fn by(attribute: &str, value: &str) -> Self {
        Self {
            attributes: vec![Attribute::new(attribute, value)],
            ..Self::default()
        }
    }

    pub(crate) fn find(self, collection: &str) -> Query {
        let mut find = Query::new(collection).after(self.after);
        find.attributes = self.attributes;
        find.descending = self.newest_first;
        if self.limit > 0 {
            find.limit = self.limit;
        }
        find
    }
}

/// Some of the entities that match.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EntityPage<E = Object> {
    /// In the order of their creation.
    pub entities: Vec<Versioned<E>>,
    /// The id of each.
    pub ids: Vec<String>,
    /// Where the next page starts; none after the last. An empty page may have one.
    pub next: Option<String>,
}

impl<E> Default for EntityPage<E> {
    fn default() -> Self {
        Self {
            entities: Vec::new(),
            ids: Vec::new(),
            next: None,
        }
    }
}

/// One page of the entities that match.
pub(crate) async fn read_page<T: DeserializeOwned>(
    store: &Store,
    collection: &str,
    query: EntityQuery,
) -> Result<EntityPage<T>> {
    let found = store.find(query.find(collection)).await?;
    let mut page = EntityPage {
        next: found.next,
        ..EntityPage::default()
    };
    for (id, entity) in decode_page(store, collection, found.records).await? {
        page.ids.push(id);
        page.entities.push(entity);
    }
    Ok(page)
}

/// Holds a backend to an end: so many empty pages in a row are none.
#[derive(Default)]
pub(crate) struct EmptyPages(u32);

impl EmptyPages {
    pub(crate) fn seen(&mut self, store: &Store, records: usize) -> Result<()> {
        self.0 = if records == 0 { self.0 + 1 } else { 0 };
        if self.0 <= MAX_EMPTY_PAGES {
            return Ok(());
        }
        let message = "the backend answered one empty page after another";
        let error = Error::new(ErrorKind::Internal, Operation::Find, message);
        Err(error.with_backend(store.backend()))
    }
}
