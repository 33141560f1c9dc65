//! The rules of the contract over a shelf of records.

use mortise_guest::{
    CollectionStatistics, Error, Key, Put, Rejection, Revision, Stamp, Stored, Timestamp, Write,
};

use crate::cost;
use crate::shelf::Shelf;

/// All records, and the revision of the last write. `now` is an argument of every call: an expired
/// record is absent, and leaves the shelf when its place is needed, or with `sweep`.
#[derive(Debug)]
pub struct Store {
    pub(crate) shelf: Shelf,
    pub(crate) revision: Revision,
    max_bytes: u64,
}

/// The highest revision that the contract knows.
const LAST_REVISION: Revision = i64::MAX as Revision;

impl Store {
    /// An empty store whose records take at most so much memory.
    pub fn new(max_bytes: u64) -> Self {
        Self {
            shelf: Shelf::default(),
            revision: 0,
            max_bytes,
        }
    }

    /// The record under a key, unless it is expired.
    pub fn load(&self, key: &Key, now: Timestamp) -> Option<&Stored> {
        self.load_at(key, || now)
    }

    /// The same, where the time is asked for only if it matters.
    pub fn load_at(&self, key: &Key, now: impl FnOnce() -> Timestamp) -> Option<&Stored> {
        let record = self.shelf.get(key)?;
        let expired = record.draft.expires_at.is_some() && record.draft.is_expired(now());
        (!expired).then_some(record)
    }

    /// Applies all writes, or none.
    pub fn apply(&mut self, batch: Vec<Write>, now: Timestamp) -> Result<Vec<Stamp>, Rejection> {
        for (index, write) in batch.iter().enumerate() {
            let current = self.load(write.key(), now);
            write
                .check(current)
                .map_err(|error| Rejection::at(index, error))?;
        }
        if batch.len() as u64 > LAST_REVISION - self.revision {
            return Err(Error::Internal("the revisions are used up".into()).into());
        }
        self.make_room(&batch, now)?;
        Ok(batch
            .into_iter()
            .map(|write| self.write(write, now))
            .collect())
    }

    /// Removes expired records, the longest expired first; how many.
    pub fn sweep(&mut self, limit: u32, now: Timestamp) -> u32 {
        let expired = self.shelf.expired(now).take(limit as usize);
        let keys: Vec<Key> = expired.map(|record| record.draft.key.clone()).collect();
        let mut removed = 0;
        for key in &keys {
            self.shelf.take(key);
            removed += 1;
        }
        removed
    }

    /// Removes all records, or those of one collection; how many unexpired ones.
    pub fn clear(&mut self, collection: Option<&str>, now: Timestamp) -> u64 {
        let counts = self.statistics(now).into_iter();
        let unexpired = counts
            .filter(|counts| collection.is_none_or(|name| name == counts.collection))
            .map(|counts| counts.records)
            .sum();
        match collection {
            None => self.shelf = Shelf::default(),
            Some(name) => {
                for key in self.shelf.keys_of(name) {
                    self.shelf.take(&key);
                }
            }
        }
        unexpired
    }

    /// Counts the unexpired records of each collection that has any.
    pub fn statistics(&self, now: Timestamp) -> Vec<CollectionStatistics> {
        let mut collections = self.shelf.collections().clone();
        for record in self.shelf.expired(now) {
            if let Some(counts) = collections.get_mut(&record.draft.key.collection) {
                counts.records -= 1;
                counts.body_bytes -= record.draft.body.len() as u64;
            }
        }
        collections.retain(|_, counts| counts.records > 0);
        collections.into_values().collect()
    }

    /// Raises `too-large` where the store has no room for a batch. Sweeps if that makes room.
    fn make_room(&mut self, batch: &[Write], now: Timestamp) -> Result<(), Error> {
        let mut comes = 0;
        let mut goes = 0;
        for write in batch {
            if let Write::Put(put) = write {
                comes += cost::of(&put.draft);
            }
            if let Some(current) = self.load(write.key(), now) {
                goes += cost::of(&current.draft);
            }
        }
        if comes <= goes {
            return Ok(());
        }
        self.make_room_for(comes - goes, now)
    }

