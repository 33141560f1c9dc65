//! Entities: saved by merging, found by attribute, typed and related.

use mortise_agent::{Case, Entity, EntityBatch, EntityQuery, EntityStore, Job, Object, Versioned};
use mortise_store::{Draft, ErrorKind, Key, Precondition};
use serde::{Deserialize, Serialize};

use crate::{START, all, at_once, jobs, object, put, store, stored};

/// A type that knows two of its fields, and is found by the texts of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    number: String,
    tags: Vec<String>,
}

impl Entity for Note {
    const COLLECTION: &'static str = "note";
    const ID: &'static str = "number";
    const ATTRIBUTES: &'static [&'static str] = &["tags"];
}

fn ids(entities: &[Versioned<Object>]) -> Vec<String> {
    let ids = entities.iter();
    ids.map(|entity| entity.text("id").unwrap()).collect()
}

#[tokio::test]
async fn a_save_creates_and_then_merges() {
    let entities = EntityStore::new(store().0);
    let first =
        object(r#"{"id":"j","status":"stopped","cost":0.10,"big":12345678901234567890123}"#);
    assert_eq!(entities.save("job", &first).await.unwrap().value, first);
    let change = object(r#"{"id":"j","status":"in_progress","new":[1.0]}"#);
    let merged = entities.save("job", &change).await.unwrap();
    assert_eq!(
        serde_json::to_string(&merged.value).unwrap(),
        r#"{"id":"j","status":"in_progress","cost":0.10,"big":12345678901234567890123,"new":[1.0]}"#
    );
    assert_eq!(entities.get("job", "j").await.unwrap().unwrap(), merged);
    // What it is found by went along.
    let stopped = entities.find_by("job", "status", "stopped").await.unwrap();
    assert_eq!(ids(&stopped), [""; 0]);
    let running = entities.find_by("job", "status", "in_progress");
    assert_eq!(ids(&running.await.unwrap()), ["j"]);
    // A save that changes nothing writes nothing.
    let again = entities.save("job", &change).await.unwrap();
    assert_eq!(again, merged);
}

#[tokio::test]
async fn a_save_is_made_only_where_what_it_expects_is_there() {
    use Precondition::{Absent, Present, UnchangedSince};
    let entities = EntityStore::new(store().0);
    let job = object(r#"{"id":"j","status":"stopped"}"#);
    let save = async |expect| entities.save_if("job", &job, expect).await;
    for expect in [Present, UnchangedSince(1)] {
        assert_eq!(save(expect).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    let first = save(Absent).await.unwrap();
    let error = save(Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let change = object(r#"{"id":"j","name":"Scanning"}"#);
    let seen = UnchangedSince(first.revision);
    let second = entities.save_if("job", &change, seen).await.unwrap();
    let error = save(seen).await.unwrap_err();
    assert_eq!(error.current().unwrap().revision(), second.revision);
    let there = entities.get("job", "j").await.unwrap().unwrap();
    assert_eq!(there.text("name").unwrap(), "Scanning");
}

#[tokio::test]
async fn a_save_keeps_the_expiry_and_what_others_find_it_by() {
    let (store, _) = store();
    let draft = Draft::new(Key::new("job", "j"), r#"{"id":"j","status":"a"}"#);
    let draft = draft.attribute("status", "a").attribute("request-id", "r");
    store.create(draft.expires_at(START + 9)).await.unwrap();
    let entities = EntityStore::new(store.clone());
    let change = object(r#"{"id":"j","status":"b"}"#);
    entities.save("job", &change).await.unwrap();
    let kept = stored(&store, "job", "j").await.unwrap().draft;
    assert_eq!(kept.expires_at, Some(START + 9));
    let mut pairs: Vec<_> = kept
        .attributes
        .into_iter()
        .map(|pair| (pair.name, pair.value))
        .collect();
    pairs.sort();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(pairs, [pair("request-id", "r"), pair("status", "b")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_save_is_lost() {
    let entities = EntityStore::new(store().0);
    let savers = (0..4).map(|saver| {
        let entities = entities.clone();
        tokio::spawn(async move {
            for count in 0..50 {
                let change = object(&format!(r#"{{"id":"j","by_{saver}":{count}}}"#));
                entities.save("job", &change).await.unwrap();
            }
        })
    });
    for saver in savers.collect::<Vec<_>>() {
        saver.await.unwrap();
    }
    let job = entities.get("job", "j").await.unwrap().unwrap();
    for saver in 0..4 {
        let last = job.get(&format!("by_{saver}"));
        assert_eq!(last.map(|last| last.as_str()), Some("49"), "{job:?}");
    }
}

#[tokio::test]
async fn several_are_saved_together_or_not_at_all() {
    let entities = EntityStore::new(store().0);
    let mut whole = EntityBatch::new();
    whole.add(&Job::new("j", "Screening", "screener")).unwrap();
    whole.add(&Case::new("c-1", "j", "first")).unwrap();
    let saved = entities.save_all(&whole).await.unwrap();
    assert_eq!(ids(&saved), ["j", "c-1"]);
    let mut nameless = EntityBatch::new();
    nameless.add(&Case::new("c-2", "j", "second")).unwrap();
    nameless.add_object("case", object(r#"{"job_id":"j"}"#));
    let error = entities.save_all(&nameless).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // A case tells its job.
    let cases = entities.cases_for_job("j").await.unwrap();
    let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["first"]);
    assert_eq!(entities.count_cases_for_job("j").await.unwrap(), 1);
    let job = entities.job_of_case("c-1").await.unwrap().unwrap();
    assert_eq!(job.agent_name, "screener");
}

#[tokio::test]
async fn entities_are_listed_page_by_page() {
    let entities = EntityStore::new(store().0);
    for number in 0..5 {
        let case = format!(r#"{{"id":"{number}","job_id":"{}"}}"#, number % 2);
        entities.save("case", &object(&case)).await.unwrap();
    }
    let mut query = EntityQuery::by("job_id", "0");
    (query.limit, query.newest_first) = (2, true);
    let first = entities.list("case", query.clone()).await.unwrap();
    query.after = first.next;
    let second = entities.list("case", query).await.unwrap();
    assert_eq!(
        (first.ids, second.ids),
        (vec!["4".to_owned(), "2".to_owned()], vec!["0".to_owned()])
    );
    assert_eq!(entities.count_by("case", "job_id", "1").await.unwrap(), 2);
}

#[tokio::test]
async fn a_removal_takes_history_and_lease_with_it() {
    let (store, _) = store();
    for id in ["j", "other"] {
        put(&store, id, "stopped").await;
        jobs(&store)
            .handle_event(id, "start_work", "w")
            .await
            .unwrap();
        let lease = Draft::new(Key::new("job.lease", id), "{}");
        store.create(lease).await.unwrap();
    }
    let entities = EntityStore::new(store.clone());
    assert!(entities.delete("job", "j").await.unwrap());
    assert!(!entities.delete("job", "j").await.unwrap());
    let left: Vec<_> = all(&store)
        .await
        .iter()
        .map(|stored| stored.key().collection.clone())
        .collect();
    assert_eq!(left, ["job", "job.history", "job.lease"]);
    assert_eq!(jobs(&store).history("other").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_repository_keeps_fields_that_its_type_does_not_know() {
    let (store, _) = store();
    let body = r#"{"number":"7","tags":["a"],"secret":1.50}"#;
    let draft = Draft::new(Key::new("note", "7"), body);
    store.create(draft).await.unwrap();
    let notes = EntityStore::new(store.clone()).repository::<Note>();
    let mut made = 0;
    let changed = notes.modify("7", |note| {
        made += 1;
        note.tags.push("b".to_owned());
        if made == 1 {
            let theirs = object(r#"{"number":"7","theirs":true}"#);
            let body = serde_json::to_vec(&{
                let mut whole = object(body);
                whole.merge(theirs);
                whole
            });
            let theirs = Draft::new(Key::new("note", "7"), body.unwrap());
            at_once(store.update(theirs, None)).unwrap();
        }
    });
    assert_eq!(changed.await.unwrap().tags, ["a", "b"]);
    assert_eq!(made, 2);
    let kept = stored(&store, "note", "7").await.unwrap().draft;
    assert_eq!(
        String::from_utf8(kept.body).unwrap(),
        r#"{"number":"7","tags":["a","b"],"secret":1.50,"theirs":true}"#
    );
    for tag in ["a", "b"] {
        let found = notes.find_by("tags", tag).await.unwrap();
        assert_eq!(found.len(), 1, "{tag}");
    }
}

#[tokio::test]
async fn a_save_does_not_leave_a_final_state() {
    let (store, _) = store();
    put(&store, "j", "completed").await;
    let entities = EntityStore::new(store.clone());
    let job = Job::new("j", "n", "a");
    let error = entities.repository().save(&job).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTransition);
    let refusal = error.transition_refusal().unwrap();
    assert_eq!(refusal.state.as_deref(), Some("completed"));
    let there = entities.get("job", "j").await.unwrap().unwrap();
    assert_eq!(there.text("status").unwrap(), "completed");
}
