//! A whole backend over records in memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::backend::load_each;
use crate::{
    Backend, CollectionStatistics, Description, Draft, Error, Instances, Key, Options, Page, Put,
    Query, Rejection, Revision, Stamp, Stored, Timestamp, Write, clock, export_in, find_in,
};

/// Where a small backend keeps its records: [`InMemory`] makes it a whole [`Backend`].
///
/// It keeps what it is given and knows no rules: neither revisions nor expiry, and no limit.
pub trait Records: Sized + 'static {
    /// Who this is: [`Description::in_memory`], or with other bounds. A singleton in any case, because two
    /// instances would keep two stores. Always answers the same and uses no capability.
    fn describe() -> Description;

    /// No records yet. Take each option of the backend's own; `max-store-bytes` is none of them.
    fn open(options: &mut Options) -> Result<Self, Error>;

    /// The record under a key.
    fn get(&self, key: &Key) -> Option<&Stored>;

    /// Every record, in any order.
    fn all(&self) -> impl Iterator<Item = &Stored>;

    /// Keeps a record. There is none under its key: it was removed before.
    fn insert(&mut self, record: Stored);

    /// Gives a record up, and answers it; none where there is none.
    fn remove(&mut self, key: &Key) -> Option<Stored>;
}

/// A whole [`Backend`] over [`Records`]: `export!(InMemory<MyRecords>)`.
///
/// It keeps every promise of the contract, import and `max-store-bytes` among them, and looks at every
/// record in each call but `load`, `load_many` and `apply`. That suits thousands of records; a backend
/// with millions keeps an index, and implements [`Backend`] itself.
#[derive(Debug)]
pub struct InMemory<R> {
    records: R,
    /// That of the last write.
    revision: Revision,
    /// What all records together count for: the sum of [`cost`].
    bytes: u64,
    max_bytes: u64,
}

/// The highest revision that the contract knows.
const LAST_REVISION: Revision = i64::MAX as Revision;

impl Description {
    /// A backend that keeps its records in its own memory: a singleton, not durable, which takes bodies
    /// of up to 1 MiB and batches of up to 1,000 writes.
    pub fn in_memory(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            instances: Instances::Singleton,
            durable: false,
            max_body_bytes: 1 << 20,
            max_batch: 1_000,
        }
    }
}

impl<R: Records> Backend for InMemory<R> {
    fn describe() -> Description {
        R::describe()
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        let max_bytes = options.require_u64("max-store-bytes")?;
        Ok(Self {
            records: R::open(options)?,
            revision: 0,
            bytes: 0,
            max_bytes,
        })
    }

    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        Ok(self.lend(key)?.map(Cow::into_owned))
    }

    fn lend(&mut self, key: Key) -> Result<Option<Cow<'_, Stored>>, Error> {
        Ok(self.get(&key, clock::now()).map(Cow::Borrowed))
    }

    fn load_many(&mut self, keys: Vec<Key>, max_bytes: u64) -> Result<Vec<Option<Stored>>, Error> {
        let now = clock::now();
        load_each(keys, max_bytes, |key| Ok(self.get(&key, now).cloned()))
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        let now = clock::now();
        let (mut comes, mut goes) = (0, 0);
        for (index, write) in batch.iter().enumerate() {
            let current = self.get(write.key(), now);
            write
                .check(current)
                .map_err(|error| Rejection::at(index, error))?;
            goes += current.map_or(0, |record| cost(&record.draft));
            if let Write::Put(put) = write {
                comes += cost(&put.draft);
            }
        }
        if batch.len() as u64 > LAST_REVISION - self.revision {
            return Err(Error::Internal("the revisions are used up".into()).into());
        }
        // A batch that shrinks the store is always welcome.
        if comes > goes {
            self.make_room(comes - goes, now)?;
        }
        let writes = batch.into_iter();
        Ok(writes.map(|write| self.write(write, now)).collect())
    }

    fn find(&mut self, query: Query, max_bytes: u64) -> Result<Page, Error> {
        find_in(self.records.all(), &query, clock::now(), max_bytes)
    }

    fn export(&mut self, after: Option<String>, limit: u32, max_bytes: u64) -> Result<Page, Error> {
        let (records, after) = (self.records.all(), after.as_deref());
        export_in(records, after, limit, clock::now(), max_bytes)
    }

    fn import(&mut self, records: Vec<Stored>) -> Result<(), Error> {
        let now = clock::now();
        let new = self.new_among(records, now)?;
        // What is expired gives way: its key and its revisions are free.
        self.sweep_at(now, usize::MAX);
        self.make_room(new.values().map(|record| cost(&record.draft)).sum(), now)?;
        for record in new.into_values() {
            let [created, changed] = revisions(&record);
            self.revision = self.revision.max(created).max(changed);
            self.insert(record);
        }
        Ok(())
    }

    fn sweep(&mut self, limit: u32) -> Result<u32, Error> {
        Ok(self.sweep_at(clock::now(), limit as usize) as u32)
    }

    fn clear(&mut self, collection: Option<String>) -> Result<u64, Error> {
        let now = clock::now();
        let is_meant = |key: &Key| match &collection {
            Some(name) => key.collection == *name,
            None => true,
        };
        let keys = self.records.all().map(|record| &record.draft.key);
        let keys: Vec<Key> = keys.filter(|key| is_meant(key)).cloned().collect();
        let removed = keys.iter().filter_map(|key| self.remove(key));
        let unexpired = removed.filter(|record| !record.draft.is_expired(now));
        Ok(unexpired.count() as u64)
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        let mut counts = BTreeMap::<&str, (u64, u64)>::new();
        for Stored { draft, .. } in self.unexpired(clock::now()) {
            let (records, body_bytes) = counts.entry(&draft.key.collection).or_default();
            *records += 1;
            *body_bytes += draft.body.len() as u64;
        }
        let counts = counts.into_iter();
        let statistics = counts.map(|(name, (records, body_bytes))| CollectionStatistics {
            collection: name.to_owned(),
            records,
            body_bytes,
        });
        Ok(statistics.collect())
    }
}

