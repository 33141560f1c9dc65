//! What was being done when it failed.

use std::fmt;

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each is the method of `Store` or of `Host`, the function of `transfer`, or what a `Migrator` does, of the same name"
)]
pub enum Operation {
    Configure,
    Open,
    Create,
    Load,
    LoadMany,
    Update,
    Delete,
    Find,
    Apply,
    Export,
    Import,
    Sweep,
    Clear,
    Statistics,
    Health,
    Reload,
    Snapshot,
    Copy,
    Backup,
    Restore,
    Migrate,
    Restart,
}

impl Operation {
    /// How many there are, for what has a place for each.
    pub(crate) const COUNT: usize = Self::Migrate as usize + 1;

    /// Its name, as in the contract: `load-many`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Open => "open",
            Self::Create => "create",
            Self::Load => "load",
            Self::LoadMany => "load-many",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Find => "find",
            Self::Apply => "apply",
            Self::Export => "export",
            Self::Import => "import",
            Self::Sweep => "sweep",
            Self::Clear => "clear",
            Self::Statistics => "statistics",
            Self::Health => "health",
            Self::Reload => "reload",
            Self::Snapshot => "snapshot",
            Self::Copy => "copy",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Migrate => "migrate",
            Self::Restart => "restart",
        }
    }

    /// Whether a call of this operation can change records.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Update
                | Self::Delete
                | Self::Apply
                | Self::Import
                | Self::Sweep
                | Self::Clear
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
