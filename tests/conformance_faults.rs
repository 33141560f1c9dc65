//! The kit's clauses that inject faults, kill processes and search at random.

use mortise::conformance::{Kit, Report, Verdict};

use crate::support::WORKER;

fn component(name: &str) -> &'static [u8] {
    let (_, component) = mortise_backends::ALL
        .iter()
        .chain(mortise_backends::test_guests::ALL)
        .find(|(known, _)| *known == name)
        .unwrap();
    component
}

/// The groups of this file, with a process to kill.
fn kit() -> Kit {
    ["concurrency/", "durability/", "faults/", "model/"]
        .into_iter()
        .fold(Kit::new(), Kit::only)
        .worker(WORKER)
}

async fn check(backend: &str) -> Report {
    let report = kit().run(component(backend), |_| {}).await.unwrap();
    let failures: Vec<_> = report
        .failures()
        .map(|(clause, found)| format!("{}: {found}", clause.id()))
        .collect();
    assert!(report.conforms(), "{}", failures.join("\n"));
    report
}

fn skipped(report: &Report) -> Vec<&'static str> {
    let results = report.results.iter();
    let skipped = results.filter(|result| matches!(result.verdict, Verdict::Skipped(_)));
    skipped.map(|result| result.clause.id()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_survives_every_fault() {
    let report = check("sqlite").await;
    assert_eq!(skipped(&report), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_survives_every_fault() {
    let report = check("redis").await;
    assert_eq!(skipped(&report), Vec::<&str>::new());
}

/// It is not durable, and imports nothing that could fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_answers_as_the_model() {
    let report = check("memory").await;
    let skipped = skipped(&report);
    let passed_over = ["durability/", "faults/"];
    assert!(
        skipped
            .iter()
            .all(|id| passed_over.iter().any(|group| id.starts_with(group)))
    );
    assert_eq!(skipped.len(), 7);
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