impl<R: Records> InMemory<R> {
    /// The record under a key, unless it is expired.
    fn get(&self, key: &Key, now: Timestamp) -> Option<&Stored> {
        let record = self.records.get(key)?;
        (!record.draft.is_expired(now)).then_some(record)
    }

    fn unexpired(&self, now: Timestamp) -> impl Iterator<Item = &Stored> {
        let records = self.records.all();
        records.filter(move |record| !record.draft.is_expired(now))
    }

    fn insert(&mut self, record: Stored) {
        self.remove(&record.draft.key);
        self.bytes += cost(&record.draft);
        self.records.insert(record);
    }

    fn remove(&mut self, key: &Key) -> Option<Stored> {
        let record = self.records.remove(key)?;
        self.bytes -= cost(&record.draft);
        Some(record)
    }

    fn write(&mut self, write: Write, now: Timestamp) -> Stamp {
        self.revision += 1;
        let previous = self.remove(write.key());
        let previous = previous.filter(|record| !record.draft.is_expired(now));
        let previous = previous.map(|record| record.stamp);
        let stamp = Stamp::next(previous.as_ref(), self.revision, now);
        if let Write::Put(Put { draft, .. }) = write {
            self.insert(Stored { draft, stamp });
        }
        stamp
    }

    /// Raises `too-large` where there is no room for so many more bytes, nor would be after a sweep.
    fn make_room(&mut self, bytes: u64, now: Timestamp) -> Result<(), Error> {
        if self.bytes + bytes > self.max_bytes {
            self.sweep_at(now, usize::MAX);
        }
        if self.bytes + bytes > self.max_bytes {
            let max = self.max_bytes;
            return Err(Error::TooLarge(format!(
                "the store is full: its records may take {max} bytes of memory"
            )));
        }
        Ok(())
    }

    /// Removes expired records, the longest expired first; how many.
    fn sweep_at(&mut self, now: Timestamp, limit: usize) -> usize {
        let drafts = self.records.all().map(|record| &record.draft);
        let mut expired: Vec<&Draft> = drafts.filter(|draft| draft.is_expired(now)).collect();
        expired.sort_unstable_by_key(|draft| draft.expires_at);
        let first = expired.into_iter().take(limit);
        let keys: Vec<Key> = first.map(|draft| draft.key.clone()).collect();
        keys.iter().filter_map(|key| self.remove(key)).count()
    }

    /// The records that are not there yet, by key. Raises `conflict` and `invalid` as `import` does.
    fn new_among(
        &self,
        records: Vec<Stored>,
        now: Timestamp,
    ) -> Result<BTreeMap<Key, Stored>, Error> {
        let wanted: BTreeSet<Revision> = records.iter().flat_map(revisions).collect();
        let mut owners = BTreeMap::<Revision, Key>::new();
        for record in self.unexpired(now) {
            for revision in revisions(record) {
                if wanted.contains(&revision) {
                    owners.insert(revision, record.draft.key.clone());
                }
            }
        }
        let mut new = BTreeMap::<Key, Stored>::new();
        for record in records {
            let key = &record.draft.key;
            match new.get(key).or_else(|| self.get(key, now)) {
                Some(there) if there.stamp == record.stamp => continue,
                Some(there) => return Err(Error::Conflict(there.clone())),
                None => {}
            }
            for revision in revisions(&record) {
                let owner = owners.insert(revision, key.clone());
                if owner.is_some_and(|owner| owner != *key) {
                    return Err(Error::Invalid(format!(
                        "revision {revision} belongs to another record"
                    )));
                }
            }
            new.insert(key.clone(), record);
        }
        Ok(new)
    }
}

