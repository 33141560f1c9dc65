//! Restart in context: a new process takes over from the one that serves, and no client notices.
//!
//! All of it is of [`mortise_restart`], which tells how it goes.

#[cfg(target_os = "linux")]
pub use mortise_restart::Stay;
pub use mortise_restart::{
    ControlClient, LoopGuard, Outcome, Phase, PhaseEntry, Program, Request, Restart, RestartLimits,
    Seat, ServerStatus, StateDir, TAKE_OVER, TAKE_OVER_IN_PLACE, Trigger, decline, history,
};
