//! Filling pages.

use crate::{Cursors, Draft, Error, Page, Query, Revision, Stored, Timestamp};

/// Collects the records of one page, in order, until it is full.
///
/// Offer it every record that matches, in the order asked, from where the page starts; stop at the
/// first that it refuses, or when there are no more.
#[derive(Debug)]
pub struct Pager {
    cursors: Cursors,
    limit: usize,
    max_bytes: u64,
    bodies: bool,
    bytes: u64,
    last: Revision,
    page: Page,
}

impl Pager {
    /// An empty page of a query.
    pub fn of_query(query: &Query, max_bytes: u64) -> Self {
        Self::new(
            Cursors::of_query(query),
            query.limit,
            max_bytes,
            query.bodies,
        )
    }

    /// An empty page of an export.
    pub fn of_export(limit: u32, max_bytes: u64) -> Self {
        Self::new(Cursors::of_export(), limit, max_bytes, true)
    }

    fn new(cursors: Cursors, limit: u32, max_bytes: u64, bodies: bool) -> Self {
        Self {
            cursors,
            limit: limit as usize,
            max_bytes,
            bodies,
            bytes: 0,
            last: 0,
            page: Page {
                records: Vec::new(),
                next: None,
            },
        }
    }

    /// Offers the next record, which stands at `position` in the order asked: its create- or
    /// mod-revision. False when it is not on this page, because the page is full: then the next page
    /// starts with it.
    pub fn offer(&mut self, position: Revision, record: &Stored) -> bool {
        if self.has_room_for(&record.draft) {
            let copy = if self.bodies {
                record.clone()
            } else {
                without_body(record)
            };
            self.take(position, copy);
            true
        } else {
            self.cut();
            false
        }
    }

    /// Like [`offer`](Self::offer), for a record that the page may keep.
    pub fn give(&mut self, position: Revision, mut record: Stored) -> bool {
        if !self.bodies {
            record.draft.body = Vec::new();
        }
        if self.has_room_for(&record.draft) {
            self.take(position, record);
            true
        } else {
            self.cut();
            false
        }
    }

    /// Says that more records follow, though none was refused. Does nothing on an empty page.
    pub fn cut(&mut self) {
        if !self.page.records.is_empty() {
            self.page.next = Some(self.cursors.write(self.last));
        }
    }

    /// Says that more records follow the one at `position`, although the page left it out because it
    /// cannot be read back. Other than with [`cut`](Self::cut), the page may be empty.
    pub fn cut_after(&mut self, position: Revision) {
        self.page.next = Some(self.cursors.write(position));
    }

    /// The page.
    pub fn finish(self) -> Page {
        self.page
    }

    fn has_room_for(&self, draft: &Draft) -> bool {
        self.page.records.is_empty()
            || (self.page.records.len() < self.limit
                && self.bytes + self.size(draft) <= self.max_bytes)
    }

    fn size(&self, draft: &Draft) -> u64 {
        if self.bodies {
            draft.size()
        } else {
            draft.size_without_body()
        }
    }

    fn take(&mut self, position: Revision, record: Stored) {
        self.bytes += self.size(&record.draft);
        self.last = position;
        self.page.records.push(record);
    }
}

fn without_body(record: &Stored) -> Stored {
    Stored {
        draft: Draft {
            key: record.draft.key.clone(),
            body: Vec::new(),
            attributes: record.draft.attributes.clone(),
            expires_at: record.draft.expires_at,
        },
        stamp: record.stamp,
    }
}

/// Answers `find` from records in memory, by looking at every one of them. They may come in any order.
///
/// It suits a backend with thousands of records; one with millions keeps an index.
pub fn find_in<'a>(
    records: impl IntoIterator<Item = &'a Stored>,
    query: &Query,
    now: Timestamp,
    max_bytes: u64,
) -> Result<Page, Error> {
    let after = Cursors::of_query(query).read(query.after.as_deref())?;
    let mut matching: Vec<_> = records
        .into_iter()
        .filter(|record| {
            let draft = &record.draft;
            let wanted = |pair| draft.attributes.contains(pair);
            draft.key.collection == query.collection
                && query.attributes.iter().all(wanted)
                && !draft.is_expired(now)
        })
        .map(|record| (record.position(query.order), record))
        .filter(|(position, _)| match after {
            None => true,
            Some(after) if query.descending => *position < after,
            Some(after) => *position > after,
        })
        .collect();
    matching.sort_unstable_by_key(|(position, _)| *position);
    if query.descending {
        matching.reverse();
    }
    Ok(fill(Pager::of_query(query, max_bytes), matching))
}

/// Answers `export` from records in memory, by looking at every one of them. They may come in any
/// order.
pub fn export_in<'a>(
    records: impl IntoIterator<Item = &'a Stored>,
    after: Option<&str>,
    limit: u32,
    now: Timestamp,
    max_bytes: u64,
) -> Result<Page, Error> {
    let after = Cursors::of_export().read(after)?.unwrap_or(0);
    let mut matching: Vec<_> = records
        .into_iter()
        .map(|record| (record.stamp.create_revision, record))
        .filter(|(position, record)| *position > after && !record.draft.is_expired(now))
        .collect();
    matching.sort_unstable_by_key(|(position, _)| *position);
    Ok(fill(Pager::of_export(limit, max_bytes), matching))
}

