//! Corrupt records: set aside, told, never deleted.

use mortise::agent::{AgentTask, TaskQuery, TaskStore};
use mortise::{Attribute, Draft, ErrorKind, Key, QUARANTINE, QuarantineEntry, Query, Store};

use crate::support::{Fixture, START, draft, export_all, find_all, ids, key, on_every_backend};

/// A body that is no JSON, nor text.
const TORN: &[u8] = b"{\"task_id\":\"t\",\xff";

async fn entries(store: &Store) -> Vec<QuarantineEntry> {
    let page = store.quarantine().list(None, 100).await.unwrap();
    assert_eq!(page.next, None);
    page.entries
}

/// Puts a task there whose body is torn, with the attributes that it had.
async fn torn(store: &Store, id: &str) {
    let torn = Draft::new(key(id), TORN).attribute("request-id", "r");
    store.create(torn).await.unwrap();
}

fn task(id: &str) -> AgentTask {
    let mut task = AgentTask::new(id);
    task.push_text("r", "user", "hello");
    task
}

async fn listed(tasks: &TaskStore, limit: u32) -> Vec<String> {
    let mut query = TaskQuery {
        limit,
        ..TaskQuery::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = tasks.list(query.clone()).await.unwrap();
        ids.extend(page.tasks.into_iter().map(|task| task.value.task_id));
        query.after = page.next;
        if query.after.is_none() {
            return ids;
        }
    }
}

