//! What the process that `durability/kill` kills is told: which store to write to, and what its batches
//! are made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::world::Subject;

/// Where a worker's records are.
pub const COLLECTION: &str = "kill";
/// Writes of one batch. All carry the attribute `batch`, whose value is the batch's name.
pub const BATCH: usize = 3;
/// The attribute of all records of a batch.
pub const ATTRIBUTE: &str = "batch";
/// Batches under way at once, so that what the storage commits together is cut too.
pub const CALLERS: usize = 4;

/// Which store a worker writes to, as one JSON value on its standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The component's file.
    pub component: PathBuf,
    /// What the names of its batches begin with.
    pub round: u32,
    /// As in a store's configuration.
    pub namespace: String,
    /// The file of the database, where it is granted one.
    pub sqlite: Option<PathBuf>,
    /// The URL of the server, where it is granted one.
    pub redis: Option<String>,
    /// Those of the backend.
    pub options: BTreeMap<String, String>,
}

impl Job {
    /// The store of a clause.
    pub(crate) fn of(subject: &Subject, component: PathBuf, round: u32) -> Self {
        let config = subject.config();
        Self {
            component,
            round,
            namespace: config.namespace.clone(),
            sqlite: config.sqlite.as_ref().map(|grant| grant.path.clone()),
            redis: config.redis.as_ref().map(|grant| grant.url.clone()),
            options: config.options.clone(),
        }
    }
}
