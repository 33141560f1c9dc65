//! Pages of records.

use mortise_guest::{Cursors, Error, Page, Pager, Query, Revision, Timestamp};

use crate::shelf::{Listing, Term};
use crate::store::Store;

impl Store {
    /// One page of a query. Walks the shortest list of those that a record must be on, and looks the
    /// record up on the others.
    pub fn find(&self, query: Query, now: Timestamp, max_bytes: u64) -> Result<Page, Error> {
        let after = Cursors::of_query(&query).read(query.after.as_deref())?;
        let mut pager = Pager::of_query(&query, max_bytes);
        let Query {
            collection,
            attributes,
            order,
            descending,
            ..
        } = query;
        let Some(mut lists) = self.lists(&collection, attributes) else {
            return Ok(pager.finish());
        };
        lists.sort_unstable_by_key(|list| list.records);
        let (shortest, others) = (lists[0], &lists[1..]);

        let range = match after {
            None => 0..=Revision::MAX,
            Some(after) if descending => 0..=after.saturating_sub(1),
            Some(after) => after.saturating_add(1)..=Revision::MAX,
        };
        let ascending = self.shelf.list(shortest.term, order, range);
        let revisions: Box<dyn Iterator<Item = Revision>> = if descending {
            Box::new(ascending.rev())
        } else {
            ascending
        };
        let matching = revisions
            .filter(|&created| {
                let mut others = others.iter();
                others.all(|other| self.shelf.is_listed(other.term, created))
            })
            .filter_map(|created| self.shelf.created_at(created))
            .filter(|record| !record.draft.is_expired(now));
        for record in matching {
            if !pager.offer(record.position(order), record) {
                break;
            }
        }
        Ok(pager.finish())
    }

    /// One page of all records, in create order.
    pub fn export(
        &self,
        after: Option<&str>,
        limit: u32,
        now: Timestamp,
        max_bytes: u64,
    ) -> Result<Page, Error> {
        let after = Cursors::of_export().read(after)?.unwrap_or(0);
        let mut pager = Pager::of_export(limit, max_bytes);
        for record in self.shelf.created_after(after) {
            if !record.draft.is_expired(now) && !pager.offer(record.stamp.create_revision, record) {
                break;
            }
        }
        Ok(pager.finish())
    }

    /// The lists that a record must be on; none where one of them is empty.
    fn lists(
        &self,
        collection: &str,
        attributes: Vec<mortise_guest::Attribute>,
    ) -> Option<Vec<Listing>> {
        let mut attributes: Vec<_> = attributes.into_iter().map(Some).collect();
        if attributes.is_empty() {
            attributes.push(None);
        }
        let terms = attributes.into_iter().map(|attribute| Term {
            collection: collection.into(),
            attribute,
        });
        terms.map(|term| self.shelf.listing(&term)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{draft, key, put};
    use mortise_guest::Order;
    use mortise_guest::{Precondition, find_in};

    /// A small generator, so that a failure happens again.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) % sides
        }
    }

    /// Three hundred writes over forty keys, some with an expiry.
    fn busy_store(dice: &mut Dice) -> Store {
        let mut store = Store::new(1 << 30);
        for now in 0..300 {
            let id = dice.roll(40).to_string();
            let (a, b) = (dice.roll(3).to_string(), dice.roll(2).to_string());
            let mut draft = draft(&id, &[("a", &a), ("b", &b)]);
            draft.body = vec![0; dice.roll(50) as usize];
            draft.expires_at = (dice.roll(4) == 0).then(|| now + dice.roll(100));
            store
                .apply(vec![put(draft, Precondition::None)], now)
                .unwrap();
        }
        store
    }

    fn some_query(dice: &mut Dice) -> Query {
        let mut attributes = draft("", &[("a", "1"), ("b", "1")]).attributes;
        attributes.truncate(dice.roll(3) as usize);
        Query {
            collection: "task".into(),
            attributes,
            order: [Order::Created, Order::Updated][dice.roll(2) as usize],
            descending: dice.roll(2) == 0,
            after: None,
            limit: 1 + dice.roll(8) as u32,
            bodies: dice.roll(2) == 0,
        }
    }

    #[test]
    fn every_page_is_what_a_scan_of_all_records_answers() {
        let mut dice = Dice(1);
        let store = busy_store(&mut dice);
        let all: Vec<_> = store.shelf.created_after(0).collect();
        for _ in 0..200 {
            let mut query = some_query(&mut dice);
            let max_bytes = 10 + dice.roll(200);
            loop {
                let page = store.find(query.clone(), 300, max_bytes).unwrap();
                let model = find_in(all.iter().copied(), &query, 300, max_bytes).unwrap();
                assert_eq!(page, model, "{query:?}");
                match page.next {
                    None => break,
                    next => query.after = next,
                }
            }
        }
    }

    #[test]
    fn a_cursor_stays_good_while_records_come_and_go() {
        let mut store = Store::new(1 << 30);
        for id in ["a", "b", "c", "d"] {
            store
                .apply(vec![put(draft(id, &[]), Precondition::Absent)], 0)
                .unwrap();
        }
        let first = store.export(None, 2, 0, 1_000).unwrap();
        store.shelf.take(&key("b"));
        store.shelf.take(&key("c"));
        store
            .apply(vec![put(draft("e", &[]), Precondition::Absent)], 0)
            .unwrap();
        let second = store.export(first.next.as_deref(), 2, 0, 1_000).unwrap();
        let ids: Vec<_> = second
            .records
            .iter()
            .map(|record| &record.draft.key.id)
            .collect();
        assert_eq!(ids, ["d", "e"]);
        assert_eq!(second.next, None);
    }

    #[test]
    fn nothing_matches_what_no_record_carries() {
        let store = busy_store(&mut Dice(7));
        let mut query = some_query(&mut Dice(7));
        query.attributes = draft("", &[("a", "1"), ("a", "none")]).attributes;
        let page = store.find(query.clone(), 0, 1_000).unwrap();
        assert_eq!((page.records.len(), page.next), (0, None));
        query.collection = "job".into();
        query.attributes.clear();
        assert!(store.find(query, 0, 1_000).unwrap().records.is_empty());
    }
}
