//! The conformance kit: the built-in backends pass it, and what it says of one that does not.

use mortise::conformance::{self, Kit, Report, Verdict};
use mortise::{ErrorKind, Operation};

use crate::support::{Fixture, WORKER};

fn component(backend: &str) -> &'static [u8] {
    mortise_backends::ALL
        .iter()
        .chain(mortise_backends::test_guests::ALL)
        .find(|(name, _)| *name == backend)
        .unwrap()
        .1
}

/// Checks a backend that has to pass.
async fn check(backend: &str) -> Report {
    let kit = Kit::new().worker(WORKER);
    let report = kit.run(component(backend), |_| {}).await.unwrap();
    let failures: Vec<_> = report
        .failures()
        .map(|(clause, found)| format!("{}: {}: {found}", clause.id(), clause.sentence()))
        .collect();
    assert!(report.conforms(), "{}", failures.join("\n"));
    assert_eq!(report.results.len(), conformance::clauses().count());
    report
}

fn skipped(report: &Report) -> Vec<&'static str> {
    let results = report.results.iter();
    let skipped = results.filter(|result| matches!(result.verdict, Verdict::Skipped(_)));
    skipped.map(|result| result.clause.id()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms() {
    let report = check("memory").await;
    assert!(skipped(&report).contains(&"describe/pooled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    let report = check("sqlite").await;
    assert_eq!(skipped(&report), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    check("redis").await;
}

/// The example of the SDK's documentation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tree_conforms() {
    check("tree").await;
}

#[test]
fn every_clause_has_an_id_of_its_own_and_a_sentence() {
    let mut ids: Vec<_> = conformance::clauses().map(|clause| clause.id()).collect();
    for clause in conformance::clauses() {
        let (group, what) = clause.id().split_once('/').unwrap();
        assert_eq!(clause.group(), group);
        assert!(!what.is_empty() && !clause.sentence().is_empty());
        assert!(!clause.sentence().ends_with('.'), "{}", clause.sentence());
    }
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

/// As the canary of a hot swap: on a store on any clock, all on the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_built_in_backends_pass_the_smoke_clauses() {
    for backend in ["memory", "sqlite", "redis", "tree"] {
        let fixture = Fixture::new(backend).await;
        conformance::smoke(&fixture.store).await.unwrap();
    }
}

/// A backend that keeps nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_names_the_promise() {
    let fixture = Fixture::new("fault").await;
    let error = conformance::smoke(&fixture.store).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Component, Operation::Open)
    );
    let text = error.to_string();
    assert!(
        text.contains("the backend breaks values/empty-body"),
        "{text}"
    );
    assert!(text.contains("an empty body is kept"), "{text}");
    assert!(text.contains("load finds no"), "{text}");
    assert!(error.hint().unwrap().contains("mortise plugin test"));
}

/// One clause that traps is one that fails: the others are checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kit_checks_what_is_asked_for_in_order() {
    let mut told = Vec::new();
    let kit = Kit::new().only("values/").only("health/");
    let report = kit
        .run(component("fault"), |result| told.push(result.clause.id()))
        .await
        .unwrap();
    let expected: Vec<_> = conformance::clauses()
        .map(|clause| clause.id())
        .filter(|id| id.starts_with("health/") || id.starts_with("values/"))
        .collect();
    assert_eq!(told, expected);
    assert!(!report.conforms());
    let failed: Vec<_> = report.failures().map(|(clause, _)| clause.id()).collect();
    assert!(!failed.contains(&"health/answers") && failed.contains(&"values/empty-body"));

    let error = Kit::new()
        .only("vaules/")
        .run(component("fault"), |_| {})
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("\"vaules/\""), "{error}");
    assert!(error.hint().unwrap().contains("--list"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_option_is_told_of_each_clause_and_ends_nothing() {
    let kit = Kit::new().only("health/").option("color", "red");
    let report = kit.run(component("memory"), |_| {}).await.unwrap();
    let (_, found) = report.failures().next().unwrap();
    assert!(
        found.contains("unknown option") && found.contains("color"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_junit_report_is_well_formed() {
    let kit = Kit::new().only("values/").only("isolation/");
    let report = kit.run(component("fault-singleton"), |_| {}).await.unwrap();
    let xml = report.to_junit().unwrap();
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let groups: Vec<_> = read
        .test_suites
        .iter()
        .map(|suite| suite.name.as_str())
        .collect();
    assert_eq!(groups, ["values", "isolation"]);
    assert_eq!(read.tests, report.results.len());
    assert_eq!(read.failures, report.failures().count());
    assert!(
        xml.contains("message=\"an empty body is kept, and is not an absent record\""),
        "{xml}"
    );
    assert!(
        xml.contains("<skipped message=\"the backend is a singleton"),
        "{xml}"
    );
}
