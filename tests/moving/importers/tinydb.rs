//! `fixtures/supervaizer-entities.json`, and TinyDB files that are damaged.

use std::collections::BTreeMap;

use mortise::transfer::ImportOptions;
use mortise::{ErrorKind, Query};
use serde_json::value::RawValue;

use super::{Kind, Source, assert_counts, assert_same, expected, of, skipped, strict, text};
use crate::support::{Fixture, export_all, find_all, ids, on_every_backend};

on_every_backend! {
    async fn every_row_moves_in_and_the_second_time_none(fixture: Fixture) {
        let source = Source::fixture(Kind::TinyDb);
        let (report, records) = source.import_twice(&fixture.store).await;
        assert_eq!(skipped(&report), []);
        let expected = expected("supervaizer-entities.json");
        let counted = &report.collections;
        assert_counts(&counted["job"], &expected, &[
            ("read", "jobs"),
            ("status", "job_statuses"),
            ("to_be_resumed", "running_jobs"),
            ("responses", "job_responses"),
        ]);
        assert_counts(&counted["case"], &expected, &[
            ("read", "cases"),
            ("status", "case_statuses"),
            ("to_be_resumed", "running_cases"),
            ("updates", "case_updates"),
            ("scheduled_updates", "scheduled_updates"),
        ]);
        assert_counts(&counted["server-info"], &expected["tables"], &[("read", "ServerInfo")]);
        assert_eq!(counted.len(), 3);

        let file = std::fs::read_to_string(source.path()).unwrap();
        let tables: BTreeMap<String, BTreeMap<u64, Box<RawValue>>> =
            serde_json::from_str(&file).unwrap();
        for (table, rows) in &tables {
            let collection = table.replace("ServerInfo", "server-info").to_lowercase();
            let query = Query::new(&*collection).limit(1000);
            let records = find_all(&fixture.store, query).await.unwrap();
            assert_eq!(records.len(), rows.len());
            for (record, (number, row)) in records.iter().zip(rows) {
                let place = format!("{table}.{number}");
                let body: &RawValue = serde_json::from_str(text(record)).unwrap();
                assert_same(body, row, &place);
                assert!(!text(record).contains('\n'), "{place}");
                // The fields are in their order.
                let written: String = row.get().split_whitespace().collect();
                let body: String = text(record).split_whitespace().collect();
                assert_eq!(body, written, "{place}");
            }
        }

        let cases = of(&records, "case");
        for (job, count) in expected["cases_per_job"].as_object().unwrap() {
            let query = Query::new("case").with("job_id", job).limit(1000);
            let found = find_all(&fixture.store, query).await.unwrap();
            assert_eq!(found.len() as u64, count.as_u64().unwrap(), "{job}");
            for id in ids(&found) {
                assert!(text(cases[id]).contains(job));
            }
        }
    }
}

