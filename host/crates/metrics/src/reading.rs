//! The open stores of a host, as one scrape finds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mortise_store::InstanceCounts;
use mortise_store::inside::{Measured, Measures, breaker_name};

/// The open stores of one name and backend, which are counted together.
pub(crate) struct Reading {
    pub(crate) store: String,
    pub(crate) backend: String,
    pub(crate) measures: Arc<Measures>,
    pub(crate) stores: Vec<Measured>,
}

impl Reading {
    /// Those of all open stores, by backend and name.
    pub(crate) fn all(measured: Vec<Measured>) -> Vec<Self> {
        let mut readings = BTreeMap::new();
        for store in measured {
            let key = (store.backend.clone(), store.store.clone());
            let reading = readings.entry(key).or_insert_with(|| Self {
                store: store.store.clone(),
                backend: store.backend.clone(),
                measures: Arc::clone(&store.measures),
                stores: Vec::new(),
            });
            reading.stores.push(store);
        }
        readings.into_values().collect()
    }

    /// How many of the stores' breakers are in this state.
    pub(crate) fn breakers(&self, state: &str) -> usize {
        self.count(|store| breaker_name(store.status.breaker) == state)
    }

    /// How many of the stores are in a state.
    pub(crate) fn count(&self, is_so: impl Fn(&Measured) -> bool) -> usize {
        self.stores.iter().filter(|store| is_so(store)).count()
    }

    /// The instances of all of the stores.
    pub(crate) fn instances(&self) -> InstanceCounts {
        let each = self.stores.iter().map(|store| store.status.instances);
        each.fold(InstanceCounts::default(), |mut sum, more| {
            sum.idle += more.idle;
            sum.running += more.running;
            sum.max += more.max;
            sum
        })
    }

    /// Of the stores' last snapshots the one that is longest ago, in seconds since 1970.
    pub(crate) fn oldest_snapshot(&self) -> Option<f64> {
        let stores = self.stores.iter();
        let taken = stores.filter_map(|store| store.status.snapshot_taken_at);
        taken.min().map(|at| at as f64 / 1e3)
    }
}
