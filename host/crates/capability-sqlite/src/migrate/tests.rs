//! Migrations of real files between schemas that are written down here.

mod rebuilds;
mod rollback;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mortise_config::{Migrate, Synchronous};
use mortise_store::schema::{HistoryEntry, Outcome};
use mortise_store::{Error, ErrorKind, Result};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::Instant;

use super::apply::{Applied, Job};
use super::history;
use super::open::{Occasion, Preparation};
use super::plan::APPLICATION_ID;
use super::rollback::{RolledBack, roll_back};
use super::target::{Blueprint, Wanted};
use crate::sql::Step;

const NOW: u64 = 1_767_225_600_000;
const NOTES: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";

/// A database file, and the schema that is wanted of it.
struct Case {
    folder: TempDir,
    blueprint: Blueprint,
}

impl Case {
    /// With these statements run in it.
    fn new(made: &str) -> Self {
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
            blueprint: Blueprint::default(),
        };
        if !made.is_empty() {
            case.raw().execute_batch(made).unwrap();
        }
        case
    }

    fn target(mut self, target: &[&str]) -> Self {
        self.blueprint.target = target.iter().map(|sql| sql.to_string()).collect();
        self
    }

    fn step(mut self, version: u32, sql: &[&str]) -> Self {
        let sql = sql.iter().map(|sql| sql.to_string()).collect();
        self.blueprint.steps.push(Step { version, sql });
        self
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tasks.db")
    }

    fn raw(&self) -> Connection {
        let raw = Connection::open(self.file()).unwrap();
        raw.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .unwrap();
        raw
    }

    fn apply(&self, confirmed: &[&str]) -> Result<Option<Applied>> {
        let deadline = soon();
        let wanted = Wanted::read(self.blueprint.clone(), deadline)?;
        let confirmed: Vec<_> = confirmed.iter().map(|name| name.to_string()).collect();
        let job = Job {
            file: &self.file(),
            wanted: &wanted,
            synchronous: Synchronous::Normal,
            confirmed: &confirmed,
            now: NOW,
            deadline,
        };
        job.run()
    }

    fn open(&self, occasion: Occasion, migrate: Migrate) -> Result<()> {
        drop(self.raw());
        let preparation = Preparation {
            file: self.file(),
            migrate,
            synchronous: Synchronous::Normal,
            occasion,
            blueprint: self.blueprint.clone(),
            now: NOW,
            deadline: soon(),
        };
        preparation.run()
    }

    fn roll_back(&self) -> Result<RolledBack> {
        roll_back(&self.file(), NOW, soon())
    }

    fn history(&self) -> Vec<HistoryEntry> {
        history::read(&self.raw()).unwrap()
    }

    /// Every row that a query answers, its values one after another.
    fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.file(), sql)
    }

    /// The names in the folder.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Refused, and the file as it was.
    fn refuses(&self, confirmed: &[&str], parts: &[&str]) -> Error {
        drop(self.raw());
        let before = fs::read(self.file()).unwrap();
        let error = self.apply(confirmed).unwrap_err();
        let told = format!("{error:?} {:?}", error.hint());
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(
            fs::read(self.file()).unwrap() == before,
            "the file was changed: {told}"
        );
        let left: Vec<_> = self
            .files()
            .into_iter()
            .filter(|name| name.contains("backup"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
        error
    }

    /// Applied, and then there is nothing left to do.
    fn applies(&self, confirmed: &[&str]) -> Applied {
        let applied = self
            .apply(confirmed)
            .unwrap()
            .expect("something was to be done");
        let schema = self.rows("SELECT name, sql FROM sqlite_schema ORDER BY name");
        assert_eq!(self.apply(&[]).unwrap(), None, "{schema:?}");
        let sound =
            ["PRAGMA integrity_check", "PRAGMA foreign_key_check"].map(|sql| self.rows(sql));
        assert_eq!(sound, [vec!["ok".to_owned()], vec![]]);
        applied
    }
}

fn rows(file: &Path, sql: &str) -> Vec<String> {
    let raw = Connection::open(file).unwrap();
    let mut statement = raw.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at));
        let values = values.map(|value| {
            Ok(match value? {
                rusqlite::types::Value::Null => "NULL".to_owned(),
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Real(number) => format!("{number:?}"),
                rusqlite::types::Value::Text(text) => text,
                rusqlite::types::Value::Blob(bytes) => format!("{bytes:?}"),
            })
        });
        Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    });
    rows.unwrap().map(|row| row.unwrap()).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// The names of what was done.
fn done(applied: &Applied) -> Vec<&str> {
    applied
        .plan
        .changes
        .iter()
        .map(|change| change.what.as_str())
        .collect()
}

#[test]
fn an_empty_database_is_created_with_its_version_and_its_history() {
    let case = Case::new("")
        .target(&[NOTES, "INSERT INTO notes VALUES (1, 'first')"])
        .step(3, &[]);
    let applied = case.applies(&[]);
    assert!(applied.plan.creates && applied.backup.is_none());
    assert_eq!(case.rows("SELECT text FROM notes"), ["first"]);
    assert_eq!(case.rows("PRAGMA user_version"), ["3"]);
    assert_eq!(
        case.rows("PRAGMA application_id"),
        [APPLICATION_ID.to_string()]
    );
    let [entry] = &case.history()[..] else {
        panic!("{:?}", case.history());
    };
    assert_eq!(
        (entry.id, entry.from, entry.to, entry.started_at),
        (1, 0, 3, NOW)
    );
    assert_eq!(
        (entry.outcome, entry.schema_digest.len()),
        (Outcome::Applied, 64)
    );
    assert_eq!(entry.statements.len(), 2);
    assert_eq!(case.files(), ["tasks.db"]);
}

