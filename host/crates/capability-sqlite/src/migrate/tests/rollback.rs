//! Back to the backup.

use std::fs;

use mortise_store::ErrorKind;
use mortise_store::schema::Outcome;

use super::{Case, rows};

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
