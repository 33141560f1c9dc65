//! The host's log. Long lines are cut and floods are dropped; no call ever fails.

use crate::bindings::backend::mortise::persistence::log;
pub use log::Level;

/// Writes one line.
#[cfg(target_family = "wasm")]
pub fn write(level: Level, line: &str) {
    log::write(level, line);
}

/// Writes one line. Outside of a component there is no host, and the line goes nowhere.
#[cfg(not(target_family = "wasm"))]
pub fn write(_level: Level, _line: &str) {}

/// A line of every step.
pub fn trace(line: &str) {
    write(Level::Trace, line);
}

/// A line for whoever looks for a fault.
pub fn debug(line: &str) {
    write(Level::Debug, line);
}

/// A line that an operator may want to know.
pub fn info(line: &str) {
    write(Level::Info, line);
}

/// Something is odd, and the call goes on.
pub fn warn(line: &str) {
    write(Level::Warn, line);
}

/// Something failed.
pub fn error(line: &str) {
    write(Level::Error, line);
}
