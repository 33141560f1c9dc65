//! `fixtures/orchestrator-files`, and such folders that are damaged.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use mortise::transfer::ImportOptions;
use mortise::{ErrorKind, Query};
use serde_json::value::RawValue;

use super::{
    Kind, Source, assert_counts, assert_same, expected, fields, of, skipped, strict, text,
};
use crate::support::{Fixture, export_all, find_all, ids, on_every_backend};

/// The files of a folder in a source, by their whole paths.
fn files(source: &Source, under: &str) -> Vec<PathBuf> {
    let under = source.path().join(".task_orchestrator").join(under);
    let files = source.listing().into_keys();
    files.filter(|path| path.starts_with(&under)).collect()
}

/// A text as JSON.
fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(serde_json::to_string(text).unwrap()).unwrap()
}

on_every_backend! {
    async fn every_file_moves_in_and_the_second_time_none(fixture: Fixture) {
        let source = Source::fixture(Kind::OrchestratorFiles);
        let (report, records) = source.import_twice(&fixture.store).await;
        assert_eq!(skipped(&report), []);
        let expected = expected("orchestrator-files");
        let counted = &report.collections;
        assert_counts(&counted["task-breakdown"], &expected, &[
            ("read", "tasks"),
            ("archived", "archive_files"),
            ("complexity", "complexities"),
        ]);
        assert_counts(&counted["subtask"], &expected, &[
            ("read", "subtasks"),
            ("status", "statuses"),
            ("specialist_type", "specialists"),
            ("dependencies", "dependencies"),
            ("artifacts", "artifacts"),
            ("with_results", "subtasks_with_results"),
            ("with_completed_at", "subtasks_completed_at"),
        ]);
        let stored = expected["stored_artifacts"].as_object().unwrap();
        assert_eq!(counted["artifact"].read, 4);
        assert_eq!(counted["artifact"].counts["subtasks"], stored.len() as u64);
        assert_eq!(counted.len(), 3);

        let (tasks, subtasks) = (of(&records, "task-breakdown"), of(&records, "subtask"));
        for path in files(&source, "tasks") {
            let place = path.display().to_string();
            let mut task = fields(&fs::read_to_string(&path).unwrap());
            let of_task = task.remove("subtasks").unwrap();
            let id = task["parent_task_id"].clone();
            let name: String = serde_json::from_str(id.get()).unwrap();
            let archived = path.to_str().unwrap().contains("/archive/").to_string();
            task.insert("archived".to_owned(), RawValue::from_string(archived).unwrap());
            task.insert("id".to_owned(), id.clone());
            let mut body = fields(text(tasks[&*name]));
            assert!(body.keys().eq(task.keys()), "{place}");
            for (field, value) in &task {
                assert_same(&body.remove(field).unwrap(), value, &place);
            }
            let of_task: Vec<Box<RawValue>> = serde_json::from_str(of_task.get()).unwrap();
            for subtask in of_task {
                let mut subtask = fields(subtask.get());
                let own = subtask["task_id"].clone();
                let name: String = serde_json::from_str(own.get()).unwrap();
                subtask.insert("id".to_owned(), own);
                subtask.insert("parent_task_id".to_owned(), id.clone());
                let mut body = fields(text(subtasks[&*name]));
                assert!(body.keys().eq(subtask.keys()), "{place}");
                for (field, value) in &subtask {
                    assert_same(&body.remove(field).unwrap(), value, &place);
                }
            }
        }
        for (task, subtasks) in expected["subtask_order"].as_object().unwrap() {
            let query = Query::new("subtask").with("parent_task_id", task).limit(1000);
            let found = find_all(&fixture.store, query).await.unwrap();
            assert_eq!(serde_json::to_value(ids(&found)).unwrap(), *subtasks, "{task}");
        }
        let artifacts = of(&records, "artifact");
        for path in files(&source, "artifacts") {
            if !path.to_str().unwrap().ends_with("_metadata.json") {
                continue;
            }
            let mut artifact = fields(&fs::read_to_string(&path).unwrap());
            let read = |field: &str| -> String {
                serde_json::from_str(artifact[field].get()).unwrap()
            };
            // From the folder above, where the platform ran.
            let content = source.folder.path().join(read("primary_file"));
            let (id, content) = (read("artifact_id"), fs::read_to_string(content).unwrap());
            artifact.insert("id".to_owned(), json(&id));
            artifact.insert("content".to_owned(), json(&content));
            let body = fields(text(artifacts[&*id]));
            assert!(body.keys().eq(artifact.keys()), "{id}");
            for (field, value) in &artifact {
                assert_same(&body[field], value, &id);
            }
        }
        // By when they were made.
        let made = |collection: &str| {
            let records = records.iter().filter(|record| record.key().collection == collection);
            let times = records.map(|record| fields(text(record))["created_at"].get().to_owned());
            times.collect::<Vec<_>>()
        };
        assert!(made("task-breakdown").is_sorted() && made("artifact").is_sorted());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inner_folder_is_the_same_source() {
    let mut source = Source::fixture(Kind::OrchestratorFiles);
    source.name = "orchestrator-files/.task_orchestrator".to_owned();
    let fixture = Fixture::new("memory").await;
    let report = source.import(&fixture.store, &strict()).await.unwrap();
    assert_eq!(report.collections["subtask"].created, 21);
}

/// A folder with these files of tasks.
fn folder(tasks: &[(&str, &str)]) -> Source {
    let source = Source::empty(Kind::OrchestratorFiles);
    let inner = source.path().join(".task_orchestrator/tasks");
    fs::create_dir_all(inner.join("active")).unwrap();
    fs::create_dir_all(inner.join("archive")).unwrap();
    for (name, text) in tasks {
        fs::write(inner.join(name), text).unwrap();
    }
    source
}

fn task(id: &str, created_at: &str, subtasks: &str) -> String {
    format!(r#"{{"parent_task_id": "{id}", "created_at": "{created_at}", "subtasks": {subtasks}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_be_imported_are_skipped_and_named() {
    let noon = "2025-06-01T12:00:00";
    let subtasks = r#"[{"task_id": "s-1"}, "SECRET", {"title": "SECRET"}, {"task_id": "s-2", "parent_task_id": "SECRET", "id": "SECRET"}]"#;
    let source = folder(&[
        ("active/a.json", &task("a", noon, subtasks)),
        (
            "active/b.json",
            &task("b", "2025-06-01T11:00:00", "\"SECRET\""),
        ),
        ("active/c.json", r#"{"parent_task_id": "SECRET"#),
        ("active/d.json", r#"{"subtasks": [{"task_id": "lost"}]}"#),
        ("archive/a.json", &task("a", noon, "[]")),
        ("archive/e.json", r#"{"parent_task_id": "e"}"#),
        ("active/f.json.tmp", "SECRET"),
    ]);
    let active = source.path().join(".task_orchestrator/tasks/active");
    fs::write(active.join("g.json"), b"{\"a\": \"\xff\"}").unwrap();
    fs::create_dir(active.join("h.json")).unwrap();
    let fixture = Fixture::new("sqlite").await;
    let before = source.listing();
    let report = source
        .import(&fixture.store, &ImportOptions::default())
        .await;
    let report = report.unwrap();
    assert_eq!(source.listing(), before);
    assert_eq!(
        skipped(&report),
        [
            (
                "tasks/active/b.json",
                "the field subtasks is no list: expected a sequence"
            ),
            (
                "tasks/active/a.json, subtask 2",
                "the subtask is no JSON object: expected a JSON object"
            ),
            (
                "tasks/active/a.json, subtask 3",
                "the field task_id is no text, expected an id"
            ),
            (
                "tasks/archive/a.json",
                "it has the same id as tasks/active/a.json"
            ),
            (
                "tasks/active/c.json",
                "the file is no JSON: EOF while parsing a string at column 26"
            ),
            (
                "tasks/active/d.json",
                "the field parent_task_id is no text, expected an id"
            ),
            ("tasks/active/g.json", "the file is not UTF-8"),
            ("tasks/active/h.json", "it is no file"),
        ]
    );
    let records = export_all(&fixture.store).await;
    assert_eq!(ids(&records), ["b", "a", "s-1", "s-2", "e"]);
    assert_eq!(
        text(&records[3]),
        r#"{"id":"s-2","parent_task_id":"a","task_id":"s-2"}"#
    );
    assert_eq!(
        text(&records[4]),
        r#"{"id":"e","parent_task_id":"e","archived":true}"#
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_link_leads_out_of_the_folder() {
    let source = folder(&[("active/a.json", &task("a", "", "[]"))]);
    let outside = source.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("o.json"), task("SECRET", "", "[]")).unwrap();
    fs::write(
        outside.join("o_metadata.json"),
        r#"{"artifact_id": "SECRET"}"#,
    )
    .unwrap();
    let inner = source.path().join(".task_orchestrator");
    let artifacts = inner.join("artifacts/s-1");
    fs::create_dir_all(&artifacts).unwrap();
    symlink(
        outside.join("o.json"),
        inner.join("tasks/active/linked.json"),
    )
    .unwrap();
    symlink(&outside, inner.join("artifacts/s-2")).unwrap();
    for (name, path) in [
        ("1", "../../../outside/o.json".to_owned()),
        ("2", outside.join("o.json").display().to_string()),
        ("3", "s-1/gone.md".to_owned()),
    ] {
        let text = format!(r#"{{"artifact_id": "{name}", "relative_path": "{path}"}}"#);
        fs::write(artifacts.join(format!("{name}_metadata.json")), text).unwrap();
    }
    fs::write(artifacts.join("4_metadata.json"), r#"{"artifact_id": "4"}"#).unwrap();
    let fixture = Fixture::new("memory").await;
    let report = source
        .import(&fixture.store, &ImportOptions::default())
        .await;
    let report = report.unwrap();
    let out = "cannot be read: it leads out of the folder";
    let found = skipped(&report);
    for (place, reason) in [
        ("tasks/active/linked.json", out),
        ("artifacts/s-2", out),
        ("artifacts/s-1/1_metadata.json", out),
        ("artifacts/s-1/2_metadata.json", out),
        (
            "artifacts/s-1/3_metadata.json",
            "its text: the file cannot be read: No such file",
        ),
        (
            "artifacts/s-1/4_metadata.json",
            "the field relative_path is no text",
        ),
    ] {
        let named = found.iter().find(|(found, _)| *found == place);
        assert!(
            named.is_some_and(|(_, found)| found.contains(reason)),
            "{place}: {found:?}"
        );
    }
    assert_eq!(found.len(), 6);
    assert_eq!(ids(&export_all(&fixture.store).await), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_such_folder_is_refused() {
    let fixture = Fixture::new("memory").await;
    let refused = async |source: &Source| {
        let error = source.import(&fixture.store, &strict()).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("expected the folder orchestrator-files"),
            "{text}"
        );
        (error.kind(), text)
    };
    let source = Source::empty(Kind::OrchestratorFiles);
    assert_eq!(refused(&source).await.0, ErrorKind::Io);
    fs::write(source.path(), "").unwrap();
    let (kind, text) = refused(&source).await;
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.contains("it is no folder"), "{text}");
    fs::remove_file(source.path()).unwrap();
    fs::create_dir(source.path()).unwrap();
    let (kind, text) = refused(&source).await;
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.contains("it has no tasks"), "{text}");
}
