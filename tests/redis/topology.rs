//! Sentinel, which moves a master, and a cluster, which moves slots.

use std::time::Duration;

use mortise::{ErrorKind, Query, Store};

use super::{assert_sound, keys, prefix, recovered, within};
use crate::support::redis::{RedisCluster, RedisServer, Sentinel, poll};
use crate::support::{Fixture, draft, export_all, find_all, key};

const SECOND: Duration = Duration::from_secs(1);
const OPTIONS: &str = "deadline=1s&sweep-interval=1h";

/// Tries until a write succeeds; until then each attempt is in time, and of a kind that says what was.
async fn write_again(store: &Store, id: &str) {
    for attempt in 0..60 {
        // A new record each time, lest an ambiguous one is in the way.
        let id = format!("{id}-{attempt}");
        match within(SECOND, store.create(draft(&id, "two").attribute("s", "w"))).await {
            Ok(_) => return,
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Ambiguous),
                "{error:?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no write succeeded");
}

async fn with_sentinel() -> (RedisServer, Sentinel, Fixture) {
    let master = RedisServer::start(&[]);
    let sentinel = Sentinel::start(&master);
    let fixture = Fixture::on_redis(&sentinel.url(), OPTIONS).await;
    fixture
        .store
        .create(draft("a", "one").attribute("s", "v"))
        .await
        .unwrap();
    let on = |server: &RedisServer| keys(server, fixture.store.namespace()).contains("r:4:task:a");
    assert!(on(&master));
    poll("the replica to follow", || {
        on(sentinel.replica()).then_some(())
    });
    (master, sentinel, fixture)
}

async fn assert_moved(sentinel: &Sentinel, fixture: &Fixture) {
    let store = &fixture.store;
    write_again(store, "b").await;
    recovered(store).await;
    assert_eq!(
        store.load(&key("a")).await.unwrap().unwrap().draft.body,
        b"one"
    );
    let written = find_all(store, Query::new("task").with("s", "w"))
        .await
        .unwrap();
    assert!(!written.is_empty());
    assert_sound(sentinel.replica(), store).await;
    // Who opens it now finds the new master too.
    let again = fixture.open(OPTIONS).await;
    assert_eq!(export_all(&again).await, export_all(store).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_follows_a_master_that_died() {
    let (mut master, sentinel, fixture) = with_sentinel().await;
    master.kill();
    let error = within(SECOND, fixture.store.load(&key("a")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    sentinel.await_failover();
    assert_moved(&sentinel, &fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_follows_a_master_that_became_a_replica() {
    let (master, sentinel, fixture) = with_sentinel().await;
    sentinel.fail_over();
    poll("the old master to be a replica", || {
        master
            .info("replication")
            .contains("role:slave")
            .then_some(())
    });
    assert_moved(&sentinel, &fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_sentinel_does_not_know_is_refused() {
    let master = RedisServer::start(&[]);
    let sentinel = Sentinel::start(&master);
    let url = format!("{}-other?{OPTIONS}", sentinel.url());
    let host = crate::support::host().build().unwrap();
    let error = within(SECOND, host.open(&url))
        .await
        .expect_err("it opened");
    assert!(
        matches!(error.kind(), ErrorKind::Config | ErrorKind::Unavailable),
        "{error:?}"
    );
}

/// All writes fail, and fail whole.
async fn assert_refused(cluster: &RedisCluster, store: &Store, what: &str) {
    let all = format!("{}*", prefix(store.namespace()));
    let before = cluster.keys(&all);
    let new = draft("new", "x")
        .attribute("s", "v")
        .attribute("new", "x")
        .expires_at(u64::pow(10, 13));
    let batch = vec![
        mortise::Write::put(new.clone()),
        mortise::Write::put(draft("a", "x")),
    ];
    for error in [
        within(SECOND, store.create(new)).await.unwrap_err(),
        within(SECOND, store.apply(batch)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error:?}");
    }
    assert_eq!(
        cluster.keys(&all),
        before,
        "{what}: something was written by halves"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_on_its_way_takes_no_write_by_halves_and_then_all() {
    let cluster = RedisCluster::start();
    let fixture = Fixture::on_redis(&cluster.url(), OPTIONS).await;
    let store = &fixture.store;
    for id in ["a", "b"] {
        store
            .create(draft(id, "one").attribute("s", "v").attribute("only", id))
            .await
            .unwrap();
    }
    let slot = cluster.slot(store.namespace());
    let before = export_all(store).await;

    // No key has moved, one has, whichever, or all have.
    let count = cluster
        .keys(&format!("{}*", prefix(store.namespace())))
        .len();
    assert!(count > 6);
    for moved in 0..=count {
        let moving = cluster.begin_move(slot);
        moving.move_keys(moved);
        assert_refused(&cluster, store, &format!("{moved} of {count} keys moved")).await;
        // A read tells the truth or nothing.
        match within(SECOND, store.load(&key("a"))).await {
            Ok(record) => assert_eq!(record.unwrap().draft.body, b"one", "{moved} keys moved"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
        }
        match within(SECOND, store.find(Query::new("task"))).await {
            Ok(page) => assert_eq!(page.records, before, "{moved} keys moved"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
        }
        let target = moving.to.port();
        moving.finish();
        assert_eq!(cluster.owner(slot).0.port(), target);
        // The store follows to the new node.
        recovered(store).await;
        assert_eq!(export_all(store).await, before);
        assert_sound(cluster.owner(slot).0, store).await;
    }
    write_again(store, "c").await;
    assert_eq!(export_all(store).await.len(), 3);
    store.delete(&key("a"), None).await.unwrap();
    assert_sound(cluster.owner(slot).0, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opens_where_one_node_of_the_cluster_is_down() {
    let cluster = RedisCluster::start();
    let url = cluster
        .url()
        .replace("redis+cluster://", "redis+cluster://127.0.0.1:1,");
    let fixture = Fixture::on_redis(&url, OPTIONS).await;
    fixture.store.create(draft("a", "")).await.unwrap();
    assert_eq!(export_all(&fixture.store).await.len(), 1);
}
