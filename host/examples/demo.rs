//! The main job on real agent tasks, told step by step: `cargo xtask demo`.
//!
//! Each step checks what it says; one that does not hold ends the demo with an error.

#![allow(clippy::print_stdout, reason = "a demo talks")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use mortise::agent::{AgentTask, TaskStore};
use mortise::{Error, ErrorKind, Host, Key};

/// Real tasks of an agent platform.
const TASKS: &str = include_str!("../../tests/fixtures/teal-tasks.jsonl");
const WRITERS: usize = 8;
const ITEMS_EACH: usize = 25;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let plugins = PathBuf::from(arguments.next().context("usage: demo PLUGIN_DIR")?);
    match arguments.next() {
        Some(database) => store_and_wait(&plugins, &database).await,
        None => demo(&plugins).await,
    }
}

async fn demo(plugins: &Path) -> Result<()> {
    let start = Instant::now();
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    let tasks: Vec<AgentTask> = TASKS
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;

    println!(
        "1  Another process stores {} tasks through sqlite.wasm, and is killed.",
        tasks.len()
    );
    kill_while_it_works(plugins, &url)?;

    println!("2  A new process opens the same file.");
    let host = host(plugins)?;
    let store = TaskStore::new(host.open(&url).await?);
    let imports = host.manifest("sqlite")?.imports;
    let interfaces: Vec<_> = imports
        .iter()
        .filter_map(|name| name.split(['/', '@']).nth(1))
        .collect();
    println!(
        "   The component imports {}, and nothing else.",
        interfaces.join(", ")
    );
    ensure!(
        imports
            .iter()
            .all(|name| name.starts_with("mortise:persistence/"))
    );
    find_all(&store, &tasks).await?;

    println!("3  {WRITERS} writers append {ITEMS_EACH} items each to one task.");
    let all = WRITERS * ITEMS_EACH;
    let kept = append(&store, "with", true).await?;
    ensure!(kept == all, "{kept} of {all} items were kept");
    println!("   {kept} of {all} are kept, by compare-and-set.");
    let kept = append(&store, "without", false).await?;
    println!("   The same without it, as other stores do: {kept} of {all}.");

    println!("4  A component asks for a database that it was not granted.");
    refused(
        host.open("sqlite:").await.map(|_| ()),
        ErrorKind::NotGranted,
    )?;

    println!("5  A component loops for ever, and one panics.");
    let broken = host.open("fault:?deadline=300ms").await?;
    let call = async |id: &str| broken.load(&Key::new("task", id)).await.map(|_| ());
    refused(call("loop").await, ErrorKind::Deadline)?;
    refused(call("trap").await, ErrorKind::Trap)?;
    call("fine").await?;
    store.store().health().await?;
    println!("   The next call is served, and the other store has noticed nothing.");

    println!(
        "\nAll of it held, in {:.1} s.",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn host(plugins: &Path) -> Result<Host, Error> {
    let host = Host::builder().plugin_dir(plugins);
    let broken = mortise_test_guests::ALL
        .iter()
        .filter(|(name, _)| *name == "fault");
    broken
        .fold(host, |host, (name, bytes)| host.component(*name, *bytes))
        .build()
}

/// In the process that is killed.
async fn store_and_wait(plugins: &Path, url: &str) -> Result<()> {
    let store = TaskStore::new(host(plugins)?.open(url).await?);
    for line in TASKS.lines() {
        store.create(&serde_json::from_str(line)?).await?;
    }
    println!("stored");
    std::future::pending().await
}

fn kill_while_it_works(plugins: &Path, url: &str) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([plugins.as_os_str(), url.as_ref()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("it is piped")?).read_line(&mut line)?;
    ensure!(
        line == "stored\n",
        "the process that stores the tasks failed"
    );
    child.kill()?;
    let status = child.wait()?;
    println!("   It ended with {status}.");
    Ok(())
}

/// Every request id leads to the oldest task that carries it.
async fn find_all(store: &TaskStore, tasks: &[AgentTask]) -> Result<()> {
    let mut oldest = BTreeMap::new();
    for task in tasks {
        for item in &task.items {
            oldest.entry(item.request_id.as_str()).or_insert(task);
        }
    }
    for (request, task) in &oldest {
        let found = store.load_by_request_id(request).await?;
        ensure!(
            found.is_some_and(|found| found.value == **task),
            "request {request} is lost"
        );
    }
    println!(
        "   All {} request ids lead to the oldest task that carries them.",
        oldest.len()
    );
    Ok(())
}

/// Appends to one task from many tasks at once; how many items are there afterwards.
async fn append(store: &TaskStore, id: &str, compare_and_set: bool) -> Result<usize> {
    store.create(&AgentTask::new(id)).await?;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, id) = (store.clone(), id.to_owned());
        writers.spawn(async move {
            for item in 0..ITEMS_EACH {
                let request = format!("{writer}-{item}");
                if compare_and_set {
                    store
                        .modify(&id, |task| task.push_text(&request, "user", "hello"))
                        .await?;
                } else {
                    let mut task = store.load(&id).await?.expect("nobody deletes it");
                    task.push_text(&request, "user", "hello");
                    store.replace(&task).await?;
                }
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(store.load(id).await?.map_or(0, |task| task.items.len()))
}

/// Shows an error that must be of this kind.
fn refused(result: Result<(), Error>, kind: ErrorKind) -> Result<()> {
    let error = result.err().context("it was not refused")?;
    ensure!(
        error.kind() == kind,
        "refused as {:?}: {error}",
        error.kind()
    );
    println!("   Refused: {error}.");
    Ok(())
}
