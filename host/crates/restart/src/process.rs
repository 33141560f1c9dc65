//! Other processes, by their ids.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Whether it runs.
pub(super) fn lives(process: u32) -> bool {
    pid(process).is_some_and(|process| test_kill_process(process).is_ok())
}

/// Sends it a signal.
pub(super) fn send(process: u32, signal: Signal) {
    // It may have ended by now.
    let _ = pid(process).map(|process| kill_process(process, signal));
}

fn pid(process: u32) -> Option<Pid> {
    process.try_into().ok().and_then(Pid::from_raw)
}
