//! `mortise migrate`

use std::collections::BTreeMap;
use std::fs;

use insta::assert_snapshot;
use rusqlite::Connection;

use super::{Cli, task};

/// What differs from run to run.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]");
    settings.add_filter(r"\d{8}T\d{6}\.\d{3}Z(-\d)?", "[time]");
    settings.add_filter(r#""started_at":\d{13}"#, r#""started_at":[ms]"#);
    settings.add_filter(r#""duration_ms":\d+"#, r#""duration_ms":[ms]"#);
    settings.add_filter(r"in \d+ ms", "in [ms] ms");
    settings.add_filter(
        r#""schema_digest":"[0-9a-f]{64}""#,
        r#""schema_digest":"[sha256]""#,
    );
    settings
}

/// A store with two tasks, whose schema is an older one: without an index, and with `body` nullable.
fn older() -> Cli {
    let cli = Cli::new();
    cli.feed(
        &(task("a", "Running") + &task("b", "Running")),
        "task create",
    );
    let raw = Connection::open(cli.path("tasks.db")).unwrap();
    let sql: String = raw
        .query_row(
            "SELECT sql FROM sqlite_schema WHERE name = 'store'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let older = sql
        .replace("revision INTEGER NOT NULL", "revision TEXT")
        .replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
    raw.execute_batch(&format!(
        "DROP TABLE migration_history; DROP INDEX records_by_change; ALTER TABLE store RENAME TO was; {older}; \
         INSERT INTO store SELECT * FROM was; DROP TABLE was; CREATE TABLE mine (x); \
         PRAGMA application_id = 0"
    ))
    .unwrap();
    cli
}

/// The files of the folder and what is in them.
fn all_bytes(cli: &Cli) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(cli.path("")).unwrap();
    let files = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    });
    files.collect()
}

#[test]
fn a_database_goes_forward_and_back() {
    let _settings = settings().bind_to_scope();
    let cli = older();
    assert_snapshot!(cli.run("migrate status"), @"");
    assert_snapshot!(cli.run("migrate plan"), @"");
    assert_snapshot!(cli.run("task list --store sqlite:tasks.db?migrate=manual"), @"");
    assert_snapshot!(cli.run("migrate apply"), @"");
    assert_snapshot!(cli.run("migrate apply"), @"");
    assert_snapshot!(cli.run("migrate status"), @"");
    assert_snapshot!(cli.run("migrate history"), @"");
    cli.feed(&task("since", "Running"), "task create");
    assert_snapshot!(cli.run("migrate rollback"), @"");
    assert_snapshot!(cli.run("migrate rollback --yes"), @"");
    assert_snapshot!(cli.run("migrate rollback --yes"), @"");
    assert_snapshot!(cli.run("migrate history"), @"");
    assert_snapshot!(cli.run("task list -v"), @"");
}

#[test]
fn the_same_in_json() {
    let _settings = settings().bind_to_scope();
    let cli = older();
    assert_snapshot!(cli.run("migrate status --format json"), @"");
    assert_snapshot!(cli.run("migrate apply --format json"), @"");
    assert_snapshot!(cli.run("migrate apply --format json"), @"");
    assert_snapshot!(cli.run("migrate plan --format json"), @"");
    assert_snapshot!(cli.run("migrate rollback --yes --format json"), @"");
    assert_snapshot!(cli.run("migrate history --format json"), @"");
}

#[test]
fn a_dry_run_prints_the_sql_and_writes_nothing_at_all() {
    let cli = older();
    let before = all_bytes(&cli);
    assert_snapshot!(cli.run("migrate apply --dry-run"), @"");
    for arguments in [
        "migrate apply --dry-run --format json",
        "migrate plan",
        "migrate status",
        "migrate history",
    ] {
        assert_eq!(cli.run(arguments).code, 0);
    }
    assert!(all_bytes(&cli) == before, "{:?}", all_bytes(&cli).keys());
}

#[test]
fn a_dry_run_leaves_a_database_that_others_have_open_alone() {
    let cli = older();
    let live = Connection::open(cli.path("tasks.db")).unwrap();
    live.execute_batch("CREATE TABLE live (x); INSERT INTO live VALUES (1)")
        .unwrap();
    let before = all_bytes(&cli);
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        ["tasks.db", "tasks.db-shm", "tasks.db-wal"]
    );
    let status = cli.run("migrate status");
    assert!(
        status
            .stdout
            .contains("kept, and not known to the backend: table live"),
        "{status}"
    );
    let plan = cli.run("migrate apply --dry-run");
    assert!(
        plan.stdout.contains("CREATE INDEX records_by_change"),
        "{plan}"
    );
    assert!(all_bytes(&cli) == before, "{:?}", all_bytes(&cli).keys());
}

#[test]
fn the_log_of_a_process_that_died_is_read_and_left_alone() {
    let cli = older();
    let copy = Cli::new();
    let live = Connection::open(cli.path("tasks.db")).unwrap();
    live.execute_batch("CREATE TABLE live (x); INSERT INTO live VALUES (1)")
        .unwrap();
    for name in ["tasks.db", "tasks.db-wal", "tasks.db-shm"] {
        fs::copy(cli.path(name), copy.path(name)).unwrap();
    }
    let before = all_bytes(&copy);
    let status = copy.run("migrate status");
    assert!(status.stdout.contains("table live"), "{status}");
    assert!(all_bytes(&copy) == before, "{:?}", all_bytes(&copy).keys());
    // Its index may be gone.
    fs::remove_file(copy.path("tasks.db-shm")).unwrap();
    let before = all_bytes(&copy);
    let status = copy.run("migrate apply --dry-run");
    assert!(
        status.stdout.contains("CREATE INDEX records_by_change"),
        "{status}"
    );
    assert!(all_bytes(&copy) == before, "{:?}", all_bytes(&copy).keys());
}

#[test]
fn what_cannot_be_migrated_is_told() {
    let cli = older();
    assert_snapshot!(cli.run("migrate status --store memory:"), @"");
    assert_snapshot!(cli.run("migrate status --store sqlite:new.db"), @"");
    assert_snapshot!(cli.run("migrate apply --confirm records.note"), @"");
    assert_snapshot!(cli.run("migrate rollback --yes"), @"");
    let raw = Connection::open(cli.path("tasks.db")).unwrap();
    raw.execute_batch("UPDATE store SET revision = 'many'")
        .unwrap();
    drop(raw);
    assert_snapshot!(cli.run("migrate plan"), @"");
    assert_snapshot!(cli.run("migrate apply"), @"");
    assert!(!cli.path("new.db").exists());
    assert_eq!(all_bytes(&cli).len(), 2, "{:?}", all_bytes(&cli).keys());
}

#[test]
fn without_a_store_there_is_nothing_to_migrate() {
    assert_snapshot!(Cli::without_store().run("migrate status"), @"");
}
