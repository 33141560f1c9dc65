//! What opening a store does with an older database, and what it leaves alone.

use std::fs;

use mortise::migrate::{APPLICATION_ID, Outcome};
use mortise::{Config, ErrorKind, Key};
use rusqlite::Connection;

use super::old::{LOOSE, Old};
use super::{Today, files_with, fixed_host, migrations_of, open};
use crate::support::{Fixture, component, draft, export_all, host, plugin_host, variant};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_says_whose_it_is() {
    let fixture = Fixture::new("sqlite").await;
    let raw = Connection::open(fixture.database()).unwrap();
    let id: i32 = raw
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    assert_eq!(id, APPLICATION_ID);
    let migrator = fixture.host.migration(&fixture.url("")).await.unwrap();
    let status = migrator.status().await.unwrap();
    assert!(
        status.exists && !status.needed && status.plan.is_empty(),
        "{status:?}"
    );
    let history = migrator.history().await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (history[0].outcome, &history[0].backup),
        (Outcome::Applied, &None)
    );
    assert_eq!(history[0].started_at, crate::support::START);
    assert_eq!(migrator.apply(&[]).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_has_what_only_the_log_of_an_open_database_holds() {
    let today = Today::with(5).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    today.write(&file, &LOOSE);
    let live = Connection::open(&file).unwrap();
    live.execute_batch("CREATE TABLE live (x); INSERT INTO live VALUES ('in the log')")
        .unwrap();
    assert!(
        fs::metadata(folder.path().join("old.db-wal"))
            .unwrap()
            .len()
            > 0
    );
    let store = open(&fixed_host(), &file, "").await.unwrap();
    assert_eq!(export_all(&store).await, today.records);
    let backups = files_with(folder.path(), ".backup");
    let [backup] = &backups[..] else {
        panic!("{backups:?}");
    };
    let backup = Connection::open(backup).unwrap();
    let found: String = backup
        .query_row("SELECT x FROM live", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "in the log");
    let records: usize = backup
        .query_row("SELECT count(*) FROM records", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap() as usize;
    assert_eq!(records, today.records.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let today = Today::with(3).await;
    let raw = Connection::open(today.file()).unwrap();
    raw.execute_batch("PRAGMA user_version = 9").unwrap();
    drop(raw);
    let before = fs::read(today.file()).unwrap();
    let error = open(&fixed_host(), &today.file(), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(
        error
            .to_string()
            .contains("newer schema than this backend: version 9, expected at most 0"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("newer version of the backend")
    );
    assert!(fs::read(today.file()).unwrap() == before);
    let migrator = fixed_host()
        .migration(&format!("sqlite:{}", today.file().display()))
        .await
        .unwrap();
    for error in [
        migrator.status().await.unwrap_err(),
        migrator.apply(&[]).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("newer schema"), "{error}");
    }
    assert!(fs::read(today.file()).unwrap() == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_lost_keeps_the_store_closed_until_it_is_confirmed() {
    let today = Today::with(3).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    let old = Old {
        replaced: &[("created_at INTEGER NOT NULL", "created_at TEXT NOT NULL")],
        more: "UPDATE records SET created_at = '0' || created_at WHERE create_revision = 2",
        ..Old::default()
    };
    today.write(&file, &old);
    let host = fixed_host();
    let error = open(&host, &file, "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(
        error
            .to_string()
            .contains("the migration would lose records.created_at (1 of its values"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("mortise migrate apply --confirm records.created_at")
    );
    assert_eq!(
        (
            migrations_of(&file),
            files_with(folder.path(), "backup").len()
        ),
        (0, 0)
    );
    let migrator = host
        .migration(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    let error = migrator
        .apply(&["records.body".to_owned()])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("would lose records.created_at"),
        "{error}"
    );
    let applied = migrator
        .apply(&["records.created_at".to_owned()])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(applied.plan.losses.len(), 1);
    assert_eq!(
        export_all(&open(&host, &file, "").await.unwrap()).await,
        today.records
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_may_leave_migrations_to_the_operator() {
    let today = Today::with(3).await;
    let folder = tempfile::tempdir().unwrap();
    today.write(&folder.path().join("old.db"), &LOOSE);
    let config = folder.path().join("mortise.toml");
    let text = "[stores.tasks]\nbackend = \"sqlite\"\nsqlite = { path = \"old.db\", migrate = \"manual\" }";
    fs::write(&config, text).unwrap();
    let host = host()
        .config(Config::from_file(&config).unwrap())
        .build()
        .unwrap();
    let error = host.open("tasks").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(
        error
            .to_string()
            .contains("has to be migrated, from version 0 to 0"),
        "{error}"
    );
    assert!(
        error.hint().unwrap().contains("mortise migrate apply"),
        "{error:?}"
    );
    assert_eq!(migrations_of(&folder.path().join("old.db")), 0);
    let migrator = host.migration("tasks").await.unwrap();
    assert!(migrator.status().await.unwrap().needed);
    migrator.apply(&[]).await.unwrap().unwrap();
    host.open("tasks").await.unwrap();
}

/// Back to the old schema, with the records of then; and forward again.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_rolled_back_once_nobody_has_the_store_open() {
    let today = Today::with(4).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    today.write(&file, &LOOSE);
    let old = Connection::open(&file).unwrap();
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'records'";
    let before: String = old.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(old);
    let host = fixed_host();
    let url = format!("sqlite:{}?upkeep-deadline=300ms", file.display());
    let store = host.open(&url).await.unwrap();
    store.create(draft("since", "")).await.unwrap();
    let migrator = host.migration(&url).await.unwrap();
    let error = migrator.roll_back().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(
        error.hint().unwrap().contains("close every store"),
        "{error:?}"
    );
    store
        .load(&Key::new("task", "since"))
        .await
        .unwrap()
        .unwrap();
    drop(store);
    let migrator = host
        .migration(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    let rolled_back = migrator.roll_back().await.unwrap();
    let raw = Connection::open(&file).unwrap();
    let after: String = raw.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(after, before);
    drop(raw);
    let kept = open(&host, &rolled_back.backup, "").await.unwrap();
    assert_eq!(export_all(&kept).await.len(), today.records.len() + 1);
    assert_eq!(
        export_all(&open(&host, &file, "").await.unwrap()).await,
        today.records
    );
    let outcomes: Vec<_> = migrator
        .history()
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::RolledBack, Outcome::Applied]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_swap_never_migrates() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("sqlite.wasm");
    fs::write(&plugin, component("sqlite")).unwrap();
    let host = plugin_host(folder.path()).build().unwrap();
    let file = folder.path().join("tasks.db");
    let store = open(&host, &file, "").await.unwrap();
    store.create(draft("a", "")).await.unwrap();
    let raw = Connection::open(&file).unwrap();
    raw.execute_batch("DROP INDEX records_by_change").unwrap();
    fs::write(&plugin, variant(component("sqlite"), 1)).unwrap();
    let error = host.reload("sqlite").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Component, "{error:?}");
    assert!(
        error
            .to_string()
            .contains("a hot swap never migrates: create index records_by_change"),
        "{error}"
    );
    assert_eq!(migrations_of(&file), 1);
    store.create(draft("b", "")).await.unwrap();
    drop(store);
    let store = open(&host, &file, "").await.unwrap();
    assert_eq!(
        (export_all(&store).await.len(), migrations_of(&file)),
        (2, 2)
    );
    assert_eq!(host.reload("sqlite").await.unwrap().swapped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_without_a_schema_has_nothing_to_migrate() {
    let host = fixed_host();
    for store in ["memory:", "redis://127.0.0.1:1"] {
        let error = host.migration(store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("exports no schema"), "{error}");
    }
    let error = host.migration("tasks").await.unwrap_err();
    assert!(
        error.to_string().contains("no store named \"tasks\""),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_guest_writes_to_the_history() {
    let fixture = Fixture::new("sqlite").await;
    let probe = format!("sql-probe:?sqlite={}", fixture.database().display());
    let probe = fixture.host.open(&probe).await.unwrap();
    for sql in [
        "DELETE FROM migration_history",
        "UPDATE Migration_History SET outcome = 'rolled back'",
        "INSERT INTO \"migration_history\" SELECT * FROM migration_history",
        "DROP TABLE migration_history",
        "ALTER TABLE migration_history RENAME TO mine",
        "ALTER TABLE migration_history ADD COLUMN mine",
        "CREATE INDEX mine ON migration_history (id)",
        "CREATE TRIGGER mine AFTER INSERT ON migration_history BEGIN SELECT 1; END",
        "CREATE TRIGGER mine AFTER INSERT ON store BEGIN DELETE FROM migration_history; END\n;\n\
         INSERT INTO store VALUES (1, 1) ON CONFLICT DO UPDATE SET revision = 2\n;\nREPLACE INTO store VALUES (1, 1)",
    ] {
        let answer = probe
            .load(&Key::new("transact", sql))
            .await
            .unwrap()
            .unwrap();
        let answer = String::from_utf8(answer.draft.body).unwrap();
        assert!(
            answer.contains("Denied") && answer.contains("migration_history"),
            "{sql}: {answer}"
        );
    }
    let read = "SELECT count(*) FROM migration_history";
    let answer = probe.load(&Key::new("query", read)).await.unwrap().unwrap();
    assert!(
        String::from_utf8(answer.draft.body)
            .unwrap()
            .contains("Integer(1)")
    );
    assert_eq!(migrations_of(&fixture.database()), 1);
}
