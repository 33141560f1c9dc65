//! `mortise migrate`

use std::fs;
use std::process::Command;

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
    settings.add_filter(r"duration_ms=\d+", "duration_ms=[ms]");
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

/// The files of the folder and the checksums of what is in them. By another process: one that has a database
/// open loses its locks when it opens and closes the file beside SQLite.
fn checksums(cli: &Cli) -> String {
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", "cksum *"])
        .current_dir(cli.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_database_goes_forward_and_back() {
    let _settings = settings().bind_to_scope();
    let cli = older();
    assert_snapshot!(cli.run("migrate status"), @r"
    exit code 0
    -- stdout
    MIGRATION NEEDED: tasks.db, version 0, wanted 0, 2 changes; see `mortise migrate plan`
    kept, and not known to the backend: table mine
    ");
    assert_snapshot!(cli.run("migrate plan"), @r"
    exit code 0
    -- stdout
    rebuild table store: the type of revision is TEXT, expected INTEGER; NULL in revision is allowed, expected not allowed
    create index records_by_change: it is missing
    keeps table mine
    ");
    assert_snapshot!(cli.run("task list --store sqlite:tasks.db?migrate=manual"), @r#"
    exit code 9
    -- stderr
    error: open (backend sqlite): tasks.db has to be migrated, from version 0 to 0, and the grant says migrate = "manual": rebuild table store (the type of revision is TEXT, expected INTEGER; NULL in revision is allowed, expected not allowed), create index records_by_change (it is missing)
    hint: look at it with `mortise migrate plan`, then run `mortise migrate apply`
    "#);
    assert_snapshot!(cli.run("migrate apply"), @r"
    exit code 0
    -- stdout
    rebuild table store: the type of revision is TEXT, expected INTEGER; NULL in revision is allowed, expected not allowed
    create index records_by_change: it is missing
    keeps table mine
    migrated from version 0 to 0 in [ms] ms
    backup: tasks.db.[time].backup
    ");
    assert_snapshot!(cli.run("migrate apply"), @r"
    exit code 0
    -- stdout
    nothing to do
    ");
    assert_snapshot!(cli.run("migrate status"), @r"
    exit code 0
    -- stdout
    up to date: tasks.db, version 0
    kept, and not known to the backend: table mine
    last: applied at [time], version 0 to 0
    ");
    assert_snapshot!(cli.run("migrate history"), @r"
    exit code 0
    -- stdout
    id  started                   version  statements  outcome  backup
    1   [time]  0 to 0   7           applied  tasks.db.[time].backup
    ");
    cli.feed(&task("since", "Running"), "task create");
    assert_snapshot!(cli.run("migrate rollback"), @r"
    exit code 2
    -- stderr
    error: nothing was rolled back: nobody can be asked
    hint: add --yes to go on without being asked
    ");
    assert_snapshot!(cli.run("migrate rollback --yes"), @r"
    exit code 0
    -- stdout
    rolled back from version 0 to 0: tasks.db.[time].backup was restored
    what was there, with the records written since the migration, is in tasks.db.[time].backup
    ");
    assert_snapshot!(cli.run("migrate rollback --yes"), @r"
    exit code 9
    -- stderr
    error: migrate (backend sqlite): tasks.db has no migration that can be rolled back
    hint: see what was done with `mortise migrate history`
    ");
    assert_snapshot!(cli.run("migrate history"), @r"
    exit code 0
    -- stdout
    id  started                   version  statements  outcome      backup
    1   [time]  0 to 0   0           rolled back  tasks.db.[time].backup
    ");
    assert_snapshot!(cli.run("task list -v"), @r#"
    exit code 0
    -- stdout
    task  status   revision  items  last updated          session
    a     Running  1         1      [time]  s-1
    b     Running  2         1      [time]  s-1
    -- stderr
    [time]  INFO mortise_capability_sqlite::migrate::open: migrated file=tasks.db from=0 to=0 changes=2 backup="tasks.db.[time].backup" duration_ms=[ms]
    "#);
}

#[test]
fn the_same_in_json() {
    let _settings = settings().bind_to_scope();
    let cli = older();
    assert_snapshot!(cli.run("migrate status --format json"), @r#"
    exit code 0
    -- stdout
    {"file":"tasks.db","exists":true,"needed":true,"plan":{"from":0,"to":0,"creates":false,"changes":[{"what":"rebuild table store","why":"the type of revision is TEXT, expected INTEGER; NULL in revision is allowed, expected not allowed","sql":["CREATE TABLE \"mortise_new_store\" (\n  id INTEGER PRIMARY KEY CHECK (id = 1),\n  revision INTEGER NOT NULL\n) STRICT","INSERT INTO \"mortise_new_store\" (\"id\", \"revision\") SELECT \"id\", CAST(\"revision\" AS INTEGER) FROM \"store\"","DROP TABLE \"store\"","PRAGMA legacy_alter_table = ON","ALTER TABLE \"mortise_new_store\" RENAME TO \"store\"","PRAGMA legacy_alter_table = OFF"]},{"what":"create index records_by_change","why":"it is missing","sql":["CREATE INDEX records_by_change ON records (collection, mod_revision)"]}],"losses":[],"obstacles":[],"kept":["table mine"]},"last":null}
    "#);
    assert_snapshot!(cli.run("migrate apply --format json"), @r#"
    exit code 0
    -- stdout
    {"applied":{"plan":{"from":0,"to":0,"creates":false,"changes":[{"what":"rebuild table store","why":"the type of revision is TEXT, expected INTEGER; NULL in revision is allowed, expected not allowed","sql":["CREATE TABLE \"mortise_new_store\" (\n  id INTEGER PRIMARY KEY CHECK (id = 1),\n  revision INTEGER NOT NULL\n) STRICT","INSERT INTO \"mortise_new_store\" (\"id\", \"revision\") SELECT \"id\", CAST(\"revision\" AS INTEGER) FROM \"store\"","DROP TABLE \"store\"","PRAGMA legacy_alter_table = ON","ALTER TABLE \"mortise_new_store\" RENAME TO \"store\"","PRAGMA legacy_alter_table = OFF"]},{"what":"create index records_by_change","why":"it is missing","sql":["CREATE INDEX records_by_change ON records (collection, mod_revision)"]}],"losses":[],"obstacles":[],"kept":["table mine"]},"backup":"tasks.db.[time].backup","duration_ms":[ms]}}
    "#);
    assert_snapshot!(cli.run("migrate apply --format json"), @r#"
    exit code 0
    -- stdout
    {"applied":null}
    "#);
    assert_snapshot!(cli.run("migrate plan --format json"), @r#"
    exit code 0
    -- stdout
    {"from":0,"to":0,"creates":false,"changes":[],"losses":[],"obstacles":[],"kept":["table mine"]}
    "#);
    assert_snapshot!(cli.run("migrate rollback --yes --format json"), @r#"
    exit code 0
    -- stdout
    {"from":0,"to":0,"restored":"tasks.db.[time].backup","backup":"tasks.db.[time].backup","duration_ms":[ms]}
    "#);
    assert_snapshot!(cli.run("migrate history --format json"), @r#"
    exit code 0
    -- stdout
    {"id":1,"from":0,"to":0,"schema_digest":"[sha256]","statements":[],"started_at":[ms],"duration_ms":[ms],"outcome":"rolled-back","backup":"tasks.db.[time].backup","host_version":"0.1.0"}
    "#);
}

#[test]
fn a_dry_run_prints_the_sql_and_writes_nothing_at_all() {
    let cli = older();
    let before = checksums(&cli);
    assert_snapshot!(cli.run("migrate apply --dry-run"), @r#"
    exit code 0
    -- stdout
    -- rebuild table store: the type of revision is TEXT, expected INTEGER; NULL in revision is allowed, expected not allowed
    CREATE TABLE "mortise_new_store" (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      revision INTEGER NOT NULL
    ) STRICT;
    INSERT INTO "mortise_new_store" ("id", "revision") SELECT "id", CAST("revision" AS INTEGER) FROM "store";
    DROP TABLE "store";
    PRAGMA legacy_alter_table = ON;
    ALTER TABLE "mortise_new_store" RENAME TO "store";
    PRAGMA legacy_alter_table = OFF;
    -- create index records_by_change: it is missing
    CREATE INDEX records_by_change ON records (collection, mod_revision);
    "#);
    for arguments in [
        "migrate apply --dry-run --format json",
        "migrate plan",
        "migrate status",
        "migrate history",
    ] {
        assert_eq!(cli.run(arguments).code, 0);
    }
    assert!(checksums(&cli) == before, "{}", checksums(&cli));
}

#[test]
fn a_dry_run_leaves_a_database_that_others_have_open_alone() {
    let cli = older();
    let live = Connection::open(cli.path("tasks.db")).unwrap();
    live.execute_batch("CREATE TABLE live (x); INSERT INTO live VALUES (1)")
        .unwrap();
    let before = checksums(&cli);
    assert_eq!(before.lines().count(), 3, "{before}");
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
    assert!(checksums(&cli) == before, "{}", checksums(&cli));
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
    let before = checksums(&copy);
    let status = copy.run("migrate status");
    assert!(status.stdout.contains("table live"), "{status}");
    assert!(checksums(&copy) == before, "{}", checksums(&copy));
    // Its index may be gone.
    fs::remove_file(copy.path("tasks.db-shm")).unwrap();
    let before = checksums(&copy);
    let status = copy.run("migrate apply --dry-run");
    assert!(
        status.stdout.contains("CREATE INDEX records_by_change"),
        "{status}"
    );
    assert!(checksums(&copy) == before, "{}", checksums(&copy));
}

#[test]
fn what_cannot_be_migrated_is_told() {
    let cli = older();
    assert_snapshot!(cli.run("migrate status --store memory:"), @r"
    exit code 6
    -- stderr
    error: migrate (backend memory): the backend memory exports no schema: there are no tables of its own to migrate
    hint: name a store of a backend over SQLite, such as sqlite:tasks.db
    ");
    assert_snapshot!(cli.run("migrate status --store sqlite:new.db"), @r"
    exit code 0
    -- stdout
    empty: new.db, its tables are made when the store is opened
    ");
    assert_snapshot!(cli.run("migrate apply --confirm records.note"), @r"
    exit code 6
    -- stderr
    error: migrate (backend sqlite): records.note is confirmed, but would not be lost; nothing was changed
    hint: see what would be lost with `mortise migrate plan`
    ");
    assert_snapshot!(cli.run("migrate rollback --yes"), @r"
    exit code 9
    -- stderr
    error: migrate (backend sqlite): tasks.db has no migration that can be rolled back
    hint: see what was done with `mortise migrate history`
    ");
    let raw = Connection::open(cli.path("tasks.db")).unwrap();
    raw.execute_batch("UPDATE store SET revision = 'many'")
        .unwrap();
    drop(raw);
    assert_snapshot!(cli.run("migrate plan"), @r"
    exit code 0
    -- stdout
    rebuild table store: the type of revision is TEXT, expected INTEGER; NULL in revision is allowed, expected not allowed
    create index records_by_change: it is missing
    loses store.revision: 1 of its values are no integer as they are, such as that of rowid 1
    keeps table mine
    ");
    assert_snapshot!(cli.run("migrate apply"), @r"
    exit code 9
    -- stderr
    error: migrate (backend sqlite): the migration would lose store.revision (1 of its values are no integer as they are, such as that of rowid 1)
    hint: look at it with `mortise migrate plan`; to lose it: `mortise migrate apply --confirm store.revision`
    ");
    assert!(!cli.path("new.db").exists());
    assert_eq!(checksums(&cli).lines().count(), 2, "{}", checksums(&cli));
}

#[test]
fn without_a_store_there_is_nothing_to_migrate() {
    assert_snapshot!(Cli::without_store().run("migrate status"), @r"
    exit code 2
    -- stderr
    error: no store is named
    hint: add --store sqlite:tasks.db, set MORTISE_STORE, or set default-store in mortise.toml
    ");
}
