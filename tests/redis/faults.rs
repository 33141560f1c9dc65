//! Servers that stop, die, are full, or refuse to write.

use std::fs;
use std::time::{Duration, Instant};

use mortise::{Draft, ErrorKind, Query};
use tokio::task::JoinSet;

use super::load::{Load, OPTIONS};
use super::{assert_sound, recovered, within};
use crate::support::redis::RedisServer;
use crate::support::{Fixture, draft, export_all, find_all, host, key};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_hangs_nobody_and_loses_nothing() {
    let server = RedisServer::start(&[]);
    let fixture = Fixture::on_redis(&server.url(), OPTIONS).await;
    let load = Load::start(&fixture.store).await;
    for _ in 0..2 {
        server.stop();
        load.fails().await;
        server.cont();
        load.writes().await;
    }
    load.end(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_a_stopped_server_is_ambiguous_and_a_read_unavailable() {
    let server = RedisServer::start(&[]);
    let fixture = Fixture::on_redis(&server.url(), OPTIONS).await;
    let store = &fixture.store;
    store.create(draft("a", "one")).await.unwrap();
    server.stop();
    let error = within(SECOND, store.create(draft("b", "")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error:?}");
    let error = within(SECOND, store.load(&key("a"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    server.cont();
    recovered(store).await;
    assert_eq!(
        store.load(&key("a")).await.unwrap().unwrap().draft.body,
        b"one"
    );
    assert_sound(&server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_servers_death() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let fixture = Fixture::on_redis(&server.url(), OPTIONS).await;
    let load = Load::start(&fixture.store).await;
    for _ in 0..3 {
        server.kill();
        load.fails().await;
        server.restart();
        load.writes().await;
    }
    load.end(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_could_not_be_sent_did_not_happen() {
    let mut server = RedisServer::start(&[]);
    let fixture = Fixture::on_redis(&server.url(), OPTIONS).await;
    let store = &fixture.store;
    server.kill();
    // After this the store knows.
    let error = within(SECOND, store.load(&key("a"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let error = within(SECOND, store.create(draft("a", "")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    server.restart();
    recovered(store).await;
    store.create(draft("a", "")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_listens_nothing_is_opened() {
    let mut server = RedisServer::start(&[]);
    server.kill();
    let host = host().build().unwrap();
    let url = format!("{}?deadline=1s", server.url());
    let error = within(SECOND, host.open(&url))
        .await
        .expect_err("it opened");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(error.backend(), Some("redis"));
    // A server that takes connections and says nothing.
    server.restart();
    server.stop();
    let error = within(SECOND, host.open(&url))
        .await
        .expect_err("it opened");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_takes_nothing_by_halves_and_goes_on() {
    let server = RedisServer::start(&["--maxmemory-policy", "noeviction"]);
    let fixture = Fixture::on_redis(&server.url(), OPTIONS).await;
    let store = &fixture.store;
    store
        .create(draft("0", "").attribute("number", "0"))
        .await
        .unwrap();
    let memory = server.info("memory");
    let used = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"))
        .unwrap();
    let most = used.parse::<u64>().unwrap() + 4_000_000;
    server.command(&["CONFIG", "SET", "maxmemory", &most.to_string()]);

    let large = |number: usize| {
        let id = number.to_string();
        Draft::new(key(&id), vec![7; 20_000])
            .attribute("number", &id)
            .attribute("all", "")
    };
    let mut callers = JoinSet::new();
    for caller in 1..=8 {
        let store = store.clone();
        callers.spawn(async move {
            let mut written = 0;
            for number in (caller..10_000).step_by(8) {
                match store.create(large(number)).await {
                    Ok(_) => written += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
                        return written;
                    }
                }
            }
            panic!("200 MB are written in 4");
        });
    }
    let written: usize = callers.join_all().await.into_iter().sum();
    assert!(written > 10, "{written} records of 20 kB in 4 MB");
    assert_eq!(export_all(store).await.len(), 1 + written);
    assert_sound(&server, store).await;

    // Full, it takes no update that grows; it reads, and it removes.
    let grown = Draft::new(key("0"), vec![7; 1_000_000]).attribute("number", "grown");
    let error = store.update(grown, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert!(
        store
            .load(&key("0"))
            .await
            .unwrap()
            .unwrap()
            .draft
            .body
            .is_empty()
    );
    let query = || {
        Query::new("task")
            .with("all", "")
            .without_bodies()
            .limit(1000)
    };
    let records = find_all(store, query()).await.unwrap();
    assert_eq!(records.len(), written);
    for record in &records[..written / 2] {
        store
            .delete(record.key(), Some(record.revision()))
            .await
            .unwrap();
    }
    assert_sound(&server, store).await;
    // The server gives memory back in the background.
    let start = Instant::now();
    while let Err(error) = store.create(large(20_000)).await {
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
        assert!(
            start.elapsed() < 30 * SECOND,
            "half of the records are gone"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        find_all(store, query()).await.unwrap().len(),
        written - written / 2 + 1
    );
    store.clear(None).await.unwrap();
    assert_sound(&server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_to_write_is_unavailable_for_writes_alone() {
    let server = RedisServer::start(&[]);
    let nobody = RedisServer::start(&[]).port().to_string();
    let fixture = Fixture::on_redis(&server.url(), OPTIONS).await;
    let store = &fixture.store;
    store
        .create(draft("a", "one").attribute("s", "v"))
        .await
        .unwrap();
    // A snapshot cannot take the place of a folder.
    fs::create_dir(server.folder().join("dump.rdb")).unwrap();
    let refusals = [
        (
            "a read-only replica",
            vec![vec!["REPLICAOF", "127.0.0.1", &nobody]],
            vec!["REPLICAOF", "NO", "ONE"],
        ),
        (
            "too few replicas",
            vec![vec!["CONFIG", "SET", "min-replicas-to-write", "1"]],
            vec!["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
        (
            "no snapshot (MISCONF)",
            vec![
                vec!["CONFIG", "SET", "save", "3600 1000000"],
                vec!["BGSAVE"],
            ],
            vec!["CONFIG", "SET", "save", ""],
        ),
    ];
    for (what, begin, end) in refusals {
        let load = Load::start(store).await;
        for command in begin {
            server.command(&command);
        }
        load.fails().await;
        let before = super::keys(&server, store.namespace());
        for error in [
            store
                .create(draft("b", "").attribute("s", "v"))
                .await
                .unwrap_err(),
            store
                .update(draft("a", "two").attribute("s", "w"), None)
                .await
                .unwrap_err(),
            store.delete(&key("a"), None).await.unwrap_err(),
            store.clear(None).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error:?}");
        }
        assert_eq!(super::keys(&server, store.namespace()), before, "{what}");
        assert_eq!(
            store.load(&key("a")).await.unwrap().unwrap().draft.body,
            b"one",
            "{what}"
        );
        let query = Query::new("task").with("s", "v");
        assert_eq!(find_all(store, query).await.unwrap().len(), 1, "{what}");
        server.command(&end);
        load.writes().await;
        store.delete(&key("a"), None).await.unwrap();
        load.end(&server).await;
        store.clear(None).await.unwrap();
        store
            .create(draft("a", "one").attribute("s", "v"))
            .await
            .unwrap();
    }
}
