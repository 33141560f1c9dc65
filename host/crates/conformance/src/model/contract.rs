//! The model: what the contract says, on a sorted map and a counter, with nothing else in its way.

use std::collections::BTreeMap;
use std::ops::Bound;

use mortise_store::inside::DraftInside as _;
use mortise_store::{
    CollectionStatistics, Draft, ErrorKind, Key, Order, Precondition, Query, Revision, Stamp,
    Stored, Timestamp, Write,
};

/// Why the contract refuses a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) kind: ErrorKind,
    /// The record that it names.
    pub(super) key: Option<Key>,
    /// Of a conflict: the record as it is.
    pub(super) current: Option<Box<Stored>>,
    /// Of a batch: which write failed it.
    pub(super) write_index: Option<usize>,
}

impl Refusal {
    fn of(kind: ErrorKind, key: &Key) -> Self {
        Self {
            kind,
            key: Some(key.clone()),
            current: None,
            write_index: None,
        }
    }

    fn conflict(current: &Stored) -> Self {
        Self {
            current: Some(Box::new(current.clone())),
            ..Self::of(ErrorKind::Conflict, current.key())
        }
    }
}

type Result<T> = std::result::Result<T, Refusal>;

/// A store that keeps the contract.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// By collection and id. Expired records are among them until something removes them.
    records: BTreeMap<(String, String), Stored>,
    /// That of the last write.
    pub(super) revision: Revision,
    pub(super) now: Timestamp,
}

impl Model {
    /// An empty store whose last write had this revision.
    pub(super) fn new(revision: Revision, now: Timestamp) -> Self {
        Self {
            records: BTreeMap::new(),
            revision,
            now,
        }
    }

    /// The record, where there is one, not expired.
    pub(super) fn load(&self, key: &Key) -> Option<&Stored> {
        let record = self.records.get(&place(key))?;
        self.is_live(record).then_some(record)
    }

    fn is_live(&self, record: &Stored) -> bool {
        record.draft.expires_at.is_none_or(|at| self.now < at)
    }

    /// All that is not expired.
    fn live(&self) -> impl Iterator<Item = &Stored> {
        self.records.values().filter(|record| self.is_live(record))
    }

    pub(super) fn create(&mut self, draft: Draft) -> Result<Stamp> {
        self.put(draft, Precondition::Absent)
    }

    pub(super) fn update(&mut self, draft: Draft, expect: Option<Revision>) -> Result<Stamp> {
        self.put(draft, present(expect))
    }

    pub(super) fn delete(&mut self, key: &Key, expect: Option<Revision>) -> Result<()> {
        self.remove(key, present(expect)).map(drop)
    }

    /// All writes, in their order, or none.
    pub(super) fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Revision>> {
        let mut after = self.clone();
        let mut revisions = Vec::new();
        for (index, write) in batch.into_iter().enumerate() {
            let written = match write {
                Write::Put(put) => after
                    .put(put.draft, put.expect)
                    .map(|stamp| stamp.mod_revision),
                Write::Remove(remove) => after.remove(&remove.key, remove.expect),
            };
            revisions.push(written.map_err(|refusal| Refusal {
                write_index: Some(index),
                ..refusal
            })?);
        }
        *self = after;
        Ok(revisions)
    }

    fn put(&mut self, draft: Draft, expect: Precondition) -> Result<Stamp> {
        self.check(&draft.key, expect)?;
        let there = self.load(&draft.key).map(|record| record.stamp);
        self.revision += 1;
        let stamp = Stamp {
            create_revision: there.map_or(self.revision, |stamp| stamp.create_revision),
            mod_revision: self.revision,
            created_at: there.map_or(self.now, |stamp| stamp.created_at),
            updated_at: self.now,
        };
        self.records
            .insert(place(&draft.key), Stored { draft, stamp });
        Ok(stamp)
    }

    fn remove(&mut self, key: &Key, expect: Precondition) -> Result<Revision> {
        self.check(key, expect)?;
        self.records.remove(&place(key));
        self.revision += 1;
        Ok(self.revision)
    }

    fn check(&self, key: &Key, expect: Precondition) -> Result<()> {
        match (expect, self.load(key)) {
            (Precondition::None, _) | (Precondition::Absent, None) => Ok(()),
            (Precondition::Absent, Some(_)) => Err(Refusal::of(ErrorKind::AlreadyExists, key)),
            (Precondition::Present, Some(_)) => Ok(()),
            (Precondition::UnchangedSince(revision), Some(current)) => {
                match current.stamp.mod_revision == revision {
                    true => Ok(()),
                    false => Err(Refusal::conflict(current)),
                }
            }
            (Precondition::Present | Precondition::UnchangedSince(_), None) => {
                Err(Refusal::of(ErrorKind::NotFound, key))
            }
        }
    }

