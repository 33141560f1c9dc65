//! What a backend may import.

use std::fmt;

/// An interface that the host implements and a backend may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Capability {
    /// The host's time. Granted to every backend.
    Clock,
    /// Lines for the host's log. Granted to every backend.
    Log,
    /// One SQLite database.
    Sqlite,
    /// The records of one store in Redis.
    Redis,
}

impl Capability {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Clock, Self::Log, Self::Sqlite, Self::Redis];

    /// The interface's name: `sqlite`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Log => "log",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
        }
    }

    /// Whether the operator must grant it.
    pub fn needs_grant(self) -> bool {
        matches!(self, Self::Sqlite | Self::Redis)
    }
}

/// What the engine asks of a capability.
pub trait CapabilityInside: Sized {
    /// The capability of this name.
    fn from_name(name: &str) -> Option<Self>;
}

impl CapabilityInside for Capability {
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.as_str() == name)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
