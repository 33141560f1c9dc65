//! Entities that many lead at once, and that processes lead which are killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use mortise::agent::{Job, Object, Transition};
use mortise::{Attribute, Draft, ErrorKind, Key, Query, Store, Write};

use crate::support::jobs::{TRANSITIONS, jobs, put};
use crate::support::{Fixture, find_all, host, name_of_test};

/// 10,000 entities, 8 workers that race each other through the events: every history leads to the state.
async fn histories_and_states_agree(fixture: Fixture) {
    const ENTITIES: usize = 10_000;
    const WORKERS: usize = 8;
    let (store, jobs) = (fixture.store.clone(), jobs(&fixture.store));
    let id = |number: usize| format!("job-{number:05}");
    for first in (0..ENTITIES).step_by(500) {
        let batch = (first..first + 500).map(|number| {
            let body = serde_json::to_vec(&Job::new(id(number), "n", "a")).unwrap();
            Write::create(
                Draft::new(Key::new("job", id(number)), body).attribute("status", "stopped"),
            )
        });
        store.apply(batch.collect()).await.unwrap();
    }
    let workers = (0..WORKERS).map(|worker| {
        let jobs = jobs.clone();
        tokio::spawn(async move {
            let (by, mut made) = (format!("worker-{worker}"), 0);
            for number in 0..ENTITIES {
                // All start the same entity, and each then goes its own way.
                let mut events = vec!["start_work"];
                if (number + worker) % 4 == 0 {
                    events.push(TRANSITIONS[1 + (number / 4 + worker) % 8].1);
                }
                for event in events {
                    match jobs.handle_event(&id(number), event, &by).await {
                        Ok(_) => made += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidTransition),
                    }
                }
            }
            made
        })
    });
    let mut made = 0;
    for worker in workers.collect::<Vec<_>>() {
        made += worker.await.unwrap();
    }
    assert_eq!(replay(&store, "stopped").await, made);
    assert!(
        made > ENTITIES,
        "each was started, and some went on: {made}"
    );
}

/// Every history leads from `initial` to the state that its entity and its attribute tell; how many
/// transitions there were.
async fn replay(store: &Store, initial: &str) -> usize {
    let every = |collection: &str| find_all(store, Query::new(collection).limit(1_000));
    let (mut states, mut replayed) = (BTreeMap::new(), BTreeMap::new());
    for stored in every("job").await.unwrap() {
        let entity: Object = serde_json::from_slice(&stored.draft.body).unwrap();
        let status = entity.text("status").unwrap();
        assert_eq!(stored.draft.attributes, [Attribute::new("status", &status)]);
        replayed.insert(stored.draft.key.id.clone(), initial.to_owned());
        states.insert(stored.draft.key.id, status);
    }
    let history = every("job.history").await.unwrap();
    for stored in &history {
        let step: Transition = serde_json::from_slice(&stored.draft.body).unwrap();
        let state = replayed.get_mut(&step.entity).unwrap();
        assert_eq!(*state, step.from, "{step:?}");
        let arrow = (step.from.as_str(), step.event.as_str(), step.to.as_str());
        assert!(TRANSITIONS.contains(&arrow));
        *state = step.to;
    }
    assert_eq!(replayed, states);
    history.len()
}

mod many {
    use super::{Fixture, histories_and_states_agree};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory() {
        histories_and_states_agree(Fixture::new("memory").await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        histories_and_states_agree(Fixture::new("sqlite").await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn redis() {
        histories_and_states_agree(Fixture::new("redis").await).await;
    }
}

const DATABASE: &str = "MORTISE_TEST_DATABASE";

/// Leads entities to and fro until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of the tests of this file"]
async fn worker_leads() {
    let host = host().build().unwrap();
    let url = format!("sqlite:{}?deadline=30s", std::env::var(DATABASE).unwrap());
    let jobs = jobs(&host.open(&url).await.unwrap());
    writeln!(std::io::stdout(), "ready").unwrap();
    let mut workers = tokio::task::JoinSet::<()>::new();
    for worker in 0..8 {
        let jobs = jobs.clone();
        workers.spawn(async move {
            loop {
                let id = format!("j-{}", fastrand::u8(0..10));
                let event = ["awaiting_on_input", "input_received"][fastrand::usize(0..2)];
                match jobs.handle_event(&id, event, &format!("w-{worker}")).await {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidTransition),
                }
            }
        });
    }
    workers.join_all().await;
}

/// A process that leads entities is killed at some instant, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_state_and_history_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("jobs.db");
    let host = host().build().unwrap();
    let url = format!("sqlite:{}?deadline=30s", database.display());
    let store = host.open(&url).await.unwrap();
    for number in 0..10 {
        put(&store, &format!("j-{number}"), "in_progress").await;
    }
    let mut made = 0;
    for _ in 0..10 {
        let mut worker = Command::new(std::env::current_exe().unwrap())
            .args([
                &*name_of_test(module_path!(), "worker_leads"),
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(DATABASE, &database)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(worker.stdout.as_mut().unwrap()).lines();
        let ready = lines
            .map(Result::unwrap)
            .find(|line| line.contains("ready"));
        assert!(ready.is_some());
        // The instant is any.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(1_000..60_000))).await;
        worker.kill().unwrap();
        worker.wait().unwrap();
        let now = replay(&store, "in_progress").await;
        assert!(now >= made);
        made = now;
    }
    assert!(made > 0);
}
