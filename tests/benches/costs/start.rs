//! What a start costs: from bytes to a running instance, from a process to its first stored task; and what a
//! hot swap holds up.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mortise::agent::{AgentTask, TaskStore};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::contest::median;
use crate::ours::host;
use crate::{footprint, hot_swap, http};

/// Something that was measured several times.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    pub what: String,
    pub unit: &'static str,
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Cost {
    pub fn new(what: impl Into<String>, unit: &'static str, values: &[f64]) -> Self {
        Self {
            what: what.into(),
            unit,
            median: median(values),
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// In milliseconds.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed().as_secs_f64() * 1e3, done)
}

pub fn measure(runtime: &Runtime, quick: bool) -> Vec<Cost> {
    let times = if quick { 5 } else { 20 };
    let mut costs = Vec::new();
    let _inside = runtime.enter();
    let cache = tempfile::tempdir().unwrap();
    for (backend, bytes) in mortise_backends::ALL {
        let cold: Vec<f64> = (0..times.min(5))
            .map(|_| {
                let fresh = tempfile::tempdir().unwrap();
                let host = host().cache_dir(fresh.path()).build().unwrap();
                timed(|| host.check(bytes).unwrap()).0
            })
            .collect();
        costs.push(Cost::new(
            format!("compile {backend}, in no cache"),
            "ms",
            &cold,
        ));
        let load = || {
            let host = host().cache_dir(cache.path()).build().unwrap();
            timed(|| host.check(bytes).unwrap()).0
        };
        load();
        let cached: Vec<f64> = (0..times).map(|_| load()).collect();
        costs.push(Cost::new(
            format!("load {backend} from the cache"),
            "ms",
            &cached,
        ));
    }
    costs.push(instantiate(runtime, times));
    for backend in ["memory", "sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        let cold: Vec<f64> = (0..times)
            .map(|number| first_task(backend, folder.path(), cache.path(), number))
            .collect();
        let what = format!("process start to first stored task, {backend}, from the cache");
        costs.push(Cost::new(what, "ms", &cold));
    }
    costs.push(look_for_migrations(runtime, times));
    costs.extend(swaps(runtime));
    costs
}

/// What opening a store costs more because its schema is compared.
fn look_for_migrations(runtime: &Runtime, times: usize) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    let host = host().build().unwrap();
    drop(runtime.block_on(host.open(&url)).unwrap());
    let migrator = runtime.block_on(host.migration(&url)).unwrap();
    let values: Vec<f64> = (0..times)
        .map(|_| {
            let (took, plan) = timed(|| runtime.block_on(migrator.plan()).unwrap());
            assert!(plan.is_empty());
            took
        })
        .collect();
    Cost::new("find out that a database needs no migration", "ms", &values)
}

/// A singleton that is started anew: an instance, and `open`.
fn instantiate(runtime: &Runtime, times: usize) -> Cost {
    let store = runtime
        .block_on(host().build().unwrap().open("memory:"))
        .unwrap();
    let values: Vec<f64> = (0..times)
        .map(|_| {
            let rounds = 100;
            let reopened = || {
                runtime.block_on(async {
                    for _ in 0..rounds {
                        store.reopen().await.unwrap();
                    }
                })
            };
            timed(reopened).0 * 1e3 / f64::from(rounds)
        })
        .collect();
    Cost::new("start an instance of memory and open it", "us", &values)
}

/// From the start of a process until it says that its first task is stored.
fn first_task(backend: &str, folder: &Path, cache: &Path, number: usize) -> f64 {
    let file = folder.join(format!("{number}.db"));
    let url = match backend {
        "sqlite" => format!("sqlite:{}", file.display()),
        other => format!("{other}:"),
    };
    let work = format!("first-task {url} {}", cache.display());
    let mut command = process(&work);
    command.stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut said = [0; 7];
    child.stdout.take().unwrap().read_exact(&mut said).unwrap();
    let took = start.elapsed();
    assert_eq!(&said, b"stored\n");
    assert!(child.wait().unwrap().success());
    took.as_secs_f64() * 1e3
}

/// A process of its own that does this, by [`child`].
pub fn process(work: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--child", work]);
    command
}

/// What a child process does: `first-task URL CACHE`, `serve URL`, or a measurement of memory.
#[allow(clippy::print_stdout, reason = "it is what the parent waits for")]
pub fn child(work: &str) {
    let mut words = work.split_whitespace();
    match words.next() {
        Some("first-task") => {
            let (url, cache) = (words.next().unwrap(), words.next().unwrap());
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let host = host().cache_dir(cache).build().unwrap();
                let tasks = TaskStore::new(host.open(url).await.unwrap());
                tasks.create(&task()).await.unwrap();
            });
            println!("stored");
        }
        Some("serve") => http::serve(words.next().unwrap()),
        _ => println!("{}", footprint::child(work)),
    }
}

fn task() -> AgentTask {
    let line = include_str!("../../fixtures/teal-tasks.jsonl")
        .lines()
        .next();
    serde_json::from_str(line.unwrap()).unwrap()
}

/// The longest call of 64 callers while a backend is swapped again and again.
fn swaps(runtime: &Runtime) -> Vec<Cost> {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("counters.db").display());
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let swap = |url: &str| {
        let seen = runtime
            .block_on(hot_swap::swap_under_load(&plugins, url))
            .unwrap();
        assert_eq!((seen.failed, seen.lost), (0, 0));
        let backend = url.split(':').next().unwrap();
        let what = format!("hot swap of {backend} under 64 callers, longest of all calls");
        Cost::new(what, "ms", &[ms(seen.longest)])
    };
    vec![swap("memory:"), swap(&sqlite)]
}
