//! Migrations of real files between schemas that are written down here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::Instant;

use super::apply::{Applied, Job};
use super::history::{self, HistoryEntry, Outcome};
use super::open::{Migrate, Occasion, Preparation};
use super::plan::APPLICATION_ID;
use super::rollback::{RolledBack, roll_back};
use super::target::{Blueprint, Wanted};
use crate::bindings::schema::exports::mortise::persistence::schema::Step;
use crate::capability::sqlite::Synchronous;
use crate::error::{Error, ErrorKind, Result};

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
fn what_steps_would_lose_is_refused_until_each_is_confirmed() {
    let case = Case::new(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, old TEXT) STRICT; \
         CREATE TABLE gone (x); CREATE TABLE empty (x); \
         INSERT INTO notes VALUES (1, 'one', 'x'); INSERT INTO gone VALUES (1)",
    )
    .target(&[NOTES])
    .step(
        1,
        &[
            "ALTER TABLE notes DROP COLUMN old",
            "DROP TABLE gone",
            "DROP TABLE empty",
        ],
    );
    case.refuses(
        &[],
        &[
            "notes.old",
            "gone (the step to version 1 drops the table)",
            "--confirm notes.old",
        ],
    );
    case.refuses(&["gone"], &["would lose notes.old", "--confirm notes.old"]);
    let error = case.refuses(&["gone", "notes.old", "notes"], &["notes is confirmed"]);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let applied = case.applies(&["gone", "NOTES.old"]);
    assert_eq!(applied.plan.losses.len(), 2);
    assert_eq!(case.rows("SELECT * FROM notes"), ["1|one"]);
    assert_eq!(
        rows(&applied.backup.unwrap(), "SELECT old FROM notes"),
        ["x"]
    );
}

#[test]
fn a_value_that_does_not_convert_is_a_loss_and_one_that_does_is_none() {
    let target = "CREATE TABLE notes (id INTEGER PRIMARY KEY, size INTEGER) STRICT";
    let made = |value: &str| {
        let made = "CREATE TABLE notes (id INTEGER PRIMARY KEY, size TEXT);";
        Case::new(&format!(
            "{made} INSERT INTO notes VALUES (4, '12'), (5, {value}), (6, NULL)"
        ))
        .target(&[target])
    };
    let whole = made("'-7'");
    whole.applies(&[]);
    assert_eq!(
        whole.rows("SELECT id, size, typeof(size) FROM notes"),
        ["4|12|integer", "5|-7|integer", "6|NULL|null"]
    );
    for (value, kept) in [("'012'", "12"), ("'a lot'", "0"), ("1.5", "1")] {
        let case = made(value);
        case.refuses(
            &[],
            &["notes.size (1 of its values are no integer as they are, such as that of rowid 5)"],
        );
        case.applies(&["notes.size"]);
        assert_eq!(case.rows("SELECT size FROM notes WHERE id = 5"), [kept]);
    }
}

#[test]
fn bytes_that_are_no_text_are_a_loss() {
    let case = |bytes: &str| {
        let made = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT;";
        Case::new(&format!("{made} INSERT INTO notes VALUES (1, x'{bytes}')")).target(&[NOTES])
    };
    let text = case("6869");
    text.applies(&[]);
    assert_eq!(text.rows("SELECT text FROM notes"), ["hi"]);
    case("ff").refuses(&[], &["notes.text", "rowid 1"]);
}

#[test]
fn what_the_rows_do_not_allow_is_refused_whatever_is_confirmed() {
    let with = |target: &[&str]| {
        Case::new(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, parent INTEGER) STRICT; \
             CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT; \
             INSERT INTO notes VALUES (3, 'same', 1), (4, 'same', NULL), (5, NULL, NULL)",
        )
        .target(target)
    };
    let parents = "CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT";
    let notes = |text: &str, parent: &str| {
        format!(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT {text}, parent INTEGER {parent}) STRICT"
        )
    };
    for (target, part) in [
        (
            notes("UNIQUE", ""),
            "2 of notes are not the only ones with the same text, such as rowid 3",
        ),
        (
            notes("NOT NULL", ""),
            "1 of notes have NULL in text, which becomes NOT NULL and has no default, such as rowid 5",
        ),
        (
            notes("", "REFERENCES parents (id)"),
            "1 of notes have no parent in parents, such as rowid 3",
        ),
        (
            notes("CHECK (text <> 'same')", ""),
            "2 of notes do not keep CHECK (text <> 'same'), such as rowid 3",
        ),
        (notes("", ", more TEXT NOT NULL"), "3 of notes lack more"),
    ] {
        let error = with(&[&target, parents]).refuses(&["notes.text"], &[part]);
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let unique = "CREATE UNIQUE INDEX by_text ON notes (text COLLATE NOCASE DESC)";
    with(&[&notes("", ""), parents, unique]).refuses(&[], &["2 of notes are not the only ones"]);
    let partial = "CREATE UNIQUE INDEX by_text ON notes (text) WHERE parent IS NOT NULL";
    with(&[&notes("", ""), parents, partial]).applies(&[]);
}

