//! The model keeps the contract: every clause that needs no component holds of its stores.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mortise_config::StoreConfig;
use mortise_conformance::inside::{
    Bare, Faults, Finding, Meeting, START, Settings, Subject, World, check, chosen,
};
use mortise_conformance::{ModelPlace, Verdict, smoke};
use mortise_store::inside::{ErrorInside as _, Injected, Later, StoreInside as _};
use mortise_store::{
    Description, Draft, Error, ErrorKind, Key, ManualClock, Operation, Result, Store,
};

/// A world of models: one for each namespace.
struct Models {
    clock: Arc<ManualClock>,
    description: Description,
    config: StoreConfig,
    settings: Settings,
    places: Mutex<BTreeMap<String, ModelPlace>>,
}

impl Models {
    fn new(cases: u32) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        Self {
            description: ModelPlace::new(clock.clone()).store().describe(),
            clock,
            config: StoreConfig::new("model").namespace("models"),
            settings: Settings {
                seed: 0,
                cases,
                worker: None,
            },
            places: Mutex::default(),
        }
    }
}

impl World for Models {
    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn config(&self) -> &StoreConfig {
        &self.config
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn uses_storage(&self) -> bool {
        false
    }

    fn component(&self) -> Result<Cow<'_, [u8]>> {
        Err(Error::config("the model has no file"))
    }

    fn open(&self, config: StoreConfig) -> Later<'_, Result<Store>> {
        Box::pin(async move {
            if let Some(option) = config.options.keys().next() {
                let what = format!("the model has no option {option:?}");
                return Err(Error::invalid(Operation::Open, what));
            }
            let mut places = self.places.lock().unwrap();
            let place = places.entry(config.namespace.clone()).or_insert_with(|| {
                ModelPlace::new(self.clock.clone()).namespace(config.namespace.clone())
            });
            Ok(place.another().limits(config.limits).store())
        })
    }

    fn faults(&self) -> &dyn Faults {
        &NoFaults
    }

    fn bare(&self, _count: usize) -> Later<'_, Result<Vec<Box<dyn Bare>>, Finding>> {
        Box::pin(async { Err(Finding::not_applicable("the model has no instances")) })
    }

    fn bare_without_capabilities(&self) -> Later<'_, Result<Box<dyn Bare>, Finding>> {
        Box::pin(async { Err(Finding::not_applicable("the model has no instances")) })
    }
}

/// The model calls no capability.
struct NoFaults;

impl Faults for NoFaults {
    fn order(&self, _fault: Injected, _k: u32) {}

    fn withdraw(&self) -> bool {
        true
    }

    fn meet(&self, _callers: usize, _patience: Duration) -> Box<dyn Meeting + '_> {
        Box::new(())
    }
}

#[tokio::test]
async fn a_store_of_the_model_keeps_the_smoke_clauses() {
    let clock = Arc::new(ManualClock::new(START));
    let store = Store::at(Arc::new(ModelPlace::new(clock)));
    smoke(&store).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_keeps_every_clause_that_needs_no_component() {
    let mut skipped = Vec::new();
    for clause in chosen(&[]).unwrap() {
        let world = Subject::new(Models::new(32));
        let checked = check(clause, Ok(world)).await;
        match checked.verdict {
            Verdict::Held => {}
            Verdict::Failed(found) => panic!("{}: {found}", clause.id()),
            Verdict::Skipped(_) => skipped.push(clause.id()),
        }
    }
    // Instances, durability, and capabilities that fail.
    let expected = [
        "describe/stable",
        "describe/uses-no-capability",
        "describe/pooled",
        "open/before",
        "durability/reopen",
        "durability/kill",
        "faults/io-error",
        "faults/busy",
        "faults/full",
        "faults/lost-answer",
        "faults/read-errors",
    ];
    assert_eq!(skipped, expected);
}

#[tokio::test]
async fn an_error_of_the_model_is_as_one_of_a_component() {
    let clock = Arc::new(ManualClock::new(START));
    let store = ModelPlace::new(clock).named("tasks").store();
    let key = Key::new("task", "a");
    let stamp = store.create(Draft::new(key.clone(), "1")).await.unwrap();
    let stale = stamp.mod_revision + 1;
    let changed = store.update(Draft::new(key.clone(), "2"), Some(stale));
    let error = changed.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.operation(), Operation::Update);
    assert_eq!(error.backend(), Some("model"));
    assert_eq!(error.key(), Some(&key));
    assert_eq!(error.current(), store.load(&key).await.unwrap().as_ref());
    let again = mortise_store::Write::create(Draft::new(key.clone(), "3"));
    let first = mortise_store::Write::create(Draft::new(Key::new("task", "b"), "3"));
    let error = store.apply(vec![first, again]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!((error.write_index(), error.key()), (Some(1), Some(&key)));
}

#[test]
fn two_stores_of_the_same_records_share_their_storage() {
    let clock = Arc::new(ManualClock::new(START));
    let place = ModelPlace::new(clock.clone());
    let (one, other) = (place.another().store(), place.store());
    assert!(one.shares_storage_with(&other));
    assert!(!one.shares_storage_with(&ModelPlace::new(clock).store()));
}
