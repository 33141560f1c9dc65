//! Whatever a component is made of, and whatever it answers: the host neither panics nor hangs, and its
//! other stores are served.
//!
//! Each test tries a few cases; `PROPTEST_CASES=1000` tries more.

mod bytes;
mod values;

use std::time::Duration;

use mortise::transfer;
use mortise::{ErrorKind, Host, Query};
use mortise_test_guests::{Animal, zoo};
use proptest::test_runner::Config;

/// How long a case may take: so long that only what never ends takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// So many cases, unless the environment asks for more or fewer. A failing one is printed, not written
/// to a file.
fn cases(cases: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    Config {
        cases: if asked { default.cases } else { cases },
        failure_persistence: None,
        max_shrink_iters: 200,
        ..default
    }
}

/// A host with one animal, as the backend `animal`.
fn host_with(wanted: Animal) -> Host {
    let (_, component) = zoo().find(|(animal, _)| *animal == wanted).unwrap();
    let host = Host::builder().component("animal", component);
    host.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_on_where_it_started_is_an_error() {
    let host = host_with(Animal::GoesOnAfterNothing);
    let store = host.open("animal:").await.unwrap();
    let first = store.find(Query::new("task")).await.unwrap();
    let again = store.find(Query::new("task").after(first.next)).await;
    let error = again.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.to_string().contains("where it started"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_pages_without_end_are_an_error() {
    let host = host_with(Animal::NeverEnds);
    let store = host.open("animal:").await.unwrap();
    let error = transfer::export(&store, Vec::new(), |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.to_string().contains("is empty"), "{error}");
    let tasks = mortise::agent::TaskStore::new(store);
    let error = tasks.load_by_request_id("req-1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert_eq!(error.backend(), Some("animal"));
}