#[test]
fn nulls_take_the_default_and_a_step_may_fill_them_first() {
    let made = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT; \
                INSERT INTO notes VALUES (1, NULL), (2, 'two')";
    let with_default =
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL DEFAULT 'none') STRICT";
    let case = Case::new(made).target(&[with_default]);
    case.applies(&[]);
    assert_eq!(case.rows("SELECT text FROM notes"), ["none", "two"]);
    let case = Case::new(made)
        .target(&[NOTES])
        .step(1, &["UPDATE notes SET text = 'filled' WHERE text IS NULL"]);
    case.applies(&[]);
    assert_eq!(case.rows("SELECT text FROM notes"), ["filled", "two"]);
    let case = Case::new(made)
        .target(&[NOTES])
        .step(1, &["UPDATE notes SET text = NULL WHERE id = 2"]);
    case.refuses(&[], &["2 of notes have NULL in text"]);
}

#[test]
fn a_rebuild_keeps_what_the_backend_does_not_know() {
    let case = Case::new(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, mine VARCHAR(9) NOT NULL CHECK (mine <> ''), \
           text TEXT, twice TEXT AS (mine || mine), UNIQUE (mine, text)); \
         CREATE INDEX my_index ON notes (mine); CREATE VIEW my_view AS SELECT mine FROM notes; \
         CREATE TABLE log (x); \
         CREATE TRIGGER my_trigger AFTER UPDATE ON notes BEGIN INSERT INTO log VALUES (new.mine); END; \
         INSERT INTO notes (id, mine, text) VALUES (7, 'a', 'b'), (9, 'c', 'd'); DELETE FROM notes WHERE id = 9",
    )
    .target(&["CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL) STRICT"]);
    let applied = case.applies(&[]);
    let kept = [
        "table log",
        "column notes.mine",
        "column notes.twice",
        "index my_index",
        "trigger my_trigger",
        "view my_view",
    ];
    assert_eq!(applied.plan.kept, kept);
    let raw = case.raw();
    raw.execute_batch(
        "INSERT INTO notes (text) VALUES ('new'); UPDATE notes SET mine = 'x' WHERE id = 7",
    )
    .unwrap();
    assert_eq!(
        case.rows("SELECT id, mine, text, twice FROM notes"),
        ["7|x|b|xx", "10|NULL|new|NULL"]
    );
    assert_eq!(
        case.rows("SELECT * FROM my_view ORDER BY mine DESC"),
        ["x", "NULL"]
    );
    assert_eq!(case.rows("SELECT * FROM log"), ["x"]);
    assert!(
        raw.execute_batch("UPDATE notes SET mine = ''").is_err(),
        "its CHECK is gone"
    );
}

#[test]
fn rebuilt_tables_go_on_referring_to_each_other() {
    let case = Case::new(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, name) ; \
         CREATE TABLE notes (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id) ON DELETE CASCADE, \
           above INTEGER REFERENCES notes (id)); \
         CREATE TRIGGER on_parent AFTER INSERT ON parents BEGIN INSERT INTO notes (parent) VALUES (new.id); END; \
         INSERT INTO parents VALUES (1, 'p'); INSERT INTO notes VALUES (5, 1, 5)",
    )
    .target(&[
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, name ANY) STRICT",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id) ON DELETE CASCADE, \
           above INTEGER REFERENCES notes (id)) STRICT",
        "CREATE TRIGGER on_parent AFTER INSERT ON parents BEGIN INSERT INTO notes (parent) VALUES (new.id); END",
    ]);
    let applied = case.applies(&[]);
    assert_eq!(
        done(&applied),
        ["rebuild table notes", "rebuild table parents"]
    );
    let referred = "SELECT \"table\" FROM pragma_foreign_key_list('notes') ORDER BY 1";
    assert_eq!(case.rows(referred), ["notes", "parents"]);
    let raw = case.raw();
    raw.execute_batch("PRAGMA foreign_keys = ON; INSERT INTO parents VALUES (2, x'00'); DELETE FROM parents WHERE id = 1").unwrap();
    assert_eq!(case.rows("SELECT parent FROM notes"), ["2"]);
}

