//! The records, and every way to find one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

use mortise_guest::{Attribute, CollectionStatistics, Key, Order, Revision, Stored, Timestamp};

use crate::cost;
use crate::hashed::Hashed;

/// Records by create-revision, with their indexes. Expiry is not looked at here: an expired record is
/// on the shelf until it is taken.
#[derive(Debug, Default)]
pub struct Shelf {
    records: BTreeMap<Revision, Rc<Stored>>,
    /// The same records, so that a load need not search twice.
    keys: Hashed<Key, Rc<Stored>>,
    changes: BTreeMap<Revision, Revision>,
    expiries: BTreeSet<(Timestamp, Revision)>,
    collections: BTreeMap<String, CollectionStatistics>,
    terms: Hashed<Term, Listing>,
    next_term: TermNumber,
    created: BTreeSet<(TermNumber, Revision)>,
    updated: BTreeMap<(TermNumber, Revision), Revision>,
    bytes: u64,
}

/// What records are listed under: a collection, or an attribute within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The collection's name.
    pub collection: String,
    /// None: every record of the collection.
    pub attribute: Option<Attribute>,
}

/// Stands for a term in the lists, so that its text is there but once.
pub type TermNumber = u64;

/// The list of one term.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Where it is found.
    pub term: TermNumber,
    /// How many records are on it.
    pub records: u64,
}

impl Shelf {
    /// The record under a key.
    pub fn get(&self, key: &Key) -> Option<&Stored> {
        self.keys.get(key).map(Rc::as_ref)
    }

    /// The record that was created at a revision.
    pub fn created_at(&self, revision: Revision) -> Option<&Stored> {
        self.records.get(&revision).map(Rc::as_ref)
    }

    /// The record that was changed last at a revision.
    pub fn changed_at(&self, revision: Revision) -> Option<&Stored> {
        let created = self.changes.get(&revision)?;
        self.created_at(*created)
    }

    /// The records that were created after a revision, in that order.
    pub fn created_after(&self, revision: Revision) -> impl Iterator<Item = &Stored> {
        let after = revision.saturating_add(1);
        self.records.range(after..).map(|(_, record)| &**record)
    }