#[test]
fn steps_run_in_order_and_only_those_that_were_not_taken() {
    let case = Case::new(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT; \
         INSERT INTO notes VALUES (1, 'one'), (2, 'two'); PRAGMA user_version = 1",
    )
    .target(&[NOTES, "CREATE INDEX by_text ON notes (text)"])
    .step(1, &["CREATE TABLE never (x)"])
    .step(2, &["ALTER TABLE notes RENAME COLUMN body TO text"])
    .step(5, &["UPDATE notes SET text = upper(text) WHERE id = 2"]);
    let applied = case.applies(&[]);
    assert_eq!(
        done(&applied),
        [
            "step to version 2",
            "step to version 5",
            "create index by_text"
        ]
    );
    assert_eq!(case.rows("SELECT * FROM notes"), ["1|one", "2|TWO"]);
    assert_eq!(case.rows("PRAGMA user_version"), ["5"]);
    assert_eq!((applied.plan.from, applied.plan.to), (1, 5));
    let backup = applied.backup.unwrap();
    assert_eq!(rows(&backup, "SELECT body FROM notes"), ["one", "two"]);
    assert_eq!(
        case.history()[0].backup.as_deref(),
        backup.file_name().unwrap().to_str()
    );
}

#[test]
fn a_step_that_fails_rolls_all_back_and_is_named() {
    let case = Case::new(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT; \
                          INSERT INTO notes VALUES (1, 'one')",
    )
    .target(&[NOTES])
    .step(
        1,
        &[
            "INSERT INTO notes VALUES (2, 'two')",
            "UPDATE notes SET text = NULL",
        ],
    );
    let error = case.refuses(
        &[],
        &["UPDATE notes SET text = NULL", "NOT NULL constraint failed"],
    );
    assert_eq!(error.kind(), ErrorKind::Component);
    assert_eq!(case.rows("SELECT * FROM notes"), ["1|one"]);
    assert_eq!(case.rows("PRAGMA user_version"), ["0"]);
}

#[test]
fn a_newer_schema_is_refused() {
    let case = Case::new(&format!("{NOTES}; PRAGMA user_version = 8"))
        .target(&[NOTES])
        .step(7, &[]);
    let error = case.refuses(
        &[],
        &[
            "newer schema",
            "version 8, expected at most 7",
            "newer version",
        ],
    );
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn another_programs_database_is_refused() {
    for (made, part) in [
        ("CREATE TABLE precious (x)", "it lacks notes"),
        // A name alone is no sign.
        (
            "CREATE TABLE notes (a, b, c)",
            "its tables have other columns",
        ),
        (
            &format!("{NOTES}; PRAGMA application_id = 7"),
            "application id is 7",
        ),
    ] {
        let error = Case::new(made)
            .target(&[NOTES])
            .refuses(&[], &[part, "name another file"]);
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn when_a_store_is_opened_only_what_is_allowed_is_done() {
    let older = || {
        Case::new("CREATE TABLE notes (id INTEGER PRIMARY KEY) STRICT")
            .target(&["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT"])
    };
    let swap = older().open(Occasion::Swap, Migrate::Auto).unwrap_err();
    assert_eq!(swap.kind(), ErrorKind::Component);
    assert!(
        swap.to_string()
            .contains("a hot swap never migrates: add column notes.text"),
        "{swap}"
    );
    let case = older();
    let manual = case.open(Occasion::Open, Migrate::Manual).unwrap_err();
    assert_eq!(manual.kind(), ErrorKind::Config);
    assert!(
        manual.hint().unwrap().contains("mortise migrate apply"),
        "{manual:?}"
    );
    let written = |name: &String| name.contains("backup") || name.contains("lock");
    assert!(!case.files().iter().any(written), "{:?}", case.files());
    case.open(Occasion::Open, Migrate::Auto).unwrap();
    let history = case.history();
    case.open(Occasion::Swap, Migrate::Manual).unwrap();
    case.open(Occasion::Open, Migrate::Manual).unwrap();
    assert_eq!(case.history(), history);
    for (occasion, migrate) in [
        (Occasion::Swap, Migrate::Auto),
        (Occasion::Open, Migrate::Manual),
    ] {
        let empty = Case::new("").target(&[NOTES]);
        empty.open(occasion, migrate).unwrap();
        assert_eq!(empty.history().len(), 1);
    }
    let lossy = Case::new(&format!("{NOTES}; INSERT INTO notes VALUES (1, '')"))
        .target(&[NOTES])
        .step(1, &["DELETE FROM notes"]);
    let refused = lossy.open(Occasion::Open, Migrate::Auto).unwrap_err();
    assert!(
        refused.to_string().contains("would lose notes"),
        "{refused}"
    );
}
