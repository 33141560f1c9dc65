//! The capability `sqlite`, seen by a guest that runs whatever SQL it is handed.

use std::time::{Duration, Instant};

use mortise::{Config, ErrorKind, Key, Store, Synchronous};

use crate::support::{Fixture, START, draft, export_all, host, ids};

/// What the guest was answered, as its debug text.
async fn run(store: &Store, how: &str, sql: &str) -> String {
    let answer = store
        .load(&Key::new(how, sql))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    String::from_utf8(answer.unwrap().draft.body).unwrap()
}

async fn probe(options: &str) -> Fixture {
    let fixture = Fixture::with("sql-probe", options).await;
    let made = run(
        &fixture.store,
        "transact",
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b) STRICT",
    )
    .await;
    let made = if made.contains("Err") {
        run(
            &fixture.store,
            "transact",
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b ANY) STRICT",
        )
        .await
    } else {
        made
    };
    assert!(made.contains("Ok"), "{made}");
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_out_of_the_database_is_denied() {
    let fixture = probe("").await;
    let other = fixture.path().join("other.db");
    let attach = format!("ATTACH '{}' AS other", other.display());
    let vacuum = format!("VACUUM INTO '{}'", other.display());
    for how in ["query", "transact"] {
        for (sql, named) in [
            (attach.as_str(), "ATTACH"),
            (vacuum.as_str(), ""),
            ("VACUUM", ""),
            ("DETACH main", "DETACH"),
            ("PRAGMA journal_mode", "journal_mode"),
            ("PRAGMA journal_mode = DELETE", "journal_mode"),
            ("PRAGMA synchronous = OFF", "synchronous"),
            ("PRAGMA writable_schema = ON", "writable_schema"),
            ("PRAGMA foreign_keys = OFF", "foreign_keys"),
            ("PRAGMA max_page_count = 1000000000", "max_page_count"),
            ("PRAGMA database_list", "database_list"),
            (
                "PRAGMA temp_store_directory = '/tmp'",
                "temp_store_directory",
            ),
            ("SELECT * FROM pragma_database_list", ""),
            ("SELECT load_extension('/tmp/x.so')", "load_extension"),
            ("SELECT writefile('/tmp/x', 'y')", ""),
            ("SELECT readfile('/etc/passwd')", ""),
            ("SELECT fts3_tokenizer('simple')", ""),
            ("BEGIN", "transaction"),
            ("COMMIT", "transaction"),
            ("ROLLBACK", "transaction"),
            ("SAVEPOINT mine", "transaction"),
            ("RELEASE job", "transaction"),
            ("CREATE VIRTUAL TABLE v USING fts5(x)", "virtual"),
            ("CREATE TEMP TABLE mine(x)", "temporary"),
            ("UPDATE sqlite_schema SET sql = ''", ""),
        ] {
            let answer = run(&fixture.store, how, sql).await;
            assert!(answer.starts_with("Err"), "{how} {sql}: {answer}");
            assert!(answer.contains(named), "{how} {sql}: {answer}");
            if !named.is_empty() {
                assert!(answer.contains("Denied"), "{how} {sql}: {answer}");
            }
        }
    }
    assert!(!other.exists());
    let mode: String = rusqlite::Connection::open(fixture.database())
        .unwrap()
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    assert!(
        run(&fixture.store, "query", "PRAGMA table_info(t)")
            .await
            .contains("Ok")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_cannot_write() {
    let fixture = probe("").await;
    for sql in [
        "INSERT INTO t VALUES (1, 2)",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u(x)",
    ] {
        let answer = run(&fixture.store, "query", sql).await;
        assert!(answer.contains("Denied"), "{sql}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_end_is_interrupted_at_the_deadline() {
    const ENDLESS: &str =
        "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n";
    let fixture = probe("deadline=400ms").await;
    for how in ["query", "transact"] {
        let start = Instant::now();
        let answer = run(&fixture.store, how, ENDLESS).await;
        assert!(answer.contains("Interrupted"), "{how}: {answer}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{how}: {:?}",
            start.elapsed()
        );
        // Readers and the writer go on.
        assert!(
            run(&fixture.store, "query", "SELECT 1")
                .await
                .contains("Ok")
        );
        let written = run(&fixture.store, "transact", "INSERT INTO t(b) VALUES (1)").await;
        assert!(written.contains("Ok"), "{written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_gigabyte_is_too_large() {
    let fixture = probe("deadline=20s").await;
    let many = "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n LIMIT 1100000) \
                SELECT zeroblob(1000) FROM n";
    for sql in [
        many,
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
    ] {
        for how in ["query", "transact"] {
            let answer = run(&fixture.store, how, sql).await;
            assert!(answer.contains("TooLarge"), "{how} {sql}: {answer}");
        }
    }
    let bounded = run(&fixture.store, "query-bounded", many).await;
    assert!(bounded.contains("complete: false"), "{bounded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_leaves_nothing() {
    let fixture = probe("").await;
    for failing in [
        "INSERT INTO t VALUES (1, 'again')",
        "INSERT INTO missing VALUES (1)",
        "BEGIN",
    ] {
        let sql = format!("INSERT INTO t VALUES (1, 'first')\n;\n{failing}");
        let answer = run(&fixture.store, "transact", &sql).await;
        assert!(
            answer.contains("Err") && answer.contains("index: 1"),
            "{failing}: {answer}"
        );
    }
    // What SQLite counts elsewhere than in a statement's own rows: a trigger's, and the schema.
    let view = "CREATE VIEW v AS SELECT a, b FROM t\n;\nCREATE TRIGGER r INSTEAD OF INSERT ON v \
                BEGIN INSERT INTO t VALUES (new.a, new.b); END";
    let made = run(&fixture.store, "transact", view).await;
    assert!(made.contains("Ok"), "{made}");
    for first in ["INSERT INTO v VALUES (1, 'first')", "CREATE TABLE u(x)"] {
        let sql = format!("{first}\n;\nINSERT INTO missing VALUES (1)");
        let answer = run(&fixture.store, "transact", &sql).await;
        assert!(
            answer.contains("Err") && answer.contains("index: 1"),
            "{first}: {answer}"
        );
    }
    let tables = run(&fixture.store, "query", "SELECT * FROM u").await;
    assert!(tables.contains("no such table"), "{tables}");
    let counted = run(&fixture.store, "query", "SELECT count(*) FROM t").await;
    assert!(counted.contains("Integer(0)"), "{counted}");
    let two = run(
        &fixture.store,
        "transact",
        "INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 2)",
    )
    .await;
    assert!(two.contains("Err"), "{two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_fails_after_its_write_leaves_the_caller_in_no_false_certainty() {
    let fixture = probe("deadline=1s").await;
    for (how, row) in [("transact-then-trap", 1), ("transact-then-loop", 2)] {
        let sql = format!("INSERT INTO t VALUES ({row}, 'written')");
        let error = fixture.store.load(&Key::new(how, sql)).await.unwrap_err();
        assert!(error.is_ambiguous(), "{how}: {error}");
        let counted = run(&fixture.store, "query", "SELECT count(*) FROM t").await;
        assert!(counted.contains(&format!("Integer({row})")), "{counted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_reaches_a_guest() {
    let fixture = probe("").await;
    let folder = fixture.path().display().to_string();
    for sql in [
        "PRAGMA database_list",
        "SELECT * FROM missing",
        "ATTACH 'x' AS y",
        "SELECT sqlite_version()",
    ] {
        let answer = run(&fixture.store, "query", sql).await;
        assert!(!answer.contains(&folder), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_programs_database_is_refused_and_left_alone() {
    let fixture = Fixture::new("memory").await;
    let file = fixture.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&file).unwrap();
    theirs
        .execute_batch("CREATE TABLE precious(x); INSERT INTO precious VALUES (1)")
        .unwrap();
    let error = fixture
        .host
        .open(&format!("sqlite:{}", file.display()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("records"), "{error}");
    let tables: i64 = theirs
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
    std::fs::write(
        fixture.path().join("text.db"),
        "hello, this is no database at all",
    )
    .unwrap();
    for (name, part) in [
        ("text.db", "does not open"),
        ("missing/folder.db", "does not open"),
    ] {
        let url = format!("sqlite:{}", fixture.path().join(name).display());
        let error = fixture.host.open(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_there_after_a_restart() {
    let fixture = Fixture::with("sqlite", "synchronous=normal").await;
    let revision = fixture
        .store
        .create(draft("a", "one"))
        .await
        .unwrap()
        .mod_revision;
    assert_eq!(Synchronous::default(), Synchronous::Full);
    let Fixture { store, .. } = &fixture;
    assert!(store.describe().durable);
    let again = fixture.open("").await;
    assert_eq!(ids(&export_all(&again).await), ["a"]);
    assert_eq!(
        again.create(draft("b", "")).await.unwrap().mod_revision,
        revision + 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for_and_then_unavailable() {
    let fixture = Fixture::with("sqlite", "deadline=300ms").await;
    let locker = rusqlite::Connection::open(fixture.database()).unwrap();
    locker.execute_batch("BEGIN IMMEDIATE").unwrap();
    // One that waits for the lock, and those that queue behind it.
    let calls = (0..4).map(|_| {
        let store = fixture.store.clone();
        tokio::spawn(async move { store.create(draft("a", "")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
    let waiting = tokio::spawn({
        let store = fixture.open("deadline=20s").await;
        async move { store.create(draft("b", "")).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    locker.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap().unwrap();
}

/// The store removes expired records by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_removes_what_has_expired() {
    let fixture = Fixture::with("sqlite", "sweep-interval=10ms").await;
    for number in 0..700 {
        let mortal = draft(&number.to_string(), "")
            .attribute("all", "")
            .expires_at(START + 1);
        fixture.store.create(mortal).await.unwrap();
    }
    fixture
        .store
        .create(draft("stays", "").attribute("all", ""))
        .await
        .unwrap();
    fixture.clock.advance(1);
    let raw = rusqlite::Connection::open(fixture.database()).unwrap();
    let count = |table: &str| -> i64 {
        raw.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .unwrap()
    };
    let patience = Instant::now() + Duration::from_secs(30);
    while count("records") > 1 {
        assert!(
            Instant::now() < patience,
            "{} records are left",
            count("records")
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count("attributes"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_are_opened_by_their_name_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mortise.toml");
    let text = r#"
        [stores.tasks]
        backend = "sqlite"
        namespace = "acme"
        sqlite = { path = "tasks.db", synchronous = "normal" }
        limits = { deadline = "2s", body-bytes = "1kB" }
        [stores.scratch]
        backend = "memory"
    "#;
    std::fs::write(&file, text).unwrap();
    let config = Config::from_file(&file).unwrap();
    let host = host().config(config).build().unwrap();
    let tasks = host.open("tasks").await.unwrap();
    assert_eq!(
        (tasks.name(), tasks.backend(), tasks.namespace()),
        ("tasks", "sqlite", "acme")
    );
    assert_eq!(tasks.max_body_bytes(), 1000);
    assert!(
        folder.path().join("tasks+acme.db").exists(),
        "beside the configuration"
    );
    host.open("scratch").await.unwrap();
    let error = host.open("taks").await.unwrap_err();
    assert!(error.to_string().contains("scratch, tasks"), "{error}");
    for (text, part) in [
        (
            "[stores.a]\nbackend = \"memory\"\nlimits = { dedline = \"2s\" }",
            "dedline",
        ),
        ("[stores.a]\nbackend = \"../memory\"", "no backend's name"),
        ("default-store = \"b\"", "[stores.b]"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Config::from_file(&file).unwrap_err();
        assert!(format!("{error:?}").contains(part), "{error:?}");
        assert!(error.to_string().contains("mortise.toml"), "{error}");
    }
}
