//! Reading: records, pages, counts.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use mortise_guest::{
    Attribute, CollectionStatistics, Cursors, Error, Key, Order, Page, Query, Revision, Stored,
    Timestamp, load_each,
};

use crate::animals::Animal;
use crate::kept::Kept;

/// What one page is asked for.
struct Run<'a> {
    cursors: Cursors,
    order: Order,
    descending: bool,
    after: Option<&'a str>,
    limit: usize,
    bodies: bool,
    max_bytes: u64,
    /// Whether expired records are there too.
    expired: bool,
}

impl Kept {
    pub fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Stored>, Error> {
        let record = self.get(key, now).map(|record| Stored::clone(record));
        match (self.animal, record) {
            (Animal::RaisesForTheAbsent, None) => Err(Error::NotFound(key.clone())),
            (Animal::TakesEmptyForAbsent, record) => {
                Ok(record.filter(|record| !record.draft.body.is_empty()))
            }
            (_, record) => Ok(record),
        }
    }

    pub fn load_many(
        &self,
        mut keys: Vec<Key>,
        now: Timestamp,
        max_bytes: u64,
    ) -> Result<Vec<Option<Stored>>, Error> {
        if self.is(Animal::SortsLoadMany) {
            keys.sort_unstable();
        }
        let max_bytes = match self.animal {
            Animal::OverfillsLoadMany => u64::MAX,
            _ => max_bytes,
        };
        let mut records = load_each(keys, max_bytes, |key| {
            let record = match self.animal {
                Animal::LoadManyShowsTheExpired => self.at(&key),
                _ => self.get(&key, now),
            };
            Ok(record.map(|record| Stored::clone(record)))
        })?;
        if self.is(Animal::LeavesOutTheAbsent) {
            records.retain(Option::is_some);
        }
        Ok(records)
    }

    pub fn find(&self, query: &Query, now: Timestamp, max_bytes: u64) -> Result<Page, Error> {
        if self.is(Animal::RefusesLargePages) && query.limit > 500 {
            return Err(Error::Invalid("a page of more than 500 records".into()));
        }
        let by_attribute = !query.attributes.is_empty();
        let found = if by_attribute && !self.is(Animal::IgnoresAttributes) {
            self.listed_under_all(query)
        } else {
            let all = self.records.values();
            all.filter(|record| record.draft.key.collection == query.collection)
                .cloned()
                .collect()
        };
        let run = Run {
            cursors: match self.animal {
                Animal::TakesCursorsOfOthers => Cursors::of_export(),
                _ => Cursors::of_query(query),
            },
            order: match self.animal {
                Animal::OrdersCreatedByUpdate => Order::Updated,
                Animal::OrdersUpdatedByCreation => Order::Created,
                _ => query.order,
            },
            descending: query.descending && !self.is(Animal::IgnoresDescending),
            after: query.after.as_deref(),
            limit: query.limit as usize,
            bodies: query.bodies || self.is(Animal::AlwaysGivesBodies),
            max_bytes: match self.animal {
                Animal::OverfillsPages => u64::MAX,
                _ => max_bytes,
            },
            expired: match self.animal {
                Animal::FindShowsTheExpired => !by_attribute,
                Animal::ListsTheExpired => by_attribute,
                _ => false,
            },
        };
        let mut page = self.page(found, run, now)?;
        if self.is(Animal::GoesOnAfterNothing) && page.records.is_empty() {
            page.next = Some(Cursors::of_query(query).write(1));
        }
        if self.is(Animal::LeavesOutAttributes) && !query.bodies {
            for record in &mut page.records {
                record.draft.attributes.clear();
            }
        }
        Ok(page)
    }

