//! New processes that cannot serve: the old one serves on, and says why.

use std::fs;
use std::path::Path;

use mortise::serve::restart::{ControlClient, Outcome};
use mortise::{Draft, Key};
use rustix::process::Signal;

use super::process::{Site, kill, replace_program};

/// Restarts, and expects the old process to serve on with all that it has; why.
async fn serves_on(site: &Site) -> String {
    let old = site.pid();
    let restart = site.restart().await.unwrap();
    let Some(Outcome::GivenUp(why)) = restart.outcome else {
        panic!("{restart:?}")
    };
    site.is_served().await;
    assert_eq!(site.pid(), old);
    for store in ["memory", "disk"] {
        let (_, body) = site.load(store, "a").await.unwrap().unwrap();
        assert_eq!(body, "kept", "{store}");
    }
    why
}

async fn site(arguments: &[&str], hold: Option<&'static str>) -> Site {
    let site = Site::with(arguments, hold).await;
    for store in ["memory", "disk"] {
        site.create(store, "a", "kept").await;
    }
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_program_that_cannot_serve_leaves_the_old_one_serving() {
    let site = site(&["--restart-start-deadline", "2s"], None).await;
    let config = fs::read_to_string(site.path("mortise.toml")).unwrap();
    let program = fs::read_link(site.path("mortise")).unwrap();
    for _ in 0..5 {
        replace_program(&site.path(""), "#!/bin/sh\nexit 3\n", 0o755);
        let why = serves_on(&site).await;
        assert!(why.contains("ended: exit status: 3"), "{why}");

        replace_program(&site.path(""), "#!/bin/sh\nexec sleep 100\n", 0o755);
        let why = serves_on(&site).await;
        assert!(why.contains("does not report Warm within 2s"), "{why}");

        replace_program(&site.path(""), "no program", 0o644);
        let why = serves_on(&site).await;
        assert!(why.contains("does not start"), "{why}");

        fs::remove_file(site.path("mortise")).unwrap();
        std::os::unix::fs::symlink(&program, site.path("mortise")).unwrap();
        fs::create_dir_all(site.path("plugins")).unwrap();
        fs::write(site.path("plugins/sqlite.wasm"), "no component").unwrap();
        let with_plugins = format!("plugin-dir = \"plugins\"\n{config}");
        fs::write(site.path("mortise.toml"), with_plugins).unwrap();
        let why = serves_on(&site).await;
        assert!(why.contains("sqlite"), "{why}");
        fs::write(site.path("mortise.toml"), &config).unwrap();
    }
    let restarts = site.restarts();
    assert_eq!(restarts.len(), 20);
    let given_up = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::GivenUp(_)));
    assert!(restarts.iter().all(|restart| given_up(&restart.outcome)));
}

