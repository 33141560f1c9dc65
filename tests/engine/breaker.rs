//! A backend that traps too often is given a rest, and heals by one probe at a time.

use mortise::{BreakerState, Error, ErrorKind, Store};
use tokio::task::JoinSet;

use crate::support::{Fixture, START, draft, key};

/// Opens after three traps, and rests for a moment.
const BREAKER: &str = "breaker-traps=3&breaker-pause=20ms&deadline=20s";

async fn load(store: &Store, id: &str) -> Result<(), Error> {
    store.load(&key(id)).await.map(drop)
}

async fn kind(store: &Store, id: &str) -> Option<ErrorKind> {
    load(store, id).await.err().map(|error| error.kind())
}

async fn trap(store: &Store, times: u32) {
    for _ in 0..times {
        assert_eq!(kind(store, "trap").await, Some(ErrorKind::Trap));
    }
}

fn is_closed(store: &Store) -> bool {
    store.status().breaker == BreakerState::Closed
}

/// Waits until the next call is the probe.
async fn probe_is_due(store: &Store) {
    while let BreakerState::Open { next_probe } = store.status().breaker {
        if next_probe.is_zero() {
            return;
        }
        tokio::time::sleep(next_probe).await;
    }
    panic!("the breaker is not open: {:?}", store.status());
}

/// Waits until a probe is under way.
async fn probing(store: &Store) {
    while store.status().breaker != BreakerState::Probing {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_traps_open_it_and_a_probe_that_is_answered_closes_it() {
    let fixture = Fixture::with(
        "fault",
        "breaker-traps=3&breaker-pause=10s&breaker-max-pause=10s",
    )
    .await;
    let healthy = fixture.host.open("memory:").await.unwrap();
    let other = fixture.open("breaker-traps=3").await;
    let store = &fixture.store;
    trap(store, 2).await;
    assert!(is_closed(store));
    load(store, "fine").await.unwrap();
    trap(store, 1).await;
    let error = load(store, "trap").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
    assert_eq!(error.backend(), Some("fault"));
    let text = error.to_string();
    for part in [
        "not made",
        "trapped 3 times in",
        "tried in",
        "asked to trap",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(kind(store, "fine").await, Some(ErrorKind::Unavailable));
    // Nothing reached the backend: not one trap more.
    let status = store.status();
    assert_eq!(status.traps, 3);
    assert!(status.last_trap.unwrap().contains("asked to trap"));
    // Neither another backend's store nor another store of the same.
    healthy.create(draft("a", "one")).await.unwrap();
    load(&other, "fine").await.unwrap();

    let store = fixture.open(BREAKER).await;
    trap(&store, 3).await;
    probe_is_due(&store).await;
    load(&store, "fine").await.unwrap();
    assert!(is_closed(&store));
    load(&store, "fine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_traps_opens_it_again() {
    let store = Fixture::with("fault", BREAKER).await.store;
    trap(&store, 3).await;
    for _ in 0..3 {
        probe_is_due(&store).await;
        trap(&store, 1).await;
        assert_eq!(kind(&store, "fine").await, Some(ErrorKind::Unavailable));
    }
    assert_eq!(store.status().traps, 6);
    probe_is_due(&store).await;
    load(&store, "fine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_callers_one_is_the_probe() {
    let fixture = Fixture::with("fault", BREAKER).await;
    trap(&fixture.store, 3).await;
    probe_is_due(&fixture.store).await;
    let mut calls = JoinSet::new();
    for _ in 0..32 {
        let store = fixture.store.clone();
        // Answered once the clock is turned.
        calls.spawn(async move { load(&store, "spin:1000").await });
    }
    for _ in 0..31 {
        let error = calls.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("one is being tried"), "{error}");
    }
    assert_eq!(fixture.store.status().breaker, BreakerState::Probing);
    fixture.clock.advance(1000);
    calls.join_next().await.unwrap().unwrap().unwrap();
    assert!(is_closed(&fixture.store));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_given_up_leaves_the_next_call_to_be_one() {
    let fixture = Fixture::with("fault", BREAKER).await;
    let store = &fixture.store;
    trap(store, 3).await;
    probe_is_due(store).await;
    let probe = tokio::spawn({
        let store = store.clone();
        async move { load(&store, "spin:1000").await }
    });
    probing(store).await;
    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    load(store, "fine").await.unwrap();
    assert!(is_closed(store));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_too_slow_leaves_the_next_call_to_be_one() {
    let options = "breaker-traps=3&breaker-pause=20ms&deadline=300ms";
    let store = Fixture::with("fault", options).await.store;
    trap(&store, 3).await;
    probe_is_due(&store).await;
    assert_eq!(kind(&store, "loop").await, Some(ErrorKind::Deadline));
    load(&store, "fine").await.unwrap();
    assert!(is_closed(&store));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_without_end_and_traps_at_open_count() {
    let from = START + 1;
    let options = format!("memory=16MiB&traps-at-open-from={from}&{BREAKER}");
    let fixture = Fixture::with("fault", &options).await;
    let store = &fixture.store;
    assert_eq!(kind(store, "grow").await, Some(ErrorKind::Trap));
    fixture.clock.set(from);
    // The instance is gone, and no other one opens.
    for _ in 0..2 {
        assert_eq!(kind(store, "fine").await, Some(ErrorKind::Trap));
    }
    assert_eq!(kind(store, "fine").await, Some(ErrorKind::Unavailable));
    assert_eq!(store.status().traps, 3);
    fixture.clock.set(START);
    probe_is_due(store).await;
    load(store, "fine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_trap_does_not_count() {
    let options = "breaker-traps=1&deadline=200ms&response-bytes=40MiB";
    let fault = Fixture::with("fault", options).await.store;
    assert_eq!(kind(&fault, "loop").await, Some(ErrorKind::Deadline));
    assert_eq!(
        kind(&fault, "huge:50000000").await,
        Some(ErrorKind::TooLarge)
    );
    let memory = Fixture::with("memory", "breaker-traps=1").await.store;
    memory.create(draft("a", "one")).await.unwrap();
    let again = memory.create(draft("a", "one")).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    for store in [fault, memory] {
        assert!(is_closed(&store));
        assert_eq!((store.status().traps, store.status().last_trap), (0, None));
    }
    // Switched off, traps are counted and nothing more.
    let fault = Fixture::with("fault", "breaker-traps=0").await.store;
    trap(&fault, 20).await;
    assert!(is_closed(&fault));
    assert_eq!(fault.status().traps, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_told_before_the_breaker() {
    let options = "breaker-traps=2&breaker-pause=20ms";
    let store = Fixture::with("fault-singleton", options).await.store;
    trap(&store, 1).await;
    for _ in 0..5 {
        assert_eq!(kind(&store, "fine").await, Some(ErrorKind::StateLost));
    }
    assert!(store.status().state_lost);
    assert!(is_closed(&store), "a lost state is no trap");
    store.reopen().await.unwrap();
    assert!(!store.status().state_lost);
    trap(&store, 1).await;
    assert!(!is_closed(&store));
    assert_eq!(kind(&store, "fine").await, Some(ErrorKind::StateLost));
    store.reopen().await.unwrap();
    probe_is_due(&store).await;
    load(&store, "fine").await.unwrap();
    assert!(is_closed(&store));
}
