//! The conformance kit's own test: it fails every backend of the zoo by the clause that names its fault,
//! and no other backend.

use std::collections::BTreeSet;
use std::sync::Arc;

use mortise::conformance::{Kit, Verdict, clauses};
use mortise_test_guests::{Animal, zoo};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::worker;

/// How many animals are examined at once.
const AT_ONCE: usize = 3;

fn component(wanted: Animal) -> Vec<u8> {
    let mut zoo = zoo();
    let found = zoo.find(|(animal, _)| *animal == wanted);
    found.expect("every animal is in the zoo").1
}

/// What the kit says of an animal's clause; none where there is no such clause.
async fn verdict(animal: Animal, component: &[u8]) -> Result<Option<Verdict>, mortise::Error> {
    let report = Kit::new()
        .worker(worker::command())
        .only(animal.clause())
        .run(component, |_| {})
        .await?;
    let mut results = report.results.into_iter();
    let result = results.find(|result| result.clause.id() == animal.clause());
    Ok(result.map(|result| result.verdict))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_animal_is_failed_by_the_clause_that_names_its_fault() {
    let free = Arc::new(Semaphore::new(AT_ONCE));
    let mut examined = JoinSet::new();
    for (animal, component) in zoo().filter(|(animal, _)| !animal.clause().is_empty()) {
        let free = Arc::clone(&free);
        examined.spawn(async move {
            let _permit = free.acquire_owned().await;
            (animal, verdict(animal, &component).await)
        });
    }
    let mut missed = Vec::new();
    for (animal, verdict) in examined.join_all().await {
        let (name, clause, about) = (animal.name(), animal.clause(), animal.about());
        match verdict {
            Ok(Some(Verdict::Failed(_))) => {}
            other => missed.push(format!("{name} ({about}): {clause}: {other:?}")),
        }
    }
    missed.sort();
    let (count, list) = (missed.len(), missed.join("\n"));
    assert!(missed.is_empty(), "{count} were not failed:\n{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_animals_that_break_nothing_keep_the_contract() {
    for animal in [Animal::Healthy, Animal::HealthyInSqlite] {
        let kit = Kit::new().worker(worker::command());
        let report = kit.run(&component(animal), |_| {}).await.unwrap();
        let failures: Vec<_> = report
            .failures()
            .map(|(clause, found)| format!("{}: {found}", clause.id()))
            .collect();
        assert!(failures.is_empty(), "{animal:?}:\n{}", failures.join("\n"));
    }
}

/// A clause that no animal breaks may check nothing at all. Those left out are about what the host
/// refuses, whatever the backend does, or about what no backend can reach.
#[test]
fn every_clause_has_an_animal_that_breaks_it() {
    const HOST: &[&str] = &[
        // The SDK's part, which the animals do not replace.
        "open/before",
        "values/over-the-limit",
        "paging/bad-limit",
        "batch/duplicate-key",
        "batch/over-maximum",
        "isolation/namespaces",
    ];
    let broken: BTreeSet<_> = Animal::ALL.iter().map(|animal| animal.clause()).collect();
    let unbroken: Vec<_> = clauses()
        .map(|clause| clause.id())
        .filter(|id| !broken.contains(id) && !HOST.contains(id))
        .collect();
    assert!(unbroken.is_empty(), "no animal breaks {unbroken:?}");
}
