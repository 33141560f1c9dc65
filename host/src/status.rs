//! How a store is doing.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::manifest::Digest;
use crate::reload::Refusal;
use crate::snapshot::Snapshot;

/// How a store is doing, from what the host remembers of it: nothing is called
/// ([`Store::status`](crate::Store::status)).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The generation of the backend that serves: counted from 1, one more with each hot swap.
    pub generation: u64,
    /// Its component.
    pub digest: Digest,
    /// Why the component that was to take over last did not, where it did not.
    pub refusal: Option<Refusal>,
    /// Whether calls are let through to the backend.
    pub breaker: BreakerState,
    /// How many calls of this generation trapped.
    pub traps: u64,
    /// How the last of them did. What the component said in it is escaped.
    pub last_trap: Option<String>,
    /// Whether a singleton trapped, and its records went with it. [`Store::reopen`](crate::Store::reopen)
    /// starts it anew.
    pub state_lost: bool,
    /// What became of the last snapshot since the store was opened.
    pub snapshot: Option<Result<Snapshot, Arc<Error>>>,
    /// Why the configured backend did not open, where records are kept in the backend `memory` instead:
    /// they are gone when the store is closed.
    pub fallback: Option<String>,
}

/// Whether calls are let through to a backend that traps too often: see the limits that begin with
/// `breaker` in [`Limits`](crate::Limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls are let through.
    Closed,
    /// Calls fail at once, until one is let through as a probe.
    Open {
        /// In how long; zero once the next call is the probe.
        next_probe: Duration,
    },
    /// A probe is under way; other calls fail at once.
    Probing,
}
