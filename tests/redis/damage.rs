//! Records whose bytes somebody else overwrote.

use mortise::{ErrorKind, Query, Store};

use super::{QUARANTINE, assert_sound, prefix};
use crate::support::redis::{RedisServer, shared_server};
use crate::support::{Fixture, draft, export_all, find_all, key};

/// A store with three records, of which the second is to be damaged, and its key on the server.
async fn three() -> (Fixture, &'static RedisServer, String) {
    let server = shared_server();
    let fixture = Fixture::on_redis(&server.url(), "sweep-interval=1h").await;
    for id in ["a", "b", "c"] {
        let draft = draft(id, "a body")
            .attribute("s", "v")
            .attribute("only", id);
        fixture.store.create(draft).await.unwrap();
    }
    let damaged = format!("{}r:4:task:b", prefix(fixture.store.namespace()));
    assert!(server.ask::<bool, _>(&["EXISTS", &damaged]));
    (fixture, server, damaged)
}

/// Every way to damage a value.
fn damages(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let flipped = |place: usize| {
        let mut bytes = value.to_vec();
        bytes[place] = 0xff;
        bytes
    };
    vec![
        ("nothing", Vec::new()),
        ("garbage", b"garbage".to_vec()),
        ("long garbage", vec![0xfe; 4096]),
        ("JSON", b"{\"task_id\":\"b\"}".to_vec()),
        ("one byte", value[..1].to_vec()),
        ("half of the head", value[..20].to_vec()),
        (
            "the head and no more",
            value[..92.min(value.len() - 8)].to_vec(),
        ),
        ("another format", flipped(0)),
        ("another revision", flipped(5)),
        ("another time", flipped(50)),
        ("an attribute that is no text", flipped(92)),
    ]
}

/// What is set aside: its id, and the report.
async fn set_aside(store: &Store) -> Vec<(String, Vec<u8>)> {
    let records = find_all(store, Query::new(QUARANTINE)).await.unwrap();
    records
        .into_iter()
        .map(|record| {
            let id = record
                .draft
                .attributes
                .iter()
                .find(|pair| pair.name == "quarantine-id");
            (id.expect("it has an id").value.clone(), record.draft.body)
        })
        .collect()
}

async fn others(store: &Store) -> Vec<String> {
    let records = export_all(store).await.into_iter();
    let kept = records.filter(|record| record.key().collection != QUARANTINE);
    kept.map(|record| record.key().id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_reported_once_and_set_aside() {
    let (_fixture, server, damaged) = three().await;
    let value: Vec<u8> = server.ask(&["GET", &damaged]);
    for (what, bytes) in damages(&value) {
        let (fixture, _, damaged) = three().await;
        let store = &fixture.store;
        server.command(&[b"SET", damaged.as_bytes(), &bytes]);
        let error = store.load(&key("b")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}");
        assert_eq!(error.key(), Some(&key("b")), "{what}");
        assert!(store.load(&key("b")).await.unwrap().is_none(), "{what}");
        let aside = set_aside(store).await;
        assert_eq!(aside.len(), 1, "{what}");
        assert_eq!(others(store).await, ["a", "c"], "{what}");
        assert_read_once(server, store, what).await;
        // The place is free again.
        store
            .create(draft("b", "new").attribute("s", "v").attribute("only", "b"))
            .await
            .unwrap();
        assert_eq!(
            store.load(&key("b")).await.unwrap().unwrap().draft.body,
            b"new"
        );
        assert_eq!(set_aside(store).await, aside, "{what}");
        assert_sound(server, store).await;
    }
}

/// Reads every index, after which nothing is left of the record that went.
async fn assert_read_once(server: &RedisServer, store: &Store, what: &str) {
    for query in [
        Query::new("task"),
        Query::new("task").by_update(),
        Query::new("task").with("s", "v"),
        Query::new("task").with("s", "v").by_update(),
    ] {
        let found = find_all(store, query.clone()).await.unwrap();
        assert_eq!(found.len(), 2, "{what}: {query:?}");
    }
    let only = Query::new("task").with("only", "b");
    assert!(find_all(store, only).await.unwrap().is_empty(), "{what}");
    assert_sound(server, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_left_out_wherever_it_is_met_first() {
    for first in [
        "find",
        "find without bodies",
        "find by attribute",
        "export",
        "load-many",
    ] {
        let (fixture, server, damaged) = three().await;
        let store = &fixture.store;
        let mut value: Vec<u8> = server.ask(&["GET", &damaged]);
        // Within its first attribute: its head, and with it its place in the indexes, can be read.
        value[92] = 0xff;
        server.command(&[b"SET", damaged.as_bytes(), &value]);
        match first {
            "find without bodies" => {
                let query = Query::new("task").without_bodies();
                assert_eq!(find_all(store, query).await.unwrap().len(), 2);
            }
            "find" => assert_eq!(find_all(store, Query::new("task")).await.unwrap().len(), 2),
            "find by attribute" => {
                let query = Query::new("task").with("s", "v");
                assert_eq!(find_all(store, query).await.unwrap().len(), 2);
            }
            "export" => assert_eq!(others(store).await, ["a", "c"]),
            _ => match store.load_many(vec![key("a"), key("b")]).await {
                Ok(records) => assert_eq!(records.iter().flatten().count(), 1),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}"),
            },
        }
        let body = b"a body".to_vec();
        assert_eq!(set_aside(store).await, [("b".to_owned(), body)], "{first}");
        assert!(store.load(&key("b")).await.unwrap().is_none(), "{first}");
        assert_read_once(server, store, first).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_meets_a_damaged_record() {
    for write in ["create", "update", "delete"] {
        let (fixture, server, damaged) = three().await;
        let store = &fixture.store;
        server.command(&["SET", &damaged, "garbage"]);
        let result = match write {
            "create" => store.create(draft("b", "new")).await.map(drop),
            "update" => store.update(draft("b", "new"), None).await.map(drop),
            _ => store.delete(&key("b"), None).await,
        };
        // It is absent by then, or this is who reports it; what is sure is that it is kept.
        if let Err(error) = result {
            let kinds = [ErrorKind::Corrupt, ErrorKind::NotFound];
            assert!(kinds.contains(&error.kind()), "{write}: {error:?}");
        }
        assert_eq!(set_aside(store).await.len(), 1, "{write}");
        let _ = store.delete(&key("b"), None).await;
        assert_read_once(server, store, write).await;
    }
}
