//! A map that is searched by hash first.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// A B-tree of hashes, each with the keys that have it.
///
/// A search compares numbers that stand side by side in a node, and then one key, where a tree of keys would
/// follow a pointer to the text of a key at every step. Like that tree, it grows by one small node at a time,
/// and no choice of keys makes it slow: those that share a hash of 64 bits are in a tree of their own.
#[derive(Debug)]
pub struct Hashed<K, V>(BTreeMap<u64, Slot<K, V>>);

#[derive(Debug)]
enum Slot<K, V> {
    One(K, V),
    /// At least one.
    Many(BTreeMap<K, V>),
}

impl<K, V> Default for Hashed<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Hash + Ord, V> Hashed<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self.0.get(&hash(key))? {
            Slot::One(known, value) => (known == key).then_some(value),
            Slot::Many(all) => all.get(key),
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self.0.get_mut(&hash(key))? {
            Slot::One(known, value) => (known == key).then_some(value),
            Slot::Many(all) => all.get_mut(key),
        }
    }

    /// Sets the value of a key that has none.
    pub fn insert(&mut self, key: K, value: V) {
        self.insert_at(hash(&key), key, value);
    }

    fn insert_at(&mut self, hash: u64, key: K, value: V) {
        match self.0.entry(hash) {
            Entry::Vacant(place) => {
                place.insert(Slot::One(key, value));
            }
            Entry::Occupied(mut place) => {
                let slot = place.get_mut();
                let mut all = match std::mem::replace(slot, Slot::Many(BTreeMap::new())) {
                    Slot::One(other, its) => BTreeMap::from([(other, its)]),
                    Slot::Many(all) => all,
                };
                all.insert(key, value);
                *slot = Slot::Many(all);
            }
        }
    }

    /// Takes a key and its value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.remove_at(hash(key), key)
    }

    fn remove_at(&mut self, hash: u64, key: &K) -> Option<V> {
        let Entry::Occupied(mut place) = self.0.entry(hash) else {
            return None;
        };
        match place.get_mut() {
            Slot::Many(all) => {
                let value = all.remove(key);
                if all.is_empty() {
                    place.remove();
                }
                value
            }
            Slot::One(known, _) if known == key => match place.remove() {
                Slot::One(_, value) => Some(value),
                Slot::Many(_) => None,
            },
            Slot::One(..) => None,
        }
    }
}

/// The same in every instance: there is no chance in a sandbox.
fn hash<K: Hash>(key: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_until_they_are_removed() {
        let mut map = Hashed::default();
        for key in 0..1_000_u32 {
            map.insert(key, key);
        }
        *map.get_mut(&7).unwrap() = 8;
        assert_eq!((map.get(&7), map.get(&1_000)), (Some(&8), None));
        for key in 0..1_000 {
            assert_eq!(map.remove(&key), Some(if key == 7 { 8 } else { key }));
            assert_eq!(map.get(&key), None);
            assert_eq!(map.remove(&key), None);
        }
        assert!(map.0.is_empty());
    }

    #[test]
    fn keys_with_one_hash_are_kept_apart() {
        let mut map: Hashed<&str, u32> = Hashed::default();
        // As if both had the hash of "a".
        let same = hash(&"a");
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            map.insert_at(same, key, value);
        }
        assert_eq!(map.get(&"a"), Some(&1));
        *map.get_mut(&"a").unwrap() = 4;
        assert_eq!(map.remove_at(same, &"b"), Some(2));
        assert_eq!(map.remove_at(same, &"b"), None);
        assert_eq!(map.remove(&"a"), Some(4));
        assert_eq!(map.remove_at(same, &"c"), Some(3));
        assert!(map.0.is_empty());

        map.insert_at(same, "d", 5);
        assert_eq!(map.get(&"a"), None);
        assert_eq!(map.remove(&"a"), None);
        assert_eq!(map.remove_at(same, &"d"), Some(5));
    }
}
