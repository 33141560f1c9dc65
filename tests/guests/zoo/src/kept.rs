//! The records and their index.

use std::collections::BTreeMap;
use std::rc::Rc;

use mortise_guest::{Attribute, Draft, Key, Revision, Stored, Timestamp};

use crate::animals::Animal;

/// All that a store keeps. The rules are in `write`, `find` and `upkeep`.
#[derive(Debug)]
pub struct Kept {
    pub animal: Animal,
    pub max_bytes: u64,
    /// That of the last write.
    pub revision: Revision,
    pub records: BTreeMap<Key, Rc<Stored>>,
    /// Which records are found by an attribute: those listed under it.
    pub entries: BTreeMap<Entry, BTreeMap<Key, Rc<Stored>>>,
    /// What deleted records still count for; nothing, but for an animal.
    pub lost_bytes: u64,
}

/// An attribute of a collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub collection: String,
    pub pair: Attribute,
}

impl Kept {
    pub fn new(animal: Animal, max_bytes: u64) -> Self {
        Self {
            animal,
            max_bytes,
            revision: 0,
            records: BTreeMap::new(),
            entries: BTreeMap::new(),
            lost_bytes: 0,
        }
    }

    pub fn is(&self, animal: Animal) -> bool {
        self.animal == animal
    }

    /// The record under a key, expired or not.
    pub fn at(&self, key: &Key) -> Option<&Rc<Stored>> {
        self.records.get(&self.place(key))
    }

    /// The record under a key, unless it is expired.
    pub fn get(&self, key: &Key, now: Timestamp) -> Option<&Rc<Stored>> {
        self.at(key)
            .filter(|record| !self.is_expired(&record.draft, now))
    }

    pub fn is_expired(&self, draft: &Draft, now: Timestamp) -> bool {
        let late = u64::from(self.is(Animal::ExpiresLate));
        draft.is_expired(now.saturating_sub(late))
    }

    /// Keeps a record, and lists it under its attributes.
    pub fn insert(&mut self, record: Stored) {
        let entries = self.entries_of(&record.draft);
        self.insert_under(record, entries);
    }

    /// Keeps a record, and lists it under these entries.
    pub fn insert_under(&mut self, record: Stored, entries: Vec<Entry>) {
        let record = Rc::new(record);
        self.list(&record, entries);
        self.records.insert(self.place(&record.draft.key), record);
    }

    /// Gives a record and its entries up.
    pub fn remove(&mut self, key: &Key) -> Option<Rc<Stored>> {
        let record = self.remove_unlisted(key)?;
        self.unlist(&record.draft);
        Some(record)
    }

    /// Gives a record up, and leaves its entries.
    pub fn remove_unlisted(&mut self, key: &Key) -> Option<Rc<Stored>> {
        let record = self.records.remove(&self.place(key))?;
        if self.is(Animal::GetsNoRoomBack) {
            self.lost_bytes += record.draft.size();
        }
        Some(record)
    }

    pub fn list(&mut self, record: &Rc<Stored>, entries: Vec<Entry>) {
        let place = self.place(&record.draft.key);
        for entry in entries {
            let listed = self.entries.entry(entry).or_default();
            listed.insert(place.clone(), Rc::clone(record));
        }
    }

    pub fn unlist(&mut self, draft: &Draft) {
        let place = self.place(&draft.key);
        for entry in self.entries_of(draft) {
            if let Some(listed) = self.entries.get_mut(&entry) {
                listed.remove(&place);
                if listed.is_empty() {
                    self.entries.remove(&entry);
                }
            }
        }
    }

    /// What a record is listed under.
    pub fn entries_of(&self, draft: &Draft) -> Vec<Entry> {
        let is_listed = |pair: &Attribute| {
            let last = draft.attributes.iter().rfind(|last| last.name == pair.name);
            !self.is(Animal::ListsTheLastValue) || last == Some(pair)
        };
        let pairs = draft.attributes.iter().filter(|pair| is_listed(pair));
        pairs
            .map(|pair| self.entry(&draft.key.collection, pair))
            .collect()
    }

    /// Where records with an attribute are listed: two that this backend takes for equal are one entry.
    pub fn entry(&self, collection: &str, pair: &Attribute) -> Entry {
        let mut pair = pair.clone();
        match self.animal {
            Animal::IgnoresNames => pair.name.clear(),
            Animal::IgnoresCaseOfValues => pair.value = pair.value.to_lowercase(),
            Animal::ComposesValues => pair.value = composed(&pair.value),
            Animal::TrimsValues => pair.value = pair.value.trim().to_owned(),
            _ => {}
        }
        Entry {
            collection: collection.to_owned(),
            pair,
        }
    }

    /// Where a record is kept: two keys that this backend takes for equal are one place.
    fn place(&self, key: &Key) -> Key {
        let mut place = key.clone();
        match self.animal {
            Animal::IgnoresCaseOfKeys => place.id = key.id.to_lowercase(),
            Animal::ComposesKeys => place.id = composed(&key.id),
            Animal::TrimsKeys => place.id = key.id.trim().to_owned(),
            Animal::EndsKeysAtNul => place.id = before_nul(&key.id).to_owned(),
            Animal::CutsLongIds => place.id.truncate(key.id.floor_char_boundary(1_000)),
            Animal::KeepsOneCollection => place.collection.clear(),
            _ => {}
        }
        place
    }

    /// What all records together count for.
    pub fn bytes(&self) -> u64 {
        let bytes: u64 = self
            .records
            .values()
            .map(|record| cost(&record.draft))
            .sum();
        bytes + self.lost_bytes
    }
}

/// How much memory a record counts for, roughly: its bytes, and what keeps them in order.
pub fn cost(draft: &Draft) -> u64 {
    let entries = draft.attributes.len() as u64;
    let names = (draft.key.id.len() + draft.key.collection.len()) as u64;
    draft.size() + (1 + entries) * (2 * names + 256)
}

/// The one pair of normal forms that this backend knows.
fn composed(text: &str) -> String {
    text.replace("e\u{301}", "\u{e9}")
}

fn before_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}
