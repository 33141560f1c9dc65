//! What stores measure shows in the text for Prometheus: exactly what was done, and in a form that it reads.

use std::collections::BTreeSet;
use std::fs;

use mortise::metrics::prometheus_client::{metrics::counter::Counter, registry::Registry};
use mortise::{BreakerState, Host, InstanceCounts, Store};
use tokio::task::JoinSet;

use crate::support::{Fixture, START, component, draft, host, key, plugin_host, variant};

/// One text, and the store that is looked for in it.
struct Scrape {
    text: String,
    labels: String,
}

impl Scrape {
    fn of(host: &Host, store: &str) -> Self {
        let text = host.metrics().render();
        check_form(&text);
        let labels = format!("store=\"{store}\",backend=\"{store}\"");
        Self { text, labels }
    }

    /// The value of the series with these further labels, where there is one.
    fn find(&self, name: &str, labels: &str) -> Option<f64> {
        // A bucket's bound is put before all other labels, what an info tells as well.
        let (before, after) = match labels.split_once('|') {
            Some((before, after)) => (format!("{before},"), after),
            None => (String::new(), labels),
        };
        let comma = if after.is_empty() { "" } else { "," };
        let series = format!("{name}{{{before}{}{comma}{after}}} ", self.labels);
        let mut lines = self.text.lines();
        let value = lines.find_map(|line| line.strip_prefix(&series))?;
        Some(value.parse().unwrap())
    }

    #[track_caller]
    fn assert(&self, name: &str, labels: &str, value: f64) {
        let found = self.find(name, labels);
        assert_eq!(found, Some(value), "{name} {labels}\n{}", self.text);
    }

    #[track_caller]
    fn assert_calls(&self, operation: &str, calls: u32) {
        let labels = format!("operation=\"{operation}\"");
        let name = "mortise_store_call_duration_seconds";
        self.assert(&format!("{name}_count"), &labels, calls.into());
        // None took longer than the last bound.
        let last = format!("le=\"60.0\"|{labels}");
        self.assert(&format!("{name}_bucket"), &last, calls.into());
        let sum = self.find(&format!("{name}_sum"), &labels).unwrap();
        assert_eq!(sum > 0.0, calls > 0, "{sum} s");
    }

    #[track_caller]
    fn assert_errors(&self, expected: &[(&str, &str, u32)]) {
        for (operation, kind, count) in expected {
            let labels = format!("operation=\"{operation}\",kind=\"{kind}\"");
            self.assert("mortise_store_errors_total", &labels, (*count).into());
        }
        let of_store = format!("mortise_store_errors_total{{{}", self.labels);
        let lines = self.text.lines();
        let found = lines.filter(|line| line.starts_with(&of_store)).count();
        assert_eq!(found, expected.len(), "{}", self.text);
    }

    #[track_caller]
    fn assert_breaker(&self, state: &str) {
        for other in ["closed", "open", "probing"] {
            let labels = format!("state=\"{other}\"");
            let stores = if other == state { 1.0 } else { 0.0 };
            self.assert("mortise_store_breaker", &labels, stores);
        }
    }
}

/// Each family is told once, before its series, and each series once; the end is marked.
fn check_form(text: &str) {
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    let (mut current, mut ended) = (String::new(), false);
    for line in text.lines() {
        assert!(!ended, "more after the end: {line}");
        if let Some(family) = line.strip_prefix("# TYPE ") {
            current = family.split(' ').next().unwrap().to_owned();
            assert!(families.insert(current.clone()), "{line}, again");
        } else if line.starts_with('#') {
            ended = line == "# EOF";
        } else {
            assert!(line.starts_with(&current), "{line} is not of {current}");
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(name.to_owned()), "{line}, again");
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
        }
    }
    assert!(ended, "the end is not marked");
}

