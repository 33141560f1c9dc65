//! Records that end: by their own expiry, and by the store's `ttl`.

use std::collections::BTreeSet;

use mortise::{ErrorKind, Query};

use super::{assert_sound, keys, prefix};
use crate::support::redis::{RedisServer, shared_server};
use crate::support::{Fixture, START, draft, export_all, find_all, host, ids, key};

const HOUR: u64 = 3_600_000;

async fn with(options: &str) -> (Fixture, &'static RedisServer) {
    let server = shared_server();
    let options = format!("sweep-interval=240h&{options}");
    (Fixture::on_redis(&server.url(), &options).await, server)
}

/// No key of the store is given up by the server on its own: its clock is not the store's.
fn assert_persistent(server: &RedisServer, namespace: &str) {
    let prefix = prefix(namespace);
    for key in keys(server, namespace) {
        let ttl: i64 = server.ask(&["PTTL", &format!("{prefix}{key}")]);
        assert_eq!(ttl, -1, "{key} ends by the server's clock");
    }
}

/// The record is absent in every call.
async fn assert_gone(fixture: &Fixture, id: &str) {
    let store = &fixture.store;
    assert!(store.load(&key(id)).await.unwrap().is_none());
    assert_eq!(store.load_many(vec![key(id)]).await.unwrap(), [None]);
    for query in [
        Query::new("task"),
        Query::new("task").by_update(),
        Query::new("task").with("all", ""),
    ] {
        assert!(!ids(&find_all(store, query).await.unwrap()).contains(&id));
    }
    assert!(!ids(&export_all(store).await).contains(&id));
    assert!(
        store
            .update(draft(id, ""), None)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_ttl_nothing_ends() {
    let (fixture, server) = with("").await;
    let store = &fixture.store;
    for id in ["a", "b"] {
        store
            .create(draft(id, "paused").attribute("s", "v"))
            .await
            .unwrap();
    }
    store
        .update(draft("a", "paused").attribute("s", "w"), None)
        .await
        .unwrap();
    assert_persistent(server, store.namespace());
    fixture.clock.advance(50 * 365 * 24 * HOUR);
    assert_eq!(store.sweep(1000).await.unwrap(), 0);
    assert_eq!(export_all(store).await.len(), 2);
    assert!(
        store
            .load(&key("a"))
            .await
            .unwrap()
            .unwrap()
            .draft
            .expires_at
            .is_none()
    );
    assert_sound(server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_ttl_counts_from_the_creation() {
    let (fixture, server) = with("ttl=1h&ttl-policy=fixed").await;
    let store = &fixture.store;
    let record = || draft("a", "").attribute("all", "");
    store.create(record()).await.unwrap();
    fixture.clock.advance(HOUR / 2);
    store.update(record(), None).await.unwrap();
    assert_sound(server, store).await;
    fixture.clock.set(START + HOUR - 1);
    assert!(store.load(&key("a")).await.unwrap().is_some());
    fixture.clock.set(START + HOUR);
    assert_gone(&fixture, "a").await;
    assert!(store.statistics().await.unwrap().is_empty());
    // Created again, it has its whole time again.
    store.create(record()).await.unwrap();
    fixture.clock.advance(HOUR - 1);
    assert!(store.load(&key("a")).await.unwrap().is_some());
    assert_sound(server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ttl_on_write_counts_from_the_last_write() {
    let (fixture, server) = with("ttl=60m&ttl-policy=on-write").await;
    let store = &fixture.store;
    for id in ["a", "b"] {
        store
            .create(draft(id, "").attribute("all", ""))
            .await
            .unwrap();
    }
    for _ in 0..3 {
        fixture.clock.advance(HOUR / 2);
        store
            .update(draft("a", "").attribute("all", ""), None)
            .await
            .unwrap();
        // A read renews nothing.
        store.load(&key("b")).await.unwrap();
    }
    assert_gone(&fixture, "b").await;
    fixture.clock.advance(HOUR - 1);
    assert!(store.load(&key("a")).await.unwrap().is_some());
    fixture.clock.advance(1);
    assert_gone(&fixture, "a").await;
    assert_eq!(store.sweep(1000).await.unwrap(), 2);
    assert_sound(server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_that_names_its_expiry_keeps_it() {
    for policy in ["fixed", "on-write"] {
        let (fixture, server) = with(&format!("ttl=1h&ttl-policy={policy}")).await;
        let store = &fixture.store;
        store
            .create(draft("long", "").expires_at(START + 3 * HOUR))
            .await
            .unwrap();
        store
            .create(draft("short", "").expires_at(START + 10))
            .await
            .unwrap();
        assert_persistent(server, store.namespace());
        fixture.clock.advance(10);
        assert_gone(&fixture, "short").await;
        fixture.clock.set(START + 3 * HOUR - 1);
        let long = store.load(&key("long")).await.unwrap().unwrap();
        assert_eq!(long.draft.expires_at, Some(START + 3 * HOUR), "{policy}");
        fixture.clock.advance(1);
        assert_gone(&fixture, "long").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_leaves_the_keys_of_an_empty_store() {
    let (fixture, server) = with("ttl=90s").await;
    let empty = fixture
        .open("namespace=empty&sweep-interval=240h&ttl=90s")
        .await;
    let write = async |store: &mortise::Store| {
        for number in 0..5 {
            let id = format!("{number}:x");
            let draft = draft(&id, &id).attribute("n", &id).attribute("all", "");
            store.create(draft.clone()).await.unwrap();
            if number % 2 == 0 {
                store
                    .update(draft.attribute("odd", "no"), None)
                    .await
                    .unwrap();
            }
        }
    };
    write(&empty).await;
    empty.clear(None).await.unwrap();
    write(&fixture.store).await;
    fixture.clock.advance(89_999);
    assert_eq!(fixture.store.sweep(1000).await.unwrap(), 0);
    fixture.clock.advance(1);
    assert_eq!(fixture.store.sweep(2).await.unwrap(), 2);
    assert_eq!(fixture.store.sweep(1000).await.unwrap(), 3);
    let kept = |store: &mortise::Store| -> BTreeSet<String> { keys(server, store.namespace()) };
    assert_eq!(kept(&fixture.store), kept(&empty));
    let bytes = format!("{}bytes", prefix(fixture.store.namespace()));
    let counted: Option<u64> = server.ask(&["GET", &bytes]);
    assert_eq!(counted.unwrap_or_default(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_sweeps_by_itself() {
    let server = shared_server();
    let fixture = Fixture::on_redis(&server.url(), "ttl=1h&sweep-interval=20ms").await;
    let store = &fixture.store;
    store
        .create(draft("a", "").attribute("s", "v"))
        .await
        .unwrap();
    let record = |name: &String| name.starts_with("r:") || name.starts_with("a:");
    assert_eq!(
        keys(server, store.namespace())
            .iter()
            .filter(|key| record(key))
            .count(),
        2
    );
    fixture.clock.advance(HOUR);
    crate::support::redis::poll("the sweeper", || {
        (!keys(server, store.namespace()).iter().any(record)).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ttl_that_is_none_is_refused() {
    let host = host().build().unwrap();
    for (options, named) in [
        ("ttl=soon", "ttl"),
        ("ttl=0s", "ttl"),
        ("ttl=-5m", "ttl"),
        ("ttl=5", "ttl"),
        ("ttl=99999999999999999999d", "ttl"),
        ("ttl=1h&ttl-policy=sometimes", "ttl-policy"),
    ] {
        let error = host
            .open(&format!("{}?{options}", shared_server().url()))
            .await
            .err();
        let error = error.unwrap_or_else(|| panic!("{options} opened"));
        assert!(
            matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Config),
            "{options}: {error:?}"
        );
        assert!(error.to_string().contains(named), "{options}: {error:?}");
    }
}
