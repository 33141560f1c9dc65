//! The backend `memory` by hand: a hash map, and an index of attributes beside it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, RwLock};

use mortise::{Draft, Key, Stamp, Stored};

use crate::contest::{BATCH, Contestant, Records};

#[derive(Clone)]
pub struct Map {
    inner: Arc<RwLock<Inner>>,
    records: Records,
}

#[derive(Default)]
struct Inner {
    revision: u64,
    records: HashMap<(String, String), Stored>,
    /// The records that carry an attribute of a collection, by create-revision.
    index: HashMap<(String, String, String), BTreeSet<(u64, String)>>,
}

impl Map {
    pub fn fill(records: Records) -> Self {
        let map = Self {
            inner: Arc::default(),
            records,
        };
        let mut inner = map.inner.write().unwrap();
        for number in 0..records.count {
            inner.put(records.draft(number));
        }
        drop(inner);
        map
    }
}

fn own(key: Key) -> (String, String) {
    (key.collection, key.id)
}

impl Inner {
    fn put(&mut self, draft: Draft) -> u64 {
        self.revision += 1;
        let now = 1_767_225_600_000;
        let key = own(draft.key.clone());
        let created = match self.records.get(&key) {
            Some(there) => (there.stamp.create_revision, there.stamp.created_at),
            None => (self.revision, now),
        };
        self.unindex(&key);
        let stamp = Stamp {
            create_revision: created.0,
            mod_revision: self.revision,
            created_at: created.1,
            updated_at: now,
        };
        for pair in &draft.attributes {
            let term = (key.0.clone(), pair.name.clone(), pair.value.clone());
            let entries = self.index.entry(term).or_default();
            entries.insert((created.0, key.1.clone()));
        }
        self.records.insert(key, Stored { draft, stamp });
        self.revision
    }

    fn unindex(&mut self, key: &(String, String)) {
        let Some(there) = self.records.get(key) else {
            return;
        };
        for pair in &there.draft.attributes {
            let term = (key.0.clone(), pair.name.clone(), pair.value.clone());
            if let Some(entries) = self.index.get_mut(&term) {
                entries.remove(&(there.stamp.create_revision, key.1.clone()));
                if entries.is_empty() {
                    self.index.remove(&term);
                }
            }
        }
    }
}

impl Contestant for Map {
    async fn create(&self, number: u64) {
        let draft = self.records.draft(number);
        let mut inner = self.inner.write().unwrap();
        assert!(!inner.records.contains_key(&own(draft.key.clone())));
        inner.put(draft);
    }

    async fn load(&self, number: u64) {
        let inner = self.inner.read().unwrap();
        let record = inner.records.get(&own(Records::key(number))).cloned();
        drop(inner);
        assert!(record.is_some());
    }

    async fn update(&self, number: u64) {
        let draft = self.records.draft(number);
        let mut inner = self.inner.write().unwrap();
        assert!(inner.records[&own(draft.key.clone())].stamp.mod_revision > 0);
        inner.put(draft);
    }

    async fn delete(&self, number: u64) {
        let key = own(Records::key(number));
        let mut inner = self.inner.write().unwrap();
        inner.unindex(&key);
        inner.revision += 1;
        assert!(inner.records.remove(&key).is_some());
    }

    async fn find(&self, number: u64) {
        let term = (
            "task".to_owned(),
            "request-id".to_owned(),
            Records::request(number),
        );
        let inner = self.inner.read().unwrap();
        let (_, id) = inner.index[&term].first().unwrap();
        let record = inner.records.get(&("task".to_owned(), id.clone())).cloned();
        drop(inner);
        assert!(record.is_some());
    }

    async fn batch(&self, first: u64) {
        let drafts: Vec<_> = (first..first + BATCH)
            .map(|number| self.records.draft(number))
            .collect();
        let mut inner = self.inner.write().unwrap();
        for draft in drafts {
            inner.put(draft);
        }
    }
}
