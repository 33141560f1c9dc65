//! The conformance kit: the built-in backends pass it, and what it says of one that does not.

use mortise::conformance::{self, Kit, Report, Verdict};
use mortise::{ErrorKind, Operation};

use crate::support::{Fixture, component};
use crate::worker;

/// Checks a backend that has to pass.
async fn check(backend: &str) -> Report {
    let kit = Kit::new().worker(worker::command());
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
    // It is a singleton that is not durable, and imports nothing that could fail.
    let passed_over = [
        "describe/pooled",
        "isolation/namespaces",
        "durability/",
        "faults/",
    ];
    for id in skipped(&report) {
        assert!(
            passed_over.iter().any(|begin| id.starts_with(begin)),
            "{id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    let report = check("sqlite").await;
    assert_eq!(skipped(&report), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    let report = check("redis").await;
    assert_eq!(skipped(&report), Vec::<&str>::new());
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

/// The guest `fault` takes every write, and keeps none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_found_at_random_and_its_script_shows_it_again() {
    let kit = Kit::new().only("model/");
    let report = kit.run(component("fault"), |_| {}).await.unwrap();
    let (_, found) = report.failures().next().expect("it keeps no record");
    let (what, script) = found.split_once(":\n").expect("the script follows");
    assert!(script.lines().count() <= 3, "it was not shrunk:\n{script}");

    let steps = kit.replay(component("fault"), script).await.unwrap();
    assert_eq!(steps.len(), script.lines().count());
    let last = steps.last().unwrap();
    assert!(!last.agrees);
    assert!(what.contains(&last.answer), "{what}: {last:?}");
    assert!(what.contains(&last.expected), "{what}: {last:?}");

    let steps = kit.replay(component("memory"), script).await.unwrap();
    assert!(steps.iter().all(|step| step.agrees), "{steps:?}");
    // The same seed finds the same, another one perhaps something else.
    let again = kit.run(component("fault"), |_| {}).await.unwrap();
    assert_eq!(again.failures().next().unwrap().1, found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_says_what_was_answered_and_what_the_model_says() {
    let script = r#"
        # Two records, one of which expires.
        {"create":{"key":["a","1"],"body":"one","attributes":[["x","y"]]}}
        {"create":{"key":["a","2"],"body":"two","expires-in":5}}
        {"update":{"draft":{"key":["a","1"],"body":"three"},"expect":"stale"}}
        {"turn-clock":5}
        {"load":["a","2"]}
        "reopen"
        "move"
        {"find":{"collection":"a","limit":1}}
    "#;
    let steps = Kit::new()
        .replay(component("sqlite"), script)
        .await
        .unwrap();
    let answers: Vec<&str> = steps.iter().map(|step| step.answer.as_str()).collect();
    assert_eq!(
        answers,
        [
            "revision 2/2 at +0/+0",
            "revision 3/3 at +0/+0",
            r#"conflict a/1, current {a/1 "one" "x"="y" revision 2/2 at +0/+0}"#,
            "ok",
            "none",
            "ok",
            "ok",
            r#"[{a/1 "one" "x"="y" revision 2/2 at +0/+0}] and no next page"#,
        ]
    );
    assert!(steps.iter().all(|step| step.agrees), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_with_a_line_that_is_no_call_is_refused() {
    let script = "\"health\"\n{\"loud\":[]}";
    let error = Kit::new()
        .replay(component("memory"), script)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), mortise::ErrorKind::Config);
    assert!(error.to_string().contains("line 2"), "{error}");
}

/// A worker that does not write is not taken for one that was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_ends_by_itself_is_told() {
    let kit = Kit::new().only("durability/kill").worker(["false"]);
    let report = kit.run(component("sqlite"), |_| {}).await.unwrap();
    let (_, found) = report.failures().next().unwrap();
    assert!(
        found.contains("ended after 0 batches") || found.contains("does not listen"),
        "{found}"
    );
}
