//! A store that a server has, by our client: as it is at the server.

use std::sync::Arc;

use mortise_client::connect;
use mortise_config::ServeConfig;
use mortise_conformance::ModelPlace;
use mortise_store::{Draft, ErrorKind, Key, Limits, ManualClock, Query, Write};

use crate::{START, Serving, all, draft, ids, loaded, note, place};

#[tokio::test]
async fn a_store_is_opened_by_its_name_or_as_the_only_one() {
    let both = [place().named("one").namespace("acme"), place().named("two")];
    let both = Serving::with(both, ServeConfig::default()).await;
    let one = both.connect().await;
    assert_eq!(
        (one.name(), one.backend(), one.namespace()),
        ("one", "model", "acme")
    );
    assert_eq!(one.server(), Some(format!("{}/", both.url).as_str()));
    // Of two limits a client is told the one that holds: here it is the operator's.
    let mut told = both.store.describe();
    told.max_body_bytes = both.store.max_body_bytes();
    assert_eq!(one.describe(), told);
    for (path, part) in [("", "one, two"), ("/three", "three")] {
        let error = connect(&format!("{}{path}", both.url)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
    }
    let only = Serving::new().await;
    assert_eq!(connect(&only.url).await.unwrap().name(), "model");
}

#[tokio::test]
async fn a_record_is_created_once() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    let mut written = Draft::new(note("a"), *b"\xff\x00").attribute("color", "red");
    written.expires_at = Some(START + 1);
    let stamp = store.create(written.clone()).await.unwrap();
    assert_eq!((stamp.created_at, stamp.updated_at), (START, START));
    let there = loaded(&serving.store, &note("a")).await.unwrap();
    assert_eq!((&there.draft, there.stamp), (&written, stamp));
    assert_eq!(loaded(&store, &note("a")).await, Some(there));
    let error = store.create(written).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.key(), Some(&note("a")));
}

#[tokio::test]
async fn who_saw_another_revision_is_shown_what_is_there() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    let seen = store.create(draft("a", "one")).await.unwrap().mod_revision;
    serving.store.update(draft("a", "two"), None).await.unwrap();
    let there = loaded(&serving.store, &note("a")).await;
    let updated = store.update(draft("a", "three"), Some(seen)).await;
    let deleted = store.delete(&note("a"), Some(seen)).await;
    for error in [updated.unwrap_err(), deleted.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(error.current(), there.as_ref());
    }
    assert_eq!(loaded(&serving.store, &note("a")).await, there);
}

#[tokio::test]
async fn a_record_is_replaced_and_removed_by_the_revision_that_was_seen() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    let first = store.create(draft("a", "one")).await.unwrap();
    let update = store.update(draft("a", "two"), Some(first.mod_revision));
    let second = update.await.unwrap();
    assert_eq!(second.create_revision, first.create_revision);
    let there = loaded(&serving.store, &note("a")).await.unwrap();
    assert_eq!((there.draft, there.stamp), (draft("a", "two"), second));
    let deleted = store.delete(&note("a"), Some(second.mod_revision)).await;
    deleted.unwrap();
    assert_eq!(loaded(&serving.store, &note("a")).await, None);
    for error in [
        store.update(draft("a", "three"), None).await.unwrap_err(),
        store.delete(&note("a"), None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.key(), Some(&note("a")));
    }
}

#[tokio::test]
async fn records_are_found_page_by_page() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    for id in 0..6 {
        let numbered = draft(&id.to_string(), "body");
        let numbered = numbered.attribute("a:b", ["even", "odd"][id % 2]);
        serving.store.create(numbered).await.unwrap();
    }
    // A name with a colon is one that no URL can say.
    for query in [Query::new("note"), Query::new("note").with("a:b", "odd")] {
        let query = query.limit(2).descending().without_bodies();
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = store.find(query.clone().after(after)).await.unwrap();
            assert!(page.records.len() <= 2);
            found.extend(page.records);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected = match query.attributes.is_empty() {
            true => vec!["5", "4", "3", "2", "1", "0"],
            false => vec!["5", "3", "1"],
        };
        assert_eq!(ids(&found), expected);
        assert!(found.iter().all(|record| record.draft.body.is_empty()));
    }
    let first = store.find(Query::new("note").limit(1)).await.unwrap();
    let other = Query::new("other").after(first.next);
    let error = store.find(other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn a_batch_is_made_all_or_none() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    let both = ["a", "b"].map(|id| Write::create(draft(id, id)));
    let revisions = store.apply(both.into()).await.unwrap();
    let before = all(&serving.store).await;
    let there: Vec<_> = before.iter().map(|record| record.revision()).collect();
    assert_eq!(revisions, there);
    let stale = Write::update(draft("b", "new"), revisions[0]);
    let taken = Write::create(draft("a", "new"));
    for (refused, kind) in [
        (stale, ErrorKind::Conflict),
        (taken, ErrorKind::AlreadyExists),
    ] {
        let key = refused.key().clone();
        let batch = vec![
            Write::put(draft("c", "c")),
            Write::remove(note("d")),
            refused,
        ];
        let error = store.apply(batch).await.unwrap_err();
        assert_eq!((error.kind(), error.write_index()), (kind, Some(2)));
        assert_eq!(error.key(), Some(&key));
        assert_eq!(all(&serving.store).await, before);
    }
}

