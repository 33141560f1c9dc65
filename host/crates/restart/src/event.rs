//! One restart: who asked for it, its phases, and what came of it.

use std::fmt;

use mortise_store::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a restart stands. Each phase begins once the one before is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// The new process starts and compiles, beside the calls.
    Start,
    /// Calls in flight end; those that arrive wait.
    Drain,
    /// What only this process knows is written to a file.
    Snapshot,
    /// The new process opens its stores, migrates them, restores, and proves that they are healthy.
    Restore,
    /// The new process serves; this one hands its last calls over.
    Commit,
}

impl Phase {
    /// Its name, as in the history: `drain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Drain => "drain",
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Commit => "commit",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What asks for a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Trigger {
    /// A person, by `mortise restart`.
    Command,
    /// SIGHUP.
    Signal,
    /// An agent, by the MCP tool.
    Tool,
    /// A file that changed: the program or its configuration.
    Change,
    /// A backend's new component, which has to migrate a store first: no hot swap does.
    Migration,
}

impl Trigger {
    /// Whether no person asked: such restarts may go round in a circle.
    pub fn is_automatic(self) -> bool {
        self != Self::Command
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What asks.
    pub trigger: Trigger,
    /// Who: a user, a token's name, a file, a backend.
    pub by: String,
    /// Why, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the restart is given up where calls do not end in time. Otherwise they are dropped.
    pub graceful: bool,
    /// Whether the records of stores that keep them in memory go to the new process.
    pub preserve_state: bool,
}

impl Request {
    /// A graceful restart that keeps all state.
    pub(crate) fn of(trigger: Trigger, by: impl Into<String>) -> Self {
        Self {
            trigger,
            by: by.into(),
            reason: None,
            graceful: true,
            preserve_state: true,
        }
    }
}

/// One phase of a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PhaseEntry {
    /// Which.
    pub phase: Phase,
    /// When it began: milliseconds since 1970, UTC.
    pub at: Timestamp,
    /// How long it took; none where it did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// What came of a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The new process serves.
    Done,
    /// It was not begun, and the old process serves on: why.
    Refused(String),
    /// It failed, and the old process serves on: why.
    GivenUp(String),
    /// The old process ended in the middle of it: what is known.
    Interrupted(String),
}

impl Outcome {
    /// Whether the new process serves.
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::GivenUp(why) => write!(f, "given up: {why}"),
            Self::Interrupted(why) => write!(f, "interrupted: {why}"),
        }
    }
}

/// A restart, as the history tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Restart {
    /// Counts the restarts of this state directory, from 1.
    pub number: u64,
    /// When it was asked for: milliseconds since 1970, UTC.
    pub at: Timestamp,
    /// What was asked for, and by whom.
    #[serde(flatten)]
    pub request: Request,
    /// The process that served.
    pub from: u32,
    /// The process that was to serve, once it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// The phases that were begun, in their order.
    #[serde(default)]
    pub phases: Vec<PhaseEntry>,
    /// What came of it; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl Restart {
    /// The phase that it is in, or ended in.
    pub fn phase(&self) -> Option<Phase> {
        self.phases.last().map(|entry| entry.phase)
    }

    /// Ends the phase that it is in, at `now`.
    pub(crate) fn leave_phase(&mut self, now: Timestamp) {
        if let Some(entry) = self.phases.last_mut() {
            entry
                .milliseconds
                .get_or_insert(now.saturating_sub(entry.at));
        }
    }

    /// Ends the phase that it is in and begins the next.
    pub(crate) fn enter(&mut self, phase: Phase, now: Timestamp) {
        self.leave_phase(now);
        self.phases.push(PhaseEntry {
            phase,
            at: now,
            milliseconds: None,
        });
    }

    /// Ends it.
    pub(crate) fn end(&mut self, outcome: Outcome, now: Timestamp) {
        self.leave_phase(now);
        self.outcome = Some(outcome);
    }
}
