//! Either process is killed in every phase of a restart, or the server is told to stop: what is durable is intact, the
//! server comes back, and says what happened.

use std::fs;
use std::time::{Duration, Instant};

use mortise::serve::restart::{ControlClient, Outcome, Phase};
use rustix::process::Signal;

use super::process::{PATIENCE, Site, is_alive, kill, replace_program};

/// Where a restart stays: in the middle and at the end of each phase.
const PLACES: [(&str, Phase); 10] = [
    ("start-half", Phase::Start),
    ("start", Phase::Start),
    ("drain-half", Phase::Drain),
    ("drain", Phase::Drain),
    ("snapshot-half", Phase::Snapshot),
    ("snapshot", Phase::Snapshot),
    ("restore-half", Phase::Restore),
    ("restore", Phase::Restore),
    ("commit", Phase::Commit),
    // The new process is told to serve, and did not say yet that it does.
    ("commit-half", Phase::Commit),
];
/// Those at which the new process waits for the test.
const NEW_WAITS: [&str; 3] = ["start-half", "restore-half", "commit-half"];
/// Those from which on what is only in memory outlives the old process: nobody is answered after the snapshot is there.
const KEPT: [&str; 5] = [
    "snapshot",
    "restore-half",
    "restore",
    "commit",
    "commit-half",
];

/// A server whose restart stays at a place.
struct Held {
    site: Site,
    old: u32,
    new: u32,
    /// What its durable store has.
    disk: String,
}

impl Held {
    async fn at(place: &'static str) -> Self {
        let site = Site::with(&[], Some(place)).await;
        for store in ["memory", "disk"] {
            site.create(store, "a", "kept").await;
        }
        let disk = site.export("disk").await;
        let state = site.state();
        tokio::spawn(async move {
            let client = ControlClient::connect(&state).await.unwrap();
            // The process that it asks is killed.
            let _ = client.restart(None, true, true, |_| {}).await;
        });
        site.is_held().await;
        let restart = site.status().await.restart.unwrap();
        Self {
            old: restart.from,
            new: restart.to.unwrap(),
            site,
            disk,
        }
    }

    /// A server serves again: what the durable store has is intact, and the history says what happened.
    async fn is_intact(&self, place: &str, phase: Phase) {
        assert_ne!(self.site.pid(), self.old, "{place}");
        assert_eq!(self.site.export("disk").await, self.disk, "{place}");
        assert!(
            !self.site.path("state/restart.snapshot").exists(),
            "{place}"
        );
        let restart = self.site.ended_restart().await;
        let Some(Outcome::Interrupted(what)) = &restart.outcome else {
            panic!("{place}: {restart:?}")
        };
        let expected = format!("process {} ended in phase {phase}", self.old);
        assert!(what.contains(&expected), "{place}: {what}");
    }

    async fn both_ended(&self, place: &str) {
        let begun = Instant::now();
        while is_alive(self.old) || is_alive(self.new) {
            let log = self.site.log();
            assert!(begun.elapsed() < PATIENCE, "{place}: one lives: {log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_process_is_killed_and_the_old_one_serves_on() {
    for (place, phase) in PLACES {
        let Held {
            site,
            old,
            new,
            disk,
        } = Held::at(place).await;
        kill(new, Signal::KILL);
        let mut noticed = phase;
        if place == "snapshot-half" {
            // The old process notices with the next that it says.
            site.release();
            noticed = Phase::Restore;
        }
        site.is_served().await;
        let restart = site.ended_restart().await;
        assert_eq!(site.pid(), old, "{place}");
        assert_eq!(site.export("disk").await, disk, "{place}");
        let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
        assert_eq!(body, "kept", "{place}");
        assert_eq!(restart.phase(), Some(noticed), "{place}");
        let Some(Outcome::GivenUp(why)) = &restart.outcome else {
            panic!("{place}: {restart:?}")
        };
        assert!(why.contains("signal: 9"), "{place}: {why}");
        assert!(!site.path("state/restart.snapshot").exists(), "{place}");
        assert!(!is_alive(new), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_process_is_killed_and_the_supervisor_starts_it_anew() {
    for (place, phase) in PLACES {
        let mut held = Held::at(place).await;
        kill(held.old, Signal::KILL);
        if NEW_WAITS.contains(&place) {
            held.site.release();
        }
        held.site.supervise_until_served().await;
        held.is_intact(place, phase).await;
        let kept = held.site.load("memory", "a").await.unwrap();
        let log = held.site.log();
        assert_eq!(kept.is_some(), KEPT.contains(&place), "{place}: {log}");
        // Told to serve, the new process is the server.
        assert_eq!(held.site.pid() == held.new, place == "commit-half", "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_takes_the_new_process_along() {
    for (place, phase) in PLACES {
        let mut held = Held::at(place).await;
        kill(held.old, Signal::TERM);
        held.site
            .logs("the server stops in the middle of a restart")
            .await;
        held.site.release();
        held.both_ended(place).await;
        // Calls were answered after it was written.
        let snapshot = held.site.path("state/restart.snapshot");
        assert!(!snapshot.exists(), "{place}");
        held.site.start();
        held.site.is_served().await;
        held.is_intact(place, phase).await;
        let kept = held.site.load("memory", "a").await.unwrap();
        assert_eq!(kept, None, "{place}: {}", held.site.log());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_program_that_hangs_does_not_keep_the_next_server_out() {
    let mut site = Site::new().await;
    site.create("disk", "a", "kept").await;
    let program = fs::read_link(site.path("mortise")).unwrap();
    replace_program(&site.path(""), "#!/bin/sh\nexec sleep 1000\n", 0o755);
    let state = site.state();
    tokio::spawn(async move {
        let client = ControlClient::connect(&state).await.unwrap();
        // The process that it asks is killed.
        let _ = client.restart(None, true, true, |_| {}).await;
    });
    let begun = Instant::now();
    let new = loop {
        let restart = site.status().await.restart;
        if let Some(new) = restart.and_then(|restart| restart.to) {
            break new;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", site.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let old = site.pid();
    fs::remove_file(site.path("mortise")).unwrap();
    std::os::unix::fs::symlink(program, site.path("mortise")).unwrap();
    kill(old, Signal::KILL);
    site.supervise_until_served().await;
    assert_ne!(site.pid(), old);
    assert!(is_alive(new));
    kill(new, Signal::KILL);
    assert!(site.load("disk", "a").await.unwrap().is_some());
}
