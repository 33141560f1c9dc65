//! What belongs to another namespace, or to another program, is neither seen nor touched.

use std::collections::BTreeSet;

use mortise::{Key, ManualClock, Query, Store, Write};
use serde_json::Value;

use super::{all_but, prefix};
use crate::support::redis::RedisServer;
use crate::support::{Fixture, START, draft, export_all, find_all, host, ids, key};

/// Calls everything that a store offers, so that its records are all its own and end up removed.
async fn exercise(store: &Store, clock: &ManualClock, own: &str) {
    clock.set(START);
    store.clear(None).await.unwrap();
    let made = store
        .create(draft("x", own).attribute("s", "v"))
        .await
        .unwrap();
    store
        .create(
            draft("mortal", own)
                .attribute("s", "v")
                .expires_at(START + 10),
        )
        .await
        .unwrap();
    store
        .update(draft("x", own).attribute("s", "v"), Some(made.mod_revision))
        .await
        .unwrap();
    let other = mortise::Draft::new(Key::new("task:x", "y"), own).attribute("s", "v");
    store
        .apply(vec![Write::put(other), Write::put(draft("z", own))])
        .await
        .unwrap();
    assert_eq!(
        store.load(&key("x")).await.unwrap().unwrap().draft.body,
        own.as_bytes()
    );
    let many = store
        .load_many(vec![key("x"), key("absent")])
        .await
        .unwrap();
    assert_eq!(many.iter().flatten().count(), 1);
    let found = find_all(store, Query::new("task").with("s", "v"))
        .await
        .unwrap();
    assert_eq!(ids(&found), ["x", "mortal"]);
    assert_eq!(
        find_all(store, Query::new("task").by_update())
            .await
            .unwrap()
            .len(),
        3
    );
    let records = export_all(store).await;
    assert_eq!(ids(&records), ["x", "mortal", "y", "z"]);
    assert!(
        records
            .iter()
            .all(|record| record.draft.body == own.as_bytes())
    );
    store.import(records).await.unwrap();
    let counted = store.statistics().await.unwrap();
    let counts: Vec<_> = counted
        .iter()
        .map(|count| (count.collection.as_str(), count.records))
        .collect();
    assert_eq!(counts, [("task", 3), ("task:x", 1)]);
    clock.advance(10);
    assert_eq!(store.sweep(1000).await.unwrap(), 1);
    assert_eq!(store.sweep(1000).await.unwrap(), 0);
    store.delete(&key("z"), None).await.unwrap();
    assert_eq!(store.clear(Some("task")).await.unwrap(), 1);
    assert_eq!(store.clear(None).await.unwrap(), 1);
    store.health().await.unwrap();
}

fn encode(namespace: &str) -> String {
    let bytes = namespace.bytes().map(|byte| format!("%{byte:02X}"));
    bytes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_reaches_another_namespace() {
    let server = RedisServer::start(&[]);
    let fixture = Fixture::on_redis(&server.url(), "").await;
    let mut stores = Vec::new();
    for namespace in [
        "a",
        "a:b",
        "a}",
        "{a",
        "{a}",
        "a%7D",
        "a%",
        "}",
        "%7B",
        "A",
        "a*",
        "*",
        "a\\",
        "[a]",
        "a?",
        "a\n",
        "a\0",
        "mortise:{a}:",
        "a}:r:4:task:x",
        "🦀",
    ] {
        let url = format!(
            "{}?sweep-interval=1h&namespace={}",
            server.url(),
            encode(namespace)
        );
        stores.push(fixture.host.open(&url).await.unwrap());
    }
    for store in &stores {
        let own = store.namespace();
        store
            .create(draft("x", own).attribute("s", "v"))
            .await
            .unwrap();
        store
            .create(draft("mortal", own).expires_at(START + 1))
            .await
            .unwrap();
        store
            .create(mortise::Draft::new(Key::new(own, own), own))
            .await
            .unwrap();
    }
    let prefixes: BTreeSet<_> = stores
        .iter()
        .map(|store| prefix(store.namespace()))
        .collect();
    assert_eq!(prefixes.len(), stores.len());
    fixture.clock.set(START + 10);
    for store in &stores {
        let own = store.namespace();
        let others = all_but(&server, &prefix(own));
        assert!(others.len() > 8 * (stores.len() - 1), "{}", others.len());
        exercise(store, &fixture.clock, own).await;
        assert!(
            all_but(&server, &prefix(own)) == others,
            "{own:?} changed what is not its own"
        );
        // For the next.
        store
            .create(draft("x", own).attribute("s", "v"))
            .await
            .unwrap();
        store
            .create(draft("mortal", own).expires_at(START + 1))
            .await
            .unwrap();
    }
    for store in &stores {
        let found = find_all(store, Query::new("task").with("s", "v"))
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].draft.body, store.namespace().as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_one_server_are_apart() {
    let server = RedisServer::start(&[]);
    let host = host().build().unwrap();
    let zero = host
        .open(&format!("{}?namespace=a", server.url()))
        .await
        .unwrap();
    let one = host
        .open(&format!("{}/1?namespace=a", server.url()))
        .await
        .unwrap();
    one.create(draft("a", "one")).await.unwrap();
    assert!(zero.load(&key("a")).await.unwrap().is_none());
    assert_eq!(zero.clear(None).await.unwrap(), 0);
    assert_eq!(export_all(&one).await.len(), 1);
}

/// The keys that the older store of Teal Agents keeps are for the importer alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_layout_is_left_as_it_is() {
    const TASKS: &str = include_str!("../fixtures/teal-tasks.jsonl");
    let server = RedisServer::start(&[]);
    for line in TASKS.lines().take(20) {
        let task: Value = serde_json::from_str(line).unwrap();
        let id = task["task_id"].as_str().unwrap();
        server.command(&["SET", &format!("task_persistence:task:{id}"), line]);
        for item in task["items"].as_array().unwrap() {
            let request = item["request_id"].as_str().unwrap();
            server.command(&[
                "SADD",
                &format!("task_persistence:request_index:{request}"),
                id,
            ]);
        }
    }
    let tasks = server.keys("task_persistence:task:*");
    assert_eq!(tasks.len(), 20);
    server.command(&["EXPIRE", &tasks[0], "1000000000"]);
    let before = all_but(&server, "mortise:");
    assert!(before.len() > 40);
    let fixture = Fixture::on_redis(&server.url(), "").await;
    for namespace in ["default", "task_persistence", "task_persistence:task:", "*"] {
        let url = format!(
            "{}?sweep-interval=1h&namespace={}",
            server.url(),
            encode(namespace)
        );
        let store = fixture.host.open(&url).await.unwrap();
        exercise(&store, &fixture.clock, namespace).await;
        assert!(
            all_but(&server, "mortise:") == before,
            "{namespace:?} touched the older layout"
        );
    }
    assert!(server.ask::<i64, _>(&["TTL", &tasks[0]]) > 0);
    assert!(
        tasks[1..]
            .iter()
            .all(|task| server.ask::<i64, _>(&["TTL", task]) == -1)
    );
}
