//! What an import found, and what became of it.

use std::collections::BTreeMap;

use serde::Serialize;

/// What was read, and what became of it. Of a dry run: what would become of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The records, by the collection that they go into.
    pub collections: BTreeMap<String, ImportedCollection>,
    /// Each record that was not written, and other things that were passed over.
    pub skipped: Vec<SkippedRecord>,
}

/// What became of the records of one collection. `read` is `created`, `unchanged` and `skipped` together.
///
/// `by` and `counts` are of those records that are in the store: created, or there before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportedCollection {
    /// Records that the source has.
    pub read: u64,
    /// Records that were written.
    pub created: u64,
    /// Records that were in the store already, with the same content.
    pub unchanged: u64,
    /// Records that were not written.
    pub skipped: u64,
    /// How often a field has each of its values: `status`, `complexity`, `role`.
    pub by: BTreeMap<String, BTreeMap<String, u64>>,
    /// What else is counted, by its name: `items`, `dependencies`, `with_results`.
    pub counts: BTreeMap<String, u64>,
}

/// What was not imported. It is as it was in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkippedRecord {
    /// Where it is: `line 7`, `table Case, row 12`, `tasks/active/task_1.json, subtask 2`.
    pub source: String,
    /// Why.
    pub reason: String,
}
