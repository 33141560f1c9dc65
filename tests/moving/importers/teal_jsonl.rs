//! `fixtures/teal-tasks.jsonl`, and lines that are damaged.

use std::io::{self, BufReader, Read};

use mortise::ErrorKind;
use mortise::agent::{AgentTask, TaskStore};
use mortise::transfer::{ImportOptions, import_teal_jsonl};

use super::{Kind, Source, assert_counts, expected, skipped, strict};
use crate::support::{Fixture, export_all, ids, on_every_backend};

on_every_backend! {
    async fn every_line_moves_in_and_the_second_time_none(fixture: Fixture) {
        let source = Source::fixture(Kind::TealJsonl);
        let (report, records) = source.import_twice(&fixture.store).await;
        assert_eq!(skipped(&report), []);
        let expected = expected("teal-tasks.jsonl");
        assert_counts(&report.collections["task"], &expected, &[
            ("read", "tasks"),
            ("items", "items"),
            ("request_ids", "distinct_request_ids"),
            ("request_pairs", "request_id_task_pairs"),
            ("status", "statuses"),
            ("role", "roles"),
            ("content_type", "content_types"),
            ("without_items", "tasks_without_items"),
            ("items_with_pending_tool_calls", "items_with_pending_tool_calls"),
            ("items_with_chat_history", "items_with_chat_history"),
            ("chat_history_messages", "chat_history_messages"),
        ]);
        let file = std::fs::read_to_string(source.path()).unwrap();
        for (record, line) in records.iter().zip(file.lines()) {
            assert_eq!(record.draft.body, line.as_bytes());
        }
        let tasks = TaskStore::new(fixture.store.clone());
        let shared = expected["request_ids_of_several_tasks"].as_object().unwrap();
        for (request, ids) in shared {
            let first = tasks.load_by_request_id(request).await.unwrap().unwrap();
            assert_eq!(first.task_id, ids[0].as_str().unwrap());
        }
    }
}

fn line(id: &str) -> String {
    let task = AgentTask::new(id);
    serde_json::to_string(&task).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_cannot_be_imported_are_skipped_and_named() {
    let mut lines: Vec<Vec<u8>> = vec![
        line("first").into(),
        b"{\"task_id\": \"SECRET".into(),
        b"{\"task_id\": \"\xff\"}".into(),
        b"[\"SECRET\"]".into(),
        br#"{"task_id":"t","session_id":["SECRET"]}"#.into(),
        br#"{"task_id":"t"}"#.into(),
        format!("{}{}", line("long"), " ".repeat(2 << 10)).into(),
        line("first").into(),
        Vec::new(),
        line("taken").into(),
        line(&"i".repeat(1025)).into(),
        line("spaced").replace(',', " ,\t").into(),
    ];
    lines.push(line("cut")[..20].into());
    let source = Source::of(Kind::TealJsonl, lines.join(&b"\r\n"[..]));
    let fixture = Fixture::with("sqlite", "body-bytes=2KiB").await;
    let tasks = TaskStore::new(fixture.store.clone());
    tasks.create(&AgentTask::new("taken")).await.unwrap();
    let before = source.listing();
    let report = source
        .import(&fixture.store, &ImportOptions::default())
        .await;
    let report = report.unwrap();
    assert_eq!(
        skipped(&report),
        [
            (
                "line 2",
                "the line is no JSON: EOF while parsing a string at column 19"
            ),
            ("line 3", "the line is not UTF-8"),
            (
                "line 4",
                "the line is no agent task: expected a JSON object"
            ),
            (
                "line 5",
                "the line is no agent task: field `session_id`: expected a string"
            ),
            (
                "line 6",
                "the line is no agent task: missing field `session_id`"
            ),
            (
                "line 7",
                "the line has more than the 2048 bytes that the store takes"
            ),
            ("line 8", "it has the same id as line 1"),
            ("line 11", "the id has 1025 bytes, expected 1 to 1024"),
            (
                "line 13",
                "the line is no JSON: EOF while parsing a string at column 20"
            ),
            (
                "line 10",
                "the store has this record already, with other content"
            ),
        ]
    );
    let counted = &report.collections["task"];
    assert_eq!(
        (counted.read, counted.created, counted.skipped),
        (12, 2, 10)
    );
    let records = export_all(&fixture.store).await;
    assert_eq!(ids(&records), ["taken", "first", "spaced"]);
    assert_eq!(source.listing(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_import_says_what_was_imported_before() {
    let mut lines: Vec<_> = (0..1200)
        .map(|number| line(&format!("t-{number}")))
        .collect();
    lines.push("SECRET".to_owned());
    lines.push(line("after"));
    let source = Source::of(Kind::TealJsonl, lines.join("\n"));
    let fixture = Fixture::new("sqlite").await;
    let error = source.import(&fixture.store, &strict()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let causes = error.with_causes();
    let created = export_all(&fixture.store).await.len();
    assert!((1..=1200).contains(&created), "{created}");
    let before = format!("; {created} records were created before");
    assert!(causes.contains(&before), "{causes}");
    assert!(
        causes.contains("line 1201: the line is no JSON"),
        "{causes}"
    );
    assert!(!causes.contains("SECRET"), "{causes}");
}

/// Lines without end, until reading fails.
struct Failing(u64);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        self.0 -= 1;
        let line = line(&format!("t-{}", self.0)) + "\n";
        buffer[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_on_ends_the_import() {
    let fixture = Fixture::new("memory").await;
    let from = BufReader::new(Failing(1500));
    let options = ImportOptions::default();
    let error = import_teal_jsonl(&fixture.store, from, &options, |_| {}).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let causes = error.with_causes();
    assert!(
        causes.contains("1000 records were created before"),
        "{causes}"
    );
    assert!(causes.contains("line 1501 cannot be read"), "{causes}");
    assert!(causes.contains("the disk is gone"), "{causes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_no_file_of_lines() {
    let source = Source::empty(Kind::TealJsonl);
    std::fs::create_dir(source.path()).unwrap();
    let fixture = Fixture::new("memory").await;
    let error = source.import(&fixture.store, &strict()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let causes = error.with_causes();
    assert!(causes.contains("expected an agent task a line"), "{causes}");
}
