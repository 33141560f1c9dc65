//! The conformance kit: the built-in backends pass it.

use mortise::conformance::{Kit, Report, Verdict};

async fn check(backend: &str) -> Report {
    let (_, component) = mortise_backends::ALL
        .iter()
        .chain(mortise_backends::test_guests::ALL)
        .find(|(name, _)| *name == backend)
        .unwrap();
    let report = Kit::new().run(component, |_| {}).await.unwrap();
    let failures: Vec<_> = report
        .failures()
        .map(|(clause, found)| format!("{}: {}: {found}", clause.id(), clause.sentence()))
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
async fn memory_conforms() {
    check("memory").await;
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
