//! The kit's clauses that inject faults, kill processes and search at random.

use mortise::conformance::{Kit, Report, Verdict};

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
        .worker([env!("CARGO_BIN_EXE_mortise"), "plugin", "test-worker"])
}

async fn check(backend: &str) -> Report {
    let report = kit().run(component(backend), |_| {}).await.unwrap();
    for result in &report.results {
        eprintln!(
            "{:5} ms {} {:?}",
            result.duration.as_millis(),
            result.clause.id(),
            result.verdict
        );
    }
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
    let of_group = |group| move |id: &&str| id.starts_with(group);
    let skipped = skipped(&report);
    assert_eq!(skipped.iter().filter(of_group("durability/")).count(), 2);
    assert_eq!(skipped.iter().filter(of_group("faults/")).count(), 5);
    assert_eq!(skipped.len(), 7);
}

/// The example of the SDK's documentation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tree_answers_as_the_model() {
    check("tree").await;
}