#[tokio::test]
async fn a_store_is_exported_and_imported_with_its_stamps() {
    let (from, to) = (Serving::new().await, Serving::new().await);
    for id in ["a", "b", "c"] {
        from.store.create(draft(id, id)).await.unwrap();
    }
    from.store.update(draft("a", "new"), None).await.unwrap();
    let (source, target) = (from.connect().await, to.connect().await);
    let first = source.export(None, 2).await.unwrap();
    assert_eq!(ids(&first.records), ["a", "b"]);
    let second = source.export(first.next, 2).await.unwrap();
    assert_eq!(second.next, None);
    // What is there already is left alone.
    for page in [&first.records, &second.records, &first.records] {
        target.import(page.clone()).await.unwrap();
    }
    assert_eq!(all(&to.store).await, all(&from.store).await);
    to.store.update(draft("b", "theirs"), None).await.unwrap();
    let error = target.import(first.records).await.unwrap_err();
    let theirs = loaded(&to.store, &note("b")).await;
    assert_eq!(error.current(), theirs.as_ref(), "{error}");
}

#[tokio::test]
async fn a_record_that_no_url_can_name_is_written_all_the_same() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    for text in [".", "..", "%2e", "a/b", "?#&=+ ", "\n", "ä"] {
        let key = Key::new(text, text);
        let first = store.create(Draft::new(key.clone(), "one")).await.unwrap();
        let update = store.update(Draft::new(key.clone(), "two"), Some(first.mod_revision));
        let second = update.await.unwrap();
        let there = loaded(&serving.store, &key).await.unwrap();
        assert_eq!((there.stamp, &*there.draft.body), (second, &b"two"[..]));
        assert_eq!(loaded(&store, &key).await.as_ref(), Some(&there));
        let delete = store.delete(&key, Some(first.mod_revision)).await;
        let error = delete.unwrap_err();
        assert_eq!(error.current(), Some(&there), "{text:?}");
        // It was a batch of one on its way alone.
        assert_eq!((error.key(), error.write_index()), (Some(&key), None));
        store.delete(&key, None).await.unwrap();
        assert_eq!(loaded(&serving.store, &key).await, None, "{text:?}");
    }
}

#[tokio::test]
async fn records_expire_by_the_clock_of_the_server() {
    let clock = Arc::new(ManualClock::new(START));
    let place = ModelPlace::new(clock.clone());
    let serving = Serving::with([place], ServeConfig::default()).await;
    let store = serving.connect().await;
    let expiring = draft("a", "one").expires_at(START + 10);
    store.create(expiring).await.unwrap();
    store.create(draft("b", "other")).await.unwrap();
    clock.advance(10);
    let found = store.load_many(vec![note("a"), note("b")]).await.unwrap();
    let found = found.iter().map(Option::is_some);
    assert_eq!(found.collect::<Vec<_>>(), [false, true]);
    let counted = store.statistics().await.unwrap();
    assert_eq!((counted[0].records, counted[0].body_bytes), (1, 5));
    assert_eq!(store.sweep(1_000).await.unwrap(), 1);
    assert_eq!(store.sweep(1_000).await.unwrap(), 0);
    assert_eq!(store.clear(Some("other")).await.unwrap(), 0);
    assert_eq!(store.clear(Some("note")).await.unwrap(), 1);
    assert_eq!(all(&serving.store).await, []);
}

#[tokio::test]
async fn the_limits_of_the_server_hold_for_its_clients() {
    let mut limits = Limits::default();
    limits.body_bytes.0 = 10;
    limits.page_bytes.0 = 12;
    let place = place().limits(limits);
    let serving = Serving::with([place], ServeConfig::default()).await;
    let store = serving.connect().await;
    assert_eq!(store.max_body_bytes(), 10);
    let error = store.create(draft("a", "12345678901")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(all(&serving.store).await, []);
    for id in ["a", "b"] {
        store.create(draft(id, "1234567890")).await.unwrap();
    }
    let both = store.load_many(vec![note("a"), note("b")]).await;
    assert_eq!(both.unwrap_err().kind(), ErrorKind::TooLarge);
    let first = store.find(Query::new("note")).await.unwrap();
    assert_eq!(ids(&first.records), ["a"]);
    assert!(first.next.is_some());
}

#[tokio::test]
async fn what_only_the_server_can_do_is_refused_with_where_to_do_it() {
    let serving = Serving::new().await;
    let store = serving.connect().await;
    let reopened = store.reopen().await.unwrap_err();
    let snapshot = store.snapshot().await.unwrap_err();
    for error in [reopened, snapshot] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().unwrap().contains("at the server"), "{error:?}");
    }
    // A client that is done closes nobody's store.
    store.clone().close().await.unwrap();
    store.health().await.unwrap();
}
