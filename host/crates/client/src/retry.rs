//! What follows on an attempt that failed: the one place that decides about trying again.

use std::time::Duration;

use backon::ExponentialBuilder;

/// The pauses between attempts: the first, and the longest. Each is up to twice as long, by chance, so that the
/// clients of a server that comes back do not come all at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What is known of a request that did not end with an answer of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No connection came about, so that nothing was sent.
    NotSent,
    /// The server says that it did nothing, and may do it later; not before this time is over, where it says so.
    Refused(Option<Duration>),
    /// It was sent, or some of it, and whether the server got it is not known.
    Lost,
    /// Something answered that is no server of ours.
    Foreign,
    /// It is decided, and would be again.
    Settled,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same request is made again.
    Again,
    /// The caller is told, and what it is told is certain.
    Tell,
    /// The caller is told that the write may have happened.
    TellAmbiguous,
}

impl Fate {
    /// What follows, of a request that writes or does not.
    ///
    /// A write that may have happened is never made again: not even one that compares, because a second attempt would
    /// be told of a conflict with the first, and its caller would take its own write for somebody else's.
    pub(crate) fn next(self, writes: bool) -> Next {
        match (self, writes) {
            (Self::NotSent | Self::Refused(_), _) | (Self::Lost, false) => Next::Again,
            (Self::Lost | Self::Foreign, true) => Next::TellAmbiguous,
            (Self::Foreign, false) | (Self::Settled, _) => Next::Tell,
        }
    }

    /// How long to wait before the next attempt; none where the time that is left does not do for it.
    pub(crate) fn pause(
        self,
        pause: Duration,
        left: Duration,
        least: Duration,
    ) -> Option<Duration> {
        let asked = match self {
            Self::Refused(Some(asked)) => asked,
            _ => Duration::ZERO,
        };
        let pause = pause.saturating_add(asked);
        (pause.saturating_add(least) <= left).then_some(pause)
    }
}

/// The pauses between the attempts of one call, without end: the call's time is what ends them.
pub(crate) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_request_is_made_again_only_where_nothing_can_happen_twice() {
        use Next::{Again, Tell, TellAmbiguous};
        for (fate, read, write) in [
            (Fate::NotSent, Again, Again),
            (Fate::Refused(None), Again, Again),
            (Fate::Refused(Some(SECOND)), Again, Again),
            (Fate::Lost, Again, TellAmbiguous),
            (Fate::Foreign, Tell, TellAmbiguous),
            (Fate::Settled, Tell, Tell),
        ] {
            assert_eq!(
                (fate.next(false), fate.next(true)),
                (read, write),
                "{fate:?}"
            );
        }
    }

    #[test]
    fn a_pause_is_as_long_as_the_server_asks_for_and_ends_within_the_calls_time() {
        let pause = |fate: Fate, left| fate.pause(SECOND, left, SECOND);
        assert_eq!(pause(Fate::NotSent, 2 * SECOND), Some(SECOND));
        assert_eq!(pause(Fate::NotSent, SECOND), None);
        let refused = Fate::Refused(Some(5 * SECOND));
        assert_eq!(pause(refused, 10 * SECOND), Some(6 * SECOND));
        assert_eq!(pause(refused, 6 * SECOND), None);
        assert_eq!(pause(Fate::Refused(Some(Duration::MAX)), 6 * SECOND), None);
        let grown: Vec<_> = pauses().build().take(20).collect();
        assert!(grown[0] >= FIRST_PAUSE && grown[0] <= 2 * FIRST_PAUSE);
        assert!(grown[19] >= LONGEST_PAUSE && grown[19] <= 2 * LONGEST_PAUSE);
    }
}
