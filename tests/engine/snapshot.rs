//! Snapshots of the memory backend: what is on disk when, and what a store starts from.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mortise::{ErrorKind, Host, Query, SnapshotConfig, Store, StoreConfig};

use crate::support::{draft, export_all, find_all, host, key};

/// A folder for a snapshot, and a host.
struct Desk {
    folder: tempfile::TempDir,
    host: Host,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            host: host().build().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tasks.snapshot")
    }

    fn config(&self) -> StoreConfig {
        StoreConfig::new("memory").snapshot(self.file())
    }

    async fn open(&self) -> Store {
        self.host.open_with(self.config()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_starts_from_what_was_there_when_it_was_closed() {
    let desk = Desk::new();
    let store = desk.open().await;
    for number in 0..1_500 {
        let draft = draft(&number.to_string(), "{\"é\":\"\0\"}")
            .attribute("parity", (number % 2).to_string());
        store.create(draft).await.unwrap();
    }
    let last = store.create(draft("last", "")).await.unwrap();
    store.delete(&key("last"), None).await.unwrap();
    let before = export_all(&store).await;
    store.close().await.unwrap();

    let store = desk.open().await;
    assert_eq!(export_all(&store).await, before);
    let odd = find_all(&store, Query::new("task").with("parity", "1"))
        .await
        .unwrap();
    assert_eq!(odd.len(), 750);
    let again = store.create(draft("last", "")).await.unwrap();
    assert!(again.mod_revision > last.mod_revision + 1);
    // Nothing is written where nothing changed.
    let unchanged = desk.folder.path().join("unchanged");
    store.snapshot().await.unwrap().unwrap();
    fs::copy(desk.file(), &unchanged).unwrap();
    store.load(&key("1")).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap(), None);
    assert_eq!(fs::read(desk.file()).unwrap(), fs::read(unchanged).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_taken_by_themselves_and_hold_no_half_batch() {
    let desk = Desk::new();
    let mut snapshot = SnapshotConfig::new(desk.file());
    snapshot.interval = Duration::from_millis(20);
    let mut config = desk.config();
    config.snapshot = Some(snapshot);
    let store = desk.host.open_with(config).await.unwrap();
    // Each batch brings two records; a snapshot has both or none, and every one that is read back does.
    for round in 0..300 {
        let pair =
            ["a", "b"].map(|half| mortise::Write::put(draft(&format!("{round} {half}"), "")));
        store.apply(pair.to_vec()).await.unwrap();
        if round % 50 == 49 {
            let crashed = desk.folder.path().join(format!("crashed {round}.snapshot"));
            while fs::copy(desk.file(), &crashed).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let restored = StoreConfig::new("memory").snapshot(crashed);
            let restored = desk.host.open_with(restored).await.unwrap();
            let records = export_all(&restored).await;
            assert!(
                !records.is_empty() && records.len() % 2 == 0,
                "{}",
                records.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_refused_and_left_alone() {
    let desk = Desk::new();
    let store = desk.open().await;
    for id in ["a", "b", "c"] {
        store.create(draft(id, "body")).await.unwrap();
    }
    store.close().await.unwrap();
    let whole = fs::read(desk.file()).unwrap();
    let bent = String::from_utf8(whole.clone())
        .unwrap()
        .replacen("body", "bo\"dy", 1)
        .into_bytes();
    for (what, damaged) in [
        ("empty", &b""[..]),
        ("not one", b"SQLite format 3\0"),
        (
            "an export",
            b"{\"format\":\"mortise-export\",\"version\":1,\"revision\":1}\n",
        ),
        (
            "of tomorrow",
            b"{\"format\":\"mortise-snapshot\",\"version\":2,\"revision\":1}\n",
        ),
        ("truncated", &whole[..whole.len() - 5]),
        ("bent", &bent),
    ] {
        fs::write(desk.file(), damaged).unwrap();
        let error = desk.host.open_with(desk.config()).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Config, "{what}: {error:?}");
        assert!(
            error.to_string().contains("tasks.snapshot"),
            "{what}: {error:?}"
        );
        assert!(
            error.hint().unwrap().contains("move it away"),
            "{what}: {error:?}"
        );
        assert_eq!(fs::read(desk.file()).unwrap(), damaged, "{what}");
    }
    // What a process that died left half-written is passed over.
    fs::write(desk.file(), &whole).unwrap();
    fs::write(desk.folder.path().join("tasks.snapshot.partial"), "half").unwrap();
    assert_eq!(export_all(&desk.open().await).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_belongs_to_one_store_at_a_time() {
    let desk = Desk::new();
    let store = desk.open().await;
    let error = desk.host.open_with(desk.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    // Another namespace has a file of its own.
    let other = desk
        .host
        .open_with(desk.config().namespace("acme"))
        .await
        .unwrap();
    other.create(draft("a", "")).await.unwrap();
    other.close().await.unwrap();
    assert!(desk.folder.path().join("tasks+acme.snapshot").exists());
    store.close().await.unwrap();
    assert!(export_all(&desk.open().await).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_keeps_its_records_elsewhere_has_no_snapshot() {
    let desk = Desk::new();
    let url = format!(
        "sqlite:{}?snapshot={}",
        desk.folder.path().join("test.db").display(),
        desk.file().display()
    );
    let error = desk.host.open(&url).await.unwrap_err();
    assert!(
        error.to_string().contains("expected no snapshot"),
        "{error}"
    );
    let error = desk
        .host
        .open("memory:?snapshot-interval=1s")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("but no snapshot"), "{error}");
}
