//! A process that stays while others serve, for a supervisor that watches the one which it started: that of a container.

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation, Result};
use rustix::process::{
    Signal as ProcessSignal, WaitOptions, WaitStatus, set_child_subreaper, wait,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::{lives, send};
use crate::state_dir::StateDir;

/// Stays once another process took over, until the last one that served ended.
pub struct Stay {
    ended: Signal,
    hangups: Signal,
    interrupts: Signal,
    terminations: Signal,
}

impl Stay {
    /// From now on, processes whose parents end are children of this one.
    ///
    /// # Errors
    ///
    /// `Config` where the system does not let it.
    pub fn new() -> Result<Self> {
        let failed = |error| Error::config("processes cannot be watched").with_source(error);
        set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| failed(error.into()))?;
        let of = |kind| signal(kind).map_err(failed);
        Ok(Self {
            ended: of(SignalKind::child())?,
            hangups: of(SignalKind::hangup())?,
            interrupts: of(SignalKind::interrupt())?,
            terminations: of(SignalKind::terminate())?,
        })
    }

    /// Stays as long as a process serves from the state directory; the first is `process`. Signals go to the one that
    /// does.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the last one did not end well.
    pub async fn stay(mut self, state: &StateDir, process: u32) -> Result<()> {
        let mut serves = process;
        loop {
            // Each has written its id by the time that the one before it ends.
            while let Some((ended, status)) = ended() {
                if ended != serves {
                    continue;
                }
                match state.pid().filter(|next| *next != ended) {
                    Some(next) if lives(next) => serves = next,
                    _ => return outcome(serves, status),
                }
            }
            // What was sent to one that only ends its last calls is for the one after it.
            let send = |signal| send(state.pid().unwrap_or(serves), signal);
            tokio::select! {
                _ = self.ended.recv() => {}
                _ = self.hangups.recv() => send(ProcessSignal::HUP),
                _ = self.interrupts.recv() => send(ProcessSignal::INT),
                _ = self.terminations.recv() => send(ProcessSignal::TERM),
            }
        }
    }
}

/// A child that ended, and how.
fn ended() -> Option<(u32, WaitStatus)> {
    // It fails where there is none.
    let (process, status) = wait(WaitOptions::NOHANG).ok().flatten()?;
    Some((process.as_raw_nonzero().get().unsigned_abs(), status))
}

fn outcome(process: u32, status: WaitStatus) -> Result<()> {
    let how = match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    };
    let what = format!("process {process}, which served, ended: {how}");
    Err(Error::new(ErrorKind::Unavailable, Operation::Restart, what))
}
