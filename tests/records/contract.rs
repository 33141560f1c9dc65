//! The contract's promises, on every backend by the same code.

use mortise::{Attribute, ErrorKind, Key, Query, Write};

use super::support::{START, draft, export_all, find_all, ids, key, on_every_backend};

on_every_backend! {
    async fn a_record_comes_back_as_it_was_written(fixture: Fixture) {
        let store = &fixture.store;
        let written = draft("a", "one").attribute("status", "new").expires_at(START + 1000);
        let stamp = store.create(written.clone()).await.unwrap();
        assert_eq!((stamp.created_at, stamp.updated_at), (START, START));
        assert_eq!(stamp.create_revision, stamp.mod_revision);
        let read = store.load(&key("a")).await.unwrap().unwrap();
        assert_eq!((read.draft, read.stamp), (written, stamp));
        assert!(store.load(&key("b")).await.unwrap().is_none());
    }

    async fn an_update_keeps_the_creation_and_takes_the_next_revision(fixture: Fixture) {
        let store = &fixture.store;
        let created = store.create(draft("a", "one")).await.unwrap();
        fixture.clock.advance(5);
        let updated = store.update(draft("a", "two"), Some(created.mod_revision)).await.unwrap();
        assert_eq!(updated.create_revision, created.create_revision);
        assert_eq!((updated.created_at, updated.updated_at), (START, START + 5));
        assert!(updated.mod_revision > created.mod_revision);
        let read = store.load(&key("a")).await.unwrap().unwrap();
        assert_eq!((read.draft.body.as_slice(), read.stamp), (b"two".as_slice(), updated));
    }

    async fn what_is_there_is_not_created_again(fixture: Fixture) {
        let store = &fixture.store;
        store.create(draft("a", "one")).await.unwrap();
        let error = store.create(draft("a", "two")).await.unwrap_err();
        assert!(error.is_already_exists(), "{error}");
        assert_eq!(error.key(), Some(&key("a")));
        assert_eq!(error.operation().as_str(), "create");
        assert_eq!(store.load(&key("a")).await.unwrap().unwrap().draft.body, b"one");
    }

    async fn what_is_not_there_is_neither_updated_nor_deleted(fixture: Fixture) {
        let store = &fixture.store;
        for expect in [None, Some(1)] {
            let error = store.update(draft("a", "x"), expect).await.unwrap_err();
            assert!(error.is_not_found(), "{error}");
            let error = store.delete(&key("a"), expect).await.unwrap_err();
            assert!(error.is_not_found(), "{error}");
        }
        assert!(export_all(store).await.is_empty());
    }

    async fn a_conflict_carries_the_current_record(fixture: Fixture) {
        let store = &fixture.store;
        let first = store.create(draft("a", "one")).await.unwrap();
        store.update(draft("a", "two"), None).await.unwrap();
        let current = store.load(&key("a")).await.unwrap().unwrap();
        let stale = Some(first.mod_revision);
        for error in [
            store.update(draft("a", "three"), stale).await.unwrap_err(),
            store.delete(&key("a"), stale).await.unwrap_err(),
        ] {
            assert!(error.is_conflict(), "{error}");
            assert_eq!(error.current(), Some(&current));
        }
        assert_eq!(store.load(&key("a")).await.unwrap(), Some(current));
    }

    async fn a_revision_is_never_used_again(fixture: Fixture) {
        let store = &fixture.store;
        let mut last = 0;
        for _ in 0..3 {
            let created = store.create(draft("a", "one")).await.unwrap().mod_revision;
            assert!(created > last);
            store.delete(&key("a"), Some(created)).await.unwrap();
            let error = store.update(draft("a", "two"), Some(created)).await.unwrap_err();
            assert!(error.is_not_found(), "{error}");
            last = created + 1;
        }
        store.create(draft("b", "")).await.unwrap();
        store.clear(None).await.unwrap();
        assert!(store.create(draft("a", "one")).await.unwrap().mod_revision > last + 1);
    }

    async fn odd_texts_are_kept_apart_and_given_back(fixture: Fixture) {
        let store = &fixture.store;
        let odd = [
            "a", "A", " a", "a ", "a:b", "a*", "*", "a%", "%", "a_", "_", "'", "''", "a'b", "\"", "\\",
            "\0", "a\0", "a\0b", "\n", "🦀", "👩‍👩‍👧", "\u{202e}a", "\u{200f}a", "e\u{301}", "\u{e9}",
            "\u{1e9b}\u{323}", "\u{2126}", "\u{3a9}", "ß", "SS", "\u{feff}", "\u{10ffff}", "null", "0",
            "-1", "1e3", "x'00'", "?1", "{}", "/", "../..", "a\u{ad}", "task",
        ];
        for (index, text) in odd.iter().enumerate() {
            let draft = draft(text, text).attribute("odd", *text).attribute(*text, index.to_string());
            store.create(draft).await.unwrap();
        }
        for (index, text) in odd.iter().enumerate() {
            let read = store.load(&key(text)).await.unwrap().unwrap();
            assert_eq!(read.draft.body, text.as_bytes());
            assert_eq!(read.draft.attributes[0], Attribute::new("odd", *text));
            for query in [
                Query::new("task").with("odd", *text),
                Query::new("task").with(*text, index.to_string()),
            ] {
                assert_eq!(ids(&find_all(store, query).await.unwrap()), [*text]);
            }
        }
        let prefix = Query::new("task").with("odd", "");
        assert!(find_all(store, prefix).await.unwrap().is_empty());
        for text in odd {
            store.create(mortise::Draft::new(Key::new(text, "id"), text)).await.unwrap_or_else(|error| {
                panic!("the collection {text:?}: {error}")
            });
        }
        assert_eq!(store.statistics().await.unwrap().len(), odd.len());
    }

    async fn bodies_are_opaque(fixture: Fixture) {
        let store = &fixture.store;
        let bytes: Vec<u8> = (0..=255).collect();
        for body in [Vec::new(), bytes, vec![0; 3], vec![0xff; 1 << 20]] {
            let stamp = store.create(mortise::Draft::new(key("a"), body.clone())).await.unwrap();
            let read = store.load(&key("a")).await.unwrap().unwrap();
            assert!(read.draft.body == body, "a body of {} bytes", body.len());
            store.delete(&key("a"), Some(stamp.mod_revision)).await.unwrap();
        }
    }

    async fn attributes_come_back_in_their_order(fixture: Fixture) {
        let store = &fixture.store;
        let written = draft("a", "").attribute("z", "1").attribute("a", "").attribute("z", "0");
        store.create(written.clone()).await.unwrap();
        let read = store.load(&key("a")).await.unwrap().unwrap();
        assert_eq!(read.draft.attributes, written.attributes);
    }

    async fn the_index_follows_the_records(fixture: Fixture) {
        let store = &fixture.store;
        let by = |value: &str| Query::new("task").with("status", value);
        store.create(draft("a", "").attribute("status", "new").attribute("status", "hot")).await.unwrap();
        assert_eq!(ids(&find_all(store, by("hot")).await.unwrap()), ["a"]);
        store.update(draft("a", "").attribute("status", "old"), None).await.unwrap();
        assert!(find_all(store, by("new")).await.unwrap().is_empty());
        assert!(find_all(store, by("hot")).await.unwrap().is_empty());
        assert_eq!(ids(&find_all(store, by("old")).await.unwrap()), ["a"]);
        store.delete(&key("a"), None).await.unwrap();
        assert!(find_all(store, by("old")).await.unwrap().is_empty());
        store.create(draft("a", "")).await.unwrap();
        assert!(find_all(store, by("old")).await.unwrap().is_empty());
    }

    async fn a_query_asks_for_every_attribute_in_one_collection(fixture: Fixture) {
        let store = &fixture.store;
        for number in 0..12 {
            let two = (number % 2).to_string();
            let three = (number % 3).to_string();
            let id = number.to_string();
            store.create(draft(&id, "").attribute("two", &two).attribute("three", &three)).await.unwrap();
            let other = mortise::Draft::new(Key::new("job", id), "");
            store.create(other.attribute("two", two).attribute("three", three)).await.unwrap();
        }
        let both = Query::new("task").with("two", "0").with("three", "1");
        assert_eq!(ids(&find_all(store, both.clone()).await.unwrap()), ["4", "10"]);
        assert_eq!(ids(&find_all(store, both.clone().descending()).await.unwrap()), ["10", "4"]);
        let none = both.with("two", "1");
        assert!(find_all(store, none).await.unwrap().is_empty());
        assert_eq!(find_all(store, Query::new("task")).await.unwrap().len(), 12);
    }

    async fn pages_come_in_the_order_asked(fixture: Fixture) {
        let store = &fixture.store;
        for id in ["c", "a", "b"] {
            store.create(draft(id, id).attribute("all", "")).await.unwrap();
        }
        store.update(draft("c", "C").attribute("all", ""), None).await.unwrap();
        for query in [Query::new("task"), Query::new("task").with("all", "")] {
            for limit in [1, 2, 3, 100] {
                let query = query.clone().limit(limit);
                let order = |query: Query| async move { find_all(store, query).await.unwrap() };
                assert_eq!(ids(&order(query.clone()).await), ["c", "a", "b"]);
                assert_eq!(ids(&order(query.clone().descending()).await), ["b", "a", "c"]);
                assert_eq!(ids(&order(query.clone().by_update()).await), ["a", "b", "c"]);
                assert_eq!(ids(&order(query.by_update().descending()).await), ["c", "b", "a"]);
            }
        }
        let without = find_all(store, Query::new("task").without_bodies()).await.unwrap();
        assert!(without.iter().all(|record| record.draft.body.is_empty()));
        assert_eq!(ids(&without), ["c", "a", "b"]);
    }

    async fn a_cursor_survives_inserts_and_deletes(fixture: Fixture) {
        let store = &fixture.store;
        for number in 0..10 {
            store.create(draft(&number.to_string(), "").attribute("all", "")).await.unwrap();
        }
        for query in [Query::new("task"), Query::new("task").with("all", "")] {
            let query = query.limit(4);
            let first = store.find(query.clone()).await.unwrap();
            assert_eq!(ids(&first.records), ["0", "1", "2", "3"]);
            store.delete(&key("3"), None).await.unwrap();
            store.delete(&key("5"), None).await.unwrap();
            store.create(draft("new", "").attribute("all", "")).await.unwrap();
            let second = store.find(query.clone().after(first.next)).await.unwrap();
            assert_eq!(ids(&second.records), ["4", "6", "7", "8"]);
            let third = store.find(query.after(second.next)).await.unwrap();
            assert_eq!((ids(&third.records), third.next), (vec!["9", "new"], None));
            store.delete(&key("new"), None).await.unwrap();
            for id in ["0", "1", "2", "3", "4", "5"] {
                let _ = store.delete(&key(id), None).await;
            }
            for id in ["6", "7", "8", "9"] {
                store.delete(&key(id), None).await.unwrap();
            }
            for number in 0..10 {
                store.create(draft(&number.to_string(), "").attribute("all", "")).await.unwrap();
            }
        }
    }

    async fn a_feed_of_what_changed_goes_on_after_its_cursor(fixture: Fixture) {
        let store = &fixture.store;
        for id in ["a", "b", "c"] {
            store.create(draft(id, "")).await.unwrap();
        }
        let feed = Query::new("task").by_update().limit(2);
        let page = store.find(feed.clone()).await.unwrap();
        assert_eq!(ids(&page.records), ["a", "b"]);
        store.update(draft("a", "again"), None).await.unwrap();
        let page = store.find(feed.after(page.next)).await.unwrap();
        assert_eq!(ids(&page.records), ["c", "a"]);
    }

    async fn a_foreign_or_garbled_cursor_is_invalid(fixture: Fixture) {
        let store = &fixture.store;
        for number in 0..4 {
            store.create(draft(&number.to_string(), "").attribute("all", "")).await.unwrap();
        }
        let query = Query::new("task").limit(2);
        let cursor = store.find(query.clone()).await.unwrap().next.unwrap();
        let exported = store.export(None, 2).await.unwrap().next.unwrap();
        let with_limit = query.clone().limit(3).without_bodies().after(Some(cursor.clone()));
        assert_eq!(ids(&store.find(with_limit).await.unwrap().records), ["2", "3"]);
        for foreign in [
            Query::new("job").limit(2),
            query.clone().with("all", ""),
            query.clone().descending(),
            query.clone().by_update(),
        ] {
            let error = store.find(foreign.after(Some(cursor.clone()))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
        let mut garbled = vec![exported.clone(), "x".to_owned(), "🦀".to_owned(), "0".repeat(4000)];
        garbled.push(format!("{cursor}0"));
        for position in 0..cursor.len() {
            let mut text = cursor.clone().into_bytes();
            text[position] = if text[position] == b'0' { b'1' } else { b'0' };
            garbled.push(String::from_utf8(text).unwrap());
        }
        for text in garbled {
            let error = store.find(query.clone().after(Some(text.clone()))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {error}");
        }
        let error = store.export(Some(cursor), 2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(ids(&store.export(Some(exported), 2).await.unwrap().records), ["2", "3"]);
    }

    async fn an_expired_record_is_absent_in_every_call(fixture: Fixture) {
        let store = &fixture.store;
        let dies = START + 1000;
        let mortal = |body: &str| draft("a", body).attribute("all", "").expires_at(dies);
        let born = store.create(mortal("one")).await.unwrap();
        fixture.clock.set(dies - 1);
        assert!(store.load(&key("a")).await.unwrap().is_some());
        assert_eq!(store.find(Query::new("task").with("all", "")).await.unwrap().records.len(), 1);
        fixture.clock.set(dies);
        assert!(store.load(&key("a")).await.unwrap().is_none());
        assert_eq!(store.load_many(vec![key("a")]).await.unwrap(), [None]);
        for query in [Query::new("task"), Query::new("task").with("all", "")] {
            assert!(store.find(query.clone()).await.unwrap().records.is_empty());
            assert!(store.find(query.by_update()).await.unwrap().records.is_empty());
        }
        assert!(export_all(store).await.is_empty());
        assert!(store.statistics().await.unwrap().is_empty());
        for expect in [None, Some(born.mod_revision)] {
            assert!(store.update(mortal("two"), expect).await.unwrap_err().is_not_found());
            assert!(store.delete(&key("a"), expect).await.unwrap_err().is_not_found());
        }
        let update = vec![Write::update(draft("a", "two"), born.mod_revision)];
        assert!(store.apply(update).await.unwrap_err().is_not_found());
        let reborn = store.create(draft("a", "two")).await.unwrap();
        assert!(reborn.create_revision > born.mod_revision);
        assert_eq!(reborn.created_at, dies);
        assert!(find_all(store, Query::new("task").with("all", "")).await.unwrap().is_empty());
        assert_eq!(store.sweep(100).await.unwrap(), 0);
    }

    async fn a_batch_takes_the_places_of_many_expired_records(fixture: Fixture) {
        let store = &fixture.store;
        let batch = |expires_at: Option<u64>| {
            let drafts = (0..20).map(move |number| {
                let mut draft = draft(&number.to_string(), "").attribute("n", "v");
                draft.expires_at = expires_at;
                Write::create(draft)
            });
            drafts.collect::<Vec<_>>()
        };
        store.apply(batch(Some(START + 1))).await.unwrap();
        fixture.clock.set(START + 1);
        let revisions = store.apply(batch(None)).await.unwrap();
        assert_eq!(revisions, (21..=40).collect::<Vec<_>>());
        let error = store.apply(batch(None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(find_all(store, Query::new("task").with("n", "v")).await.unwrap().len(), 20);
    }

    async fn a_put_over_an_expired_record_creates_it(fixture: Fixture) {
        let store = &fixture.store;
        let born = store.create(draft("a", "one").expires_at(START + 1)).await.unwrap();
        fixture.clock.advance(1);
        let revision = store.apply(vec![Write::put(draft("a", "two"))]).await.unwrap()[0];
        let read = store.load(&key("a")).await.unwrap().unwrap();
        assert_eq!(read.stamp.create_revision, revision);
        assert!(revision > born.mod_revision);
    }

    async fn expiry_can_be_moved_and_taken_away(fixture: Fixture) {
        let store = &fixture.store;
        store.create(draft("a", "").expires_at(START + 10)).await.unwrap();
        store.create(draft("b", "").expires_at(START + 10)).await.unwrap();
        store.update(draft("a", ""), None).await.unwrap();
        store.update(draft("b", "").expires_at(START + 20), None).await.unwrap();
        fixture.clock.advance(15);
        assert_eq!(ids(&export_all(store).await), ["a", "b"]);
        fixture.clock.advance(5);
        assert_eq!(ids(&export_all(store).await), ["a"]);
    }

    async fn a_sweep_removes_the_longest_expired_first(fixture: Fixture) {
        let store = &fixture.store;
        for number in 0..5_u64 {
            let id = number.to_string();
            store.create(draft(&id, "").expires_at(START + 10 - number)).await.unwrap();
        }
        store.create(draft("stays", "")).await.unwrap();
        assert_eq!(store.sweep(10).await.unwrap(), 0);
        fixture.clock.advance(100);
        assert_eq!(store.sweep(2).await.unwrap(), 2);
        // Turned back, the clock shows which ones are left.
        fixture.clock.set(START);
        assert_eq!(ids(&export_all(store).await), ["0", "1", "2", "stays"]);
        fixture.clock.advance(100);
        assert_eq!(store.sweep(1000).await.unwrap(), 3);
        assert_eq!(store.sweep(1000).await.unwrap(), 0);
        assert_eq!(ids(&export_all(store).await), ["stays"]);
    }

    async fn a_batch_is_all_or_nothing(fixture: Fixture) {
        let store = &fixture.store;
        let there = store.create(draft("there", "old").attribute("s", "old")).await.unwrap();
        let before = export_all(store).await;
        let failing = || [
            (Write::create(draft("there", "new")), ErrorKind::AlreadyExists),
            (Write::update(draft("there", "new"), there.mod_revision + 100), ErrorKind::Conflict),
            (Write::update(draft("missing", "new"), 1), ErrorKind::NotFound),
            (Write::delete(key("missing"), None), ErrorKind::NotFound),
            (Write::delete(key("there"), Some(there.mod_revision + 100)), ErrorKind::Conflict),
        ];
        for position in 0..3 {
            for (write, kind) in failing() {
                let mut batch = vec![
                    Write::create(draft("x", "x").attribute("s", "x")),
                    Write::put(draft("y", "y").attribute("s", "y")),
                ];
                batch.insert(position, write);
                let error = store.apply(batch).await.unwrap_err();
                assert_eq!((error.kind(), error.write_index()), (kind, Some(position)), "{error}");
                assert_eq!(error.current().is_some(), kind == ErrorKind::Conflict);
            }
        }
        assert_eq!(export_all(store).await, before);
        assert!(find_all(store, Query::new("task").with("s", "x")).await.unwrap().is_empty());
    }

    async fn a_batch_takes_one_revision_for_each_write_in_its_order(fixture: Fixture) {
        let store = &fixture.store;
        let a = store.create(draft("a", "one")).await.unwrap();
        let b = store.create(draft("b", "one")).await.unwrap();
        let revisions = store
            .apply(vec![
                Write::create(draft("c", "").attribute("s", "new")),
                Write::update(draft("a", "two").attribute("s", "new"), a.mod_revision),
                Write::delete(key("b"), Some(b.mod_revision)),
                Write::put(draft("d", "")),
                Write::Remove(mortise::Remove { key: key("nothing"), expect: mortise::Precondition::None }),
            ])
            .await
            .unwrap();
        let first = b.mod_revision + 1;
        assert_eq!(revisions, (first..first + 5).collect::<Vec<_>>());
        assert_eq!(ids(&export_all(store).await), ["a", "c", "d"]);
        let new = find_all(store, Query::new("task").with("s", "new").by_update()).await.unwrap();
        assert_eq!(ids(&new), ["c", "a"]);
        assert!(store.apply(Vec::new()).await.unwrap().is_empty());
        assert_eq!(store.create(draft("e", "")).await.unwrap().mod_revision, first + 5);
    }

    async fn a_batch_that_breaks_a_rule_is_refused(fixture: Fixture) {
        let store = &fixture.store;
        let twice = vec![Write::put(draft("a", "1")), Write::delete(key("a"), None)];
        let error = store.apply(twice).await.unwrap_err();
        assert_eq!((error.kind(), error.write_index()), (ErrorKind::Invalid, Some(1)), "{error}");
        let many = (0..1001).map(|number| Write::put(draft(&number.to_string(), ""))).collect();
        assert_eq!(store.apply(many).await.unwrap_err().kind(), ErrorKind::TooLarge);
        let most = (0..1000).map(|number| Write::create(draft(&number.to_string(), ""))).collect();
        assert_eq!(store.apply(most).await.unwrap().len(), 1000);
    }

    async fn many_are_loaded_in_the_order_asked(fixture: Fixture) {
        let store = &fixture.store;
        for id in ["a", "b", "c"] {
            store.create(draft(id, id)).await.unwrap();
        }
        let keys = ["c", "x", "a", "c"].map(key).to_vec();
        let loaded = store.load_many(keys).await.unwrap();
        let found: Vec<_> =
            loaded.iter().map(|record| record.as_ref().map(|record| record.key().id.as_str())).collect();
        assert_eq!(found, [Some("c"), None, Some("a"), Some("c")]);
        assert!(store.load_many(Vec::new()).await.unwrap().is_empty());
        let many: Vec<_> = (0..1000).map(|_| key("a")).collect();
        assert_eq!(store.load_many(many).await.unwrap().len(), 1000);
    }

    async fn arguments_out_of_bounds_are_refused_and_named(fixture: Fixture) {
        let store = &fixture.store;
        let refused = [
            (mortise::Draft::new(Key::new("", "a"), ""), "the collection has 0 bytes"),
            (mortise::Draft::new(Key::new("c".repeat(129), "a"), ""), "the collection has 129 bytes"),
            (draft("", ""), "the id has 0 bytes"),
            (draft(&"i".repeat(1025), ""), "the id has 1025 bytes"),
            (draft("a", "").attribute("", "v"), "an attribute's name has 0 bytes"),
            (draft("a", "").attribute("n".repeat(65), "v"), "an attribute's name has 65 bytes"),
            (draft("a", "").attribute("n", "v".repeat(1025)), "1025 bytes"),
            (draft("a", "").attribute("n", "v").attribute("n", "v"), "given twice"),
            (draft("a", "").expires_at(u64::MAX), "expires-at"),
        ];
        for (draft, part) in refused {
            let error = store.create(draft).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(part), "{error}");
        }
        let mut full = draft(&"i".repeat(1024), "").attribute("n".repeat(64), "v".repeat(1024));
        full.key.collection = "c".repeat(128);
        for number in 1..4096 {
            full = full.attribute("n", number.to_string());
        }
        store.create(full.clone()).await.unwrap();
        assert_eq!(store.load(&full.key).await.unwrap().unwrap().draft, full);
        let error = store.create(full.attribute("one", "more")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        for limit in [0, 1001] {
            let error = store.find(Query::new("task").limit(limit)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
    }

    async fn an_export_imports_into_an_empty_store_unchanged(fixture: Fixture) {
        let store = &fixture.store;
        for number in 0..7 {
            let draft = draft(&number.to_string(), "x").attribute("n", number.to_string());
            store.create(draft).await.unwrap();
        }
        store.create(mortise::Draft::new(Key::new("job", "1"), "job").expires_at(START + 1000)).await.unwrap();
        store.update(draft("3", "three").attribute("n", "3"), None).await.unwrap();
        store.delete(&key("5"), None).await.unwrap();
        let records = export_all(store).await;
        assert_eq!(records.len(), 7);
        let other = fixture.open("namespace=other").await;
        other.import(records.clone()).await.unwrap();
        assert_eq!(export_all(&other).await, records);
        other.import(records.clone()).await.unwrap();
        assert_eq!(export_all(&other).await, records);
        let found = find_all(&other, Query::new("task").with("n", "3")).await.unwrap();
        assert_eq!(found[0].draft.body, b"three");
        let highest = records.iter().map(mortise::Stored::revision).max().unwrap();
        assert!(other.create(draft("new", "")).await.unwrap().mod_revision > highest);
    }

    async fn an_import_over_another_record_is_refused_whole(fixture: Fixture) {
        let store = &fixture.store;
        for id in ["a", "b"] {
            store.create(draft(id, "theirs")).await.unwrap();
        }
        let records = export_all(store).await;
        let other = fixture.open("namespace=other").await;
        // Another record under the key of the second: nothing is imported.
        for id in ["x", "y", "z", "b"] {
            other.create(draft(id, "ours")).await.unwrap();
        }
        for id in ["x", "y", "z"] {
            other.delete(&key(id), None).await.unwrap();
        }
        let before = export_all(&other).await;
        let error = other.import(records.clone()).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(error.current(), Some(&before[0]));
        assert_eq!(export_all(&other).await, before);
        // A revision that a record with another key carries.
        let mut moved = records;
        moved.truncate(1);
        moved[0].stamp = before[0].stamp;
        let error = other.import(moved).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(export_all(&other).await, before);
    }

    async fn statistics_and_clear_count_what_is_there(fixture: Fixture) {
        let store = &fixture.store;
        for number in 0..3 {
            store.create(draft(&number.to_string(), "four").attribute("all", "")).await.unwrap();
        }
        store.create(draft("mortal", "four").expires_at(START + 1)).await.unwrap();
        store.create(mortise::Draft::new(Key::new("job", "1"), "sixsix")).await.unwrap();
        fixture.clock.advance(1);
        let counted: Vec<_> = store.statistics().await.unwrap().into_iter()
            .map(|entry| (entry.collection, entry.records, entry.body_bytes)).collect();
        assert_eq!(counted, [("job".to_owned(), 1, 6), ("task".to_owned(), 3, 12)]);
        assert_eq!(store.clear(Some("task")).await.unwrap(), 3);
        assert!(find_all(store, Query::new("task").with("all", "")).await.unwrap().is_empty());
        assert_eq!(store.clear(Some("none")).await.unwrap(), 0);
        assert_eq!(store.clear(None).await.unwrap(), 1);
        assert!(export_all(store).await.is_empty());
    }

    async fn namespaces_see_nothing_of_each_other(fixture: Fixture) {
        let (one, other) = (&fixture.store, fixture.open("namespace=../o").await);
        one.create(draft("a", "one").attribute("s", "v")).await.unwrap();
        assert!(other.load(&key("a")).await.unwrap().is_none());
        assert!(export_all(&other).await.is_empty());
        other.create(draft("a", "other").attribute("s", "v")).await.unwrap();
        assert_eq!(other.clear(None).await.unwrap(), 1);
        assert_eq!(one.load(&key("a")).await.unwrap().unwrap().draft.body, b"one");
    }

    async fn a_body_may_have_the_limit_and_not_a_byte_more(fixture: Fixture) {
        let small = fixture.open("namespace=small&body-bytes=1000B").await;
        assert_eq!(small.max_body_bytes(), 1000);
        let body = |bytes: usize| mortise::Draft::new(key("a"), vec![7; bytes]);
        let error = small.create(body(1001)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(export_all(&small).await.is_empty());
        small.create(body(1000)).await.unwrap();
        assert!(small.update(body(1001), None).await.is_err());
        assert_eq!(small.load(&key("a")).await.unwrap().unwrap().draft.body.len(), 1000);
        let most = usize::try_from(fixture.store.max_body_bytes()).unwrap();
        fixture.store.create(body(most)).await.unwrap();
        assert_eq!(fixture.store.load(&key("a")).await.unwrap().unwrap().draft.body.len(), most);
    }

    async fn a_page_ends_before_it_grows_too_large(fixture: Fixture) {
        let store = fixture.open("namespace=pages&page-bytes=10kB").await;
        for number in 0..10 {
            let body = vec![7; if number == 4 { 50_000 } else { 3_000 }];
            store.create(mortise::Draft::new(key(&number.to_string()), body)).await.unwrap();
        }
        let mut sizes = Vec::new();
        let mut after = None;
        loop {
            let page = store.find(Query::new("task").after(after)).await.unwrap();
            sizes.push(page.records.len());
            after = page.next;
            if after.is_none() { break }
        }
        assert_eq!(sizes, [3, 1, 1, 3, 2]);
        assert_eq!(find_all(&store, Query::new("task")).await.unwrap().len(), 10);
        assert_eq!(export_all(&store).await.len(), 10);
        let all = (0..10).map(|number| key(&number.to_string())).collect();
        assert_eq!(store.load_many(all).await.unwrap_err().kind(), ErrorKind::TooLarge);
    }

    async fn a_full_store_says_so_and_goes_on(fixture: Fixture) {
        let store = fixture.open("namespace=full&store-bytes=1MB").await;
        let mut written = 0;
        let error = loop {
            let body = vec![7; 10_000];
            match store.create(mortise::Draft::new(key(&written.to_string()), body)).await {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!((50..=100).contains(&written), "{written} records of 10 kB in 1 MB");
        assert_eq!(export_all(&store).await.len(), written);
        for number in 0..10 {
            store.delete(&key(&number.to_string()), None).await.unwrap();
        }
        store.create(mortise::Draft::new(key("again"), vec![7; 10_000])).await.unwrap();
    }

    async fn an_option_that_the_backend_does_not_know_is_refused(fixture: Fixture) {
        let error = fixture.host.open(&fixture.url("color=red")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("color"), "{error}");
    }
}