#[test]
fn rowids_that_have_no_name_stay() {
    let case = Case::new(
        "CREATE TABLE notes (text TEXT); INSERT INTO notes (rowid, text) VALUES (5, 'a'), (9, 'b')",
    )
    .target(&["CREATE TABLE notes (text TEXT NOT NULL)"]);
    case.applies(&[]);
    assert_eq!(case.rows("SELECT rowid, text FROM notes"), ["5|a", "9|b"]);
}

#[test]
fn triggers_views_and_indexes_become_what_is_wanted() {
    let trigger = "CREATE TRIGGER watch AFTER INSERT ON notes BEGIN UPDATE notes SET text = 'seen' WHERE id = new.id; END";
    let view = "CREATE VIEW texts AS SELECT text FROM notes";
    let index = "CREATE INDEX by_text ON notes (text DESC)";
    let case = Case::new(&format!(
        "{NOTES}; CREATE TRIGGER watch BEFORE INSERT ON notes BEGIN SELECT 1; END; \
         CREATE VIEW texts AS SELECT id FROM notes; CREATE INDEX by_text ON notes (text); \
         CREATE TRIGGER mine INSTEAD OF INSERT ON texts BEGIN SELECT 2; END"
    ))
    .target(&[NOTES, trigger, view, index]);
    let applied = case.applies(&[]);
    assert_eq!(
        done(&applied),
        [
            "create index by_text",
            "create view texts",
            "create trigger watch"
        ]
    );
    assert_eq!(applied.plan.kept, ["trigger mine"]);
    // The same in other words is the same.
    let same = "create  trigger WATCH after insert on \"notes\" /* see */ begin update notes set text = 'seen' where id = new.id; end";
    let Case { folder, .. } = case;
    let case = Case {
        folder,
        blueprint: Blueprint::default(),
    }
    .target(&[NOTES, same, view, index]);
    assert_eq!(case.apply(&[]).unwrap(), None);
}

#[test]
fn a_name_that_is_of_something_else_is_refused() {
    let case = Case::new(&format!("{NOTES}; CREATE VIEW extra AS SELECT 1"))
        .target(&[NOTES, "CREATE TABLE extra (x)"]);
    case.refuses(&[], &["extra is a view in the database, expected a table"]);
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

#[test]
fn a_roll_back_restores_the_file_and_keeps_what_came_since() {
    let case = Case::new(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY) STRICT; INSERT INTO notes VALUES (1)",
    )
    .target(&["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT"])
    .step(4, &[]);
    let error = case.roll_back().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no migration that can be rolled back"),
        "{error}"
    );
    let before = case.rows("SELECT sql FROM sqlite_schema");
    let applied = case.applies(&[]);
    let raw = case.raw();
    raw.execute_batch("INSERT INTO notes VALUES (2, 'since')")
        .unwrap();
    let error = case.roll_back().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("is open elsewhere"), "{error}");
    drop(raw);
    let rolled_back = case.roll_back().unwrap();
    assert_eq!((rolled_back.from, rolled_back.to), (4, 0));
    assert_eq!(Some(rolled_back.restored), applied.backup);
    assert_eq!(case.rows("SELECT * FROM notes"), ["1"]);
    let schema = "SELECT sql FROM sqlite_schema WHERE tbl_name <> 'migration_history'";
    assert_eq!(case.rows(schema), before);
    assert_eq!(
        rows(&rolled_back.backup, "SELECT text FROM notes"),
        ["NULL", "since"]
    );
    let history = case.history();
    assert_eq!(
        (history.len(), history[0].outcome),
        (1, Outcome::RolledBack)
    );
    assert_eq!(
        history[0].backup.as_deref(),
        rolled_back.backup.file_name().unwrap().to_str()
    );
    // It is migrated again when it is opened again.
    case.applies(&[]);
    assert_eq!(case.history().len(), 2);
    let partial: Vec<_> = case
        .files()
        .into_iter()
        .filter(|name| name.contains("partial"))
        .collect();
    assert_eq!(partial, Vec::<String>::new());
}

#[test]
fn a_backup_that_is_gone_or_damaged_is_not_restored() {
    let case = Case::new("CREATE TABLE notes (id INTEGER PRIMARY KEY) STRICT")
        .target(&["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT"]);
    let backup = case.applies(&[]).backup.unwrap();
    fs::write(&backup, "no database").unwrap();
    let error = case.roll_back().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    fs::remove_file(&backup).unwrap();
    let error = case.roll_back().unwrap_err();
    assert!(error.to_string().contains("is not there"), "{error}");
    assert_eq!(
        case.rows("SELECT count(*) FROM pragma_table_info('notes')"),
        ["2"]
    );
}
