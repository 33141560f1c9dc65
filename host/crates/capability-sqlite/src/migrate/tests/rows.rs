//! What depends on the rows: what would be lost, and what cannot be done.

use mortise_store::ErrorKind;

use super::{Case, NOTES, rows};

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
