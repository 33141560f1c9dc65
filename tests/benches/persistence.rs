//! What the sandbox costs: the same work through the component and by hand, in one run.
//!
//! `cargo xtask bench`. A ratio within one run counts; an absolute time on a shared machine does not.

mod redis;
#[path = "../support"]
#[allow(dead_code, unused_imports, reason = "the tests use more of it")]
mod support {
    pub mod redis;
}

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mortise::{Draft, Host, HostBuilder, Key, Store};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const BODY_BYTES: usize = 2048;
/// Records in a store that is read from.
const RECORDS: u64 = 10_000;
/// Callers at once, where there are many.
const CALLERS: u64 = 64;

fn host() -> HostBuilder {
    mortise_backends::ALL
        .iter()
        .fold(Host::builder(), |host, (name, bytes)| {
            host.component(*name, *bytes)
        })
}

fn open(runtime: &Runtime, url: &str) -> Store {
    runtime.block_on(host().build().unwrap().open(url)).unwrap()
}

fn key(number: u64) -> Key {
    Key::new("task", format!("task-{number}"))
}

fn draft(number: u64) -> Draft {
    Draft::new(key(number), vec![b'x'; BODY_BYTES])
        .attribute("request-id", format!("request-{number}"))
        .attribute("status", "Running")
        .attribute("session-id", format!("session-{number}"))
}

fn fill(runtime: &Runtime, store: &Store) {
    for first in (0..RECORDS).step_by(1000) {
        let batch = (first..first + 1000).map(|number| mortise::Write::create(draft(number)));
        runtime.block_on(store.apply(batch.collect())).unwrap();
    }
}

/// How long `count` calls take, one after the other.
fn one_caller<F: Future>(runtime: &Runtime, count: u64, call: impl Fn(u64) -> F) -> Duration {
    runtime.block_on(async {
        let start = Instant::now();
        for number in 0..count {
            call(number).await;
        }
        start.elapsed()
    })
}

/// How long `count` calls take, 64 at once.
fn many_callers<F>(
    runtime: &Runtime,
    count: u64,
    call: impl Fn(u64) -> F + Send + Sync + 'static,
) -> Duration
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let call = Arc::new(call);
    let next = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (call, next) = (call.clone(), next.clone());
            callers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    call(number).await;
                }
            });
        }
        while callers.join_next().await.is_some() {}
        start.elapsed()
    })
}

/// A call into the memory backend against the same map used natively.
fn boundary(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let store = open(&runtime, "memory:");
    fill(&runtime, &store);
    let native: BTreeMap<Key2, Draft> = (0..RECORDS)
        .map(|number| (Key2::of(&key(number)), draft(number)))
        .collect();
    let mut group = criterion.benchmark_group("memory, load, 1 caller");
    group.throughput(Throughput::Elements(1));
    group.bench_function("native map", |bencher| {
        let mut number = 0;
        bencher.iter(|| {
            number = (number + 7) % RECORDS;
            native.get(&Key2::of(&key(number))).cloned()
        });
    });
    group.bench_function("component", |bencher| {
        bencher.iter_custom(|count| {
            one_caller(&runtime, count, |number| {
                let store = &store;
                async move {
                    store
                        .load(&key(number * 7 % RECORDS))
                        .await
                        .unwrap()
                        .unwrap()
                }
            })
        });
    });
    group.finish();
}

/// A key that is ordered, as the backend's are.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key2(String, String);

impl Key2 {
    fn of(key: &Key) -> Self {
        Self(key.collection.clone(), key.id.clone())
    }
}

/// Hand-written rusqlite on the tables that the backend makes.
struct ByHand(Connection);

impl ByHand {
    fn open(runtime: &Runtime, file: &Path) -> Self {
        drop(open(runtime, &format!("sqlite:{}", file.display())));
        let raw = Connection::open(file).unwrap();
        raw.pragma_update(None, "synchronous", "FULL").unwrap();
        raw.pragma_update(None, "foreign_keys", true).unwrap();
        raw.pragma_update(None, "cache_size", -8192).unwrap();
        Self(raw)
    }

    fn create(&self, draft: &Draft) {
        let raw = &self.0;
        let mut attributes = Vec::new();
        for pair in &draft.attributes {
            for text in [&pair.name, &pair.value] {
                attributes.push(u8::try_from(text.len()).unwrap());
                attributes.extend_from_slice(text.as_bytes());
            }
        }
        let execute = |sql: &str| raw.prepare_cached(sql).unwrap().execute([]).unwrap();
        execute("BEGIN IMMEDIATE");
        let revision: i64 = raw
            .prepare_cached("UPDATE store SET revision = revision + 1 RETURNING revision")
            .unwrap()
            .query_row([], |row| row.get(0))
            .unwrap();
        raw.prepare_cached(
            "INSERT INTO records (create_revision, mod_revision, collection, id, created_at, updated_at, \
             expires_at, attributes, body) VALUES (?1, ?1, ?2, ?3, ?4, ?4, NULL, ?5, ?6)",
        )
        .unwrap()
        .execute((revision, &draft.key.collection, &draft.key.id, 0, attributes, &draft.body))
        .unwrap();
        let mut insert = raw
            .prepare_cached(
                "INSERT INTO attributes (collection, name, value, record) VALUES (?1, ?2, ?3, ?4)",
            )
            .unwrap();
        for pair in &draft.attributes {
            insert
                .execute((&draft.key.collection, &pair.name, &pair.value, revision))
                .unwrap();
        }
        execute("COMMIT");
    }

