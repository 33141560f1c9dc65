//! The capability `log`: a guest's lines for `tracing`, cut and rationed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mortise_store::limits::{MAX_LOG_LINE_BYTES, MAX_LOG_LINES_PER_SECOND};

use crate::bindings::mortise::persistence::log::Level;

/// The log of one store: all its instances share the ration.
pub struct GuestLog {
    store: String,
    window: Mutex<Window>,
}

struct Window {
    since: Instant,
    lines: u32,
    dropped: u32,
}

impl GuestLog {
    /// The log of the store of this name.
    pub fn new(store: String) -> Self {
        let window = Window {
            since: Instant::now(),
            lines: 0,
            dropped: 0,
        };
        Self {
            store,
            window: Mutex::new(window),
        }
    }

    /// Writes one line, unless this second's ration is used up.
    pub(crate) fn write(&self, level: Level, message: &str) {
        let Some(dropped) = self.admit(Instant::now()) else {
            return;
        };
        let store = self.store.as_str();
        if dropped > 0 {
            tracing::warn!(target: "mortise::guest", store, dropped, "log lines of the backend were dropped");
        }
        let message = cut(message);
        match level {
            Level::Trace => tracing::trace!(target: "mortise::guest", store, "{message}"),
            Level::Debug => tracing::debug!(target: "mortise::guest", store, "{message}"),
            Level::Info => tracing::info!(target: "mortise::guest", store, "{message}"),
            Level::Warn => tracing::warn!(target: "mortise::guest", store, "{message}"),
            Level::Error => tracing::error!(target: "mortise::guest", store, "{message}"),
        }
    }

    /// None: drop the line. Otherwise how many lines the second before had to drop.
    fn admit(&self, now: Instant) -> Option<u32> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if now.duration_since(window.since) >= Duration::from_secs(1) {
            dropped = window.dropped;
            *window = Window {
                since: now,
                lines: 0,
                dropped: 0,
            };
        }
        if window.lines == MAX_LOG_LINES_PER_SECOND {
            window.dropped += 1;
            return None;
        }
        window.lines += 1;
        Some(dropped)
    }
}

/// The line, or as much of it as is shown.
pub(crate) fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_LOG_LINE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let log = GuestLog::new("test".to_owned());
        let start = Instant::now();
        let admitted = (0..1000).filter(|_| log.admit(start).is_some()).count();
        assert_eq!(admitted, MAX_LOG_LINES_PER_SECOND as usize);
        let dropped = log.admit(start + Duration::from_secs(2));
        assert_eq!(dropped, Some(1000 - MAX_LOG_LINES_PER_SECOND));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = "é".repeat(MAX_LOG_LINE_BYTES);
        assert_eq!(cut(&line).len(), MAX_LOG_LINE_BYTES);
        assert_eq!(cut(&format!("x{line}")).len(), MAX_LOG_LINE_BYTES - 1);
    }
}
