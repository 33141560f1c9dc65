//! Which clauses are checked, and what a check comes to.

use std::time::{Duration, Instant};

use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, Result};

use super::clause::{Check, Clause, Finding, Outcome};
use super::groups::clauses;
use super::report::{ClauseResult, Verdict};
use super::world::Subject;

/// How long one clause may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The clauses whose id begins with one of these; all, where there are none.
///
/// # Errors
///
/// `Config`: no clause begins with a prefix.
pub fn chosen(only: &[String]) -> Result<Vec<&'static Clause>> {
    if let Some(prefix) = only
        .iter()
        .find(|prefix| !clauses().any(|clause| clause.id.starts_with(*prefix)))
    {
        return Err(
            Error::config(format!("no clause's id begins with {prefix:?}"))
                .with_hint("see them all: mortise plugin test --list"),
        );
    }
    let is_chosen = |clause: &&Clause| {
        let mut only_those = only.iter();
        only.is_empty() || only_those.any(|prefix| clause.id.starts_with(prefix))
    };
    Ok(clauses().filter(is_chosen).collect())
}

/// Checks one clause in a world of its own.
pub fn check(clause: &'static Clause, subject: Result<Subject>) -> Later<'static, ClauseResult> {
    Box::pin(async move {
        let start = Instant::now();
        let verdict = match subject {
            Ok(subject) => judge(run(clause, subject)).await,
            Err(error) => Verdict::Failed(format!("the kit has no storage for it: {error}")),
        };
        ClauseResult {
            clause,
            verdict,
            duration: start.elapsed(),
        }
    })
}

async fn run(clause: &Clause, subject: Subject) -> Result<(), Finding> {
    match clause.check {
        Check::Store(check) => check(subject.open().await?).await,
        Check::Subject(check) => check(subject).await,
    }
}

/// Runs a check as a task of its own, so that neither a panic nor a check without end takes the others
/// along.
async fn judge(check: impl Future<Output = Outcome> + Send + 'static) -> Verdict {
    let mut task = tokio::spawn(check);
    match tokio::time::timeout(PATIENCE, &mut task).await {
        Ok(Ok(Ok(()))) => Verdict::Held,
        Ok(Ok(Err(Finding::Broken(found)))) => Verdict::Failed(found),
        Ok(Ok(Err(Finding::NotApplicable(why)))) => Verdict::Skipped(why),
        Ok(Err(error)) => Verdict::Failed(format!("the check itself failed: {error}")),
        Err(_) => {
            task.abort();
            Verdict::Failed(format!("it did not end within {PATIENCE:?}"))
        }
    }
}
