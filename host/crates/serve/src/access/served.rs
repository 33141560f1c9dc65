//! The stores that are served.

use std::collections::BTreeMap;
use std::sync::Arc;

use mortise_store::inside::{ErrorInside as _, Here, Opener, StoreInside as _};
use mortise_store::{Error, Result, Store};

/// The stores that are served, by name.
#[derive(Debug, Clone)]
pub struct Served {
    stores: BTreeMap<String, Store>,
    /// That of whoever names none.
    default: Store,
}

impl Served {
    /// Serves each under its [name](Store::name); where a caller names none, the first.
    ///
    /// # Errors
    ///
    /// `Config`: there is none, or two have one name.
    pub fn new(stores: impl IntoIterator<Item = Store>) -> Result<Self> {
        let mut served = BTreeMap::new();
        for store in stores {
            let name = store.name().to_owned();
            if served.insert(name.clone(), store).is_some() {
                let message = format!("two stores are named {name}");
                let hint = "give each a name of its own in mortise.toml";
                return Err(Error::config(message).with_hint(hint));
            }
        }
        let Some(default) = served.values().next().cloned() else {
            let hint = "name one with --store, or configure some in mortise.toml";
            return Err(Error::config("there is no store to serve").with_hint(hint));
        };
        Ok(Self {
            stores: served,
            default,
        })
    }

    /// Serves this one where a caller names none.
    ///
    /// # Errors
    ///
    /// `Config`: it is not among them.
    pub fn with_default(mut self, name: &str) -> Result<Self> {
        let default = self.get(name).cloned();
        self.default = default.ok_or_else(|| {
            let message = format!("the store {name} is not among those that are served");
            Error::config(message).with_hint("set default-store to a name under [stores]")
        })?;
        Ok(self)
    }

    /// That of whoever names none.
    pub(crate) fn default_store(&self) -> &Store {
        &self.default
    }

    /// What opened those that this process has open; none where they are all at other servers.
    pub(crate) fn opener(&self) -> Option<Arc<dyn Opener>> {
        let mut here = self.stores.values().filter_map(Store::here);
        here.next().map(Here::opener)
    }

    /// The store of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Store> {
        self.stores.get(name)
    }

    /// All of them, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Store)> {
        self.stores
            .iter()
            .map(|(name, store)| (name.as_str(), store))
    }
}