    pub fn export(
        &self,
        after: Option<&str>,
        limit: u32,
        now: Timestamp,
        max_bytes: u64,
    ) -> Result<Page, Error> {
        let mut found: Vec<_> = self.records.values().cloned().collect();
        if self.is(Animal::ExportsSomeCollections) {
            let collections = self.statistics(now);
            let left_out = collections.last().filter(|_| collections.len() > 1);
            found.retain(|record| {
                left_out.is_none_or(|last| record.draft.key.collection != last.collection)
            });
        }
        let run = Run {
            cursors: Cursors::of_export(),
            order: Order::Created,
            descending: false,
            after: match self.animal {
                Animal::ExportTakesAnyCursor => {
                    after.filter(|cursor| Cursors::of_export().read(Some(cursor)).is_ok())
                }
                _ => after,
            },
            limit: limit as usize,
            bodies: true,
            max_bytes,
            expired: self.is(Animal::ExportsTheExpired),
        };
        let mut page = self.page(found, run, now)?;
        if self.is(Animal::ExportsByKey) {
            page.records
                .sort_by(|one, other| one.draft.key.cmp(&other.draft.key));
        }
        Ok(page)
    }

    pub fn statistics(&self, now: Timestamp) -> Vec<CollectionStatistics> {
        let mut counts = BTreeMap::<&str, (u64, u64)>::new();
        for record in self.records.values() {
            let draft = &record.draft;
            let counts_anyway = match self.animal {
                Animal::CountsTheExpired => true,
                Animal::CountsTheEmpty => {
                    counts.entry(&draft.key.collection).or_default();
                    false
                }
                _ => false,
            };
            if counts_anyway || !self.is_expired(draft, now) {
                let (records, bytes) = counts.entry(&draft.key.collection).or_default();
                *records += 1;
                *bytes += draft.body.len() as u64;
                if self.is(Animal::CountsIds) {
                    *bytes += draft.key.id.len() as u64;
                }
            }
        }
        let mut statistics: Vec<_> = counts
            .into_iter()
            .map(|(name, (records, body_bytes))| CollectionStatistics {
                collection: name.to_owned(),
                records,
                body_bytes,
            })
            .collect();
        if self.is(Animal::CountsBackwards) {
            statistics.reverse();
        }
        statistics
    }

    /// The records that are listed under every attribute of a query.
    fn listed_under_all(&self, query: &Query) -> Vec<Rc<Stored>> {
        let mut pairs = query.attributes.iter();
        let Some(first) = pairs.next() else {
            return Vec::new();
        };
        let mut found = self.listed(&query.collection, first);
        for pair in pairs {
            let others = self.listed(&query.collection, pair);
            if self.is(Animal::FindsAny) {
                found.extend(others);
            } else {
                found.retain(|key, _| others.contains_key(key));
            }
        }
        let mut records: Vec<_> = found.into_values().collect();
        if self.is(Animal::FindsOnceForEachValue) {
            let times = |record: &Stored| {
                let pairs = record.draft.attributes.iter();
                pairs.filter(|pair| pair.name == first.name).count()
            };
            records = records
                .into_iter()
                .flat_map(|record| {
                    let times = times(&record);
                    std::iter::repeat_n(record, times)
                })
                .collect();
        }
        records
    }

    fn listed(&self, collection: &str, pair: &Attribute) -> BTreeMap<Key, Rc<Stored>> {
        let wanted = self.entry(collection, pair);
        let is_like = |value: &str| match self.animal {
            Animal::MatchesPrefixes => value.starts_with(&pair.value),
            Animal::KnowsWildcards => match pair.value.split_once('%') {
                Some((start, end)) => value.starts_with(start) && value.ends_with(end),
                None => value == pair.value,
            },
            _ => false,
        };
        let matches = |entry: &&crate::kept::Entry| {
            **entry == wanted
                || (entry.collection == collection
                    && entry.pair.name == pair.name
                    && is_like(&entry.pair.value))
        };
        match self.animal {
            Animal::MatchesPrefixes | Animal::KnowsWildcards => {
                let alike = self.entries.iter().filter(|(entry, _)| matches(entry));
                alike.flat_map(|(_, listed)| listed.clone()).collect()
            }
            _ => self.entries.get(&wanted).cloned().unwrap_or_default(),
        }
    }

