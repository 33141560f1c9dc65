//! Restarts under load: no increment is lost, no call fails, no session ends, every record is there.

mod figures;
mod pipes;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mortise::serve::restart::Outcome;
use reqwest::StatusCode;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::figures::{Call, Ready, report};
use self::pipes::Pipe;
use self::sessions::Worker;
use super::process::Site;

const CALLERS: usize = 64;
const SESSIONS: usize = 8;
const PIPES: usize = 2;
const STORES: [&str; 2] = ["memory", "disk"];
const TASKS: usize = 200;

/// How many restarts: `MORTISE_TEST_RESTARTS=100` for all that are promised.
fn restarts() -> usize {
    let number = std::env::var("MORTISE_TEST_RESTARTS");
    number.map_or(10, |number| number.parse().unwrap())
}

/// One caller: increments its store's counter by compare-and-set until it is told to stop.
async fn increment(
    site: Arc<Site>,
    store: &'static str,
    stop: watch::Receiver<bool>,
    done: Arc<AtomicU64>,
) -> Vec<Call> {
    let mut calls = Vec::new();
    while !*stop.borrow() {
        let begun = Instant::now();
        let (revision, body) = load(&site, store).await;
        calls.push(Call::since(begun));
        let next = (body.parse::<u64>().unwrap() + 1).to_string();
        let begun = Instant::now();
        match update(&site, store, revision, &next).await {
            StatusCode::OK => {
                done.fetch_add(1, Ordering::Relaxed);
            }
            status => assert_eq!(status, StatusCode::PRECONDITION_FAILED),
        }
        calls.push(Call::since(begun));
    }
    calls
}

/// A read may be tried again once, whatever happened to it.
async fn load(site: &Site, store: &str) -> (u64, String) {
    let loaded = match site.load(store, "counter").await {
        Ok(loaded) => loaded,
        Err(_) => site.load(store, "counter").await.unwrap(),
    };
    loaded.expect("the counter is there")
}

/// A write may be tried again once, where it surely did not happen.
async fn update(site: &Site, store: &str, revision: u64, body: &str) -> StatusCode {
    let again = || site.update(store, "counter", revision, body);
    match again().await {
        Ok(StatusCode::SERVICE_UNAVAILABLE) => again().await.unwrap(),
        Ok(status) => status,
        Err(error) if error.is_connect() => again().await.unwrap(),
        Err(error) => panic!("a write may have happened: {error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_lose_nothing() {
    let site = Arc::new(Site::new().await);
    for store in STORES {
        site.create(store, "counter", "0").await;
        for task in 0..TASKS {
            let (id, body) = (format!("task-{task}"), format!("the body of {task}"));
            site.create(store, &id, &body).await;
        }
    }
    let stop = watch::Sender::new(false);
    let done = STORES.map(|_| Arc::new(AtomicU64::new(0)));
    // Whatever calls without a rest.
    let mut load = JoinSet::new();
    for caller in 0..CALLERS {
        let which = caller % STORES.len();
        let (site, done) = (Arc::clone(&site), Arc::clone(&done[which]));
        load.spawn(increment(site, STORES[which], stop.subscribe(), done));
    }
    let mut listening = JoinSet::new();
    for number in 0..SESSIONS {
        let worker = Worker::begin(&site, number, STORES[number % STORES.len()]).await;
        listening.spawn(worker.listener().listen(stop.subscribe()));
        load.spawn(worker.work(stop.subscribe()));
    }
    let (mut pipes, mut piping) = (Vec::new(), JoinSet::new());
    for number in 0..PIPES {
        let pipe = Pipe::begin(&site, number);
        pipes.push(pipe.state());
        let stop = stop.subscribe();
        piping.spawn_blocking(move || pipe.work(&STORES, &stop));
    }

    let (mut restarted, mut in_place) = (Vec::new(), Vec::new());
    for number in 1..=restarts() {
        some_more(&done, &mut load).await;
        let old = site.pid();
        let begun = Instant::now();
        let restart = site.restart().await.unwrap();
        let ready = Instant::now();
        assert_eq!(
            restart.outcome,
            Some(Outcome::Done),
            "restart {number}: {}",
            site.log()
        );
        assert_eq!(Some(site.pid()), restart.to);
        assert_ne!(site.pid(), old);
        restarted.push(Ready {
            begun,
            ready,
            restart,
        });
        for pipe in &pipes {
            in_place.push(pipes::restart(pipe).await);
        }
    }
    some_more(&done, &mut load).await;

    stop.send_replace(true);
    let calls = load.join_all().await.concat();
    let piped = piping.join_all().await.concat();
    for told in listening.join_all().await {
        for event in ["restart-ahead", "restarted"] {
            assert!(told.iter().any(|told| told == event), "{event}: {told:?}");
        }
    }
    for (store, done) in STORES.iter().zip(&done) {
        let (_, counter) = site.load(store, "counter").await.unwrap().unwrap();
        let done = done.load(Ordering::Relaxed);
        assert_eq!(counter, done.to_string(), "{store}: increments were lost");
        for task in 0..TASKS {
            let loaded = site.load(store, &format!("task-{task}")).await.unwrap();
            let (_, body) = loaded.expect("the task is there");
            assert_eq!(body, format!("the body of {task}"));
        }
    }
    report("over HTTP", &restarted, &calls);
    report("over stdio", &in_place, &piped);
}

/// Waits until some more calls came through at every store; fails where a caller did.
async fn some_more(done: &[Arc<AtomicU64>], load: &mut JoinSet<Vec<Call>>) {
    let counts = || done.iter().map(|done| done.load(Ordering::Relaxed));
    let before: Vec<_> = counts().collect();
    while counts().zip(&before).any(|(now, before)| now < before + 10) {
        if let Some(ended) = load.try_join_next() {
            ended.unwrap();
            panic!("a caller ended before it was told to");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
