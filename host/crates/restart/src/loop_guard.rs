//! What stops a loop of restarts that nobody meant.

use std::fmt;
use std::time::Duration;

use mortise_store::Timestamp;

/// How many restarts may be asked for within a window by what acts without a person: a signal, a watcher, a tool.
///
/// Those before are counted from the history, because each restart has another process ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopGuard {
    /// How many are admitted within the window.
    pub max: u32,
    /// How far back it looks.
    pub window: Duration,
}

impl Default for LoopGuard {
    fn default() -> Self {
        Self {
            max: 5,
            window: Duration::from_secs(60),
        }
    }
}

/// Too many restarts: what is refused, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looping {
    guard: LoopGuard,
    /// After which time the next one is admitted.
    pub(crate) wait: Duration,
}

impl LoopGuard {
    /// Whether one more is admitted at `now`, after those that were asked for at `earlier`.
    pub(crate) fn admit(
        self,
        earlier: impl IntoIterator<Item = Timestamp>,
        now: Timestamp,
    ) -> Result<(), Looping> {
        let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        // A clock that was set back does not make a restart of the future.
        let mut ages: Vec<u64> = earlier
            .into_iter()
            .map(|at| now.saturating_sub(at))
            .filter(|age| *age < window)
            .collect();
        ages.sort_unstable();
        let max = self.max as usize;
        if ages.len() < max {
            return Ok(());
        }
        // Once this one is out of the window, there are fewer than `max`.
        let oldest = max.checked_sub(1).map_or(0, |last| ages[last]);
        Err(Looping {
            guard: self,
            wait: Duration::from_millis(window - oldest),
        })
    }
}

impl fmt::Display for Looping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoopGuard { max, window } = self.guard;
        write!(
            f,
            "more than {max} restarts within {window:?}: the next one is admitted in {:?}",
            self.wait
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: LoopGuard = LoopGuard {
        max: 3,
        window: Duration::from_secs(60),
    };

    #[test]
    fn as_many_as_were_set_are_admitted_and_the_next_once_the_window_has_room() {
        let mut asked = Vec::new();
        for at in [1_000, 2_000, 3_000] {
            GUARD.admit(asked.iter().copied(), at).unwrap();
            asked.push(at);
        }
        let refused = GUARD.admit(asked.iter().copied(), 4_000).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(57));
        assert_eq!(
            refused.to_string(),
            "more than 3 restarts within 60s: the next one is admitted in 57s"
        );
        assert!(GUARD.admit(asked.iter().copied(), 60_999).is_err());
        GUARD.admit(asked, 61_000).unwrap();
    }

    #[test]
    fn those_of_long_ago_do_not_count() {
        GUARD
            .admit((0..1_000).map(|at| at * 60_000), 60_000_000)
            .unwrap();
    }

    #[test]
    fn a_clock_that_was_set_back_neither_admits_a_loop_nor_stops_for_ever() {
        let refused = GUARD
            .admit([9_000_000, 9_000_001, 9_000_002], 1_000)
            .unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(60));
    }

    #[test]
    fn a_guard_of_none_admits_none() {
        let none = LoopGuard { max: 0, ..GUARD };
        assert_eq!(none.admit([], 0).unwrap_err().wait, Duration::from_secs(60));
    }
}
