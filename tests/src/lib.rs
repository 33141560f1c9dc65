//! What makes the next test three lines long.
//!
//! Each area of tests is a binary of its own, on this library: it is compiled once, and an edit in one area compiles no
//! other. Each names it `support`. Tests that start the program `mortise` are in its package, `mortise-cli`.

pub mod jobs;
pub mod moving;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

pub use mortise_test_servers as redis;

use mortise::{Draft, Error, Host, HostBuilder, Key, ManualClock, Query, Store, Stored};
use tempfile::TempDir;

/// When the clock of a test starts: 2026-01-01T00:00:00Z.
pub const START: u64 = 1_767_225_600_000;

/// A host that carries the built-in backends and the test guests.
pub fn host() -> HostBuilder {
    carried().fold(Host::builder().max_instances(300), |host, (name, bytes)| {
        host.component(*name, *bytes)
    })
}

/// The component of a built-in backend, or of a test guest.
pub fn component(name: &str) -> &'static [u8] {
    let mut named = carried().filter(|(known, _)| *known == name);
    named.next().unwrap().1
}

fn carried() -> impl Iterator<Item = &'static (&'static str, &'static [u8])> {
    let test_guests = mortise_test_guests::ALL;
    mortise_backends::ALL.iter().chain(test_guests)
}

/// A host with this plug-in folder, that carries nothing.
pub fn plugin_host(folder: &Path) -> HostBuilder {
    Host::builder().max_instances(300).plugin_dir(folder)
}

/// The same component as another file: with a section that means nothing.
pub fn variant(component: &[u8], number: usize) -> Vec<u8> {
    let payload = format!("\u{7}variant{number:04}");
    let length = u8::try_from(payload.len()).unwrap();
    [component, &[0, length], payload.as_bytes()].concat()
}

/// The backend `sqlite` with another schema: one that wants an index more.
pub fn sqlite_with_another_index() -> Vec<u8> {
    let (index, other) = (b"INDEX records_by_expiry", b"INDEX records_by_expirz");
    let mut sqlite = component("sqlite").to_vec();
    let place = sqlite.windows(index.len()).position(|bytes| bytes == index);
    sqlite[place.unwrap()..][..other.len()].copy_from_slice(other);
    sqlite
}

/// One store of one backend in a folder or a namespace of its own, on a clock that stands still.
pub struct Fixture {
    /// The store.
    pub store: Store,
    /// The host that opened it.
    pub host: Host,
    /// The host's clock.
    pub clock: Arc<ManualClock>,
    folder: TempDir,
    place: Place,
}

impl Fixture {
    /// A store of this backend.
    pub async fn new(backend: &str) -> Self {
        Self::with(backend, "").await
    }

    /// With more in the URL: `limits=…&…`.
    pub async fn with(backend: &str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(backend, folder.path());
        Self::open_at(place, folder, options).await
    }

    /// In a namespace of its own of the Redis at this URL.
    pub async fn on_redis(url: &str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::open_at(Place::redis(url), folder, options).await
    }

    async fn open_at(place: Place, folder: TempDir, options: &str) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let host = host().clock(clock.clone()).build().unwrap();
        let store = host.open(&place.url(options)).await.unwrap();
        Self {
            store,
            host,
            clock,
            folder,
            place,
        }
    }

    /// Opens the fixture's storage once more: the same file, the same namespace, or, in memory, a new
    /// store.
    pub async fn open(&self, options: &str) -> Store {
        self.host.open(&self.url(options)).await.unwrap()
    }

    /// What opens the fixture's storage.
    pub fn url(&self, options: &str) -> String {
        self.place.url(options)
    }

    /// The fixture's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where a fixture of the backend `sqlite` has its file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }
}

/// Where a fixture's records are.
struct Place {
    /// The URL, up to where options go on.
    url: String,
    /// What the fixture's namespaces begin with, where other fixtures are on the same server.
    namespace: Option<String>,
}

impl Place {
    fn of(backend: &str, folder: &Path) -> Self {
        let url = match backend {
            "redis" => return Self::redis(&redis::shared_server().url()),
            "redis-cluster" => return Self::redis(&redis::shared_cluster().url()),
            "memory" | "tree" | "fault" | "fault-singleton" | "wasi-probe" => {
                format!("{backend}:?")
            }
            _ => format!("{backend}:?sqlite={}&", folder.join("test.db").display()),
        };
        Self {
            url,
            namespace: None,
        }
    }

    fn redis(url: &str) -> Self {
        Self {
            url: format!("{url}?"),
            namespace: Some(redis::fresh_namespace()),
        }
    }

    fn url(&self, options: &str) -> String {
        let Some(namespace) = &self.namespace else {
            return format!("{}{options}", self.url);
        };
        // A namespace that is asked for is apart from those of the same name in other fixtures.
        let own = format!("namespace={namespace}");
        let options = if options.contains("namespace=") {
            options.replace("namespace=", &format!("{own}."))
        } else {
            format!("{own}&{options}")
        };
        format!("{}{options}", self.url)
    }
}

/// A test that was begun.
pub type Test = Pin<Box<dyn Future<Output = ()>>>;

/// Runs a test on a backend, on a runtime of its own. Compiled once: a runtime for each of some hundred tests
/// takes minutes to compile.
pub fn run_on(backend: &str, test: fn(Fixture) -> Test) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { test(Fixture::new(backend).await).await });
}

/// Runs each test on every backend.
#[macro_export]
macro_rules! on_every_backend {
    ($($(#[$doc:meta])* async fn $name:ident($fixture:ident: Fixture) $body:block)*) => {
        $($(#[$doc])* async fn $name($fixture: $crate::Fixture) $body)*

        $crate::on_every_backend! { @on memory "memory": $($name)* }
        $crate::on_every_backend! { @on sqlite "sqlite": $($name)* }
        $crate::on_every_backend! { @on tree "tree": $($name)* }
        $crate::on_every_backend! { @on redis "redis": $($name)* }
        $crate::on_every_backend! { @on redis_cluster "redis-cluster": $($name)* }
    };
    (@on $module:ident $backend:literal: $($name:ident)*) => {
        mod $module {
            $(#[test]
            fn $name() {
                $crate::run_on($backend, |fixture| Box::pin(super::$name(fixture)));
            })*
        }
    };
}

/// What the test binary calls a test of the module at this path.
pub fn name_of_test(module: &str, test: &str) -> String {
    match module.split_once("::") {
        Some((_, in_binary)) => format!("{in_binary}::{test}"),
        None => test.to_owned(),
    }
}

/// The key of a task.
pub fn key(id: &str) -> Key {
    Key::new("task", id)
}

/// A task that is not written yet.
pub fn draft(id: &str, body: &str) -> Draft {
    Draft::new(key(id), body)
}

/// The ids of records, in their order.
pub fn ids(records: &[Stored]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record.key().id.as_str())
        .collect()
}

/// Every record that a query finds, page by page.
pub async fn find_all(store: &Store, query: Query) -> Result<Vec<Stored>, Error> {
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = store.find(query.clone().after(after)).await?;
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return Ok(records);
        }
    }
}

/// Every record of a store, by export.
pub async fn export_all(store: &Store) -> Vec<Stored> {
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = store.export(after, 100).await.unwrap();
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}
