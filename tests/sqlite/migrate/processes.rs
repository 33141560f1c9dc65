//! Several processes that migrate one database, and processes that are killed while they do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::old::LOOSE;
use super::{Today, files_with, fixed_host, migrations_of, open};
use crate::support::{component, export_all};

const DATABASE: &str = "MORTISE_TEST_DATABASE";
const READY: &str = "ready to open";
const OPENED: &str = "opened with";

/// Starts a process that opens the database as soon as its standard input is closed.
fn worker(database: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "migrate::processes::worker_opens",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(DATABASE, database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a worker of the other tests here"]
async fn worker_opens() {
    let database = std::env::var(DATABASE).expect("workers are started by the tests");
    let host = fixed_host();
    host.check(component("sqlite")).unwrap();
    say(READY);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let store = open(&host, database.as_ref(), "").await.unwrap();
    say(&format!("{OPENED} {}", export_all(&store).await.len()));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Waits for a line with this in it.
fn await_line(worker: &mut Child, part: &str) -> BufReader<std::process::ChildStdout> {
    let mut lines = BufReader::new(worker.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            let mut talk = String::new();
            worker
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut talk)
                .unwrap();
            panic!("the worker ended before it said {part:?}: {talk}");
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn of_processes_that_open_it_at_once_one_migrates_and_all_have_it() {
    const PROCESSES: usize = 4;
    let today = Today::with(300).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    today.write(&file, &LOOSE);
    let mut workers: Vec<_> = (0..PROCESSES).map(|_| worker(&file)).collect();
    let mut outputs: Vec<_> = workers
        .iter_mut()
        .map(|worker| await_line(worker, READY))
        .collect();
    workers
        .iter_mut()
        .for_each(|worker| drop(worker.stdin.take()));
    for (worker, output) in workers.into_iter().zip(&mut outputs) {
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        let ended = worker.wait_with_output().unwrap();
        assert!(
            ended.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        assert!(
            said.contains(&format!("{OPENED} {}", today.records.len())),
            "{said}"
        );
    }
    assert_eq!(
        (
            migrations_of(&file),
            files_with(folder.path(), ".backup").len()
        ),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_the_old_schema_or_the_new_one() {
    const KILLS: usize = 50;
    let today = Today::with(1500).await;
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.db");
    today.write(&template, &LOOSE);
    // How long one takes that is left alone.
    let (mut longest, mut cut, mut whole) = (Duration::ZERO, 0, 0);
    for round in 0..=KILLS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.db");
        std::fs::copy(&template, &file).unwrap();
        let mut worker = worker(&file);
        let mut lines = await_line(&mut worker, READY);
        let start = Instant::now();
        drop(worker.stdin.take());
        if round == 0 {
            lines.read_to_string(&mut String::new()).unwrap();
            assert!(worker.wait().unwrap().success());
            longest = start.elapsed();
        } else {
            let longest = u64::try_from(longest.as_micros()).unwrap();
            std::thread::sleep(Duration::from_micros(fastrand::u64(0..longest)));
            // SIGKILL.
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
        let raw = Connection::open(&file).unwrap();
        let is_new = assert_one_schema(&raw);
        assert_eq!(migrations_of(&file), usize::from(is_new), "round {round}");
        let rows: i64 = raw
            .query_row("SELECT count(*) FROM records", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1500, "round {round}");
        drop(raw);
        cut += usize::from(!is_new);
        whole += usize::from(is_new);
        // Whatever it left hinders nobody.
        let store = open(&fixed_host(), &file, "").await.unwrap();
        assert!(
            export_all(&store).await == today.records,
            "round {round}: other records"
        );
        assert_eq!(migrations_of(&file), 1, "round {round}");
        if !is_new {
            assert_eq!(
                files_with(folder.path(), "partial"),
                Vec::<std::path::PathBuf>::new()
            );
        }
    }
    assert!(cut > 0 && whole > 1, "{cut} were cut, {whole} were not");
}

/// Whether the schema is the new one; it is the old one otherwise, and nothing between.
fn assert_one_schema(raw: &Connection) -> bool {
    let verdict: String = raw
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let sql = "SELECT name, sql LIKE '%STRICT%' FROM sqlite_schema \
               WHERE type = 'table' AND name NOT IN ('migration_history', 'sqlite_sequence') ORDER BY name";
    let mut all = raw.prepare(sql).unwrap();
    let tables = all.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
    });
    let tables: Vec<_> = tables.unwrap().map(|table| table.unwrap()).collect();
    let names: Vec<_> = tables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["attributes", "records", "store"]);
    let strict = tables.iter().filter(|(_, strict)| *strict).count();
    assert!(strict == 0 || strict == 3, "{tables:?}");
    strict == 3
}
