//! What an import read, and what became of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::lossy;

/// What was read, and what became of it. Of a dry run: what would become of it.
///
/// `tasks` is `created`, `unchanged` and `skipped_tasks` together. What is counted of tasks, from `items`
/// to `tasks_without_expiry`, is counted of those that are in the store: created, or there before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TealReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Keys of tasks.
    pub tasks: u64,
    /// Tasks that were written.
    pub created: u64,
    /// Tasks that were in the store already, with the same content.
    pub unchanged: u64,
    /// Tasks that were not written.
    pub skipped_tasks: u64,
    /// Each key that was skipped: those of the tasks, and index keys that are no sets.
    pub skipped: Vec<Skipped>,
    /// Items of all tasks.
    pub items: u64,
    /// Different request ids.
    pub request_ids: u64,
    /// Different pairs of a request id and a task.
    pub request_pairs: u64,
    /// How many tasks stand how.
    pub statuses: BTreeMap<String, u64>,
    /// Tasks whose key has a time to live.
    pub tasks_with_expiry: u64,
    /// Tasks whose key has none.
    pub tasks_without_expiry: u64,
    /// Index sets.
    pub index_keys: u64,
    /// Members of all index sets.
    pub index_members: u64,
    /// Members that name a task that is not there, as after its time ran out.
    pub stale_members: Vec<StaleMember>,
}

/// A key that was not imported. It is as it was in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// The key; what is not UTF-8 in it is replaced by U+FFFD.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// A member of an index set that names a task that is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct StaleMember {
    /// The request id that the set is of.
    pub request_id: String,
    /// The task that is not there.
    pub task_id: String,
}

impl TealReport {
    pub(super) fn skip(&mut self, key: Vec<u8>, reason: impl Into<String>) {
        self.skipped.push(Skipped {
            key: lossy(&key),
            reason: reason.into(),
        });
    }
}
