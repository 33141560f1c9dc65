//! Where a test has a restart stay, to look or to kill: in debug builds alone.

use std::path::Path;

use mortise_store::Result;

use crate::event::Phase;
use crate::state_dir::StateDir;
use crate::successor::Successor;

/// Stays at the end of a phase, where the test wants that: until the new process is gone, or as [`stay`] does.
pub(super) async fn hold(phase: Phase, successor: &Successor, state: &StateDir) -> Result<()> {
    tokio::select! {
        // Where nobody wants it, the new process is not listened to.
        biased;
        () = stay(phase.as_str(), state.path()) => Ok(()),
        gone = successor.gone() => Err(gone),
    }
}

/// Stays at a place that the environment's `MORTISE_RESTART_HOLD` names, until the test lets it go on by a file
/// `release` in the state directory. Those inside a phase are called `PHASE-half`.
#[cfg(debug_assertions)]
pub(super) async fn stay(place: &str, state: &Path) {
    if std::env::var("MORTISE_RESTART_HOLD").as_deref() != Ok(place) {
        return;
    }
    tracing::warn!(place, "a restart stays");
    while !state.join("release").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[cfg(not(debug_assertions))]
#[allow(clippy::unused_async, reason = "as where tests run")]
pub(super) async fn stay(_: &str, _: &Path) {}
