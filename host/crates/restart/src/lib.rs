//! Restart in context: a new process takes over from the one that serves, and no client notices.
//!
//! ```text
//! old ── start ── drain ── snapshot ── restore ── commit ── its last calls go through it ── ends
//! new      └ compiles          opens, migrates, restores ┘   └ serves
//! ```
//!
//! The old process starts the new one, which compiles beside the calls. Then the `gate` closes: calls in flight
//! end, those that arrive wait. What only the old process knows goes to the new one in a file (`snapshot`); the
//! listening sockets go to it as open files (`channel`), so that no connection is refused at any time. Only when
//! the new process has opened its stores, migrated and restored them, and found them healthy, it serves, and the
//! calls that wait are passed on to it. Whatever fails before leaves the old process serving.
//!
//! A client over stdio holds on to the process by its pipes: there the new process ends once it has shown that it could
//! serve, and the old one becomes the new one by `exec`. It is led by the same orders, which it gave itself before.
//!
//! # What always holds
//!
//! - At most one process answers calls.
//! - Until the new process says that it serves, the old one can go on; in place, until `exec`.
//! - The snapshot is in the state directory only while nobody serves.
//! - A restart that begins is in the history before anything is done, and so is each of its phases.
//!
//! Uses: mortise-store, mortise-transfer. Never: axum, rmcp, mortise-host, mortise-engine: a process is handed over
//! whatever it serves, and whatever keeps its records.

mod channel;
mod event;
mod gate;
mod loop_guard;
mod process;
mod program;
mod snapshot;
mod state_dir;
mod supervisor;

mod calls;
mod history;
mod limits;
mod protocol;
#[cfg(target_os = "linux")]
mod stay;

mod restarts;
mod successor;
mod take_over;

mod control;
mod test_hold;
mod triggers;

mod carry;
mod migration;

mod follow;
mod hand_over;

mod seat;

mod seated;

#[doc(hidden)]
pub mod inside;

pub use control::{ControlClient, ServerStatus, history};
pub use event::{Outcome, Phase, PhaseEntry, Request, Restart, Trigger};
pub use limits::RestartLimits;
pub use loop_guard::LoopGuard;
pub use program::{Program, TAKE_OVER, TAKE_OVER_IN_PLACE};
pub use seat::{Seat, decline};
pub use state_dir::StateDir;
#[cfg(target_os = "linux")]
pub use stay::Stay;
