//! How a store is doing.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;
use crate::record::Timestamp;

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
    /// When the last one was taken that did not fail, since the store was opened, by the host's clock.
    pub snapshot_taken_at: Option<Timestamp>,
    /// Its instances.
    pub instances: InstanceCounts,
    /// Why the configured backend did not open, where records are kept in the backend `memory` instead:
    /// they are gone when the store is closed.
    pub fallback: Option<String>,
}

/// How many instances a store has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceCounts {
    /// Started, and waiting for a call.
    pub idle: usize,
    /// Serving a call, or being started for one.
    pub running: usize,
    /// How many may serve at once: the limit `concurrency`, or one where it is a singleton.
    pub max: usize,
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

/// A component that was to take over, and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The SHA-256 of the component, in hexadecimal; none where its file could not be read.
    pub sha256: Option<String>,
    /// Why: the error and its causes, in one line.
    pub reason: String,
    /// When, by the host's clock.
    pub at: Timestamp,
}

/// A snapshot that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// How many records it has.
    pub records: u64,
}

/// A store that is well, of this generation and component, of which nothing else is known.
pub fn status_of(generation: u64, digest: Digest) -> Status {
    Status {
        generation,
        digest,
        refusal: None,
        breaker: BreakerState::Closed,
        traps: 0,
        last_trap: None,
        state_lost: false,
        snapshot: None,
        snapshot_taken_at: None,
        instances: InstanceCounts::default(),
        fallback: None,
    }
}

/// A component that was refused for this reason.
pub fn refused_component(sha256: Option<String>, reason: String, at: Timestamp) -> Refusal {
    Refusal { sha256, reason, at }
}

/// A snapshot with so many records.
pub fn snapshot_of(at: Timestamp, records: u64) -> Snapshot {
    Snapshot { at, records }
}

/// A breaker's state in a word.
pub fn breaker_name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::Probing => "probing",
    }
}
