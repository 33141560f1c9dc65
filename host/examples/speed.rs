//! What each backend of a plug-in folder costs, side by side: `cargo xtask build-examples`, then
//! `cargo run --release -p mortise --example speed -- target/examples`.
//!
//! Only backends that need no grant are measured. 1,000 records are created one after another, with bodies of
//! 2 KiB and three attributes; then each is loaded, and one of them found by an attribute, again and again.

#![allow(clippy::print_stdout, reason = "the table is what the program answers")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mortise::{Draft, Host, Key, Query, Source};

const RECORDS: u32 = 1_000;
const FINDS: u32 = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: speed PLUGIN_DIR")?;
    let cache = tempfile::tempdir()?;
    let host = || {
        Host::builder()
            .plugin_dir(&folder)
            .cache_dir(cache.path())
            .build()
    };
    println!("| backend | size | compile | from cache | start | create | load | find |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, source) in host()?.backends()? {
        let Source::File(path) = source else { continue };
        let url = format!("{name}:");
        let size = std::fs::metadata(&path)?.len();
        // A host that is new takes machine code from the cache, where there is any.
        let (first, second) = (host()?, host()?);
        let (compile, _) = timed(first.open(&url)).await?;
        let (cached, _) = timed(second.open(&url)).await?;
        let (start, store) = timed(second.open(&url)).await?;

        let (create, ()) = timed(async {
            for id in 0..RECORDS {
                let draft = Draft::new(key(id), vec![b'x'; 2048]);
                let draft = draft.attribute("request-id", id.to_string());
                let draft = draft
                    .attribute("status", "running")
                    .attribute("user", "u-1");
                store.create(draft).await?;
            }
            mortise::Result::Ok(())
        })
        .await?;
        let (load, ()) = timed(async {
            for id in 0..RECORDS {
                store.load(&key(id)).await?;
            }
            mortise::Result::Ok(())
        })
        .await?;
        let (find, ()) = timed(async {
            for id in 0..FINDS {
                let query = Query::new("task").with("request-id", id.to_string());
                store.find(query).await?;
            }
            mortise::Result::Ok(())
        })
        .await?;
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            bytes(size),
            time(compile),
            time(cached),
            time(start),
            time(create / RECORDS),
            time(load / RECORDS),
            time(find / FINDS),
        );
    }
    Ok(())
}

fn key(id: u32) -> Key {
    Key::new("task", id.to_string())
}

/// How long something took, and what came of it.
async fn timed<T>(
    work: impl Future<Output = mortise::Result<T>>,
) -> mortise::Result<(Duration, T)> {
    let start = Instant::now();
    let done = work.await?;
    Ok((start.elapsed(), done))
}

fn bytes(size: u64) -> String {
    match size {
        0..1_000_000 => format!("{} kB", size / 1_000),
        _ => format!("{} MB", size / 1_000_000),
    }
}

fn time(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..10_000 => format!("{micros} µs"),
        micros @ 10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
