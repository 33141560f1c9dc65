//! Backends that are replaced while they are served: they are swapped, and the server is restarted where one has to
//! migrate.

use std::time::{Duration, Instant};

use mortise::serve::restart::{Outcome, Trigger};
use rusqlite::Connection;
use rustix::process::Signal;

use super::process::{PATIENCE, Site, kill};
use crate::support::{component, sqlite_with_another_index, variant};

/// Waits until a store is served by another component than this; answers what the server says of it then.
async fn other_than(site: &Site, store: &str, digest: &serde_json::Value) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let told = site.store(store).await;
        if told["digest"] != *digest {
            return told;
        }
        assert!(begun.elapsed() < PATIENCE, "not swapped: {}", site.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_is_replaced_is_swapped_after_a_restart_too() {
    let site = Site::watching("memory", component("memory"), None).await;
    site.create("memory", "a", "kept").await;
    let process = site.pid();
    let mut served = site.store("memory").await["digest"].clone();
    for number in 1..=2 {
        site.replace("memory", &variant(component("memory"), number));
        let told = other_than(&site, "memory", &served).await;
        assert_eq!(told["generation"], 2, "{told}");
        served = told["digest"].clone();
        let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
        assert_eq!(body, "kept");
        if number == 1 {
            assert_eq!(site.pid(), process);
            let restart = site.restart().await.unwrap();
            assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
            assert_eq!(site.store("memory").await["generation"], 1);
        }
    }
    assert_eq!(site.restarts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_has_to_migrate_restarts_the_server() {
    let site = Site::watching("sqlite", component("sqlite"), None).await;
    for store in ["memory", "disk"] {
        site.create(store, "a", "kept").await;
    }
    let (process, served) = (site.pid(), site.store("disk").await["digest"].clone());
    site.replace("sqlite", &sqlite_with_another_index());
    let told = other_than(&site, "disk", &served).await;
    assert_eq!(told["generation"], 1, "{told}");
    assert_ne!(site.pid(), process);
    let restart = site.ended_restart().await;
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    assert_eq!(restart.request.trigger, Trigger::Migration);
    assert_eq!(restart.request.by, "sqlite");
    for store in ["memory", "disk"] {
        let (_, body) = site.load(store, "a").await.unwrap().unwrap();
        assert_eq!(body, "kept", "{store}");
    }
    let database = Connection::open(site.path("tasks.db")).unwrap();
    let found = "SELECT count(*) FROM sqlite_schema WHERE name = 'records_by_expirz'";
    let found: u32 = database.query_row(found, [], |row| row.get(0)).unwrap();
    assert_eq!(found, 1);
    // It serves now, whatever was said of it before.
    assert!(!site.path("plugins/sqlite.refused.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_fails_after_it_migrated_leaves_the_backend_that_knows_the_schema() {
    let hold = Some("restore");
    let site = Site::watching("sqlite", component("sqlite"), hold).await;
    site.create("disk", "a", "kept").await;
    let (process, served) = (site.pid(), site.store("disk").await["digest"].clone());
    site.replace("sqlite", &sqlite_with_another_index());
    site.is_held().await;
    let new = site.restarts().pop().and_then(|restart| restart.to);
    kill(new.unwrap(), Signal::KILL);
    let told = other_than(&site, "disk", &served).await;
    assert_eq!(told["generation"], 2, "{told}");
    assert_eq!(site.pid(), process);
    let restart = site.ended_restart().await;
    assert!(
        matches!(restart.outcome, Some(Outcome::GivenUp(_))),
        "{restart:?}"
    );
    assert_eq!(site.restarts().len(), 1);
    let (_, body) = site.load("disk", "a").await.unwrap().unwrap();
    assert_eq!(body, "kept");
}
