//! Entities: saved by merging, found by attribute, typed and related; `fixtures/supervaizer-entities.json`
//! has real ones.

use std::collections::BTreeMap;

use mortise::agent::{
    Case, Entity, EntityBatch, EntityQuery, EntityStore, Job, Json, Lifecycle, Machine, Object,
    Versioned,
};
use mortise::{Attribute, Draft, Error, ErrorKind, Key, Precondition, Write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::support::{Fixture, export_all, on_every_backend};

const ENTITIES: &str = include_str!("../fixtures/supervaizer-entities.json");

fn object(json: &str) -> Object {
    serde_json::from_str(json).unwrap()
}

fn text(entity: &Object) -> String {
    serde_json::to_string(entity).unwrap()
}

fn ids(entities: &[Versioned<Object>]) -> Vec<String> {
    let ids = entities.iter();
    ids.map(|entity| entity.text("id").unwrap()).collect()
}

/// The rows of a table of the fixture, in their order.
fn rows<T: DeserializeOwned>(table: &str) -> Vec<T> {
    let tables: BTreeMap<String, BTreeMap<u64, Json>> = serde_json::from_str(ENTITIES).unwrap();
    let rows = tables[table].values();
    rows.map(|row| row.parse().unwrap()).collect()
}

/// Saves every job with its cases, each in one batch.
async fn save_sample(entities: &EntityStore) {
    let cases: Vec<Case> = rows("Case");
    for job in rows::<Job>("Job") {
        let mut batch = EntityBatch::new();
        batch.add(&job).unwrap();
        for case in cases.iter().filter(|case| case.job_id == job.id) {
            batch.add(case).unwrap();
        }
        entities.save_all(&batch).await.unwrap();
    }
}

/// A type that knows one field, and is found by the texts of a list.
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

on_every_backend! {
    async fn a_save_creates_and_then_merges(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let first = object(r#"{"id":"j","status":"stopped","cost":0.10,"big":12345678901234567890123}"#);
        let created = entities.save("job", &first).await.unwrap();
        assert_eq!(created.value, first);
        let change = object(r#"{"id":"j","status":"in_progress","new":[1.0]}"#);
        let merged = entities.save("job", &change).await.unwrap();
        let expected = r#"{"id":"j","status":"in_progress","cost":0.10,"big":12345678901234567890123,"new":[1.0]}"#;
        assert_eq!(text(&merged), expected);
        let there = entities.get("job", "j").await.unwrap().unwrap();
        assert_eq!(there, merged);
        // What it is found by went along.
        assert!(entities.find_by("job", "status", "stopped").await.unwrap().is_empty());
        assert_eq!(ids(&entities.find_by("job", "status", "in_progress").await.unwrap()), ["j"]);
        assert_eq!(entities.get("job", "other").await.unwrap(), None);
    }

    async fn a_save_that_changes_nothing_writes_nothing(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let job = object(r#"{"id":"j","status":"stopped","cost":0.10}"#);
        let first = entities.save("job", &job).await.unwrap();
        let part = object(r#"{"cost":0.10,"id":"j"}"#);
        assert_eq!(entities.save("job", &part).await.unwrap(), first);
    }

    async fn a_save_is_made_only_where_what_it_expects_is_there(fixture: Fixture) {
        use Precondition::{Absent, Present, UnchangedSince};
        let entities = EntityStore::new(fixture.store.clone());
        let job = object(r#"{"id":"j","status":"stopped"}"#);
        let save = async |expect| entities.save_if("job", &job, expect).await;
        for expect in [Present, UnchangedSince(1)] {
            let error = save(expect).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        }
        let first = save(Absent).await.unwrap();
        let error = save(Absent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}");
        assert_eq!(error.key(), Some(&Key::new("job", "j")));
        let change = object(r#"{"id":"j","name":"Scanning"}"#);
        let expect = UnchangedSince(first.revision);
        let second = entities.save_if("job", &change, expect).await.unwrap();
        assert_eq!(text(&second), r#"{"id":"j","status":"stopped","name":"Scanning"}"#);
        let error = entities.save_if("job", &job, expect).await.unwrap_err();
        assert_eq!(error.current().unwrap().revision(), second.revision, "{error:?}");
        // Callers who only want it to be there do not mind each other.
        let tasks = (0..8).map(|number| {
            let (entities, part) = (entities.clone(), object(&format!(r#"{{"id":"j","n{number}":1}}"#)));
            tokio::spawn(async move { entities.save_if("job", &part, Present).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        let there = entities.get("job", "j").await.unwrap().unwrap();
        assert_eq!(there.fields().count(), 3 + 8);
    }

    async fn a_save_keeps_the_expiry_and_what_others_find_it_by(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let soon = fixture.store.create(
            Draft::new(Key::new("job", "j"), r#"{"id":"j","status":"a"}"#)
                .attribute("status", "a")
                .attribute("request-id", "r")
                .expires_at(crate::support::START + 60_000),
        );
        soon.await.unwrap();
        entities.save("job", &object(r#"{"id":"j","status":"b"}"#)).await.unwrap();
        let stored = fixture.store.load(&Key::new("job", "j")).await.unwrap().unwrap();
        assert_eq!(stored.draft.expires_at, Some(crate::support::START + 60_000));
        let mut attributes = stored.draft.attributes;
        attributes.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(attributes, [Attribute::new("request-id", "r"), Attribute::new("status", "b")]);
    }

    async fn no_save_is_lost(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let savers = (0..8).map(|saver| {
            let entities = entities.clone();
            tokio::spawn(async move {
                for count in 0..10 {
                    let change = object(&format!(r#"{{"id":"j","by_{saver}":{count}}}"#));
                    entities.save("job", &change).await.unwrap();
                }
            })
        });
        for saver in savers.collect::<Vec<_>>() {
            saver.await.unwrap();
        }
        let job = entities.get("job", "j").await.unwrap().unwrap();
        for saver in 0..8 {
            assert_eq!(job.get(&format!("by_{saver}")).unwrap().as_str(), "9");
        }
    }

    async fn an_entity_without_an_id_is_refused(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        for nameless in [r#"{"name":"n"}"#, r#"{"id":""}"#, r#"{"id":7}"#] {
            let error = entities.save("job", &object(nameless)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(r#"the collection "job" has no id"#), "{error}");
            assert!(error.hint().unwrap().contains(r#"give it a field "id""#));
        }
        assert!(export_all(&fixture.store).await.is_empty());
    }

    async fn entities_are_listed_page_by_page(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        for number in 0..25 {
            let job = format!(r#"{{"id":"{number:02}","job_id":"{}"}}"#, number % 2);
            entities.save("case", &object(&job)).await.unwrap();
        }
        assert_eq!(entities.get_all("case").await.unwrap().len(), 25);
        let mut query = EntityQuery { limit: 5, newest_first: true, ..EntityQuery::by("job_id", "1") };
        let (mut listed, mut pages) = (Vec::new(), 0);
        loop {
            let page = entities.list("case", query.clone()).await.unwrap();
            assert_eq!(page.ids, ids(&page.entities));
            listed.extend(page.ids);
            pages += 1;
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..25).rev().filter(|n| n % 2 == 1).map(|n| format!("{n:02}")).collect();
        assert_eq!(listed, expected);
        assert!(pages >= 3);
        assert_eq!(entities.count_by("case", "job_id", "0").await.unwrap(), 13);
    }

    async fn several_are_saved_together_or_not_at_all(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let job = Job::new("j", "Screening", "screener");
        let mut whole = EntityBatch::new();
        whole.add(&job).unwrap().add(&Case::new("c-1", "j", "first")).unwrap();
        let saved = entities.save_all(&whole).await.unwrap();
        assert_eq!(ids(&saved), ["j", "c-1"]);

        let mut nameless = EntityBatch::new();
        nameless.add(&Case::new("c-2", "j", "second")).unwrap();
        nameless.add_object("case", object(r#"{"job_id":"j"}"#));
        let error = entities.save_all(&nameless).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);

        let mut twice = EntityBatch::new();
        twice.add(&Case::new("c-2", "j", "second")).unwrap();
        twice.add_object("case", object(r#"{"id":"c-2","name":"other"}"#));
        let error = entities.save_all(&twice).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);

        assert_eq!(ids(&entities.get_all("case").await.unwrap()), ["c-1"]);
        assert!(entities.save_all(&EntityBatch::new()).await.unwrap().is_empty());
    }

    /// Batches that others' saves run into are made anew, as a whole.
    async fn batches_that_meet_are_both_made(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let savers = (0..4).map(|saver| {
            let entities = entities.clone();
            tokio::spawn(async move {
                for count in 0..5 {
                    let mut batch = EntityBatch::new();
                    for id in ["a", "b"] {
                        let change = format!(r#"{{"id":"{id}","by_{saver}":{count}}}"#);
                        batch.add_object("job", object(&change));
                    }
                    entities.save_all(&batch).await.unwrap();
                }
            })
        });
        for saver in savers.collect::<Vec<_>>() {
            saver.await.unwrap();
        }
        for id in ["a", "b"] {
            let job = entities.get("job", id).await.unwrap().unwrap();
            assert!((0..4).all(|saver| job.get(&format!("by_{saver}")).unwrap().as_str() == "4"));
        }
    }

    async fn a_removal_takes_everything_of_the_entity_with_it(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let jobs = Lifecycle::new(fixture.store.clone(), "job", Machine::entity());
        for id in ["j", "other"] {
            entities.repository().save(&Job::new(id, "n", "a")).await.unwrap();
            jobs.handle_event(id, "start_work", "w").await.unwrap();
            jobs.handle_event(id, "awaiting_on_input", "w").await.unwrap();
        }
        assert!(entities.delete("job", "j").await.unwrap());
        assert!(!entities.delete("job", "j").await.unwrap());
        assert!(jobs.history("j").await.unwrap().is_empty());
        assert_eq!(jobs.history("other").await.unwrap().len(), 2);
        assert_eq!(export_all(&fixture.store).await.len(), 3);
        assert_eq!(entities.reset(Some("job")).await.unwrap(), 1);
        assert!(export_all(&fixture.store).await.is_empty());
    }

    /// The counts of the sample's README, and every field as it was.
    async fn real_jobs_and_cases_are_kept_and_related(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        save_sample(&entities).await;
        let jobs = entities.repository::<Job>().get_all().await.unwrap();
        let cases = entities.repository::<Case>().get_all().await.unwrap();
        assert_eq!((jobs.len(), cases.len()), (20, 60));
        for row in rows::<Value>("Case") {
            let id = row["id"].as_str().unwrap();
            let kept = entities.get("case", id).await.unwrap().unwrap();
            assert_eq!(serde_json::to_value(&kept.value).unwrap(), row);
        }
        let by_status = |status: &'static str| entities.count_by("job", "status", status);
        for (status, count) in [("awaiting", 3), ("completed", 6), ("in_progress", 4), ("stopped", 2)] {
            assert_eq!(by_status(status).await.unwrap(), count, "{status}");
        }
        for (job, count) in [
            ("2b1413c0-1bac-4f2f-b65c-f61ead0a3f4e", 6),
            ("95234ca0-0d7f-4c71-af36-493433b8ade2", 5),
            ("db4899f4-b4de-48c0-9807-fb03931e99c5", 0),
        ] {
            assert_eq!(entities.count_cases_for_job(job).await.unwrap(), count);
            let cases = entities.cases_for_job(job).await.unwrap();
            assert_eq!(cases.len() as u64, count);
            for case in cases {
                let found = entities.job_of_case(&case.id).await.unwrap().unwrap();
                assert_eq!(found.id, job);
                assert!(found.case_ids.contains(&case.id));
            }
        }
        assert_eq!(entities.job_of_case("nobody's").await.unwrap(), None);
    }

    async fn a_type_keeps_the_fields_that_it_does_not_know(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let notes = entities.repository::<Note>();
        let rich = object(r#"{"number":"n","tags":["a"],"color":"red"}"#);
        let draft = Draft::new(Key::new("note", "n"), text(&rich)).attribute("tags", "a");
        fixture.store.create(draft).await.unwrap();
        let changed = notes.modify("n", |note| note.tags = vec!["b".into(), "c".into()]).await.unwrap();
        assert_eq!(changed.tags, ["b", "c"]);
        let kept = entities.get("note", "n").await.unwrap().unwrap();
        assert_eq!(text(&kept), r#"{"number":"n","tags":["b","c"],"color":"red"}"#);
        assert_eq!(notes.find_by("tags", "c").await.unwrap().len(), 1);
        assert_eq!(notes.count_by("tags", "a").await.unwrap(), 0);
        let page = notes.list(EntityQuery::default()).await.unwrap();
        assert_eq!((page.ids, page.next), (vec!["n".to_owned()], None));
        assert!(notes.delete("n").await.unwrap());
    }

    async fn a_stale_entity_is_not_written(fixture: Fixture) {
        let notes = EntityStore::new(fixture.store.clone()).repository::<Note>();
        let note = Note { number: "n".into(), tags: vec![] };
        let mut mine = notes.save(&note).await.unwrap();
        let mut theirs = mine.clone();
        theirs.tags.push("theirs".into());
        notes.update(&mut theirs).await.unwrap();
        mine.tags.push("mine".into());
        let error = notes.update(&mut mine).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(error.current().unwrap().revision(), theirs.revision);
        assert_eq!(notes.get("n").await.unwrap().unwrap().tags, ["theirs"]);
        notes.delete("n").await.unwrap();
        assert!(notes.update(&mut mine).await.unwrap_err().is_not_found());
        let error = notes.modify("n", |_| {}).await.unwrap_err();
        assert!(error.is_not_found());
    }

    async fn a_save_leaves_no_final_state(fixture: Fixture) {
        let jobs = EntityStore::new(fixture.store.clone()).repository::<Job>();
        let stale = jobs.save(&Job::new("j", "n", "a")).await.unwrap();
        let lifecycle = Lifecycle::new(fixture.store.clone(), "job", Machine::entity());
        for event in ["start_work", "cancel_requested", "cancel_confirmed"] {
            lifecycle.handle_event("j", event, "w").await.unwrap();
        }
        let error = jobs.save(&stale).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTransition);
        let refusal = error.transition_refusal().unwrap();
        assert_eq!(refusal.state.as_deref(), Some("cancelled"));
        assert!(error.to_string().contains(r#""cancelled" is final"#), "{error}");
        let error = jobs.modify("j", |job| job.status = "stopped".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTransition);
        // All else of a finished job may change.
        let renamed = jobs.modify("j", |job| job.name = "renamed".into()).await.unwrap();
        assert_eq!((renamed.name.as_str(), renamed.status.as_str()), ("renamed", "cancelled"));
    }

    async fn what_is_no_entity_is_told(fixture: Fixture) {
        let entities = EntityStore::new(fixture.store.clone());
        let put = |id: &str, body: &str| Write::put(Draft::new(Key::new("job", id), body));
        let batch = vec![put("list", "[1]"), put("damaged", r#"{"id":"#), put("job", r#"{"id":"job"}"#)];
        fixture.store.apply(batch).await.unwrap();
        let corrupt = |error: Error| {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            error.to_string()
        };
        let told = corrupt(entities.get("job", "list").await.unwrap_err());
        assert!(told.contains("the record is no job"), "{told}");
        let told = corrupt(entities.repository::<Job>().get("job").await.unwrap_err());
        assert!(told.contains("the record is no job"), "{told}");
        let told = corrupt(entities.save("job", &object(r#"{"id":"damaged"}"#)).await.unwrap_err());
        assert!(told.contains("it was set aside"), "{told}");
        let aside = fixture.store.quarantine().list(None, 10).await.unwrap();
        assert_eq!(aside.entries.len(), 1);
        // Its place is free again.
        entities.save("job", &object(r#"{"id":"damaged"}"#)).await.unwrap();
    }
}

#[tokio::test]
async fn a_history_longer_than_a_batch_goes_with_its_entity() {
    let fixture = Fixture::new("memory").await;
    let entities = EntityStore::new(fixture.store.clone());
    let jobs = Lifecycle::new(fixture.store.clone(), "job", Machine::entity());
    entities
        .repository()
        .save(&Job::new("j", "n", "a"))
        .await
        .unwrap();
    jobs.handle_event("j", "start_work", "w").await.unwrap();
    for _ in 0..600 {
        for event in ["awaiting_on_input", "input_received"] {
            jobs.handle_event("j", event, "w").await.unwrap();
        }
    }
    assert_eq!(jobs.history("j").await.unwrap().len(), 1_201);
    assert!(entities.delete("job", "j").await.unwrap());
    assert!(export_all(&fixture.store).await.is_empty());
}