    /// One page of the records found.
    fn page(
        &self,
        mut found: Vec<Rc<Stored>>,
        run: Run<'_>,
        now: Timestamp,
    ) -> Result<Page, Error> {
        let is_gone = |record: &Stored| self.is_expired(&record.draft, now) && !run.expired;
        if !self.is(Animal::ExpiredFillPages) {
            found.retain(|record| !is_gone(record));
        }
        found.sort_by_key(|record| record.position(run.order));
        if run.descending {
            found.sort_by_key(|record| Reverse(record.position(run.order)));
        }
        let start = self.start(&found, &run)?;
        let mut page = Page {
            records: Vec::new(),
            next: None,
        };
        let mut bytes = 0;
        let mut end = start;
        for record in &found[start..] {
            let draft = &record.draft;
            let size = match run.bodies {
                true => draft.size(),
                false => draft.size_without_body(),
            };
            if self.is(Animal::SkipsOversizedRecords) && size > run.max_bytes {
                end += 1;
                continue;
            }
            let is_first = page.records.is_empty();
            if end - start == run.limit || !is_first && bytes + size > run.max_bytes {
                page.next = Some(self.cursor(&found, end, &run));
                break;
            }
            bytes += size;
            let mut record = Stored::clone(record);
            if !run.bodies {
                record.draft.body.clear();
            }
            page.records.push(record);
            end += 1;
        }
        match self.animal {
            Animal::EndsAfterOnePage => page.next = None,
            Animal::GoesOnAfterTheLast if end > start => {
                page.next = Some(self.cursor(&found, end, &run));
            }
            Animal::ExpiredFillPages => {
                page.records.retain(|record| !is_gone(record));
                if page.records.len() < run.limit {
                    page.next = None;
                }
            }
            _ => {}
        }
        Ok(page)
    }

    /// The cursor of the page that starts with the record at `end`.
    fn cursor(&self, found: &[Rc<Stored>], end: usize, run: &Run<'_>) -> String {
        let last = &found[end - 1];
        let position = match self.animal {
            Animal::PagesByOffset => end as Revision,
            Animal::PagesFromTheEnd => (found.len() - end) as Revision,
            Animal::CursorNeedsItsVersion => last.stamp.mod_revision,
            Animal::FeedsByCreation => last.stamp.create_revision,
            _ => last.position(run.order),
        };
        let cursor = run.cursors.write(position);
        match self.animal {
            Animal::CursorKnowsTheLimit => format!("{}/{cursor}", run.limit),
            _ => cursor,
        }
    }

    /// Where the page starts.
    fn start(&self, found: &[Rc<Stored>], run: &Run<'_>) -> Result<usize, Error> {
        let own = format!("{}/", run.limit);
        let after = match (self.animal, run.after) {
            (Animal::CursorKnowsTheLimit, Some(cursor)) => {
                Some(cursor.strip_prefix(&own).unwrap_or_default())
            }
            (_, after) => after,
        };
        let after = match run.cursors.read(after) {
            Err(_) if self.is(Animal::TakesAnyCursor) => None,
            after => after?,
        };
        let Some(after) = after else {
            return Ok(0);
        };
        let position = |record: &Stored| match self.animal {
            Animal::CursorNeedsItsVersion => record.stamp.mod_revision,
            Animal::FeedsByCreation => record.stamp.create_revision,
            _ => record.position(run.order),
        };
        let at = found.iter().position(|record| position(record) == after);
        match self.animal {
            Animal::PagesByOffset => Ok(found.len().min(after as usize)),
            Animal::PagesFromTheEnd => Ok(found.len().saturating_sub(after as usize)),
            Animal::CursorNeedsItsVersion | Animal::CursorNeedsItsRecord => match at {
                Some(at) => Ok(at + 1),
                None => Err(Error::Invalid("the cursor's record changed".into())),
            },
            _ => {
                let is_before = |record: &Rc<Stored>| match run.descending {
                    true => position(record) >= after,
                    false => position(record) <= after,
                };
                let start = found.partition_point(is_before);
                let skipped = usize::from(self.is(Animal::SkipsOneAPage));
                Ok(found.len().min(start + skipped))
            }
        }
    }
}