/// What is done to a database of today's schema, more in the configuration of its store, and what is said of it.
const CANNOT_BE_MIGRATED: [(&str, &str, &str); 3] = [
    (
        "PRAGMA user_version = 9",
        "",
        "newer schema than this backend",
    ),
    (
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'created_at INTEGER', 'created_at TEXT')
             WHERE name = 'records';
         PRAGMA writable_schema = RESET;
         UPDATE records SET created_at = '0' || created_at",
        "",
        "the migration would lose records.created_at",
    ),
    (
        "DROP INDEX records_by_change",
        ", migrate = \"manual\"",
        "migrate",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_migrated_leaves_the_old_process_serving() {
    let site = site(&[], None).await;
    let config = site.config();
    for (number, (change, more, expected)) in CANNOT_BE_MIGRATED.into_iter().enumerate() {
        let file = site.path(&format!("other-{number}.db"));
        other_database(&file, change).await;
        let before = fs::read(&file).unwrap();
        let path = file.display();
        site.configure(&format!(
            "{config}\n[stores.other]\nbackend = \"sqlite\"\nsqlite = {{ path = \"{path}\"{more} }}\n"
        ));
        let why = serves_on(&site).await;
        assert!(why.contains(expected), "{why}");
        assert!(fs::read(&file).unwrap() == before, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_migrated_by_the_restart() {
    let site = site(&[], None).await;
    let file = site.path("other.db");
    other_database(&file, "DROP INDEX records_by_change").await;
    site.configure_more("[stores.other]\nbackend = \"sqlite\"\nsqlite = { path = \"other.db\" }\n");
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    let (_, body) = site.load("other", "o").await.unwrap().unwrap();
    assert_eq!(body, "of another store");
    let raw = rusqlite::Connection::open(&file).unwrap();
    let index = "SELECT count(*) FROM sqlite_schema WHERE name = 'records_by_change'";
    let found: i64 = raw.query_row(index, [], |row| row.get(0)).unwrap();
    assert_eq!(found, 1);
}

/// A database of today's schema with a record, which was changed since.
async fn other_database(file: &Path, change: &str) {
    let host = crate::support::host().build().unwrap();
    let store = host.open(&format!("sqlite:{}", file.display())).await;
    let draft = Draft::new(Key::new("task", "o"), "of another store");
    store.unwrap().create(draft).await.unwrap();
    drop(host);
    let raw = rusqlite::Connection::open(file).unwrap();
    raw.execute_batch(change).unwrap();
    raw.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_without_a_store_whose_records_are_in_memory_is_refused() {
    let site = site(&[], None).await;
    let config = fs::read_to_string(site.path("mortise.toml")).unwrap();
    let renamed = config.replace("[stores.memory]", "[stores.other]");
    fs::write(site.path("mortise.toml"), renamed).unwrap();
    let why = serves_on(&site).await;
    assert!(why.contains("has the records of store memory"), "{why}");
    // Told to drop them, it is taken.
    let client = ControlClient::connect(&site.state()).await.unwrap();
    let restart = client.restart(None, true, false, |_| {}).await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_was_changed_is_refused() {
    let mut site = site(&[], Some("snapshot")).await;
    let state = site.state();
    let asking = tokio::spawn(async move {
        let client = ControlClient::connect(&state).await.unwrap();
        client.restart(None, true, true, |_| {}).await.unwrap()
    });
    site.is_held().await;
    tamper(&site);
    site.release();
    let restart = asking.await.unwrap();
    let Some(Outcome::GivenUp(why)) = restart.outcome else {
        panic!("{restart:?}")
    };
    assert!(why.contains("has another digest than its content"), "{why}");
    site.is_served().await;
    let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
    assert_eq!(body, "kept");

    // Left behind by processes that died: it is moved away, and told of.
    fs::remove_file(site.path("state/release")).unwrap();
    fs::write(site.path("log"), "").unwrap();
    let state = site.state();
    tokio::spawn(async move {
        let client = ControlClient::connect(&state).await.unwrap();
        let _ = client.restart(None, true, true, |_| {}).await;
    });
    site.is_held().await;
    tamper(&site);
    kill(site.pid(), Signal::KILL);
    site.supervise_until_served().await;
    assert!(
        site.log()
            .contains("the last restart's snapshot is refused"),
        "{}",
        site.log()
    );
    assert!(site.path("state/restart.snapshot.refused").exists());
    assert_eq!(site.load("memory", "a").await.unwrap(), None);
    assert!(site.load("disk", "a").await.unwrap().is_some());
}

/// Changes one byte of a record's body in the snapshot.
fn tamper(site: &Site) {
    let file = site.path("state/restart.snapshot");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("kept"), "{text}");
    fs::write(&file, text.replace("kept", "kepT")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_changed_is_told_not_to_count() {
    let site = Site::configured().await;
    let told = "a restart does not change where the server listens";
    site.restart().await.unwrap();
    assert!(!site.log().contains(told), "{}", site.log());
    let config = fs::read_to_string(site.path("mortise.toml")).unwrap();
    let other = config.replace(site.address(), "127.0.0.1:1");
    fs::write(site.path("mortise.toml"), other).unwrap();
    site.restart().await.unwrap();
    site.is_served().await;
    let log = site.log();
    let line = log.lines().find(|line| line.contains(told)).expect(&log);
    assert!(line.contains(site.address()), "{line}");
    assert!(line.contains("127.0.0.1:1\""), "{line}");
}
