//! Several processes on one SQLite file, processes that are killed, and what a process tells nobody.
//!
//! A worker is this test binary again: the ignored test of its name, with its part in the environment. The rest starts
//! the program `mortise`.

mod interrupted;
mod lifecycle;
mod passwords;
mod resume;

use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mortise::agent::{AgentTask, TaskQuery, TaskStatus, TaskStore};
use mortise::{Draft, Key, Query, Store, Write};
use mortise_tests as support;
use rusqlite::Connection;

use crate::support::{export_all, find_all, host};

const PART: &str = "MORTISE_TEST_PART";
const DATABASE: &str = "MORTISE_TEST_DATABASE";

/// Starts a worker; it waits until its standard input is closed.
fn worker(name: &str, part: usize, database: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            name,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PART, part.to_string())
        .env(DATABASE, database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In a worker: its part, its store, and the start signal.
async fn start() -> (usize, Store) {
    let part = std::env::var(PART)
        .expect("workers are started by the tests")
        .parse()
        .unwrap();
    let store = open(std::env::var(DATABASE).unwrap().as_ref()).await;
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    (part, store)
}

async fn open(database: &Path) -> Store {
    let host = host().build().unwrap();
    host.open(&format!("sqlite:{}?deadline=30s", database.display()))
        .await
        .unwrap()
}

/// The file is whole, and every index entry is of a record that carries it.
fn assert_sound(database: &Path) {
    let raw = Connection::open(database).unwrap();
    let verdict: String = raw
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let orphans: i64 = raw
        .query_row(
            "SELECT count(*) FROM attributes WHERE record NOT IN (SELECT create_revision FROM records)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(orphans, 0);
    let ahead: i64 = raw
        .query_row(
            "SELECT (SELECT revision FROM store) - coalesce(max(mod_revision), 0) FROM records",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(
        ahead >= 0,
        "the store's revision is {ahead} from its newest record's"
    );
}

const PROCESSES: usize = 8;
const TASKS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_share_one_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tasks.db");
    // The workers race to make the file, too.
    let workers: Vec<_> = (0..PROCESSES)
        .map(|part| worker("worker_shares", part, &database))
        .collect();
    let outputs: Vec<_> = workers
        .into_iter()
        .map(|mut worker| {
            drop(worker.stdin.take());
            std::thread::spawn(move || worker.wait_with_output().unwrap())
        })
        .collect();
    for output in outputs {
        let output = output.join().unwrap();
        let talk =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{talk}");
    }
    let tasks = TaskStore::new(open(&database).await);
    let shared = tasks.load("shared").await.unwrap().unwrap();
    assert_eq!(shared.items.len(), PROCESSES * TASKS);
    let kept = find_all(tasks.store(), Query::new("task").limit(1000))
        .await
        .unwrap();
    assert_eq!(kept.len(), 1 + PROCESSES * TASKS * 4 / 5);
    let status = Some(TaskStatus::Completed);
    let completed = TaskQuery {
        status,
        limit: 1000,
        ..TaskQuery::default()
    };
    assert_eq!(
        tasks.list(completed).await.unwrap().tasks.len(),
        PROCESSES * TASKS * 4 / 5
    );
    assert_sound(&database);
    // One revision for each write: 8 tries to create the shared task took none but the winner's.
    let raw = Connection::open(&database).unwrap();
    let revision: usize = raw
        .query_row("SELECT revision FROM store", [], |row| row.get::<_, i64>(0))
        .unwrap() as usize;
    let writes = 1 + PROCESSES * TASKS * 3 + PROCESSES * TASKS / 5;
    assert_eq!(revision, writes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a worker of eight_processes_share_one_database"]
async fn worker_shares() {
    let (part, store) = start().await;
    let tasks = TaskStore::new(store);
    match tasks.create(&AgentTask::new("shared")).await {
        Ok(_) => {}
        Err(error) => assert!(error.is_already_exists(), "{error:?}"),
    }
    for number in 0..TASKS {
        let id = format!("{part}-{number}");
        let mut task = AgentTask::new(&id);
        task.push_text(&format!("request {id}"), "user", "hello");
        tasks.create(&task).await.unwrap();
        let mut found = tasks
            .load_by_request_id(&format!("request {id}"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.value, task);
        found.status = TaskStatus::Completed;
        tasks.update(&mut found).await.unwrap();
        tasks
            .modify("shared", |shared| shared.push_text(&id, "user", "me too"))
            .await
            .unwrap();
        if number % 5 == 0 {
            tasks.delete(&id, Some(found.revision)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_survives_a_kill() {
    const KILLS: usize = 50;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tasks.db");
    let mut acknowledged_in_all = 0;
    for round in 0..KILLS {
        let mut worker = worker("worker_writes", round, &database);
        let mut lines = BufReader::new(worker.stdout.take().unwrap());
        drop(worker.stdin.take());
        let mut line = String::new();
        while !line.contains("acknowledged") {
            line.clear();
            let read = lines.read_line(&mut line).unwrap();
            if read == 0 {
                let mut talk = String::new();
                worker
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut talk)
                    .unwrap();
                panic!("the worker of round {round} wrote nothing: {talk}");
            }
        }
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..100_000)));
        // SIGKILL.
        worker.kill().unwrap();
        worker.wait().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let acknowledged: Vec<String> = std::iter::once(line.as_str())
            .chain(rest.split_inclusive('\n'))
            .filter(|line| line.ends_with('\n'))
            .filter_map(|line| {
                line.trim()
                    .split_once("acknowledged ")
                    .map(|(_, batch)| batch.to_owned())
            })
            .collect();
        acknowledged_in_all += acknowledged.len();
        assert_sound(&database);
        let raw = Connection::open(&database).unwrap();
        let incomplete = "SELECT count(*) FROM records WHERE collection = 'task' AND 2 != \
                          (SELECT count(*) FROM attributes WHERE record = create_revision)";
        let incomplete: i64 = raw.query_row(incomplete, [], |row| row.get(0)).unwrap();
        assert_eq!(incomplete, 0, "records without all their index entries");
        let store = open(&database).await;
        for batch in &acknowledged {
            let found = find_all(&store, Query::new("task").with("batch", batch))
                .await
                .unwrap();
            assert_eq!(found.len(), 2, "batch {batch} was acknowledged");
        }
        let query = Query::new("task")
            .with("round", round.to_string())
            .limit(1000)
            .without_bodies();
        let written = find_all(&store, query).await.unwrap();
        assert!(written.len().is_multiple_of(2), "half a batch is there");
        // Written and not acknowledged: those in flight, one of each caller.
        let batches = written.len() / 2;
        assert!(
            (acknowledged.len()..=acknowledged.len() + CALLERS).contains(&batches),
            "{batches}"
        );
        let last = store
            .load(&Key::new("last", "batch"))
            .await
            .unwrap()
            .unwrap();
        let last = String::from_utf8(last.draft.body).unwrap();
        let of_last = find_all(&store, Query::new("task").with("batch", last))
            .await
            .unwrap();
        assert_eq!(of_last.len(), 2);
    }
    let store = open(&database).await;
    let all = export_all(&store).await;
    assert!(all.len() >= acknowledged_in_all * 2);
    assert!(
        acknowledged_in_all >= KILLS,
        "{acknowledged_in_all} batches were acknowledged"
    );
}

/// Callers at once in the process that is killed, so that groups of transactions are cut too.
const CALLERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a worker of every_acknowledged_write_survives_a_kill"]
async fn worker_writes() {
    let (round, store) = start().await;
    let callers = (0..CALLERS).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let batch = format!("{round}-{caller}-{number}");
                let half = |half: &str| {
                    let key = Key::new("task", format!("{batch}-{half}"));
                    let draft = Draft::new(key, vec![b'x'; 500]).attribute("batch", &batch);
                    Write::create(draft.attribute("round", round.to_string()))
                };
                let last = Draft::new(Key::new("last", "batch"), batch.as_str());
                store
                    .apply(vec![half("left"), half("right"), Write::put(last)])
                    .await
                    .unwrap();
                let mut out = std::io::stdout().lock();
                out.write_all(format!("acknowledged {batch}\n").as_bytes())
                    .unwrap();
                out.flush().unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}