async fn load(store: &Store, id: &str) -> bool {
    store.load(&key(id)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_and_every_error_is_counted_once() {
    for backend in ["memory", "sqlite"] {
        let fixture = Fixture::new(backend).await;
        let store = &fixture.store;
        let stamp = store.create(draft("a", "one")).await.unwrap();
        store.create(draft("a", "one")).await.unwrap_err();
        for _ in 0..3 {
            assert!(load(store, "a").await);
        }
        store.update(draft("b", "one"), None).await.unwrap_err();
        let revision = Some(stamp.mod_revision);
        store.update(draft("a", "two"), revision).await.unwrap();
        for _ in 0..2 {
            let conflict = store.update(draft("a", "three"), revision).await;
            assert!(conflict.unwrap_err().is_conflict());
        }
        // Refused for its arguments: no call.
        store.create(draft("", "one")).await.unwrap_err();

        let scrape = Scrape::of(&fixture.host, backend);
        // Opening a store asks for its health.
        let calls = [("health", 1), ("create", 2), ("load", 3), ("update", 4)];
        for (operation, count) in calls {
            scrape.assert_calls(operation, count);
        }
        assert!(!scrape.text.contains("operation=\"delete\""));
        let errors = [
            ("create", "already-exists", 1),
            ("update", "not-found", 1),
            ("update", "conflict", 2),
        ];
        scrape.assert_errors(&errors);
        scrape.assert("mortise_store_pool_wait_seconds_count", "", 10.0);
        scrape.assert("mortise_store_pool_wait_seconds_sum", "", 0.0);
        scrape.assert("mortise_store_traps_total", "", 0.0);
        scrape.assert_breaker("closed");
        for name in ["state_lost", "fallback"] {
            scrape.assert(&format!("mortise_store_{name}"), "", 0.0);
        }
        for name in ["open", "generation"] {
            scrape.assert(&format!("mortise_store_{name}"), "", 1.0);
        }
        let digest = format!("digest=\"{}\"|", store.status().digest);
        scrape.assert("mortise_store_component_info", &digest, 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_and_an_open_breaker_show() {
    let options = "breaker-traps=3&breaker-pause=20s&breaker-max-pause=20s";
    let fixture = Fixture::with("fault", options).await;
    let store = &fixture.store;
    for _ in 0..2 {
        assert!(!load(store, "trap").await);
    }
    assert!(load(store, "fine").await);
    Scrape::of(&fixture.host, "fault").assert_breaker("closed");
    for _ in 0..3 {
        assert!(!load(store, "trap").await);
    }
    let scrape = Scrape::of(&fixture.host, "fault");
    scrape.assert("mortise_store_traps_total", "", 3.0);
    scrape.assert_breaker("open");
    scrape.assert_calls("load", 6);
    scrape.assert_errors(&[("load", "trap", 3), ("load", "unavailable", 2)]);
    // What was refused by the breaker asked for no instance.
    scrape.assert("mortise_store_pool_wait_seconds_count", "", 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_shows_until_the_store_is_reopened() {
    let fixture = Fixture::new("fault-singleton").await;
    assert!(!load(&fixture.store, "trap").await);
    assert!(!load(&fixture.store, "fine").await);
    let scrape = Scrape::of(&fixture.host, "fault-singleton");
    scrape.assert("mortise_store_state_lost", "", 1.0);
    scrape.assert("mortise_store_traps_total", "", 1.0);
    scrape.assert_errors(&[("load", "trap", 1), ("load", "state-lost", 1)]);
    fixture.store.reopen().await.unwrap();
    let scrape = Scrape::of(&fixture.host, "fault-singleton");
    scrape.assert("mortise_store_state_lost", "", 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_takes_many_transactions() {
    const COUNT: &str = "mortise_sqlite_commit_transactions_count";
    const SUM: &str = "mortise_sqlite_commit_transactions_sum";
    let fixture = Fixture::new("sqlite").await;
    fixture.store.create(draft("first", "one")).await.unwrap();
    let before = Scrape::of(&fixture.host, "sqlite");
    let count = before.find(COUNT, "").unwrap();
    assert_eq!(
        before.find(SUM, ""),
        Some(count),
        "a lone caller commits alone"
    );

    let mut creates = JoinSet::new();
    for number in 0..64 {
        let store = fixture.store.clone();
        creates.spawn(async move { store.create(draft(&format!("{number}"), "one")).await });
    }
    for created in creates.join_all().await {
        created.unwrap();
    }
    let after = Scrape::of(&fixture.host, "sqlite");
    let commits = after.find(COUNT, "").unwrap() - count;
    assert_eq!(after.find(SUM, "").unwrap() - count, 64.0);
    assert!(
        (1.0..64.0).contains(&commits),
        "{commits} commits of 64 creates"
    );

    // Where there is no database, there is nothing to tell.
    let memory = fixture.host.open("memory:").await.unwrap();
    let scrape = Scrape::of(&fixture.host, memory.name());
    assert_eq!(scrape.find(COUNT, ""), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_instance_and_who_goes_away_shows() {
    let fixture = Fixture::with("fault", "concurrency=1&deadline=20s").await;
    let call = |id: &'static str| {
        let store = fixture.store.clone();
        tokio::spawn(async move { load(&store, id).await })
    };
    let serving = |running| {
        let mut counts = InstanceCounts::default();
        (counts.idle, counts.running, counts.max) = (1 - running, running, 1);
        counts
    };
    assert_eq!(fixture.store.status().instances, serving(0));
    // Answered once the clock is turned.
    let first = call("spin:1000");
    while fixture.store.status().instances != serving(1) {
        tokio::task::yield_now().await;
    }
    let scrape = Scrape::of(&fixture.host, "fault");
    scrape.assert("mortise_store_instances", "state=\"idle\"", 0.0);
    scrape.assert("mortise_store_instances", "state=\"running\"", 1.0);
    scrape.assert("mortise_store_instances_max", "", 1.0);

    let fine = key("fine");
    let (waiting, gone) = (fixture.store.load(&fine), fixture.store.load(&fine));
    let (mut waiting, mut gone) = (Box::pin(waiting), Box::pin(gone));
    for call in [&mut waiting, &mut gone] {
        assert!(at_once(call).is_none(), "it waits for the instance");
    }
    drop(gone);
    fixture.clock.advance(1000);
    assert!(first.await.unwrap());
    waiting.await.unwrap();

    let scrape = Scrape::of(&fixture.host, "fault");
    scrape.assert_calls("load", 2);
    let loads = "operation=\"load\"";
    scrape.assert("mortise_store_calls_given_up_total", loads, 1.0);
    // Opening the store, the first call, and the one that waited.
    let waits = "mortise_store_pool_wait_seconds";
    scrape.assert(&format!("{waits}_count"), "", 3.0);
    assert!(scrape.find(&format!("{waits}_sum"), "").unwrap() > 0.0);
    scrape.assert("mortise_store_instances", "state=\"idle\"", 1.0);
    scrape.assert("mortise_store_instances", "state=\"running\"", 0.0);
}

/// What a future answers when it is looked at once.
fn at_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_one_name_are_counted_together_and_go_when_the_last_is_closed() {
    let host = host().build().unwrap();
    let one = host.open("memory:").await.unwrap();
    let two = host.open("memory:?namespace=two").await.unwrap();
    assert!(load(&one, "a").await && load(&two, "a").await);
    let scrape = Scrape::of(&host, "memory");
    scrape.assert("mortise_store_open", "", 2.0);
    scrape.assert("mortise_store_instances_max", "", 2.0);
    scrape.assert_calls("load", 2);
    // No series falls back, as counters must not.
    two.close().await.unwrap();
    let scrape = Scrape::of(&host, "memory");
    scrape.assert("mortise_store_open", "", 1.0);
    scrape.assert_calls("load", 2);
    one.close().await.unwrap();
    let scrape = Scrape::of(&host, "memory");
    assert!(!scrape.text.contains("store=\"memory\""), "{}", scrape.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_show_where_they_are_configured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("memory.snapshot");
    let options = format!("snapshot={}", file.display());
    let fixture = Fixture::with("memory", &options).await;
    let store = &fixture.store;
    let (total, timestamp) = (
        "mortise_store_snapshots_total",
        "mortise_store_snapshot_timestamp_seconds",
    );
    let scrape = Scrape::of(&fixture.host, "memory");
    scrape.assert(total, "outcome=\"taken\"", 0.0);
    assert_eq!(scrape.find(timestamp, ""), None);

    store.create(draft("a", "one")).await.unwrap();
    fixture.clock.advance(1500);
    store.snapshot().await.unwrap();
    // A folder is in its place.
    fs::create_dir(folder.path().join("memory.snapshot.partial")).unwrap();
    store.create(draft("b", "one")).await.unwrap();
    fixture.clock.advance(1500);
    store.snapshot().await.unwrap_err();

    let scrape = Scrape::of(&fixture.host, "memory");
    scrape.assert(total, "outcome=\"taken\"", 1.0);
    scrape.assert(total, "outcome=\"failed\"", 1.0);
    let taken_at = START + 1500;
    scrape.assert(timestamp, "", taken_at as f64 / 1e3);
    assert_eq!(store.status().snapshot_taken_at, Some(taken_at));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_swap_shows_and_what_its_canary_is_put_through_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("memory.wasm");
    fs::write(&file, component("memory")).unwrap();
    let host = plugin_host(folder.path()).build().unwrap();
    let store = host.open("memory:").await.unwrap();
    store.create(draft("a", "one")).await.unwrap();
    fs::write(&file, variant(component("memory"), 2)).unwrap();
    let reload = host.reload("memory").await.unwrap();
    assert!(load(&store, "a").await);
    assert_eq!(store.status().breaker, BreakerState::Closed);

    let scrape = Scrape::of(&host, "memory");
    scrape.assert("mortise_store_generation", "", 2.0);
    let digest = format!("digest=\"{}\"|", reload.digest);
    scrape.assert("mortise_store_component_info", &digest, 1.0);
    scrape.assert_calls("create", 1);
    scrape.assert_calls("load", 1);
    scrape.assert_errors(&[]);
}

#[tokio::test]
async fn a_programs_own_series_stand_beside_the_stores() {
    let host = host().build().unwrap();
    let _store = host.open("memory:").await.unwrap();
    let requests = Counter::<u64>::default();
    requests.inc_by(7);
    let mut registry = Registry::default();
    registry.register("acme_requests", "Requests that were answered", requests);
    let text = host.metrics().render_with(&registry).unwrap();
    check_form(&text);
    for line in [
        "acme_requests_total 7",
        "mortise_store_open{store=\"memory\",backend=\"memory\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}
