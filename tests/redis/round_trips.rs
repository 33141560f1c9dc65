//! How often the server is asked, by its own count; and scripts that it forgets.

use std::collections::BTreeSet;

use mortise::{Query, Write};

use super::{assert_sound, keys};
use crate::support::redis::{Monitor, RedisServer};
use crate::support::{Fixture, draft, export_all, find_all, key};

/// What clients sent since this was asked last: one command, or the test fails.
fn assert_one(monitor: &mut Monitor, what: &str) {
    let sent = monitor.take();
    assert_eq!(sent.len(), 1, "{what} took {sent:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_one_round_trip() {
    let server = RedisServer::start(&[]);
    let fixture = Fixture::on_redis(&server.url(), "sweep-interval=1h").await;
    let store = &fixture.store;
    let full = |id: &str, body: &str| draft(id, body).attribute("s", body).attribute("all", "");
    let mut monitor = server.monitor();
    for round in ["to load the scripts", "to count"] {
        let first = monitor.take();
        assert!(round == "to count" || first.is_empty(), "{first:#?}");
        let one = |monitor: &mut Monitor, what: &str| match round {
            "to count" => assert_one(monitor, what),
            _ => drop(monitor.take()),
        };
        server.reset_stats();
        let stamp = store.create(full("a", "one")).await.unwrap();
        one(&mut monitor, "create");
        let stamp = store
            .update(full("a", "two"), Some(stamp.mod_revision))
            .await
            .unwrap();
        one(&mut monitor, "update");
        let stamp_of_put = store.update(full("a", "three"), None).await.unwrap();
        one(&mut monitor, "update without a revision");
        assert!(
            store
                .update(full("a", "x"), Some(stamp.mod_revision))
                .await
                .is_err()
        );
        one(&mut monitor, "a conflict");
        assert!(store.create(full("a", "x")).await.is_err());
        one(&mut monitor, "create of what is there");
        let batch = (0..50).map(|number| Write::put(full(&format!("b{number}"), "batch")));
        store.apply(batch.collect()).await.unwrap();
        one(&mut monitor, "apply");
        store
            .delete(&key("a"), Some(stamp_of_put.mod_revision))
            .await
            .unwrap();
        one(&mut monitor, "delete");
        let calls = [server.calls("evalsha"), server.calls("eval")];
        assert!(
            round != "to count" || calls == [7, 0],
            "{calls:?} scripts for 7 writes"
        );

        assert!(store.load(&key("b0")).await.unwrap().is_some());
        one(&mut monitor, "load");
        assert!(store.load(&key("absent")).await.unwrap().is_none());
        one(&mut monitor, "load of what is not there");
        let many = (0..50).map(|number| key(&format!("b{number}"))).collect();
        assert_eq!(
            store
                .load_many(many)
                .await
                .unwrap()
                .iter()
                .flatten()
                .count(),
            50
        );
        one(&mut monitor, "load-many");
        for (query, what) in [
            (Query::new("task"), "find of a collection"),
            (
                Query::new("task").by_update().descending(),
                "find by update",
            ),
            (Query::new("task").with("all", ""), "find by an attribute"),
            (
                Query::new("task").with("all", "").with("s", "batch"),
                "find by two attributes",
            ),
            (Query::new("nothing"), "find of nothing"),
        ] {
            let found = store.find(query.limit(10)).await.unwrap();
            assert!(what == "find of nothing" || found.records.len() == 10);
            one(&mut monitor, what);
        }
        store.export(None, 100).await.unwrap();
        one(&mut monitor, "export");
        assert_eq!(store.sweep(100).await.unwrap(), 0);
        one(&mut monitor, "sweep");
        assert_eq!(store.clear(None).await.unwrap(), 50);
        one(&mut monitor, "clear");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_forgotten_are_loaded_again() {
    let server = RedisServer::start(&[]);
    let fixture = Fixture::on_redis(&server.url(), "sweep-interval=1h").await;
    let store = &fixture.store;
    for round in 0..3 {
        let id = round.to_string();
        server.command(&["SCRIPT", "FLUSH"]);
        store
            .create(draft(&id, "one").attribute("s", "v"))
            .await
            .unwrap();
        server.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(
            store.load(&key(&id)).await.unwrap().unwrap().draft.body,
            b"one"
        );
        server.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(
            store
                .load_many(vec![key(&id)])
                .await
                .unwrap()
                .iter()
                .flatten()
                .count(),
            1
        );
        server.command(&["SCRIPT", "FLUSH"]);
        store
            .update(draft(&id, "two").attribute("s", "v"), None)
            .await
            .unwrap();
        server.command(&["SCRIPT", "FLUSH"]);
        let found = find_all(store, Query::new("task").with("s", "v"))
            .await
            .unwrap();
        assert_eq!(found.len(), round + 1);
        server.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(export_all(store).await, found);
        server.command(&["SCRIPT", "FLUSH"]);
        store.import(found).await.unwrap();
        server.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(
            store.statistics().await.unwrap()[0].records,
            round as u64 + 1
        );
        server.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(store.sweep(10).await.unwrap(), 0);
    }
    assert_sound(&server, store).await;
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.clear(None).await.unwrap(), 3);
    server.command(&["SCRIPT", "FLUSH"]);
    store.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_emptied_is_an_empty_store() {
    let server = RedisServer::start(&[]);
    let fixture = Fixture::on_redis(&server.url(), "sweep-interval=1h").await;
    let store = &fixture.store;
    for id in ["a", "b", "c"] {
        store
            .create(
                draft(id, "one")
                    .attribute("s", "v")
                    .expires_at(u64::pow(10, 13)),
            )
            .await
            .unwrap();
    }
    let page = store.find(Query::new("task").limit(1)).await.unwrap();
    server.command(&["FLUSHALL"]);
    assert!(store.load(&key("a")).await.unwrap().is_none());
    let rest = store
        .find(Query::new("task").limit(1).after(page.next))
        .await
        .unwrap();
    assert!(rest.records.is_empty());
    assert!(
        find_all(store, Query::new("task").with("s", "v"))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(export_all(store).await.is_empty());
    assert!(store.statistics().await.unwrap().is_empty());
    assert_eq!(
        (
            store.sweep(10).await.unwrap(),
            store.clear(None).await.unwrap()
        ),
        (0, 0)
    );
    assert!(
        store
            .update(draft("a", ""), None)
            .await
            .unwrap_err()
            .is_not_found()
    );
    store
        .create(draft("a", "two").attribute("s", "v"))
        .await
        .unwrap();
    assert_sound(&server, store).await;
    assert_eq!(keys(&server, store.namespace()), {
        let names = [
            "a:4:task:1:s:v",
            "c:task",
            "u:task",
            "r:4:task:a",
            "collections",
            "revision",
        ];
        let mut names: BTreeSet<_> = names.map(str::to_owned).into();
        // Kept beside, where they are kept.
        let beside = ["bytes", "layout"].map(str::to_owned);
        names.extend(
            keys(&server, store.namespace())
                .into_iter()
                .filter(|key| beside.contains(key)),
        );
        names
    });
}