fn file(cases: &str) -> Source {
    Source::of(Kind::TinyDb, format!(r#"{{"Case": {cases}, "Tag": 7}}"#))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_imported_are_skipped_and_named() {
    let padding = "x".repeat(2 << 10);
    let source = file(&format!(
        r#"{{
            "12": {{"name": "SECRET"}},
            "3": {{"id": "b", "cost": 1.10}},
            "2": {{"id": "a"}},
            "4": {{"id": "b", "cost": "SECRET"}},
            "5": ["SECRET"],
            "6": {{"id": 7}},
            "7": {{"id": "large", "text": "{padding}"}},
            "8": {{"id": "{}"}},
            "9": {{"id": "taken", "cost": "SECRET"}},
            "x": {{"id": "last"}}
        }}"#,
        "i".repeat(1025)
    ));
    let fixture = Fixture::with("sqlite", "body-bytes=2KiB").await;
    let taken = mortise::Draft::new(mortise::Key::new("case", "taken"), "{}");
    fixture.store.create(taken).await.unwrap();
    let report = source
        .import(&fixture.store, &ImportOptions::default())
        .await;
    let report = report.unwrap();
    let no_id = r#"the entity of the collection "case" has no id"#;
    let no_row = "the row is no JSON object: expected a JSON object";
    assert_eq!(
        skipped(&report),
        [
            (
                "table Case, row 4",
                "it has the same id as table Case, row 3"
            ),
            ("table Case, row 5", no_row),
            ("table Case, row 6", no_id),
            (
                "table Case, row 7",
                "the body has 2072 bytes, more than the 2048 that a record may have"
            ),
            (
                "table Case, row 8",
                "the id has 1025 bytes, expected 1 to 1024"
            ),
            ("table Case, row 12", no_id),
            (
                "table Tag",
                "the table is no JSON object: expected a JSON object"
            ),
            (
                "table Case, row 9",
                "the store has this record already, with other content"
            ),
        ]
    );
    let counted = &report.collections["case"];
    assert_eq!((counted.read, counted.created, counted.skipped), (10, 3, 7));
    let records = export_all(&fixture.store).await;
    assert_eq!(ids(&records), ["taken", "a", "b", "last"]);
    assert_eq!(text(&records[2]), r#"{"id":"b","cost":1.10}"#);

    let again = source
        .import(&fixture.store, &ImportOptions::default())
        .await;
    let again = again.unwrap();
    assert_eq!(again.skipped, report.skipped);
    assert_eq!(again.collections["case"].unchanged, 3);
    assert_eq!(export_all(&fixture.store).await, records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_import_ends_at_the_first_row_that_would_be_skipped() {
    let source = file(r#"{"1": {"id": "a"}, "2": {"no": "SECRET"}, "3": {"id": "c"}}"#);
    let fixture = Fixture::new("memory").await;
    let error = source.import(&fixture.store, &strict()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let causes = error.with_causes();
    assert!(
        causes.contains("; 0 records were created before"),
        "{causes}"
    );
    assert!(causes.contains("table Case, row 2: the entity"), "{causes}");
    assert!(!causes.contains("SECRET"), "{causes}");
    assert_eq!(export_all(&fixture.store).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_tinydb_file_is_refused() {
    let fixture = Fixture::new("memory").await;
    for (bytes, reason) in [
        (&b""[..], "the file is no JSON: EOF"),
        (b"[1]", "the file is no JSON object: expected a JSON object"),
        (
            br#"{"Job": {"1": {"id": "SECRET"#,
            "the file is no JSON: EOF",
        ),
        (
            b"{\"Job\": {\"1\": {\"id\": \"\xff\"}}}",
            "the file is not UTF-8",
        ),
        (br#"{"task_id": "SECRET", "items": []}"#, "it has no table"),
        (b"SQLite format 3\0", "the file is no JSON"),
    ] {
        let source = Source::of(Kind::TinyDb, bytes);
        let error = source
            .import(&fixture.store, &ImportOptions::default())
            .await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{reason}");
        let causes = error.with_causes();
        assert!(causes.contains(reason), "{causes}");
        assert!(causes.contains("expected a TinyDB file"), "{causes}");
        assert!(!causes.contains("SECRET"), "{causes}");
    }
    let nothing = Source::empty(Kind::TinyDb);
    let error = nothing.import(&fixture.store, &strict()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.to_string().contains("expected a TinyDB file"),
        "{error}"
    );
    std::fs::create_dir(nothing.path()).unwrap();
    let error = nothing.import(&fixture.store, &strict()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("it is no file"), "{error}");

    let none = Source::of(Kind::TinyDb, "{}");
    let report = none.import(&fixture.store, &strict()).await.unwrap();
    assert!(report.collections.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_too_large_is_not_read() {
    let source = Source::of(Kind::TinyDb, "");
    let file = std::fs::File::options().write(true).open(source.path());
    file.unwrap().set_len((256 << 20) + 1).unwrap();
    let fixture = Fixture::new("memory").await;
    let error = source.import(&fixture.store, &strict()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