on_every_backend! {
    async fn a_task_that_is_no_json_is_set_aside_and_restored(fixture: Fixture) {
        let store = &fixture.store;
        let tasks = TaskStore::new(store.clone());
        torn(store, "t").await;
        fixture.clock.advance(5);
        let error = tasks.load("t").await.unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Corrupt, Some(&key("t"))));
        let set_aside = entries(store).await;
        let [entry] = &set_aside[..] else { panic!("{set_aside:?}") };
        assert!(error.to_string().ends_with(&format!("was set aside as {}", entry.id)), "{error}");
        assert_eq!((&entry.key, entry.at), (&key("t"), START + 5));
        assert!(entry.reason.starts_with("the body is no JSON: "), "{}", entry.reason);
        assert!(entry.bytes.is_empty());

        assert!(tasks.load("t").await.unwrap().is_none());
        let quarantine = store.quarantine();
        let loaded = quarantine.load(&entry.id).await.unwrap().unwrap();
        assert_eq!(loaded.bytes, TORN);
        assert_eq!(loaded.attributes, [Attribute::new("request-id", "r")]);

        let mended = serde_json::to_vec(&task("t")).unwrap();
        let (restored, revision) = quarantine.restore(&entry.id, Some(mended)).await.unwrap();
        assert_eq!(restored, key("t"));
        let again = tasks.load_by_request_id("r").await.unwrap().unwrap();
        assert_eq!((again.task_id.as_str(), again.revision), ("t", revision));
        assert_eq!(entries(store).await, []);
        let error = quarantine.restore(&entry.id, None).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert_eq!(error.key(), Some(&Key::new(QUARANTINE, &entry.id)));
        assert!(quarantine.load(&entry.id).await.unwrap().is_none());
    }

    async fn a_list_goes_on_without_the_tasks_that_are_no_json(fixture: Fixture) {
        let store = &fixture.store;
        let tasks = TaskStore::new(store.clone());
        for limit in [1, 2, 100] {
            store.clear(None).await.unwrap();
            for id in ["a", "c", "d", "f"] {
                torn(store, id).await;
                if id != "c" {
                    tasks.create(&task(&format!("{id}-good"))).await.unwrap();
                }
            }
            assert_eq!(listed(&tasks, limit).await, ["a-good", "d-good", "f-good"]);
            let keys: Vec<_> = entries(store).await.into_iter().map(|entry| entry.key.id).collect();
            assert_eq!(keys, ["a", "c", "d", "f"]);
        }
    }

    async fn a_request_leads_to_the_oldest_task_that_can_be_read(fixture: Fixture) {
        let store = &fixture.store;
        let tasks = TaskStore::new(store.clone());
        torn(store, "a").await;
        torn(store, "b").await;
        assert!(tasks.load_by_request_id("r").await.unwrap().is_none());
        assert_eq!(entries(store).await.len(), 2);
        torn(store, "a").await;
        torn(store, "b").await;
        tasks.create(&task("c")).await.unwrap();
        assert_eq!(tasks.load_by_request_id("r").await.unwrap().unwrap().task_id, "c");
        assert_eq!(entries(store).await.len(), 4);
        torn(store, "d").await;
        let error = tasks.modify("d", |_| ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(entries(store).await.len(), 5);
    }

    async fn who_meets_one_record_at_once_sets_it_aside_once(fixture: Fixture) {
        let tasks = TaskStore::new(fixture.store.clone());
        torn(&fixture.store, "t").await;
        let loads = (0..8).map(|_| {
            let tasks = tasks.clone();
            tokio::spawn(async move { tasks.load("t").await })
        });
        for load in loads.collect::<Vec<_>>() {
            if let Err(error) = load.await.unwrap() {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert!(!error.to_string().contains("could not"), "{error}");
            }
        }
        assert_eq!(entries(&fixture.store).await.len(), 1);
    }

    async fn a_record_of_another_shape_stays_where_it_is(fixture: Fixture) {
        let store = &fixture.store;
        let tasks = TaskStore::new(store.clone());
        for body in ["7", "{}", "\"t\"", "[1]", "{\"task_id\":7}"] {
            let revision = store.create(draft("t", body)).await.unwrap().mod_revision;
            assert_eq!(tasks.load("t").await.unwrap_err().kind(), ErrorKind::Corrupt, "{body}");
            let listed = tasks.list(TaskQuery::default()).await;
            assert_eq!(listed.unwrap_err().kind(), ErrorKind::Corrupt, "{body}");
            store.delete(&key("t"), Some(revision)).await.unwrap();
        }
        for body in ["", "{", "7 7", "{\"task_id\":}", "\0"] {
            store.create(draft("t", body)).await.unwrap();
            assert_eq!(tasks.load("t").await.unwrap_err().kind(), ErrorKind::Corrupt, "{body}");
        }
        assert_eq!(entries(store).await.len(), 5);
    }

    async fn an_entry_stays_where_its_key_was_taken(fixture: Fixture) {
        let store = &fixture.store;
        let quarantine = store.quarantine();
        torn(store, "t").await;
        let corrupt = store.load(&key("t")).await.unwrap().unwrap();
        let id = quarantine.set_aside(&corrupt, "why").await.unwrap();
        store.create(draft("t", "anew")).await.unwrap();
        let error = quarantine.restore(&id, None).await.unwrap_err();
        assert!(error.is_already_exists(), "{error}");
        assert_eq!(error.key(), Some(&key("t")));
        assert_eq!(error.hint(), Some("delete the record that is there, or drop the entry"));
        assert_eq!(quarantine.load(&id).await.unwrap().unwrap().bytes, TORN);
        store.delete(&key("t"), None).await.unwrap();
        quarantine.restore(&id, None).await.unwrap();
        let restored = store.load(&key("t")).await.unwrap().unwrap();
        assert_eq!((restored.draft.body, restored.draft.attributes), (TORN.into(), corrupt.draft.attributes));
    }

    async fn nothing_is_set_aside_that_changed_since(fixture: Fixture) {
        let store = &fixture.store;
        let quarantine = store.quarantine();
        store.create(draft("t", "one")).await.unwrap();
        let stale = store.load(&key("t")).await.unwrap().unwrap();
        store.update(draft("t", "two"), None).await.unwrap();
        let error = quarantine.set_aside(&stale, "why").await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        store.delete(&key("t"), None).await.unwrap();
        let error = quarantine.set_aside(&stale, "why").await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert_eq!(entries(store).await, []);
    }

    async fn an_entry_is_never_written_over(fixture: Fixture) {
        let store = &fixture.store;
        let quarantine = store.quarantine();
        store.create(draft("t", "first")).await.unwrap();
        let mut corrupt = store.load(&key("t")).await.unwrap().unwrap();
        let first = quarantine.set_aside(&corrupt, "why").await.unwrap();
        // The same revision once more, as from a backup, and as a query without bodies finds it.
        corrupt.draft.body = b"second".into();
        store.import(vec![corrupt.clone()]).await.unwrap();
        let found = store.find(Query::new("task").without_bodies()).await.unwrap().records;
        let second = quarantine.set_aside(&found[0], "why").await.unwrap();
        assert_ne!(first, second);
        for (id, bytes) in [(&first, "first"), (&second, "second")] {
            assert_eq!(quarantine.load(id).await.unwrap().unwrap().bytes, bytes.as_bytes());
        }
        quarantine.remove(&first).await.unwrap();
        assert!(quarantine.remove(&first).await.unwrap_err().is_not_found());
        assert_eq!(entries(store).await.len(), 1);
    }

    async fn entries_are_counted_exported_and_imported(fixture: Fixture) {
        let store = &fixture.store;
        let tasks = TaskStore::new(store.clone());
        torn(store, "t").await;
        tasks.load("t").await.unwrap_err();
        let counted = store.statistics().await.unwrap();
        assert_eq!((counted[0].collection.as_str(), counted[0].records), (QUARANTINE, 1));
        let exported = export_all(store).await;
        let before = entries(store).await;
        store.clear(None).await.unwrap();
        assert_eq!(entries(store).await, []);
        store.import(exported).await.unwrap();
        assert_eq!(entries(store).await, before);
        store.quarantine().restore(&before[0].id, None).await.unwrap();
        assert_eq!(store.load(&key("t")).await.unwrap().unwrap().draft.body, TORN);
    }

    async fn what_is_no_entry_is_listed_and_not_restored(fixture: Fixture) {
        let store = &fixture.store;
        let place = Key::new(QUARANTINE, "mine");
        store.create(Draft::new(place.clone(), "x")).await.unwrap();
        assert_eq!(entries(store).await[0].key, place);
        let error = store.quarantine().restore("mine", None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(store.load(&place).await.unwrap().is_some());
    }
}

/// A SQLite store with records `0` to `4`, and its file as another program sees it, damaged.
async fn damaged_by(sql: &str) -> (Fixture, rusqlite::Connection) {
    let fixture = Fixture::with("sqlite", "synchronous=normal").await;
    let raw = rusqlite::Connection::open(fixture.database()).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    fill_and_damage(&fixture.store, &raw, sql).await;
    (fixture, raw)
}

async fn fill_and_damage(store: &Store, raw: &rusqlite::Connection, sql: &str) {
    store.clear(None).await.unwrap();
    for number in 0..5 {
        let id = number.to_string();
        let draft = draft(&id, &format!("body {id}"))
            .attribute("z", "")
            .attribute("all", "");
        store.create(draft).await.unwrap();
    }
    assert!(raw.execute(sql, []).unwrap() > 0, "{sql} damages nothing");
}

const GARBLE: &str = "UPDATE records SET attributes = x'ffff' WHERE collection = 'task' AND id";

/// Everything that a row can hold and no record has.
const DAMAGES: [&str; 6] = [
    "UPDATE records SET attributes = x'ffff' WHERE id = '2'",
    "UPDATE records SET attributes = x'0000' WHERE id = '2'",
    "UPDATE records SET created_at = -1 WHERE id = '2'",
    "UPDATE records SET updated_at = -9223372036854775808 WHERE id = '2'",
    "UPDATE records SET mod_revision = -3 WHERE id = '2'",
    "UPDATE records SET mod_revision = 0 WHERE id = '2'",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_makes_no_record_is_set_aside_by_a_load() {
    for sql in DAMAGES {
        let (fixture, raw) = damaged_by(sql).await;
        let store = &fixture.store;
        let error = store.load(&key("2")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.key()),
            (ErrorKind::Corrupt, Some(&key("2"))),
            "{sql}"
        );
        assert!(store.load(&key("2")).await.unwrap().is_none(), "{sql}");
        let entry = entries(store).await.remove(0);
        assert_eq!((&entry.key, entry.at), (&key("2"), START), "{sql}");
        let entry = store.quarantine().load(&entry.id).await.unwrap().unwrap();
        assert_eq!(entry.bytes, b"body 2", "{sql}");
        // Where the record has them no more, the index has.
        let mut attributes = entry.attributes;
        attributes.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(
            attributes,
            ["all", "z"].map(|name| Attribute::new(name, "")),
            "{sql}"
        );
        assert_eq!(
            ids(&find_all(store, by("all")).await.unwrap()),
            ["0", "1", "3", "4"],
            "{sql}"
        );

        let found = find_all(store, Query::new(QUARANTINE).with("quarantine-id", "2")).await;
        assert_eq!(found.unwrap().len(), 1, "the entry is in the index");
        let stray = "SELECT count(*) FROM attributes WHERE record NOT IN \
                     (SELECT create_revision FROM records)";
        assert_eq!(raw.query_row(stray, [], |row| row.get(0)), Ok(0), "{sql}");
        let stamp = store.create(draft("2", "anew")).await.unwrap();
        assert_eq!(stamp.create_revision, 7, "{sql}");
    }
}

fn by(name: &str) -> Query {
    Query::new("task").with(name, "")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_right_without_the_rows_that_make_no_record() {
    let (fixture, raw) = damaged_by(&format!("{GARBLE} = '0'")).await;
    let store = &fixture.store;
    let queries = || {
        let queries = [
            Query::new("task"),
            by("all"),
            Query::new("task").by_update(),
            by("z").by_update(),
        ];
        queries.into_iter().flat_map(|query| {
            let descending = query.clone().descending();
            [query, descending]
        })
    };
    for (damaged, left) in [
        ("= '0'", &["1", "2", "3", "4"][..]),
        ("= '2'", &["0", "1", "3", "4"]),
        ("= '4'", &["0", "1", "2", "3"]),
        ("IN ('1', '2', '3')", &["0", "4"]),
        ("IN ('0', '1', '3', '4')", &["2"]),
        ("<> ''", &[]),
    ] {
        for (limit, query) in [1, 2, 100]
            .into_iter()
            .flat_map(|n| queries().map(move |q| (n, q)))
        {
            fill_and_damage(store, &raw, &format!("{GARBLE} {damaged}")).await;
            let mut query = query.limit(limit);
            // What was not asked for is set aside all the same.
            query.bodies = limit == 1;
            let first = store.find(query.clone()).await.unwrap();
            let full = left.len().min(limit as usize);
            assert_eq!(first.records.len(), full, "{damaged} {query:?}");
            let mut found = find_all(store, query.clone()).await.unwrap();
            if query.descending {
                found.reverse();
            }
            assert_eq!(ids(&found), left, "{damaged} {query:?}");
            let set_aside = entries(store).await;
            assert_eq!(set_aside.len() + left.len(), 5, "{damaged} {query:?}");
            for entry in set_aside {
                let entry = store.quarantine().load(&entry.id).await.unwrap().unwrap();
                assert_eq!(entry.bytes, format!("body {}", entry.key.id).as_bytes());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_numbers_are_none_is_found_and_set_aside() {
    for sql in [
        "UPDATE records SET mod_revision = -3 WHERE id = '2'",
        "UPDATE records SET mod_revision = 0 WHERE id = '2'",
        "UPDATE records SET create_revision = -9223372036854775808 WHERE id = '1'",
        "UPDATE records SET create_revision = 0 WHERE id = '1'",
        "UPDATE records SET create_revision = 9 WHERE id = '1'",
    ] {
        for query in [Query::new("task"), Query::new("task").by_update()] {
            for descending in [false, true] {
                let (fixture, _) = damaged_by(sql).await;
                let mut query = query.clone().limit(1);
                query.descending = descending;
                let found = find_all(&fixture.store, query.clone()).await.unwrap();
                assert_eq!(found.len(), 4, "{sql} {query:?}");
                assert_eq!(entries(&fixture.store).await.len(), 1, "{sql} {query:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_utf8_is_set_aside_and_stops_nothing() {
    let garble = "UPDATE records SET id = CAST(x'61ff' AS TEXT) WHERE id = '2'";
    let (fixture, _) = damaged_by(garble).await;
    let found = find_all(&fixture.store, Query::new("task")).await.unwrap();
    assert_eq!(ids(&found), ["0", "1", "3", "4"]);
    let entry = entries(&fixture.store).await.remove(0);
    assert_eq!(entry.key, key("a\u{fffd}"));
    assert_eq!(entry.reason, r#"the key is not UTF-8: "task", "a\xff""#);
    assert_eq!(entry.attributes.len(), 2);

    let garble = "UPDATE records SET collection = CAST(x'61ff' AS TEXT) WHERE id = '2'";
    let (fixture, _) = damaged_by(garble).await;
    assert_eq!(fixture.store.statistics().await.unwrap().len(), 2);
    assert_eq!(export_all(&fixture.store).await.len(), 5);
    assert_eq!(
        entries(&fixture.store).await[0].key,
        Key::new("a\u{fffd}", "2")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_the_entry_in_place_of_the_row() {
    for limit in [1, 2, 100] {
        let (fixture, _) = damaged_by(&format!("{GARBLE} IN ('0', '3')")).await;
        let store = &fixture.store;
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let page = store.export(after, limit).await.unwrap();
            keys.extend(
                page.records
                    .into_iter()
                    .map(|record| record.draft.key.to_string()),
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let entries = ["mortise.quarantine/1", "mortise.quarantine/4"];
        assert_eq!(keys[..3], ["task/1", "task/2", "task/4"]);
        assert_eq!(keys[3..], entries, "{limit} a page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_corrupt_rows_are_all_set_aside() {
    let fixture = Fixture::with("sqlite", "synchronous=normal").await;
    let store = &fixture.store;
    for number in 0..50 {
        store.create(draft(&number.to_string(), "")).await.unwrap();
    }
    let raw = rusqlite::Connection::open(fixture.database()).unwrap();
    raw.execute(&format!("{GARBLE} <> '49'"), []).unwrap();
    // More than the rounds of one call take: the pages go on all the same.
    let found = find_all(store, Query::new("task").limit(1)).await.unwrap();
    assert_eq!(ids(&found), ["49"]);
    assert_eq!(entries(store).await.len(), 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_meets_one_row_at_once_sets_it_aside_once() {
    let (fixture, _) = damaged_by(&format!("{GARBLE} = '2'")).await;
    let finds = (0..8).map(|_| {
        let store = fixture.store.clone();
        tokio::spawn(async move { find_all(&store, Query::new("task").limit(2)).await })
    });
    for find in finds.collect::<Vec<_>>() {
        assert_eq!(ids(&find.await.unwrap().unwrap()), ["0", "1", "3", "4"]);
    }
    assert_eq!(entries(&fixture.store).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn load_many_tells_of_the_rows_that_it_set_aside() {
    let (fixture, _) = damaged_by(&format!("{GARBLE} IN ('1', '3')")).await;
    let store = &fixture.store;
    let keys: Vec<Key> = ["0", "1", "3"].map(key).into();
    let error = store.load_many(keys.clone()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.key()),
        (ErrorKind::Corrupt, Some(&key("1")))
    );
    assert_eq!(entries(store).await.len(), 2);
    let again = store.load_many(keys).await.unwrap();
    let there: Vec<_> = again.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false, false]);
}

/// Writes over a row that makes no record: what replaces all of it may; what depends on it is told.
#[tokio::test(flavor = "multi_thread")]
async fn writes_meet_a_row_that_makes_no_record() {
    let garbled = format!("{GARBLE} = '2'");
    let told = |error: mortise::Error| (error.kind(), error.key().cloned());
    let corrupt = (ErrorKind::Corrupt, Some(key("2")));

    let (fixture, _) = damaged_by(&garbled).await;
    let updated = fixture
        .store
        .update(draft("2", "new"), Some(3))
        .await
        .unwrap();
    assert_eq!(updated.create_revision, 3);
    assert_eq!(entries(&fixture.store).await, []);

    let (fixture, _) = damaged_by(&garbled).await;
    fixture.store.delete(&key("2"), None).await.unwrap();

    for damage in [
        garbled.as_str(),
        "UPDATE records SET created_at = -1 WHERE id = '2'",
    ] {
        let (fixture, _) = damaged_by(damage).await;
        let store = &fixture.store;
        assert_eq!(
            told(store.create(draft("2", "new")).await.unwrap_err()),
            corrupt
        );
        assert_eq!(entries(store).await.len(), 1);
        store.create(draft("2", "new")).await.unwrap();

        let (fixture, _) = damaged_by(damage).await;
        let store = &fixture.store;
        assert_eq!(
            told(store.update(draft("2", "new"), Some(77)).await.unwrap_err()),
            corrupt
        );
        assert_eq!(entries(store).await.len(), 1);

        let (fixture, _) = damaged_by(damage).await;
        let store = &fixture.store;
        let mut import = store.load(&key("1")).await.unwrap().unwrap();
        import.draft.key = key("2");
        (import.stamp.create_revision, import.stamp.mod_revision) = (70, 71);
        assert_eq!(
            told(store.import(vec![import.clone()]).await.unwrap_err()),
            corrupt
        );
        store.import(vec![import]).await.unwrap();
        assert_eq!(entries(store).await.len(), 1);
    }

    // What creation set has to be kept, and cannot be read: the write does not happen.
    for (damage, put) in [
        ("created_at = -1", false),
        ("created_at = -1", true),
        ("create_revision = -1", false),
        ("create_revision = -1", true),
    ] {
        let (fixture, _) = damaged_by(&format!("UPDATE records SET {damage} WHERE id = '1'")).await;
        let store = &fixture.store;
        let new = draft("1", "new");
        let error = match put {
            true => store
                .apply(vec![mortise::Write::put(new)])
                .await
                .unwrap_err(),
            false => store.update(new, None).await.unwrap_err(),
        };
        assert_eq!(
            told(error),
            (ErrorKind::Corrupt, Some(key("1"))),
            "{damage} {put}"
        );
        let entry = entries(store).await.remove(0);
        let entry = store.quarantine().load(&entry.id).await.unwrap().unwrap();
        assert_eq!(entry.bytes, b"body 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_corrupt_itself_is_set_aside() {
    let (fixture, raw) = damaged_by(&format!("{GARBLE} = '2'")).await;
    let store = &fixture.store;
    store.load(&key("2")).await.unwrap_err();
    let first = entries(store).await.remove(0);
    let garble = format!("UPDATE records SET attributes = x'ff' WHERE collection = '{QUARANTINE}'");
    raw.execute(&garble, []).unwrap();
    let second = entries(store).await.remove(0);
    assert_ne!(first.id, second.id);
    assert_eq!(second.key, Key::new(QUARANTINE, &first.id));
    store.quarantine().restore(&second.id, None).await.unwrap();
    let back = store.quarantine().load(&first.id).await.unwrap().unwrap();
    assert_eq!(
        (&back.key, back.bytes.as_slice()),
        (&key("2"), b"body 2".as_slice())
    );
    assert_eq!(
        (back.attributes.len(), back.reason),
        (first.attributes.len(), first.reason)
    );
}

/// The storage takes no write: the record is told to be corrupt, and stays where it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_set_aside_stays_where_it_is() {
    let (fixture, raw) = damaged_by(&format!("{GARBLE} IN ('0', '2')")).await;
    let refuse = format!(
        "CREATE TRIGGER full BEFORE INSERT ON records WHEN new.collection = '{QUARANTINE}' \
         BEGIN SELECT raise(ABORT, 'no'); END"
    );
    raw.execute_batch(&refuse).unwrap();
    let store = &fixture.store;
    for _ in 0..2 {
        assert_eq!(
            store.load(&key("2")).await.unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }
    for limit in [1, 2, 100] {
        let found = find_all(store, Query::new("task").limit(limit))
            .await
            .unwrap();
        assert_eq!(ids(&found), ["1", "3", "4"], "{limit} a page");
    }
    let body: Vec<u8> = raw
        .query_row("SELECT body FROM records WHERE id = '2'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(body, b"body 2");
    assert_eq!(entries(store).await, []);
    raw.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(find_all(store, Query::new("task")).await.unwrap().len(), 3);
    assert_eq!(entries(store).await.len(), 2);
}
