//! A store in memory that has snapshots of its own: they are what goes along.

use std::fs;
use std::time::{Duration, Instant};

use mortise::ErrorKind;
use mortise::serve::restart::Outcome;
use rustix::process::Signal;

use super::process::{PATIENCE, Site, is_alive, kill};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_go_along_and_nobody_else_writes_them() {
    let site = Site::prepared();
    let own = "backend = \"memory\"\nsnapshot = { path = \"memory.snapshot\", interval = \"1h\" }";
    site.configure(&site.config().replace("backend = \"memory\"", own));
    let mut site = site.started().await;
    let old = site.pid();
    site.create("memory", "a", "kept").await;
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    let (revision, body) = site.load("memory", "a").await.unwrap().unwrap();
    assert_eq!(body, "kept");
    site.update("memory", "a", revision, "changed")
        .await
        .unwrap();

    // Its lock went along: who has no part in the restart does not get it.
    let host = crate::support::host().build().unwrap();
    let url = format!(
        "memory:?snapshot={}",
        site.path("memory.snapshot").display()
    );
    let refused = host.open(&url).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");

    // The old process leaves, and writes nothing over what the new one has.
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    let gone = [old, restart.from];
    let begun = Instant::now();
    while gone.into_iter().any(is_alive) {
        assert!(begun.elapsed() < PATIENCE, "{}", site.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (revision, body) = site.load("memory", "a").await.unwrap().unwrap();
    assert_eq!(body, "changed");
    // What a crash leaves is what was there at the restart.
    let lost = site.update("memory", "a", revision, "lost").await;
    assert_eq!(lost.unwrap(), reqwest::StatusCode::OK);
    kill(site.pid(), Signal::KILL);
    site.supervise_until_served().await;
    let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
    assert_eq!(body, "changed");

    // A restart that fails leaves them with who serves.
    let damaged = fs::read_to_string(site.path("mortise.toml")).unwrap();
    site.configure(&damaged.replace("tasks.db", "no/such/folder/tasks.db"));
    let restart = site.restart().await.unwrap();
    assert!(
        matches!(restart.outcome, Some(Outcome::GivenUp(_))),
        "{restart:?}"
    );
    let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
    assert_eq!(body, "changed");
    site.create("memory", "b", "later").await;
}