    /// All records that match behind a position, in order: what the pages to come must have.
    pub(super) fn find(&self, query: &Query, after: Option<Revision>) -> Vec<Stored> {
        let matches = |record: &&Stored| {
            let has = |pair| record.draft.attributes.contains(pair);
            record.key().collection == query.collection && query.attributes.iter().all(has)
        };
        let mut found = self.in_order(matches, query.order, query.descending, after);
        if !query.bodies {
            for record in &mut found {
                record.draft.body.clear();
            }
        }
        found
    }

    /// All records behind a position, in create order.
    pub(super) fn export(&self, after: Option<Revision>) -> Vec<Stored> {
        self.in_order(|_| true, Order::Created, false, after)
    }

    fn in_order(
        &self,
        matches: impl Fn(&&Stored) -> bool,
        order: Order,
        descending: bool,
        after: Option<Revision>,
    ) -> Vec<Stored> {
        let found = self.live().filter(matches).cloned();
        let found = found.map(|record| (position(&record, order), record));
        let found: BTreeMap<Revision, Stored> = found.collect();
        let beyond = after.map_or(Bound::Unbounded, Bound::Excluded);
        match descending {
            false => found
                .range((beyond, Bound::Unbounded))
                .map(|(_, record)| record.clone())
                .collect(),
            true => {
                let before = found.range((Bound::Unbounded, beyond)).rev();
                before.map(|(_, record)| record.clone()).collect()
            }
        }
    }

    /// Takes in records with their stamps. Where several are in the way, each may be the one that is
    /// named: all refusals are answered.
    pub(super) fn import(&mut self, records: Vec<Stored>) -> std::result::Result<(), Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut new = Vec::new();
        for record in records {
            match self.load(record.key()) {
                Some(current) if current.stamp == record.stamp => continue,
                Some(current) => refusals.push(Refusal::conflict(current)),
                None => {}
            }
            let carries = |other: &Stored| {
                let ours = [record.stamp.create_revision, record.stamp.mod_revision];
                let stamp = other.stamp;
                other.key() != record.key()
                    && (ours.contains(&stamp.create_revision) || ours.contains(&stamp.mod_revision))
            };
            if self.live().any(carries) {
                refusals.push(Refusal {
                    kind: ErrorKind::Invalid,
                    key: None,
                    current: None,
                    write_index: None,
                });
            }
            new.push(record);
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        for record in new {
            self.revision = self.revision.max(record.stamp.mod_revision);
            self.records.insert(place(record.key()), record);
        }
        Ok(())
    }

    /// Removes at most so many expired records, the longest expired first.
    pub(super) fn sweep(&mut self, limit: u32) -> u32 {
        let expired = self.records.values().filter(|record| !self.is_live(record));
        let mut expired: Vec<_> = expired
            .map(|record| (record.draft.expires_at, place(record.key())))
            .collect();
        expired.sort();
        expired.truncate(limit as usize);
        for (_, place) in &expired {
            self.records.remove(place);
        }
        expired.len() as u32
    }

    /// Removes a collection, or all; how many unexpired records went.
    pub(super) fn clear(&mut self, collection: Option<&str>) -> u64 {
        let goes = |record: &Stored| {
            collection.is_none_or(|collection| record.key().collection == collection)
        };
        let count = self.live().filter(|record| goes(record)).count();
        self.records.retain(|_, record| !goes(record));
        count as u64
    }

    pub(super) fn statistics(&self) -> Vec<CollectionStatistics> {
        let mut collections = BTreeMap::<&str, (u64, u64)>::new();
        for record in self.live() {
            let (records, bytes) = collections.entry(&record.key().collection).or_default();
            *records += 1;
            *bytes += record.draft.body.len() as u64;
        }
        let counted = collections.into_iter();
        let counted = counted.map(|(collection, (records, body_bytes))| CollectionStatistics {
            collection: collection.to_owned(),
            records,
            body_bytes,
        });
        counted.collect()
    }

    /// The bytes of all records, and of those that are expired and still there.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = self.records.values();
        sizes.map(|record| record.draft.size_in_batch()).sum()
    }

    /// Leaves out what is expired, as a copy by export and import does.
    #[cfg(feature = "kit")]
    pub(super) fn forget_expired(&mut self) {
        let now = self.now;
        self.records
            .retain(|_, record| record.draft.expires_at.is_none_or(|at| now < at));
    }
}

fn place(key: &Key) -> (String, String) {
    (key.collection.clone(), key.id.clone())
}

fn present(expect: Option<Revision>) -> Precondition {
    expect.map_or(Precondition::Present, Precondition::UnchangedSince)
}

/// By what a record is sorted.
pub(super) fn position(record: &Stored, order: Order) -> Revision {
    match order {
        Order::Created => record.stamp.create_revision,
        Order::Updated => record.stamp.mod_revision,
    }
}
