//! What the old process and the new one say to each other while the one takes over from the other.
//!
//! ```text
//! old                                   new
//!  ├── hello {protocol, restart} ────────→│   who asks, and where the state is
//!  │  ←──────────────────────────── warm ──┤   configured, compiled; nothing is opened yet
//!  ├── restore + files ──────────────────→│   the lock, the control socket, the listening sockets: nobody is served
//!  │  ←─────────────────────────── ready ──┤   opened, migrated, restored, healthy
//!  ├── serve ────────────────────────────→│   from here on the new one is the server
//!  │  ←───────────────────────── serving ──┤
//!  ├── ended ────────────────────────────→│   it is in the history
//!  ├── connection + file ────────────────→│   a call that waited, as often as needed
//! ```
//!
//! The new one may say `failed {why}` instead of `warm` or `ready`. If the socket closes before `serve`, the
//! new one ends; if it closes before `serving`, the old one goes on. A new one that hangs before it is warm has none of
//! the files: where the old one is gone, the next to start finds them free.
//!
//! A process that becomes the new one itself, by `exec`, first leads another one as far as `ready`, and ends it. Then it
//! leaves `hello`, `restore` and `serve` in a socket of its own; what it says there as the new one reaches nobody.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::event::Restart;

/// The version of what is said here. Another one is refused, and the old process serves on.
pub(super) const PROTOCOL: u32 = 1;
/// What the files are called: the state directory's lock, the control socket, and, with more after it, a
/// listening socket and the lock of a store's own snapshot.
pub(super) const LOCK: &str = "lock";
pub(super) const CONTROL: &str = "control";
pub(super) const LISTENER: &str = "listener:";
pub(super) const SNAPSHOT_LOCK: &str = "snapshot-lock:";

/// What the old process says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Who asks, in which version, for which restart, and where its state is.
    Hello {
        protocol: u32,
        restart: Box<Restart>,
        state_dir: PathBuf,
    },
    /// Open the stores, and restore what the snapshot has. Brings open files in the order of their names.
    Restore { files: Vec<String> },
    /// Serve.
    Serve,
    /// The restart is told in the history.
    Ended,
    /// Serve this connection, the other end of which waits with a call.
    Connection,
}

/// What the new process says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// Configured, and compiled.
    Warm,
    /// Opened, migrated, restored and healthy.
    Ready,
    /// Calls are answered.
    Serving,
    /// It cannot take over.
    Failed { why: String },
}