    /// Raises `too-large` where the store has no room for so many more bytes. Sweeps if that makes room.
    pub(crate) fn make_room_for(&mut self, bytes: u64, now: Timestamp) -> Result<(), Error> {
        while self.shelf.bytes() + bytes > self.max_bytes {
            if self.sweep(SWEEP, now) == 0 {
                let max = self.max_bytes;
                return Err(Error::TooLarge(format!(
                    "the store is full: its records may take {max} bytes of memory"
                )));
            }
        }
        Ok(())
    }

    fn write(&mut self, write: Write, now: Timestamp) -> Stamp {
        self.revision += 1;
        let previous = self
            .shelf
            .take(write.key())
            .filter(|record| !record.draft.is_expired(now))
            .map(|record| record.stamp);
        let stamp = Stamp::next(previous.as_ref(), self.revision, now);
        if let Write::Put(Put { draft, .. }) = write {
            self.shelf.put(Stored { draft, stamp });
        }
        stamp
    }
}

/// How many expired records go at once when the store is full.
const SWEEP: u32 = 64;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use mortise_guest::{Attribute, Draft, Precondition, Remove};

    /// A draft of the collection `task` with a body of ten bytes.
    pub(crate) fn draft(id: &str, attributes: &[(&str, &str)]) -> Draft {
        Draft {
            key: key(id),
            body: vec![b'x'; 10],
            attributes: attributes
                .iter()
                .map(|(name, value)| Attribute {
                    name: name.to_string(),
                    value: value.to_string(),
                })
                .collect(),
            expires_at: None,
        }
    }

    pub(crate) fn key(id: &str) -> Key {
        Key {
            collection: "task".into(),
            id: id.into(),
        }
    }

    pub(crate) fn put(draft: Draft, expect: Precondition) -> Write {
        Write::Put(Put { draft, expect })
    }

    fn remove(id: &str, expect: Precondition) -> Write {
        let key = key(id);
        Write::Remove(Remove { key, expect })
    }

    fn expiring(id: &str, instant: Timestamp) -> Draft {
        Draft {
            expires_at: Some(instant),
            ..draft(id, &[("kind", "short")])
        }
    }

    fn store() -> Store {
        Store::new(1 << 20)
    }

    fn create(store: &mut Store, draft: Draft, now: Timestamp) -> Result<Stamp, Error> {
        let stamps = store.apply(vec![put(draft, Precondition::Absent)], now);
        stamps
            .map(|stamps| stamps[0])
            .map_err(|rejection| rejection.error)
    }

    #[test]
    fn revisions_are_store_wide_and_never_reused() {
        let mut store = store();
        assert_eq!(
            create(&mut store, draft("a", &[]), 5).unwrap().mod_revision,
            1
        );
        let batch = vec![
            remove("a", Precondition::Present),
            remove("nothing", Precondition::None),
            put(draft("b", &[]), Precondition::Absent),
        ];
        let stamps = store.apply(batch, 6).unwrap();
        let revisions: Vec<_> = stamps.iter().map(|stamp| stamp.mod_revision).collect();
        assert_eq!(revisions, [2, 3, 4]);
        assert_eq!(store.clear(None, 7), 1);
        let again = create(&mut store, draft("a", &[]), 8).unwrap();
        assert_eq!((again.create_revision, again.created_at), (5, 8));
        assert_eq!(store.apply(Vec::new(), 9), Ok(Vec::new()));
        assert_eq!(store.revision, 5);
    }

    #[test]
    fn an_update_keeps_creation_and_replaces_attributes() {
        let mut store = store();
        create(&mut store, draft("a", &[("old", "1")]), 5).unwrap();
        let update = put(draft("a", &[("new", "1")]), Precondition::UnchangedSince(1));
        let stamp = store.apply(vec![update], 6).unwrap()[0];
        let expected = Stamp {
            create_revision: 1,
            mod_revision: 2,
            created_at: 5,
            updated_at: 6,
        };
        assert_eq!(stamp, expected);
        let stored = store.load(&key("a"), 6).unwrap();
        assert_eq!(stored.draft, draft("a", &[("new", "1")]));
        assert_eq!(stored.stamp, expected);
    }

    #[test]
    fn a_rejected_batch_changes_nothing_and_names_its_write() {
        let mut store = store();
        create(&mut store, draft("a", &[]), 5).unwrap();
        let before = format!("{store:?}");
        let current = store.load(&key("a"), 5).unwrap().clone();
        let stale = put(draft("a", &[]), Precondition::UnchangedSince(7));
        let batch = vec![put(draft("b", &[]), Precondition::None), stale];
        let rejection = store.apply(batch, 6).unwrap_err();
        assert_eq!(rejection, Rejection::at(1, Error::Conflict(current)));
        assert_eq!(format!("{store:?}"), before);
    }

    #[test]
    fn an_expired_record_is_absent_to_the_millisecond_and_its_key_is_free() {
        let mut store = store();
        create(&mut store, expiring("a", 100), 5).unwrap();
        assert!(store.load(&key("a"), 99).is_some());
        assert!(store.load(&key("a"), 100).is_none());
        assert_eq!(store.statistics(99)[0].records, 1);
        assert_eq!(store.statistics(100), []);
        let missing = store.apply(vec![remove("a", Precondition::Present)], 100);
        assert_eq!(missing.unwrap_err().error, Error::NotFound(key("a")));
        let upsert = put(draft("a", &[]), Precondition::None);
        let stamp = store.apply(vec![upsert], 100).unwrap()[0];
        assert_eq!(stamp, Stamp::next(None, 2, 100));
        assert_eq!(store.sweep(10, 100), 0);
    }

    #[test]
    fn sweep_keeps_to_its_limit_and_to_the_expired() {
        let mut store = store();
        for (id, instant) in [("a", 300), ("b", 100), ("c", 200), ("d", 900)] {
            create(&mut store, expiring(id, instant), 5).unwrap();
        }
        assert_eq!(store.sweep(2, 300), 2);
        let left: Vec<_> = ["a", "b", "c", "d"]
            .map(|id| store.load(&key(id), 0).is_some())
            .into();
        assert_eq!(left, [true, false, false, true]);
        assert_eq!(store.sweep(2, 300), 1);
        assert_eq!(store.sweep(2, 300), 0);
        assert_eq!(store.revision, 4);
    }

    #[test]
    fn a_full_store_answers_too_large_and_takes_what_shrinks_it() {
        let one = cost::of(&draft("a", &[]));
        let mut store = Store::new(2 * one);
        create(&mut store, draft("a", &[]), 5).unwrap();
        create(&mut store, draft("b", &[]), 5).unwrap();
        let before = format!("{store:?}");
        let full = create(&mut store, draft("c", &[]), 5).unwrap_err();
        assert!(matches!(full, Error::TooLarge(_)));
        assert_eq!(format!("{store:?}"), before);
        let swap = vec![
            put(draft("c", &[]), Precondition::Absent),
            remove("a", Precondition::Present),
        ];
        assert!(store.apply(swap, 5).is_ok());
        let same = put(draft("b", &[]), Precondition::Present);
        assert!(store.apply(vec![same], 5).is_ok());
        let grown = put(draft("b", &[("n", "v")]), Precondition::Present);
        let full = store.apply(vec![grown], 5).unwrap_err();
        assert!(matches!(full.error, Error::TooLarge(_)));
    }

    #[test]
    fn a_store_full_of_expired_records_makes_room() {
        let one = cost::of(&expiring("a", 100));
        let mut store = Store::new(one);
        create(&mut store, expiring("a", 100), 5).unwrap();
        assert!(create(&mut store, expiring("b", 200), 99).is_err());
        assert!(create(&mut store, expiring("b", 200), 100).is_ok());
        assert!(store.shelf.get(&key("a")).is_none());
    }

    #[test]
    fn clear_takes_one_collection_and_counts_the_unexpired() {
        let mut store = store();
        create(&mut store, draft("a", &[]), 5).unwrap();
        create(&mut store, expiring("b", 100), 5).unwrap();
        let mut job = draft("a", &[]);
        job.key.collection = "job".into();
        create(&mut store, job.clone(), 5).unwrap();
        assert_eq!(store.clear(Some("task"), 100), 1);
        assert_eq!(store.clear(Some("task"), 100), 0);
        assert!(store.load(&job.key, 100).is_some());
        assert_eq!(store.statistics(100).len(), 1);
    }

    #[test]
    fn used_up_revisions_are_an_error() {
        let mut store = store();
        store.revision = LAST_REVISION;
        let error = create(&mut store, draft("a", &[]), 5).unwrap_err();
        assert!(matches!(error, Error::Internal(_)));
    }
}
