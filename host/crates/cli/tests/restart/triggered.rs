//! Restarts that nobody asked for: by a signal, by a file that changed.

use std::fs;
use std::time::Instant;

use mortise::serve::restart::{Outcome, Restart, Trigger};
use rustix::process::Signal;

use super::process::{PATIENCE, Site, kill};

/// The restart with this number, once it has an outcome.
async fn ended(site: &Site, number: usize) -> Restart {
    let begun = Instant::now();
    while site.restarts().len() < number {
        assert!(begun.elapsed() < PATIENCE, "no restart: {}", site.log());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    site.ended_restart().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_restarts_and_a_loop_of_them_is_stopped() {
    let site = Site::with(&["--restart-max", "2"], None).await;
    for number in 1..=2 {
        kill(site.pid(), Signal::HUP);
        let restart = ended(&site, number).await;
        assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
        assert_eq!(restart.request.trigger, Trigger::Signal);
        assert_eq!(restart.to, Some(site.pid()));
    }
    let last = site.pid();
    kill(last, Signal::HUP);
    let restart = ended(&site, 3).await;
    let Some(Outcome::Refused(why)) = &restart.outcome else {
        panic!("{restart:?}")
    };
    assert!(why.contains("more than 2 restarts within 60s"), "{why}");
    site.is_served().await;
    assert_eq!(site.pid(), last);
    // A person may.
    let restart = site.restart().await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_changed_restarts_where_it_is_watched() {
    let site = Site::with(&["--restart-on-change"], None).await;
    let (file, new) = (site.path("mortise.toml"), site.path("mortise.toml.new"));
    fs::copy(&file, &new).unwrap();
    fs::rename(&new, &file).unwrap();
    let restart = ended(&site, 1).await;
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
    assert_eq!(restart.request.trigger, Trigger::Change);
    site.is_served().await;
}
