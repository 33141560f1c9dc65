//! A storage backend in Rust: records in a B-tree, in the component's own memory.
//!
//! It keeps records and knows no rules; `InMemory` adds what the contract asks of every backend.

use std::collections::BTreeMap;

use mortise_guest::{Description, Error, InMemory, Key, Options, Records, Stored};

mortise_guest::export!(InMemory<Tree>);

/// The records by key.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<Key, Stored>);

impl Records for Tree {
    fn describe() -> Description {
        Description::in_memory("example-rs", env!("CARGO_PKG_VERSION"))
    }

    fn open(_: &mut Options) -> Result<Self, Error> {
        Ok(Self::default())
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