    fn load(&self, key: &Key) -> Option<(i64, Vec<u8>, Vec<u8>)> {
        self.0
            .prepare_cached(
                "SELECT create_revision, mod_revision, created_at, updated_at, expires_at, attributes, body \
                 FROM records WHERE collection = ?1 AND id = ?2",
            )
            .unwrap()
            .query_row((&key.collection, &key.id), |row| Ok((row.get(1)?, row.get(5)?, row.get(6)?)))
            .optional()
            .unwrap()
    }
}

/// Creates and loads through the component against hand-written rusqlite: same tables, same
/// `synchronous = FULL`, and no group commit by hand.
fn sqlite(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let by_hand = ByHand::open(&runtime, &folder.path().join("by-hand.db"));
    let store = open(
        &runtime,
        &format!("sqlite:{}", folder.path().join("component.db").display()),
    );
    fill(&runtime, &store);
    let from = folder.path().join("component.db");
    by_hand
        .0
        .execute_batch(&format!(
            "ATTACH '{}' AS source; BEGIN; INSERT INTO records SELECT * FROM source.records; \
             INSERT INTO attributes SELECT * FROM source.attributes; \
             UPDATE store SET revision = (SELECT revision FROM source.store); COMMIT; DETACH source",
            from.display()
        ))
        .unwrap();
    // Before the creates, while both files hold the same records.
    let mut group = criterion.benchmark_group("sqlite, load");
    group.throughput(Throughput::Elements(1));
    group.bench_function("by hand, prepared, 1 caller", |bencher| {
        let mut number = 0;
        bencher.iter(|| {
            number = (number + 7) % RECORDS;
            by_hand.load(&key(number)).unwrap()
        });
    });
    group.bench_function("component, 1 caller", |bencher| {
        bencher.iter_custom(|count| {
            one_caller(&runtime, count, |number| {
                let store = &store;
                async move {
                    store
                        .load(&key(number * 7 % RECORDS))
                        .await
                        .unwrap()
                        .unwrap()
                }
            })
        });
    });
    group.finish();

    let mut next = RECORDS;
    let mut fresh = |count: u64| {
        next += count;
        next - count
    };

    let mut group = criterion.benchmark_group("sqlite FULL, create");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function("by hand, 1 caller, one commit a create", |bencher| {
        bencher.iter_custom(|count| {
            let first = fresh(count);
            let start = Instant::now();
            for number in first..first + count {
                by_hand.create(&draft(number));
            }
            start.elapsed()
        });
    });
    group.bench_function("component, 1 caller", |bencher| {
        bencher.iter_custom(|count| {
            let first = fresh(count);
            one_caller(&runtime, count, |number| {
                let store = &store;
                async move { store.create(draft(first + number)).await.unwrap() }
            })
        });
    });
    group.bench_function("component, 64 callers", |bencher| {
        bencher.iter_custom(|count| {
            let first = fresh(count);
            let store = store.clone();
            many_callers(&runtime, count, move |number| {
                let store = store.clone();
                async move { store.create(draft(first + number)).await.unwrap() }
            })
        });
    });
    group.finish();
}

/// From bytes to a running instance.
fn start(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _inside = runtime.enter();
    let mut group = criterion.benchmark_group("start");
    group.sample_size(20);
    for (backend, bytes) in mortise_backends::ALL {
        group.bench_function(format!("compile {backend}, cold"), |bencher| {
            let fresh = || {
                let folder = tempfile::tempdir().unwrap();
                (host().cache_dir(folder.path()).build().unwrap(), folder)
            };
            bencher.iter_batched(
                fresh,
                |(host, folder)| {
                    host.check(bytes).unwrap();
                    (host, folder)
                },
                BatchSize::PerIteration,
            );
        });
        let folder = tempfile::tempdir().unwrap();
        host()
            .cache_dir(folder.path())
            .build()
            .unwrap()
            .check(bytes)
            .unwrap();
        group.bench_function(format!("load {backend} from the cache"), |bencher| {
            bencher.iter_batched(
                || host().cache_dir(folder.path()).build().unwrap(),
                |host| {
                    host.check(bytes).unwrap();
                    host
                },
                BatchSize::PerIteration,
            );
        });
    }
    let store = open(&runtime, "memory:");
    group.bench_function("instantiate and open memory", |bencher| {
        bencher.iter_custom(|count| {
            one_caller(&runtime, count, |_| {
                let store = &store;
                async move { store.reopen().await.unwrap() }
            })
        });
    });
    group.finish();
}

/// Finding out that a database has the schema that is wanted: what opening a store costs more for it.
fn migrate(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _inside = runtime.enter();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    drop(open(&runtime, &url));
    let migrator = runtime
        .block_on(host().build().unwrap().migration(&url))
        .unwrap();
    let mut group = criterion.benchmark_group("migrate");
    group.bench_function("nothing-to-do", |bencher| {
        bencher.iter(|| assert!(runtime.block_on(migrator.plan()).unwrap().is_empty()));
    });
    group.finish();
}

criterion_group!(benches, boundary, sqlite, redis::redis, start, migrate);
criterion_main!(benches);