fn fill(mut pager: Pager, records: Vec<(Revision, &Stored)>) -> Page {
    for (position, record) in records {
        if !pager.offer(position, record) {
            break;
        }
    }
    pager.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, Key, Order, Stamp};

    /// Record `n`: created at revision n, changed at 100 - n, with a body of ten bytes and an id of one.
    fn record(n: u64, attributes: &[(&str, &str)]) -> Stored {
        Stored {
            draft: Draft {
                key: Key {
                    collection: "task".into(),
                    id: n.to_string(),
                },
                body: vec![b'x'; 10],
                attributes: attributes
                    .iter()
                    .map(|(name, value)| Attribute {
                        name: name.to_string(),
                        value: value.to_string(),
                    })
                    .collect(),
                expires_at: None,
            },
            stamp: Stamp {
                create_revision: n,
                mod_revision: 100 - n,
                created_at: 0,
                updated_at: 0,
            },
        }
    }

    fn query() -> Query {
        Query {
            collection: "task".into(),
            attributes: Vec::new(),
            order: Order::Created,
            descending: false,
            after: None,
            limit: 2,
            bodies: true,
        }
    }

    fn ids(page: &Page) -> Vec<&str> {
        let records = page.records.iter();
        records.map(|record| record.draft.key.id.as_str()).collect()
    }

    /// The ids of every page, one page after another.
    fn walk(records: &[Stored], mut query: Query, max_bytes: u64) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        loop {
            let page = find_in(records, &query, 0, max_bytes).unwrap();
            pages.push(ids(&page).into_iter().map(String::from).collect());
            match page.next {
                Some(next) => query.after = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_follow_one_another_in_every_order() {
        let records: Vec<_> = [3, 1, 4, 2, 5].map(|n| record(n, &[])).into();
        let expected = [["1", "2"].as_slice(), &["3", "4"], &["5"]];
        assert_eq!(walk(&records, query(), 1_000), expected);
        let updated = Query {
            order: Order::Updated,
            descending: true,
            ..query()
        };
        assert_eq!(walk(&records, updated, 1_000), expected);
    }

    #[test]
    fn a_full_last_page_has_no_next() {
        let records = [record(1, &[]), record(2, &[])];
        assert_eq!(walk(&records, query(), 1_000), [["1", "2"]]);
    }

    #[test]
    fn a_page_ends_before_it_grows_over_its_bytes_but_not_before_its_first_record() {
        let records = [record(1, &[]), record(2, &[]), record(3, &[])];
        let wide = Query {
            limit: 10,
            ..query()
        };
        assert_eq!(walk(&records, wide.clone(), 33), [["1", "2", "3"]]);
        let two_and_one = [["1", "2"].as_slice(), &["3"]];
        assert_eq!(walk(&records, wide.clone(), 32), two_and_one);
        assert_eq!(walk(&records, wide.clone(), 0), [["1"], ["2"], ["3"]]);
        let bare = Query {
            bodies: false,
            ..wide
        };
        assert_eq!(walk(&records, bare, 3), [["1", "2", "3"]]);
    }

    #[test]
    fn every_attribute_must_be_there() {
        let records = [
            record(1, &[("a", "1")]),
            record(2, &[("a", "1"), ("b", "2")]),
            record(3, &[("b", "2")]),
        ];
        let both = Query {
            attributes: records[1].draft.attributes.clone(),
            ..query()
        };
        assert_eq!(walk(&records, both, 1_000), [["2"]]);
    }

    #[test]
    fn without_bodies_each_body_is_empty_and_the_rest_is_there() {
        let records = [record(1, &[("a", "1")])];
        let bare = Query {
            bodies: false,
            ..query()
        };
        let page = find_in(&records, &bare, 0, 1_000).unwrap();
        assert!(page.records[0].draft.body.is_empty());
        assert_eq!(page.records[0].draft.attributes.len(), 1);
    }

    #[test]
    fn expired_records_are_on_no_page() {
        let mut expired = record(1, &[]);
        expired.draft.expires_at = Some(10);
        let records = [expired, record(2, &[])];
        assert_eq!(ids(&find_in(&records, &query(), 10, 1_000).unwrap()), ["2"]);
        let page = export_in(&records, None, 5, 10, 1_000).unwrap();
        assert_eq!(ids(&page), ["2"]);
        let page = export_in(&records, None, 5, 9, 1_000).unwrap();
        assert_eq!(ids(&page), ["1", "2"]);
    }

    #[test]
    fn an_export_goes_over_all_collections_in_create_order() {
        let mut job = record(2, &[]);
        job.draft.key.collection = "job".into();
        let records = [record(3, &[]), job, record(1, &[])];
        let first = export_in(&records, None, 2, 0, 1_000).unwrap();
        assert_eq!(ids(&first), ["1", "2"]);
        let second = export_in(&records, first.next.as_deref(), 2, 0, 1_000).unwrap();
        assert_eq!(ids(&second), ["3"]);
        assert_eq!(second.next, None);
        assert!(export_in(&records, Some("?"), 2, 0, 1_000).is_err());
    }
}
