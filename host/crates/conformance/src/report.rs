//! What a run of the kit found.

use std::time::Duration;

use super::clause::Clause;
use mortise_store::{Description, Digest};

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The promise held.
    Held,
    /// It did not: what was done, what was expected, what was found.
    Failed(String),
    /// It is none that this backend makes, and why.
    Skipped(String),
}

/// What became of one clause.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClauseResult {
    /// Which clause.
    pub clause: &'static Clause,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub duration: Duration,
}

/// What a run of the kit found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// SHA-256 of the component's file.
    pub digest: Digest,
    /// What the backend said about itself.
    pub description: Description,
    /// One for each clause that was chosen, in the order of [`clauses`](super::clauses).
    pub results: Vec<ClauseResult>,
}

/// What a run found of a component.
pub fn report(digest: Digest, description: Description, results: Vec<ClauseResult>) -> Report {
    Report {
        digest,
        description,
        results,
    }
}

impl Report {
    /// Whether no clause failed.
    pub fn conforms(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The clauses that failed, and what was found.
    pub fn failures(&self) -> impl Iterator<Item = (&'static Clause, &str)> {
        self.results
            .iter()
            .filter_map(|result| match &result.verdict {
                Verdict::Failed(found) => Some((result.clause, found.as_str())),
                Verdict::Held | Verdict::Skipped(_) => None,
            })
    }
}
