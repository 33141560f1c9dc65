//! A whole backend: records in a B-tree.

use std::collections::BTreeMap;

use mortise_guest::*;

mortise_guest::export!(Tree);

/// The records, and the revision of the last write.
pub struct Tree {
    records: BTreeMap<Key, Stored>,
    revision: Revision,
    max_bytes: u64,
}

impl Backend for Tree {
    fn describe() -> Description {
        Description {
            name: "tree".into(),
            version: "0.1.0".into(),
            instances: Instances::Singleton,
            durable: false,
            max_body_bytes: 1 << 20,
            max_batch: 100,
        }
    }

    fn open(options: &mut Options) -> Result<Self, Error> {
        let max_bytes = options.require_u64("max-store-bytes")?;
        Ok(Self {
            records: BTreeMap::new(),
            revision: 0,
            max_bytes,
        })
    }

    fn load(&mut self, key: Key) -> Result<Option<Stored>, Error> {
        self.sweep(u32::MAX)?;
        Ok(self.records.get(&key).cloned())
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<Vec<Stamp>, Rejection> {
        self.sweep(u32::MAX)?;
        let mut bytes: u64 = self
            .records
            .values()
            .map(|record| record.draft.size())
            .sum();
        for (index, write) in batch.iter().enumerate() {
            let current = self.records.get(write.key());
            write
                .check(current)
                .map_err(|error| Rejection::at(index, error))?;
            if let Write::Put(put) = write {
                bytes += put.draft.size();
            }
        }
        if bytes > self.max_bytes {
            return Err(Error::TooLarge("the store is full".into()).into());
        }
        Ok(batch.into_iter().map(|write| self.write(write)).collect())
    }

    fn find(&mut self, query: Query, max_bytes: u64) -> Result<Page, Error> {
        find_in(self.records.values(), &query, clock::now(), max_bytes)
    }

    fn export(&mut self, after: Option<String>, limit: u32, max_bytes: u64) -> Result<Page, Error> {
        export_in(
            self.records.values(),
            after.as_deref(),
            limit,
            clock::now(),
            max_bytes,
        )
    }

    fn import(&mut self, _: Vec<Stored>) -> Result<(), Error> {
        Err(Error::Unsupported("a tree grows from its own seed".into()))
    }

    fn sweep(&mut self, limit: u32) -> Result<u32, Error> {
        let now = clock::now();
        let mut expired: Vec<_> = self
            .records
            .values()
            .filter(|record| record.draft.is_expired(now))
            .collect();
        expired.sort_by_key(|record| record.draft.expires_at);
        let keys: Vec<_> = expired
            .iter()
            .take(limit as usize)
            .map(|record| record.draft.key.clone())
            .collect();
        keys.iter().for_each(|key| drop(self.records.remove(key)));
        Ok(keys.len() as u32)
    }

    fn clear(&mut self, collection: Option<String>) -> Result<u64, Error> {
        self.sweep(u32::MAX)?;
        let before = self.records.len();
        self.records.retain(|key, _| {
            collection
                .as_ref()
                .is_some_and(|name| *name != key.collection)
        });
        Ok((before - self.records.len()) as u64)
    }

    fn statistics(&mut self) -> Result<Vec<CollectionStatistics>, Error> {
        self.sweep(u32::MAX)?;
        let mut collections = BTreeMap::<&str, CollectionStatistics>::new();
        for record in self.records.values() {
            let name = &record.draft.key.collection;
            let counts = collections
                .entry(name)
                .or_insert_with(|| CollectionStatistics {
                    collection: name.clone(),
                    records: 0,
                    body_bytes: 0,
                });
            counts.records += 1;
            counts.body_bytes += record.draft.body.len() as u64;
        }
        Ok(collections.into_values().collect())
    }
}

impl Tree {
    fn write(&mut self, write: Write) -> Stamp {
        self.revision += 1;
        let previous = self.records.remove(write.key()).map(|record| record.stamp);
        let stamp = Stamp::next(previous.as_ref(), self.revision, clock::now());
        if let Write::Put(Put { draft, .. }) = write {
            self.records
                .insert(draft.key.clone(), Stored { draft, stamp });
        }
        stamp
    }
}
