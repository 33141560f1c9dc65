//! Processes that claim entities, one of which dies.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mortise::Store;
use mortise::agent::EntityStore;

use crate::support::jobs::{MINUTE, resume, save_jobs};
use crate::support::{host, name_of_test};

const DATABASE: &str = "MORTISE_TEST_DATABASE";
const OWNER: &str = "MORTISE_TEST_OWNER";
const LEASE: Duration = Duration::from_secs(2);

fn worker(owner: &str, database: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            &*name_of_test(module_path!(), "worker_takes_over"),
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(OWNER, owner)
        .env(DATABASE, database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Claims ten, and works on them until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of the tests of this file"]
async fn worker_takes_over() {
    let store = open(std::env::var(DATABASE).unwrap().as_ref()).await;
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let owner = std::env::var(OWNER).unwrap();
    let mut leases = resume(&store).take_over(&owner, LEASE, 10).await.unwrap();
    for lease in &leases {
        writeln!(std::io::stdout(), "claimed {}", lease.id()).unwrap();
    }
    writeln!(std::io::stdout(), "all claimed").unwrap();
    loop {
        tokio::time::sleep(LEASE / 10).await;
        for lease in &mut leases {
            lease.renew().await.unwrap();
        }
    }
}

async fn open(database: &Path) -> Store {
    let host = host().build().unwrap();
    let url = format!("sqlite:{}?deadline=30s", database.display());
    host.open(&url).await.unwrap()
}

/// Four processes at once on one file: each job is one's. The jobs of one that is killed are another's when
/// its leases end, and the jobs of the living are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_hosts_jobs_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("jobs.db");
    let store = open(&database).await;
    save_jobs(&store, &[("in_progress", 40)]).await;
    let mut workers: Vec<_> = (0..4)
        .map(|number| worker(&format!("w-{number}"), &database))
        .collect();
    for worker in &mut workers {
        drop(worker.stdin.take());
    }
    let mut claimed: Vec<BTreeSet<String>> = Vec::new();
    for worker in &mut workers {
        let lines = BufReader::new(worker.stdout.as_mut().unwrap()).lines();
        let lines = lines
            .map(Result::unwrap)
            .take_while(|line| !line.contains("all claimed"));
        let ids = lines.filter_map(|line| Some(line.split_once("claimed ")?.1.to_owned()));
        claimed.push(ids.collect());
    }
    assert_eq!(
        claimed.iter().map(BTreeSet::len).collect::<Vec<_>>(),
        [10; 4]
    );
    assert_eq!(claimed.iter().flatten().collect::<BTreeSet<_>>().len(), 40);

    workers[2].kill().unwrap();
    workers[2].wait().unwrap();
    let resume = resume(&store);
    let mut orphans = BTreeSet::new();
    while orphans.len() < 10 {
        let leases = resume.take_over("heir", MINUTE, 40).await.unwrap();
        orphans.extend(leases.into_iter().map(|lease| lease.id().to_owned()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(orphans, claimed[2]);
    for worker in [0, 1, 3] {
        workers[worker].kill().unwrap();
        workers[worker].wait().unwrap();
    }
    let entities = EntityStore::new(store);
    assert_eq!(
        entities
            .count_by("job.lease", "owner", "heir")
            .await
            .unwrap(),
        10
    );
}
