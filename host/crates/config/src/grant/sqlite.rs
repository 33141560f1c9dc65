//! The grant of the capability `sqlite`: which file, and how it is used.

use std::path::PathBuf;

use serde::Deserialize;

use crate::names::namespace_file;

/// Read connections of one store, where the operator sets none.
const DEFAULT_READERS: usize = 8;

/// When SQLite waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synchronous {
    /// At every commit: an acknowledged write survives a power cut.
    #[default]
    Full,
    /// At checkpoints: an acknowledged write survives the process, but perhaps not a power cut.
    Normal,
}

/// The grant of the capability `sqlite`: which file, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SqliteGrant {
    /// The database file; made where there is none. The folder must be there.
    pub path: PathBuf,
    /// When SQLite waits for the disk. Default: at every commit.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// Read connections. Default: 8.
    #[serde(default = "default_readers")]
    pub readers: usize,
    /// Whether a database with an older schema is migrated when the store is opened. Default: it is, where
    /// nothing is lost by it.
    #[serde(default)]
    pub migrate: Migrate,
}

fn default_readers() -> usize {
    DEFAULT_READERS
}

impl SqliteGrant {
    /// The database in the file at `path`, with the defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::default(),
            readers: DEFAULT_READERS,
            migrate: Migrate::default(),
        }
    }
}

/// What who opens the database asks of its grant.
pub trait SqliteGrantInside {
    /// The file of a namespace.
    fn file(&self, namespace: &str) -> PathBuf;
}

impl SqliteGrantInside for SqliteGrant {
    fn file(&self, namespace: &str) -> PathBuf {
        namespace_file(&self.path, namespace)
    }
}

/// Whether a database that needs it is migrated when its store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Migrate {
    /// It is, where nothing is lost by it.
    #[default]
    Auto,
    /// It is not: the store does not open until `mortise migrate apply` was run, or
    /// `Migrator::apply`.
    Manual,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_namespace_is_a_file_of_its_own() {
        let grant = SqliteGrant::new("data/tasks.db");
        assert_eq!(grant.file("default"), Path::new("data/tasks.db"));
        assert_eq!(grant.file("acme"), Path::new("data/tasks+acme.db"));
        assert_eq!(grant.file("../x"), Path::new("data/tasks+%2E%2E%2Fx.db"));
        assert_ne!(
            grant.file("A"),
            grant.file("a"),
            "file systems may ignore case"
        );
    }
}
