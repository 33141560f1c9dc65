//! Restarts under load: no increment is lost, no call fails, every record is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mortise::serve::restart::{Outcome, PhaseEntry};
use reqwest::StatusCode;

use super::process::Site;

const CALLERS: usize = 64;
const STORES: [&str; 2] = ["memory", "disk"];
const TASKS: usize = 200;

/// How many restarts: `MORTISE_TEST_RESTARTS=100` for all that are promised.
fn restarts() -> usize {
    let number = std::env::var("MORTISE_TEST_RESTARTS");
    number.map_or(10, |number| number.parse().unwrap())
}

/// One caller: increments its store's counter by compare-and-set until it is told to stop; how long each call took.
async fn increment(
    site: Arc<Site>,
    store: &str,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Vec<Duration> {
    let mut stalls = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let (revision, body) = load(&site, store).await;
        stalls.push(begun.elapsed());
        let next = (body.parse::<u64>().unwrap() + 1).to_string();
        let begun = Instant::now();
        match update(&site, store, revision, &next).await {
            StatusCode::OK => {
                done.fetch_add(1, Ordering::Relaxed);
            }
            status => assert_eq!(status, StatusCode::PRECONDITION_FAILED),
        }
        stalls.push(begun.elapsed());
    }
    stalls
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
            site.create(
                store,
                &format!("task-{task}"),
                &format!("the body of {task}"),
            )
            .await;
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let done = STORES.map(|_| Arc::new(AtomicU64::new(0)));
    let callers = (0..CALLERS).map(|caller| {
        let which = caller % STORES.len();
        let (site, stop, done) = (
            Arc::clone(&site),
            Arc::clone(&stop),
            Arc::clone(&done[which]),
        );
        tokio::spawn(async move { increment(site, STORES[which], &stop, &done).await })
    });
    let callers: Vec<_> = callers.collect();

    let (mut took, mut slowest) = (Vec::new(), None);
    for number in 1..=restarts() {
        let old = site.pid();
        let begun = Instant::now();
        let restart = site.restart().await.unwrap();
        if took.iter().all(|earlier| *earlier < begun.elapsed()) {
            slowest = Some(restart.phases.clone());
        }
        took.push(begun.elapsed());
        assert_eq!(
            restart.outcome,
            Some(Outcome::Done),
            "restart {number}: {}",
            site.log()
        );
        assert_eq!(Some(site.pid()), restart.to);
        assert_ne!(site.pid(), old);
        // Calls come through in between.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    stop.store(true, Ordering::Relaxed);
    let mut stalls = Vec::new();
    for caller in callers {
        stalls.extend(caller.await.unwrap());
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
    report(&mut took, &mut stalls, &slowest.unwrap());
}

#[allow(
    clippy::print_stderr,
    reason = "figures of a test, for who asks for them"
)]
fn report(took: &mut [Duration], stalls: &mut [Duration], slowest: &[PhaseEntry]) {
    took.sort_unstable();
    stalls.sort_unstable();
    let at = |of: &[Duration], share: usize| of[(of.len() - 1) * share / 1000];
    eprintln!(
        "{} restarts: from request to ready {:?} (median), {:?} (99 %), {:?} (longest)",
        took.len(),
        at(took, 500),
        at(took, 990),
        at(took, 1000)
    );
    let phases = slowest
        .iter()
        .map(|entry| (entry.phase, entry.milliseconds));
    eprintln!("the longest: {:?}", phases.collect::<Vec<_>>());
    eprintln!(
        "{} calls: {:?} (median), {:?} (99 %), {:?} (99.9 %), {:?} (longest stall)",
        stalls.len(),
        at(stalls, 500),
        at(stalls, 990),
        at(stalls, 999),
        at(stalls, 1000)
    );
}
