//! New processes that cannot serve: the old one serves on, and says why.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mortise::serve::restart::{ControlClient, Outcome, Phase};
use rustix::process::Signal;

use super::process::{Site, kill};

/// Puts another program into the place of the server's.
fn replace_program(site: &Site, text: &str, mode: u32) {
    let (program, new) = (site.path("mortise"), site.path("mortise.new"));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
    fs::rename(&new, program).unwrap();
}

/// Restarts, and expects the old process to serve on with all that it has; why.
async fn serves_on(site: &Site) -> String {
    let old = site.pid();
    let restart = site.restart().await.unwrap();
    let Some(Outcome::GivenUp(why)) = restart.outcome else {
        panic!("{restart:?}")
    };
    site.is_served().await;
    assert_eq!(site.pid(), old);
    for store in ["memory", "disk"] {
        let (_, body) = site.load(store, "a").await.unwrap().unwrap();
        assert_eq!(body, "kept", "{store}");
    }
    why
}

async fn site(arguments: &[&str], hold: Option<Phase>) -> Site {
    let site = Site::with(arguments, hold).await;
    for store in ["memory", "disk"] {
        site.create(store, "a", "kept").await;
    }
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_program_that_cannot_serve_leaves_the_old_one_serving() {
    let site = site(&["--restart-start-deadline", "2s"], None).await;
    let config = fs::read_to_string(site.path("mortise.toml")).unwrap();
    let program = fs::read_link(site.path("mortise")).unwrap();
    for _ in 0..5 {
        replace_program(&site, "#!/bin/sh\nexit 3\n", 0o755);
        let why = serves_on(&site).await;
        assert!(why.contains("ended: exit status: 3"), "{why}");

        replace_program(&site, "#!/bin/sh\nexec sleep 100\n", 0o755);
        let why = serves_on(&site).await;
        assert!(why.contains("does not report Warm within 2s"), "{why}");

        replace_program(&site, "no program", 0o644);
        let why = serves_on(&site).await;
        assert!(why.contains("does not start"), "{why}");

        fs::remove_file(site.path("mortise")).unwrap();
        std::os::unix::fs::symlink(&program, site.path("mortise")).unwrap();
        fs::create_dir_all(site.path("plugins")).unwrap();
        fs::write(site.path("plugins/sqlite.wasm"), "no component").unwrap();
        let with_plugins = format!("plugin-dir = \"plugins\"\n{config}");
        fs::write(site.path("mortise.toml"), with_plugins).unwrap();
        let why = serves_on(&site).await;
        assert!(why.contains("sqlite"), "{why}");
        fs::write(site.path("mortise.toml"), &config).unwrap();
    }
    let restarts = site.restarts();
    assert_eq!(restarts.len(), 20);
    let given_up = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::GivenUp(_)));
    assert!(restarts.iter().all(|restart| given_up(&restart.outcome)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_without_a_store_whose_records_are_in_memory_is_refused() {
    let site = site(&[], None).await;
    let config = fs::read_to_string(site.path("mortise.toml")).unwrap();
    let renamed = config.replace("[stores.memory]", "[stores.other]");
    fs::write(site.path("mortise.toml"), renamed).unwrap();
    let why = serves_on(&site).await;
    assert!(why.contains("has the records of store memory"), "{why}");
    // Told to drop them, it is taken.
    let client = ControlClient::connect(&site.state()).await.unwrap();
    let restart = client.restart(None, true, false, |_| {}).await.unwrap();
    assert_eq!(restart.outcome, Some(Outcome::Done), "{}", site.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_was_changed_is_refused() {
    let mut site = site(&[], Some(Phase::Snapshot)).await;
    let state = site.state();
    let asking = tokio::spawn(async move {
        let client = ControlClient::connect(&state).await.unwrap();
        client.restart(None, true, true, |_| {}).await.unwrap()
    });
    site.is_held().await;
    tamper(&site);
    site.release();
    let restart = asking.await.unwrap();
    let Some(Outcome::GivenUp(why)) = restart.outcome else {
        panic!("{restart:?}")
    };
    assert!(why.contains("has another digest than its content"), "{why}");
    site.is_served().await;
    let (_, body) = site.load("memory", "a").await.unwrap().unwrap();
    assert_eq!(body, "kept");

    // Left behind by processes that died: it is moved away, and told of.
    fs::remove_file(site.path("state/release")).unwrap();
    fs::write(site.path("log"), "").unwrap();
    let state = site.state();
    tokio::spawn(async move {
        let client = ControlClient::connect(&state).await.unwrap();
        let _ = client.restart(None, true, true, |_| {}).await;
    });
    site.is_held().await;
    tamper(&site);
    kill(site.pid(), Signal::KILL);
    site.supervise_until_served().await;
    assert!(
        site.log()
            .contains("the last restart's snapshot is refused"),
        "{}",
        site.log()
    );
    assert!(site.path("state/restart.snapshot.refused").exists());
    assert_eq!(site.load("memory", "a").await.unwrap(), None);
    assert!(site.load("disk", "a").await.unwrap().is_some());
}

/// Changes one byte of a record's body in the snapshot.
fn tamper(site: &Site) {
    let file = site.path("state/restart.snapshot");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("kept"), "{text}");
    fs::write(&file, text.replace("kept", "kepT")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_changed_is_told_not_to_count() {
    let site = Site::configured().await;
    let told = "a restart does not change where the server listens";
    site.restart().await.unwrap();
    assert!(!site.log().contains(told), "{}", site.log());
    let config = fs::read_to_string(site.path("mortise.toml")).unwrap();
    let other = config.replace(site.address(), "127.0.0.1:1");
    fs::write(site.path("mortise.toml"), other).unwrap();
    site.restart().await.unwrap();
    site.is_served().await;
    let log = site.log();
    let line = log.lines().find(|line| line.contains(told)).expect(&log);
    assert!(line.contains(site.address()), "{line}");
    assert!(line.contains("127.0.0.1:1\""), "{line}");
}
