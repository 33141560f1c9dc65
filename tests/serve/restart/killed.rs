//! Either process is killed in every phase of a restart: what is durable is intact, the server comes back, and says what
//! happened.

use mortise::serve::restart::{Outcome, Phase};
use rustix::process::Signal;

use super::process::{Site, is_alive, kill};

const PHASES: [Phase; 5] = [
    Phase::Start,
    Phase::Drain,
    Phase::Snapshot,
    Phase::Restore,
    Phase::Commit,
];

/// A server whose restart stays at the end of a phase, with a record in each of its stores.
async fn held(phase: Phase) -> (Site, String) {
    let site = Site::with(&[], Some(phase)).await;
    for store in ["memory", "disk"] {
        site.create(store, "a", "kept").await;
    }
    let disk = site.export("disk").await;
    let state = site.state();
    tokio::spawn(async move {
        let client = mortise::serve::restart::ControlClient::connect(&state)
            .await
            .unwrap();
        // The process that it asks is killed.
        let _ = client.restart(None, true, true, |_| {}).await;
    });
    site.is_held().await;
    (site, disk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_process_is_killed_and_the_old_one_serves_on() {
    for phase in PHASES {
        let (site, disk) = held(phase).await;
        let old = site.pid();
        let new = site
            .status()
            .await
            .restart
            .and_then(|restart| restart.to)
            .unwrap();
        kill(new, Signal::KILL);
        site.is_served().await;
        assert_eq!(site.pid(), old, "{phase}");
        assert_eq!(site.export("disk").await, disk, "{phase}");
        let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
        assert_eq!(body, "kept", "{phase}");
        let restart = site.ended_restart().await;
        assert_eq!(restart.phase(), Some(phase));
        let Some(Outcome::GivenUp(why)) = &restart.outcome else {
            panic!("{phase}: {restart:?}")
        };
        assert!(why.contains("signal: 9"), "{phase}: {why}");
        assert!(!site.path("state/restart.snapshot").exists(), "{phase}");
        assert!(!is_alive(new), "{phase}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_process_is_killed_and_the_supervisor_starts_it_anew() {
    for phase in PHASES {
        let (mut site, disk) = held(phase).await;
        let old = site.pid();
        kill(old, Signal::KILL);
        site.supervise_until_served().await;
        assert_ne!(site.pid(), old, "{phase}");
        assert_eq!(site.export("disk").await, disk, "{phase}");
        // What is only in memory is there from the snapshot on: nobody was answered since it was written.
        let kept = site.load("memory", "a").await.unwrap();
        assert_eq!(
            kept.is_some(),
            phase >= Phase::Snapshot,
            "{phase}: {}",
            site.log()
        );
        assert!(!site.path("state/restart.snapshot").exists(), "{phase}");
        let restart = site.ended_restart().await;
        let Some(Outcome::Interrupted(what)) = &restart.outcome else {
            panic!("{phase}: {restart:?}")
        };
        let expected = format!("process {old} ended in phase {phase}");
        assert!(what.contains(&expected), "{phase}: {what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_records_do_not_come_back_after_a_restart() {
    let mut site = Site::new().await;
    site.create("memory", "a", "kept").await;
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    let (revision, _) = site.load("memory", "a").await.unwrap().unwrap();
    site.update("memory", "a", revision, "changed")
        .await
        .unwrap();
    site.create("disk", "b", "kept").await;
    // As any crash does, this one takes what is only in memory.
    kill(site.pid(), Signal::KILL);
    site.supervise_until_served().await;
    assert_eq!(site.load("memory", "a").await.unwrap(), None);
    assert!(site.load("disk", "b").await.unwrap().is_some());
}
