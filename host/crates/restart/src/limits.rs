//! How long a restart may take, and how many there may be.

use std::time::Duration;

use crate::loop_guard::LoopGuard;

/// How long each step of a restart may take. What takes longer ends the restart, and the old process serves on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartLimits {
    /// Until the new process is configured and has compiled. Default: 30 s.
    pub start_deadline: Duration,
    /// Until the calls in flight have ended. Default: 10 s.
    pub drain_deadline: Duration,
    /// Until the new process has opened its stores, migrated and restored them. Calls wait meanwhile. Default: 60 s.
    pub restore_deadline: Duration,
    /// How long the old process stays for connections that its clients keep open. Default: 10 s.
    pub linger: Duration,
    /// How many restarts may be asked for by what acts without a person.
    pub guard: LoopGuard,
}

impl Default for RestartLimits {
    fn default() -> Self {
        Self {
            start_deadline: Duration::from_secs(30),
            drain_deadline: Duration::from_secs(10),
            restore_deadline: Duration::from_secs(60),
            linger: Duration::from_secs(10),
            guard: LoopGuard::default(),
        }
    }
}
