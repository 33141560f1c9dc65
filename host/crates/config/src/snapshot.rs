//! Where snapshots of a singleton are written.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::duration::interval;
use crate::names::namespace_file;

/// Where and how often a singleton's records are written to disk. In `mortise.toml`:
/// `snapshot = { path = "tasks.snapshot", interval = "30s" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SnapshotConfig {
    /// The file. A namespace other than `default` has one of its own beside it: `tasks+NAME.snapshot`.
    pub path: PathBuf,
    /// How often one is taken, if something was written since. Default: every minute.
    #[serde(default = "default_interval", deserialize_with = "interval")]
    pub interval: Duration,
}

fn default_interval() -> Duration {
    Duration::from_secs(60)
}

impl SnapshotConfig {
    /// Snapshots in the file at `path`, every minute.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            interval: default_interval(),
        }
    }
}

/// What who writes snapshots asks of where they go.
pub trait SnapshotConfigInside {
    /// The file of a namespace.
    fn file(&self, namespace: &str) -> PathBuf;
}

impl SnapshotConfigInside for SnapshotConfig {
    fn file(&self, namespace: &str) -> PathBuf {
        namespace_file(&self.path, namespace)
    }
}