    /// The records that expire at `now` or did before, the longest expired first.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = &Stored> {
        let expired = self.expiries.range(..=(now, Revision::MAX));
        expired.map(|(_, created)| &*self.records[created])
    }

    /// How much memory the records take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts every collection, expired records not left out.
    pub fn collections(&self) -> &BTreeMap<String, CollectionStatistics> {
        &self.collections
    }

    /// The list of a term; none where no record is on it.
    pub fn listing(&self, term: &Term) -> Option<Listing> {
        self.terms.get(term).copied()
    }

    /// Whether a record is on a list.
    pub fn is_listed(&self, term: TermNumber, created: Revision) -> bool {
        self.created.contains(&(term, created))
    }

    /// The create-revisions of the records on a list, ascending by the revision that the order looks at,
    /// where that is in a range.
    pub fn list(
        &self,
        term: TermNumber,
        order: Order,
        range: RangeInclusive<Revision>,
    ) -> Box<dyn DoubleEndedIterator<Item = Revision> + '_> {
        let (start, end) = range.into_inner();
        if start > end {
            return Box::new(std::iter::empty());
        }
        let range = (term, start)..=(term, end);
        match order {
            Order::Created => Box::new(self.created.range(range).map(|(_, created)| *created)),
            Order::Updated => Box::new(self.updated.range(range).map(|(_, created)| *created)),
        }
    }

    /// The keys of a collection's records.
    pub fn keys_of(&self, collection: &str) -> Vec<Key> {
        let all = Term {
            collection: collection.into(),
            attribute: None,
        };
        let Some(listing) = self.listing(&all) else {
            return Vec::new();
        };
        self.list(listing.term, Order::Created, 0..=Revision::MAX)
            .map(|created| self.records[&created].draft.key.clone())
            .collect()
    }

    /// Puts a record on the shelf. There must be none under its key, nor with its revisions.
    pub fn put(&mut self, record: Stored) {
        let stamp = record.stamp;
        let draft = &record.draft;
        self.changes
            .insert(stamp.mod_revision, stamp.create_revision);
        if let Some(instant) = draft.expires_at {
            self.expiries.insert((instant, stamp.create_revision));
        }
        let name = &draft.key.collection;
        if !self.collections.contains_key(name) {
            let none = CollectionStatistics {
                collection: name.clone(),
                records: 0,
                body_bytes: 0,
            };
            self.collections.insert(name.clone(), none);
        }
        if let Some(counts) = self.collections.get_mut(name) {
            counts.records += 1;
            counts.body_bytes += draft.body.len() as u64;
        }
        for term in terms(&record) {
            let number = match self.terms.get_mut(&term) {
                Some(listing) => {
                    listing.records += 1;
                    listing.term
                }
                None => {
                    self.next_term += 1;
                    let listing = Listing {
                        term: self.next_term,
                        records: 1,
                    };
                    self.terms.insert(term, listing);
                    self.next_term
                }
            };
            self.created.insert((number, stamp.create_revision));
            self.updated
                .insert((number, stamp.mod_revision), stamp.create_revision);
        }
        self.bytes += cost::of(draft);
        let record = Rc::new(record);
        let key = record.draft.key.clone();
        self.keys.insert(key, Rc::clone(&record));
        self.records.insert(stamp.create_revision, record);
    }

    /// Takes the record under a key off the shelf.
    pub fn take(&mut self, key: &Key) -> Option<Stored> {
        let record = self.keys.remove(key)?;
        let stamp = record.stamp;
        let created = stamp.create_revision;
        self.records.remove(&created);
        let draft = &record.draft;
        self.changes.remove(&stamp.mod_revision);
        if let Some(instant) = draft.expires_at {
            self.expiries.remove(&(instant, created));
        }
        if let Some(counts) = self.collections.get_mut(&draft.key.collection) {
            counts.records -= 1;
            counts.body_bytes -= draft.body.len() as u64;
            if counts.records == 0 {
                self.collections.remove(&draft.key.collection);
            }
        }
        for term in terms(&record) {
            if let Some(listing) = self.terms.get_mut(&term) {
                self.created.remove(&(listing.term, created));
                self.updated.remove(&(listing.term, stamp.mod_revision));
                listing.records -= 1;
                if listing.records == 0 {
                    self.terms.remove(&term);
                }
            }
        }
        self.bytes -= cost::of(draft);
        Rc::into_inner(record)
    }
}

/// What a record is listed under.
fn terms(record: &Stored) -> impl Iterator<Item = Term> + '_ {
    let attributes = record.draft.attributes.iter().cloned().map(Some);
    std::iter::once(None)
        .chain(attributes)
        .map(|attribute| Term {
            collection: record.draft.key.collection.clone(),
            attribute,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::draft;
    use mortise_guest::Stamp;

    fn record(revision: Revision, id: &str, attributes: &[(&str, &str)]) -> Stored {
        let mut draft = draft(id, attributes);
        draft.expires_at = Some(1_000 - revision);
        Stored {
            draft,
            stamp: Stamp::next(None, revision, 0),
        }
    }

    #[test]
    fn an_emptied_shelf_keeps_nothing() {
        let mut shelf = Shelf::default();
        let records = [
            record(1, "a", &[("status", "open")]),
            record(2, "b", &[("status", "open"), ("owner", "x")]),
        ];
        for record in &records {
            shelf.put(record.clone());
        }
        for record in &records {
            assert_eq!(shelf.take(&record.draft.key).as_ref(), Some(record));
        }
        let empty = Shelf {
            next_term: shelf.next_term,
            ..Shelf::default()
        };
        assert_eq!(format!("{shelf:?}"), format!("{empty:?}"));
    }

    #[test]
    fn the_longest_expired_comes_first() {
        let mut shelf = Shelf::default();
        for (revision, id) in [(1, "a"), (2, "b"), (3, "c")] {
            shelf.put(record(revision, id, &[]));
        }
        let expired: Vec<_> = shelf
            .expired(998)
            .map(|record| record.draft.key.id.as_str())
            .collect();
        assert_eq!(expired, ["c", "b"]);
    }
}
