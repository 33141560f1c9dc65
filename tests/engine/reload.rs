//! Hot swap: a backend's file is replaced while calls go on, by one that works, and by ones that do not.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mortise::{Draft, Error, ErrorKind, Host, Query, Store};
use tokio::task::JoinSet;

use crate::support::{
    component, draft, export_all, find_all, key, plugin_host, redis, sqlite_with_another_index,
    variant,
};

/// Callers at once.
const CALLERS: usize = 64;
/// How many records they count in.
const COUNTERS: usize = 8;

/// A host with one backend in its plug-in folder, and a store of it.
struct Plugin {
    host: Host,
    store: Store,
    backend: &'static str,
    folder: tempfile::TempDir,
}

impl Plugin {
    async fn new(backend: &'static str) -> Self {
        Self::with(backend, "").await
    }

    async fn with(backend: &'static str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        let file = folder.path().join(format!("plugins/{backend}.wasm"));
        fs::write(file, component(backend)).unwrap();
        let host = plugin_host(&folder.path().join("plugins")).build().unwrap();
        let url = match backend {
            "memory" => format!("memory:?{options}"),
            "sqlite" => format!(
                "sqlite:{}?{options}",
                folder.path().join("test.db").display()
            ),
            _ => {
                let (url, namespace) = (redis::shared_server().url(), redis::fresh_namespace());
                format!("{url}?namespace={namespace}&{options}")
            }
        };
        let store = host.open(&url).await.unwrap();
        Self {
            host,
            store,
            backend,
            folder,
        }
    }

    /// Replaces the component, as a copy over it or a rename does.
    fn replace(&self, bytes: &[u8]) {
        let plugins = self.folder.path().join("plugins");
        let partial = plugins.join("partial");
        fs::write(&partial, bytes).unwrap();
        fs::rename(partial, plugins.join(format!("{}.wasm", self.backend))).unwrap();
    }

    async fn reload(&self) -> Result<mortise::Reload, Error> {
        self.host.reload(self.backend).await
    }
}

/// Callers that increment by compare-and-set, as fast as they can, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    callers: JoinSet<usize>,
}

impl Load {
    async fn start(store: &Store) -> Self {
        for counter in 0..COUNTERS {
            let draft = draft(&format!("counter {counter}"), "0");
            store.create(draft).await.unwrap();
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            callers.spawn(async move {
                let mut increments = 0;
                while !stop.load(Ordering::Relaxed) {
                    increment(&store, caller % COUNTERS).await;
                    increments += 1;
                }
                increments
            });
        }
        Self { stop, callers }
    }

    /// How many increments were made, once all have ended.
    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.join_all().await.into_iter().sum()
    }
}

async fn increment(store: &Store, counter: usize) {
    let id = format!("counter {counter}");
    loop {
        let record = store.load(&key(&id)).await.unwrap().unwrap();
        let count: usize = String::from_utf8_lossy(&record.draft.body).parse().unwrap();
        let next = draft(&id, &(count + 1).to_string()).attribute("count", (count + 1).to_string());
        match store.update(next, Some(record.revision())).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_conflict(), "{error:?}"),
        }
    }
}

/// The sum of all counters, which the index has as the records have it.
async fn total(store: &Store) -> usize {
    let mut total = 0;
    for counter in 0..COUNTERS {
        let id = format!("counter {counter}");
        let record = store.load(&key(&id)).await.unwrap().unwrap();
        let count = String::from_utf8(record.draft.body).unwrap();
        let found = find_all(store, Query::new("task").with("count", &count))
            .await
            .unwrap();
        assert!(
            count == "0" || found.iter().any(|record| record.key().id == id),
            "{id}"
        );
        total += count.parse::<usize>().unwrap();
    }
    total
}

