//! A backend is swapped a hundred times while 64 callers increment by compare-and-set; what they noticed.
//!
//! `cargo run --release -p mortise --example hot_swap`; arguments are stores by URL, among them of Redis.

#![allow(
    clippy::print_stdout,
    reason = "it is a program that tells what it saw"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use mortise::{Draft, Host, Key, Store};
use tokio::task::JoinSet;

const CALLERS: usize = 64;
const COUNTERS: usize = 8;
const SWAPS: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let mut urls: Vec<String> = env::args().skip(1).collect();
    let folder = env::temp_dir().join(format!("mortise-hot-swap-{}", std::process::id()));
    let plugins = folder.join("plugins");
    fs::create_dir_all(&plugins)?;
    if urls.is_empty() {
        let sqlite = format!("sqlite:{}", folder.join("counters.db").display());
        urls = vec!["memory:".to_owned(), sqlite];
    }
    println!(
        "| backend | swaps | increments | failed | lost | writes held, longest | call, median | call, longest |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for url in &urls {
        let swapped = swap_under_load(&plugins, url).await;
        let swapped = swapped.with_context(|| url.clone())?;
        let Swapped {
            backend,
            increments,
            failed,
            lost,
            held,
            median,
            longest,
        } = swapped;
        println!(
            "| {backend} | {SWAPS} | {increments} | {failed} | {lost} | {held:.1?} | {median:.1?} | {longest:.1?} |"
        );
        ensure!((failed, lost) == (0, 0), "an increment failed or was lost");
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// What came of it.
pub struct Swapped {
    /// The backend that was swapped.
    pub backend: String,
    /// How many increments were acknowledged.
    pub increments: u64,
    /// How many calls failed.
    pub failed: u64,
    /// How many increments are not in the counters.
    pub lost: i64,
    /// How long writes were held back at most.
    pub held: Duration,
    /// The median of all calls.
    pub median: Duration,
    /// The longest of all calls.
    pub longest: Duration,
}

/// Swaps the backend of a store a hundred times while others work with it.
pub async fn swap_under_load(plugins: &Path, url: &str) -> Result<Swapped> {
    let scheme = url.split(':').next().unwrap_or_default();
    let backend = if scheme.starts_with("redis") {
        "redis"
    } else {
        scheme
    };
    let (_, component) = mortise_backends::ALL
        .iter()
        .find(|(name, _)| *name == backend)
        .context("no built-in backend")?;
    let file = plugins.join(format!("{backend}.wasm"));
    fs::write(&file, component)?;
    let host = Host::builder().plugin_dir(plugins).build()?;
    let store = host.open(url).await?;
    store.clear(Some("counter")).await?;
    for counter in 0..COUNTERS {
        store.create(Draft::new(key(counter), "0")).await?;
    }

    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        callers.spawn(async move {
            let mut seen = Seen::default();
            while !stop.load(Ordering::Relaxed) {
                seen.increment(&store, caller % COUNTERS).await;
            }
            seen
        });
    }
    let mut held = Duration::ZERO;
    for swap in 0..SWAPS {
        // Another file each time, by a section that means nothing.
        let section = [&[0, 9, 7][..], b"variant", &[(swap % 2) as u8]].concat();
        let partial = plugins.join("partial");
        fs::write(&partial, [*component, &section].concat())?;
        fs::rename(&partial, &file)?;
        held = held.max(host.reload(backend).await?.held);
    }
    stop.store(true, Ordering::Relaxed);

    let mut all = Seen::default();
    for seen in callers.join_all().await {
        all.increments += seen.increments;
        all.failed += seen.failed;
        all.calls.extend(seen.calls);
    }
    all.calls.sort_unstable();
    let mut total = 0;
    for counter in 0..COUNTERS {
        total += read(&store, counter).await?.0;
    }
    Ok(Swapped {
        backend: backend.to_owned(),
        increments: all.increments,
        failed: all.failed,
        lost: all.increments as i64 - total as i64,
        held,
        median: all.calls[all.calls.len() / 2],
        longest: all.calls[all.calls.len() - 1],
    })
}

/// What the callers saw.
#[derive(Default)]
struct Seen {
    increments: u64,
    failed: u64,
    calls: Vec<Duration>,
}

impl Seen {
    async fn increment(&mut self, store: &Store, counter: usize) {
        loop {
            let begun = Instant::now();
            let loaded = read(store, counter).await;
            self.calls.push(begun.elapsed());
            let Ok((count, revision)) = loaded else {
                self.failed += 1;
                continue;
            };
            let next = Draft::new(key(counter), (count + 1).to_string());
            let begun = Instant::now();
            let updated = store.update(next, Some(revision)).await;
            self.calls.push(begun.elapsed());
            match updated {
                Ok(_) => {
                    self.increments += 1;
                    return;
                }
                Err(error) => self.failed += u64::from(!error.is_conflict()),
            }
        }
    }
}

fn key(counter: usize) -> Key {
    Key::new("counter", counter.to_string())
}

async fn read(store: &Store, counter: usize) -> Result<(u64, u64)> {
    let record = store
        .load(&key(counter))
        .await?
        .context("the counter is gone")?;
    let count = String::from_utf8(record.draft.body.clone())?.parse()?;
    Ok((count, record.revision()))
}
