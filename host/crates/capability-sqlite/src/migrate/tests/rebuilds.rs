//! What a rebuild keeps, and what other changes do.

use super::{Blueprint, Case, NOTES, done};

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