/// The two that a record carries.
fn revisions(record: &Stored) -> [Revision; 2] {
    [record.stamp.create_revision, record.stamp.mod_revision]
}

/// How much memory a record counts for: its bytes, its key twice more (in a map, and in the list of
/// those to remove), 64 for each attribute, and 512 for the rest.
fn cost(draft: &Draft) -> u64 {
    let key = 2 * draft.key.id.len() + 3 * draft.key.collection.len();
    draft.size() + (key + 64 * draft.attributes.len() + 512) as u64
}

#[cfg(test)]
#[path = "../examples/tree.rs"]
mod tree;

#[cfg(test)]
mod tests {
    //! What the contract's tests, which run on the same example, do not reach.

    use super::*;
    use crate::{Precondition, Remove};

    type Store = InMemory<tree::Tree>;

    fn store(max_bytes: u64) -> Store {
        let option = ("max-store-bytes".to_owned(), max_bytes.to_string());
        InMemory::open(&mut Options::new(vec![option])).unwrap()
    }

    fn record(id: &str, create_revision: Revision, mod_revision: Revision) -> Stored {
        let (collection, id) = ("task".into(), id.into());
        let draft = Draft {
            key: Key { collection, id },
            body: vec![b'x'; 10],
            attributes: Vec::new(),
            expires_at: None,
        };
        let created = Stamp::next(None, create_revision, 3);
        let stamp = Stamp::next(Some(&created), mod_revision, 4);
        Stored { draft, stamp }
    }

    /// Expired, by the system's clock.
    fn expired(mut record: Stored) -> Stored {
        record.draft.expires_at = Some(1);
        record
    }

    fn put(Stored { draft, .. }: Stored) -> Write {
        let expect = Precondition::None;
        Write::Put(Put { draft, expect })
    }

    /// All that a store keeps; checks that it counts right.
    fn kept(store: &Store) -> (Vec<Stored>, Revision) {
        let records: Vec<_> = store.records.all().cloned().collect();
        let bytes: u64 = records.iter().map(|record| cost(&record.draft)).sum();
        assert_eq!(store.bytes, bytes);
        (records, store.revision)
    }

    #[test]
    fn a_full_store_sweeps_then_refuses_and_takes_what_shrinks_it() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|id| record(id, 9, 9));
        let mut store = store(2 * cost(&a.draft));
        for record in [expired(a), b.clone(), c] {
            store.apply(vec![put(record)]).unwrap();
        }
        let before = kept(&store);
        let full = store.apply(vec![put(d.clone())]).unwrap_err().error;
        assert!(matches!(full, Error::TooLarge(_)));
        let full = store.import(vec![d.clone()]).unwrap_err();
        assert!(matches!(full, Error::TooLarge(_)));
        assert_eq!(kept(&store), before);
        let (key, expect) = (b.draft.key, Precondition::Present);
        let swap = vec![put(d), Write::Remove(Remove { key, expect })];
        assert!(store.apply(swap).is_ok());
        assert_eq!(kept(&store).1, 5);
    }

    #[test]
    fn an_import_twice_is_an_import_once_and_raises_the_revision() {
        let mut store = store(10_000);
        let records = vec![record("a", 2, 7), record("b", 3, 3), record("a", 2, 7)];
        let once = (records[..2].to_vec(), 7);
        for _ in 0..2 {
            assert_eq!(store.import(records.clone()), Ok(()));
            assert_eq!(kept(&store), once);
        }
    }

    #[test]
    fn an_import_that_is_refused_changes_nothing() {
        let mut store = store(10_000);
        store.import(vec![record("a", 2, 7)]).unwrap();
        let before = kept(&store);
        for there in [record("a", 2, 7), record("b", 3, 3)] {
            let other = record(&there.draft.key.id, 2, 8);
            let records = vec![record("b", 3, 3), other];
            assert_eq!(store.import(records), Err(Error::Conflict(there)));
        }
        for (created, changed) in [(2, 9), (1, 7), (7, 9), (1, 2), (10, 12), (12, 11)] {
            let records = vec![record("c", 10, 11), record("b", created, changed)];
            let error = store.import(records).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{created} {changed}");
        }
        assert_eq!(kept(&store), before);
    }

    #[test]
    fn an_expired_record_gives_way_to_an_import() {
        let mut store = store(10_000);
        store.import(vec![expired(record("a", 2, 7))]).unwrap();
        let records = vec![record("a", 3, 3), record("b", 2, 7)];
        assert_eq!(store.import(records.clone()), Ok(()));
        assert_eq!(kept(&store), (records, 7));
    }

    #[test]
    fn used_up_revisions_are_an_error() {
        let mut store = store(10_000);
        store.import(vec![record("a", 1, LAST_REVISION)]).unwrap();
        let error = store.apply(vec![put(record("b", 1, 1))]).unwrap_err().error;
        assert!(matches!(error, Error::Internal(_)));
    }
}
