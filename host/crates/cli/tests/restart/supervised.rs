//! What supervisors see of a restart: one that is told, as systemd is, and one that watches the process it started.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use mortise::serve::restart::Outcome;
use rustix::process::Signal;

use super::process::{PATIENCE, Site, is_alive, kill};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_who_serves() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut text = [0; 256];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    let place = place.to_str().unwrap();
    let mut site = Site::prepared();
    site.environment.push(("NOTIFY_SOCKET", place.to_owned()));
    let site = site.started().await;
    assert_eq!(next(), "READY=1");
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    // The new process is ready, too; it is believed from when it is the main one.
    let mut told = [next(), next()];
    told.sort();
    assert_eq!(
        told,
        [format!("MAINPID={}", site.pid()), "READY=1".to_owned()]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stays_ends_with_the_last_one_that_serves() {
    let mut site = Site::with(&["--stay"], None).await;
    let first = site.pid();
    for store in ["memory", "disk"] {
        site.create(store, "a", "kept").await;
    }
    for _ in 0..2 {
        let restart = site.restart().await.unwrap();
        assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    }
    // Those in between are gone; signals reach the one that serves.
    kill(first, Signal::HUP);
    let begun = Instant::now();
    while site.restarts().len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "{}", site.log());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let restart = site.ended_restart().await;
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    assert_ne!(site.pid(), first);
    let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
    assert_eq!(body, "kept");
    assert!(is_alive(first));

    kill(first, Signal::TERM);
    let status = site.wait_for_child().await;
    assert!(status.success(), "{status}: {}", site.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stays_tells_of_one_that_was_killed() {
    let mut site = Site::with(&["--stay"], None).await;
    site.create("disk", "a", "kept").await;
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    kill(site.pid(), Signal::KILL);
    let status = site.wait_for_child().await;
    assert!(!status.success(), "{status}");
    assert!(
        site.log().contains("which served, ended: signal 9"),
        "{}",
        site.log()
    );
    site.supervise_until_served().await;
    assert!(site.load("disk", "a").await.unwrap().is_some());
}