async fn a_hundred_swaps_under_load(backend: &'static str) {
    let plugin = Plugin::new(backend).await;
    let load = Load::start(&plugin.store).await;
    let versions = [
        variant(component(backend), 1),
        variant(component(backend), 2),
    ];
    for swap in 0..100 {
        plugin.replace(&versions[swap % 2]);
        let reload = plugin.reload().await.unwrap();
        assert_eq!(reload.swapped, 1, "{swap}");
        assert_eq!(reload.generation, plugin.store.status().generation);
    }
    let increments = load.stop().await;
    assert_eq!(plugin.store.status().generation, 101);
    assert_eq!(total(&plugin.store).await, increments);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_swapped_a_hundred_times_under_load() {
    a_hundred_swaps_under_load("memory").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_swapped_a_hundred_times_under_load() {
    a_hundred_swaps_under_load("sqlite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_swapped_a_hundred_times_under_load() {
    a_hundred_swaps_under_load("redis").await;
}

/// What an operator may copy over a good backend by mistake.
fn broken(backend: &str) -> Vec<(&'static str, Vec<u8>)> {
    let good = component(backend);
    let mut bent = good.to_vec();
    let middle = bent.len() / 2;
    bent[middle..middle + 64].fill(0xff);
    vec![
        ("empty", Vec::new()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("truncated by a byte", good[..good.len() - 1].to_vec()),
        ("bent", bent),
        ("no component", b"\0asm\x01\0\0\0".to_vec()),
        ("no backend", b"\0asm\x0d\0\x01\0".to_vec()),
        ("asks for more", component("sql-probe").to_vec()),
        ("another kind", component("fault").to_vec()),
        ("breaks promises", component("fault-singleton").to_vec()),
        ("traps as it opens", animal_that_is_none()),
    ]
}

async fn a_broken_file_leaves_the_old_generation_serving(backend: &'static str) {
    let plugin = Plugin::new(backend).await;
    let load = Load::start(&plugin.store).await;
    let broken = broken(backend);
    for round in 0..100 {
        let (what, bytes) = &broken[round % broken.len()];
        // `sqlite` is granted what the probe asks for.
        plugin.replace(&variant_of(bytes, round));
        let error = plugin.reload().await.expect_err(what);
        assert_eq!(error.backend(), Some(backend), "{what}: {error:?}");
        assert_eq!(plugin.store.status().generation, 1, "{what}");
        let refusal = plugin.host.refusal(backend).expect(what);
        assert!(
            format!("{error:?}").ends_with(&refusal.reason),
            "{refusal:?}"
        );
    }
    let increments = load.stop().await;
    assert_eq!(total(&plugin.store).await, increments);
    // The folder can be mended.
    plugin.replace(&variant(component(backend), 1));
    assert_eq!(plugin.reload().await.unwrap().swapped, 1);
    assert_eq!(plugin.host.refusal(backend), None);
}

/// A component of the zoo that looks for an animal beyond the last, and so traps as soon as it is called.
fn animal_that_is_none() -> Vec<u8> {
    let healthy = animal("healthy");
    let marker = mortise_test_guests::ZOO_MARKER;
    let tags = healthy.windows(marker.len());
    let tag = tags.into_iter().position(|bytes| bytes == marker).unwrap();
    let mut none = healthy;
    none[tag + marker.len()..][..4].copy_from_slice(b"9999");
    none
}

/// Another file each time, where a section can be added at all.
fn variant_of(bytes: &[u8], number: usize) -> Vec<u8> {
    match bytes.len() {
        0 => Vec::new(),
        _ => variant(bytes, number),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_leaves_memory_serving() {
    a_broken_file_leaves_the_old_generation_serving("memory").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_leaves_sqlite_serving() {
    a_broken_file_leaves_the_old_generation_serving("sqlite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_leaves_redis_serving() {
    a_broken_file_leaves_the_old_generation_serving("redis").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_needs_a_migration_says_whether_opening_the_store_anew_makes_it() {
    for (options, makes_it) in [("", true), ("migrate=manual", false)] {
        let plugin = Plugin::with("sqlite", options).await;
        plugin.store.create(draft("a", "{}")).await.unwrap();
        plugin.replace(&sqlite_with_another_index());
        let error = plugin.reload().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Component, "{error:?}");
        assert_eq!(error.needs_migration(), makes_it, "{error:?}");
        assert!(plugin.host.refusal("sqlite").is_some());
        let Plugin {
            host,
            store,
            folder,
            ..
        } = plugin;
        store.close().await.unwrap();
        let url = format!(
            "sqlite:{}?{options}",
            folder.path().join("test.db").display()
        );
        let opened = host.open(&url).await;
        assert_eq!(opened.is_ok(), makes_it, "{opened:?}");
        // What serves is not refused.
        assert_eq!(host.refusal("sqlite").is_none(), makes_it);
    }
    // Nor is what is refused for another reason.
    let plugin = Plugin::new("sqlite").await;
    plugin.replace(component("fault"));
    assert!(!plugin.reload().await.unwrap_err().needs_migration());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_singletons_records_are_handed_over_as_they_are() {
    let plugin = Plugin::new("memory").await;
    let store = &plugin.store;
    for number in 0..2_500 {
        let body: Vec<u8> = (0..number % 300).map(|byte| byte as u8).collect();
        let draft = Draft::new(key(&number.to_string()), body)
            .attribute("parity", (number % 2).to_string())
            .attribute("é", "\0");
        store.create(draft).await.unwrap();
    }
    let many = (0..4_096).fold(draft("many", ""), |draft, pair| {
        draft.attribute("pair", pair.to_string())
    });
    for id in ["many 1", "many 2", "many 3", "many 4", "many 5"] {
        let draft = Draft {
            key: key(id),
            ..many.clone()
        };
        store.create(draft).await.unwrap();
    }
    let last = store.create(draft("last", "gone")).await.unwrap();
    store.delete(&key("last"), None).await.unwrap();
    let before = export_all(store).await;

    plugin.replace(&variant(component("memory"), 1));
    plugin.reload().await.unwrap();

    assert_eq!(export_all(store).await, before);
    let odd = find_all(store, Query::new("task").with("parity", "1"))
        .await
        .unwrap();
    assert_eq!(odd.len(), 1_250);
    // No revision is given twice, not even that of a record that was deleted, nor that of its removal.
    let again = store.create(draft("last", "")).await.unwrap();
    assert!(again.mod_revision > last.mod_revision + 1, "{again:?}");
    let statistics = store.statistics().await.unwrap();
    assert_eq!(statistics.len(), 1, "{statistics:?}");
}

/// A backend that breaks one promise, which no smoke clause looks at.
fn animal(name: &str) -> Vec<u8> {
    let mut all = mortise_test_guests::zoo();
    all.find(|(animal, _)| animal.name() == name).unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_singleton_that_takes_over_other_records_than_it_was_handed_does_not_serve() {
    let plugin = Plugin::new("memory").await;
    for number in 0..50 {
        let draft = draft(&number.to_string(), "{}").attribute("parity", (number % 2).to_string());
        plugin.store.create(draft).await.unwrap();
    }
    let before = export_all(&plugin.store).await;
    for name in [
        "imports-with-new-stamps",
        "imports-without-entries",
        "falls-behind-imports",
    ] {
        plugin.replace(&animal(name));
        let error = plugin.reload().await.expect_err(name);
        assert_eq!(plugin.store.status().generation, 1, "{name}: {error:?}");
    }
    assert_eq!(export_all(&plugin.store).await, before);
    plugin.store.create(draft("one more", "{}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_a_trap_took_come_back_with_the_snapshot_and_another_generation() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::write(
        plugins.join("memory.wasm"),
        animal("traps-on-many-attributes"),
    )
    .unwrap();
    let host = plugin_host(&plugins).build().unwrap();
    let snapshot = folder.path().join("tasks.snapshot");
    let config = mortise::StoreConfig::new("memory").snapshot(snapshot);
    let store = host.open_with(config).await.unwrap();
    let kept = store
        .create(draft("a", "{}").attribute("b", "c"))
        .await
        .unwrap();
    store.snapshot().await.unwrap().unwrap();
    store
        .create(draft("after the snapshot", "{}"))
        .await
        .unwrap();
    let many = (0..4_096).fold(draft("many", ""), |draft, pair| {
        draft.attribute("pair", pair.to_string())
    });
    let error = store.create(many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap, "{error:?}");

    // A new generation serves, and does not pretend that nothing was lost.
    fs::write(plugins.join("memory.wasm"), component("memory")).unwrap();
    assert_eq!(host.reload("memory").await.unwrap().generation, 2);
    let error = store.load(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StateLost, "{error:?}");
    assert!(store.status().state_lost);
    // Nor does a snapshot of nothing replace the one that there is.
    assert_eq!(
        store.clone().close().await.unwrap_err().kind(),
        ErrorKind::StateLost
    );

    store.reopen().await.unwrap();
    let records = export_all(&store).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].stamp, kept);
    let next = store
        .create(draft("after the snapshot", "{}"))
        .await
        .unwrap();
    assert!(next.mod_revision > kept.mod_revision + 1, "{next:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_back_leads_to_the_generation_before() {
    let plugin = Plugin::new("memory").await;
    let first = plugin.store.status().digest;
    let error = plugin.host.roll_back("memory").await.unwrap_err();
    assert!(
        error.to_string().contains("no generation served before"),
        "{error}"
    );
    assert!(plugin.store.status().refusal.is_none());

    plugin.store.create(draft("a", "1")).await.unwrap();
    plugin.replace(&variant(component("memory"), 1));
    let second = plugin.reload().await.unwrap().digest;
    plugin.store.create(draft("b", "2")).await.unwrap();
    let rolled_back = plugin.host.roll_back("memory").await.unwrap();
    assert_eq!((rolled_back.generation, rolled_back.digest), (3, first));
    assert_eq!(plugin.store.status().digest, first);
    plugin.store.create(draft("c", "3")).await.unwrap();
    assert_eq!(
        plugin.host.roll_back("memory").await.unwrap().digest,
        second
    );
    assert_eq!(export_all(&plugin.store).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_stores_of_a_backend_are_served_by_one_generation() {
    let plugin = Plugin::new("sqlite").await;
    let file = plugin.folder.path().join("test.db");
    let acme = format!("sqlite:{}?namespace=acme", file.display());
    let acme = plugin.host.open(&acme).await.unwrap();
    plugin.replace(&variant(component("sqlite"), 1));
    assert_eq!(plugin.reload().await.unwrap().swapped, 2);
    assert_eq!(
        (plugin.store.status().generation, acme.status().generation),
        (2, 2)
    );

    // A file that was not tried is not what a further store is opened with, be it good or bad.
    plugin.replace(b"no component");
    let late = format!("sqlite:{}?namespace=late", file.display());
    let late = plugin.host.open(&late).await.unwrap();
    assert_eq!(late.status().digest, acme.status().digest);
    plugin.reload().await.unwrap_err();
    assert_eq!((acme.status().generation, late.status().generation), (2, 2));
    // The same component is no new generation.
    plugin.replace(&variant(component("sqlite"), 1));
    assert_eq!(plugin.reload().await.unwrap().swapped, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_not_held_to_what_the_operator_set_for_the_records() {
    let tight = "body-bytes=16B&batch-bytes=32B&page-bytes=32B&store-bytes=200KiB";
    let ttl = format!("{tight}&ttl=1h");
    for (backend, options) in [("memory", tight), ("sqlite", tight), ("redis", &ttl)] {
        let plugin = Plugin::with(backend, options).await;
        plugin.store.create(draft("a", "{}")).await.unwrap();
        plugin.replace(&variant(component(backend), 1));
        assert_eq!(plugin.reload().await.unwrap().swapped, 1, "{backend}");
        let error = plugin
            .store
            .create(draft("b", &"b".repeat(17)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_leaves_nothing_behind() {
    let plugin = Plugin::new("sqlite").await;
    plugin.replace(&variant(component("sqlite"), 1));
    plugin.reload().await.unwrap();
    plugin.replace(&variant(component("sql-probe"), 1));
    plugin.reload().await.unwrap_err();
    let mut left: Vec<_> = fs::read_dir(plugin.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["plugins", "test.db", "test.db-shm", "test.db-wal"]);

    let plugin = Plugin::new("redis").await;
    plugin.replace(&variant(component("redis"), 1));
    plugin.reload().await.unwrap();
    let keys = redis::shared_server().keys("mortise:{mortise-canary-*");
    assert_eq!(keys, Vec::<String>::new());
}

/// Waits for the store to be served by a generation, for a while.
async fn until_generation(store: &Store, generation: u64) {
    let deadline = Duration::from_secs(30);
    let served = async {
        while store.status().generation < generation {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(deadline, served)
        .await
        .expect("no new generation serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_folder_is_reloaded_by_itself() {
    let plugin = Plugin::new("memory").await;
    let watch = plugin.host.watch().unwrap();
    plugin.store.create(draft("a", "1")).await.unwrap();
    plugin.replace(&variant(component("memory"), 1));
    until_generation(&plugin.store, 2).await;
    // In small pieces: what is loaded is the whole file.
    let file = plugin.folder.path().join("plugins/memory.wasm");
    let bytes = variant(component("memory"), 2);
    let mut slowly = fs::File::create(&file).unwrap();
    for piece in bytes.chunks(bytes.len() / 8 + 1) {
        std::io::Write::write_all(&mut slowly, piece).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until_generation(&plugin.store, 3).await;
    assert_eq!(export_all(&plugin.store).await.len(), 1);
    // A file that is gone takes nothing away.
    fs::remove_file(file).unwrap();
    plugin.replace(&variant(component("memory"), 3));
    until_generation(&plugin.store, 4).await;
    drop(watch);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reloads_all() {
    let plugin = Plugin::new("memory").await;
    let _watch = plugin.host.reload_on_sighup().unwrap();
    plugin.replace(&variant(component("memory"), 1));
    let kill = std::process::Command::new("kill")
        .args(["-HUP", &std::process::id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    until_generation(&plugin.store, 2).await;
}

#[tokio::test]
async fn there_must_be_something_to_reload() {
    let folder = tempfile::tempdir().unwrap();
    let host = plugin_host(folder.path()).build().unwrap();
    let error = host.reload("memory").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error
            .to_string()
            .contains("no store of this backend is open"),
        "{error}"
    );
    let error = Host::builder().build().unwrap().watch().unwrap_err();
    assert!(error.hint().unwrap().contains("plugin-dir"), "{error}");
}
