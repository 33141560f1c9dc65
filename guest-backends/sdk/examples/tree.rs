//! A whole backend: records in a B-tree.

use std::collections::BTreeMap;

use mortise_guest::{Description, Error, InMemory, Key, Options, Records, Stored};

mortise_guest::export!(InMemory<Tree>);

/// The records by key.
pub struct Tree(BTreeMap<Key, Stored>);

impl Records for Tree {
    fn describe() -> Description {
        Description::in_memory("tree", "0.1.0")
    }

    fn open(_: &mut Options) -> Result<Self, Error> {
        Ok(Self(BTreeMap::new()))
    }

    fn get(&self, key: &Key) -> Option<&Stored> {
        self.0.get(key)
    }

    fn all(&self) -> impl Iterator<Item = &Stored> {
        self.0.values()
    }

    fn insert(&mut self, record: Stored) {
        self.0.insert(record.draft.key.clone(), record);
    }

    fn remove(&mut self, key: &Key) -> Option<Stored> {
        self.0.remove(key)
    }
}
