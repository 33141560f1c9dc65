//! Agent state on stores of the model: its main promises, without a component. Package `mortise-tests` has them all, on
//! every backend.

mod entities;
mod lifecycle;
mod resume;
mod tasks;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mortise_agent::{Lifecycle, Machine, Object};
use mortise_conformance::ModelPlace;
use mortise_store::{Draft, Key, ManualClock, Store, Stored, Write};

/// When the clock starts: 2026-01-01, in UTC.
const START: u64 = 1_767_225_600_000;

/// An empty store, and the clock that it goes by.
fn store() -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    (ModelPlace::new(clock.clone()).store(), clock)
}

fn object(json: &str) -> Object {
    serde_json::from_str(json).unwrap()
}

/// What the record of a collection is, as it is kept.
async fn stored(store: &Store, collection: &str, id: &str) -> Option<Stored> {
    store.load(&Key::new(collection, id)).await.unwrap()
}

async fn all(store: &Store) -> Vec<Stored> {
    let page = store.export(None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.records
}

/// The lifecycle of the jobs of a store.
fn jobs(store: &Store) -> Lifecycle {
    Lifecycle::new(store.clone(), "job", Machine::entity())
}

/// Puts a job into a state, whatever it was in.
async fn put(store: &Store, id: &str, status: &str) {
    let body = format!(r#"{{"id":"{id}","status":"{status}","cost":0.10}}"#);
    let draft = Draft::new(Key::new("job", id), body).attribute("status", status);
    store.apply(vec![Write::put(draft)]).await.unwrap();
}

/// What a call answers in the midst of another: the model gives way to others, and waits for none of them.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
    }
}
