//! The open stores of a host, as one scrape finds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::measures::Measures;
use crate::host::Host;
use crate::status::{BreakerState, InstanceCounts, Status};
use crate::store::Local;

/// The open stores of one name and backend, which are counted together.
pub(super) struct Reading {
    pub(super) store: String,
    pub(super) backend: String,
    pub(super) measures: Arc<Measures>,
    pub(super) stores: Vec<State>,
}

/// How one of them is doing.
pub(super) struct State {
    pub(super) status: Status,
    pub(super) takes_snapshots: bool,
    pub(super) has_sqlite: bool,
}

impl Reading {
    /// Those of all open stores, by backend and name.
    pub(super) fn all(host: &Host) -> Vec<Self> {
        let mut readings = BTreeMap::new();
        for backend in host.serving_backends() {
            for store in host.backend(&backend).stores() {
                let key = (backend.clone(), store.name().to_owned());
                let reading = readings.entry(key).or_insert_with(|| Self {
                    store: store.name().to_owned(),
                    backend: backend.clone(),
                    measures: Arc::clone(&store.0.context.measures),
                    stores: Vec::new(),
                });
                reading.stores.push(State::of(&store));
            }
        }
        readings.into_values().collect()
    }

    /// How many of the stores are in a state.
    pub(super) fn count(&self, is_so: impl Fn(&State) -> bool) -> usize {
        self.stores.iter().filter(|store| is_so(store)).count()
    }

    /// The instances of all of the stores.
    pub(super) fn instances(&self) -> InstanceCounts {
        let each = self.stores.iter().map(|store| store.status.instances);
        each.fold(InstanceCounts::default(), |sum, more| InstanceCounts {
            idle: sum.idle + more.idle,
            running: sum.running + more.running,
            max: sum.max + more.max,
        })
    }

    /// Of the stores' last snapshots the one that is longest ago, in seconds since 1970.
    pub(super) fn oldest_snapshot(&self) -> Option<f64> {
        let stores = self.stores.iter();
        let taken = stores.filter_map(|store| store.status.snapshot_taken_at);
        taken.min().map(|at| at as f64 / 1e3)
    }
}

impl State {
    fn of(store: &Local) -> Self {
        Self {
            status: store.status(),
            takes_snapshots: store.0.snapshots.is_some(),
            has_sqlite: store.0.context.sqlite.is_some(),
        }
    }

    /// The state of its breaker, in a word.
    pub(super) fn breaker(&self) -> &'static str {
        match self.status.breaker {
            BreakerState::Closed => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::Probing => "probing",
        }
    }
}
