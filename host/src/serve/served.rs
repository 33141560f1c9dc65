//! The stores that are served.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::store::Store;

/// The stores that are served, by name.
#[derive(Debug)]
pub(crate) struct Served(BTreeMap<String, Store>);

impl Served {
    /// Serves each under its name.
    pub(crate) fn new(stores: impl IntoIterator<Item = Store>) -> Result<Self> {
        let mut served = BTreeMap::new();
        for store in stores {
            let name = store.name().to_owned();
            if served.insert(name.clone(), store).is_some() {
                let message = format!("two stores are named {name}");
                let hint = "give each a name of its own in mortise.toml";
                return Err(Error::config(message).with_hint(hint));
            }
        }
        if served.is_empty() {
            let hint = "name one with --store, or configure some in mortise.toml";
            return Err(Error::config("there is no store to serve").with_hint(hint));
        }
        Ok(Self(served))
    }

    /// The store of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Store> {
        self.0.get(name)
    }

    /// All of them, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Store)> {
        self.0.iter().map(|(name, store)| (name.as_str(), store))
    }
}
