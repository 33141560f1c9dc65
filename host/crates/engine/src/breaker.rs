//! The breaker: a backend that traps again and again is given a rest, and tried again by one call at a
//! time.
//!
//! [`Machine`] is the whole logic, and is handed the time; [`Breaker`] is the machine behind a lock, as a
//! store has it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mortise_store::{BreakerState, Limits};
use tokio::time::Instant;

use crate::fault::{Fault, OpenFault, Rest, Trap};

/// The breaker of one store, for one generation of its backend.
pub struct Breaker {
    store: String,
    machine: Mutex<Machine>,
}

impl Breaker {
    /// A closed one, of the store of this name.
    pub fn new(store: &str, limits: &Limits) -> Self {
        Self {
            store: store.to_owned(),
            machine: Mutex::new(Machine::new(limits, Instant::now())),
        }
    }

    /// Lets a call through, unless the backend rests. Where a singleton's records `are_lost`, no call is
    /// tried at all, and that is what callers are told.
    pub(crate) fn admit(
        &self,
        now: Instant,
        are_lost: impl FnOnce() -> bool,
    ) -> Result<Pass<'_>, OpenFault> {
        let admitted = self.machine().admit(now);
        match admitted {
            Ok(admission) => Ok(Pass {
                breaker: self,
                admission,
            }),
            Err(_) if are_lost() => Err(OpenFault::Fault(Fault::StateLost)),
            Err(rest) => Err(OpenFault::Resting(Box::new(rest))),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        let machine = self.machine();
        match machine.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Probing => BreakerState::Probing,
            Phase::Open { next_probe } => BreakerState::Open {
                next_probe: next_probe.saturating_duration_since(Instant::now()),
            },
        }
    }

    /// How many calls trapped, and how the last one did.
    pub(crate) fn traps(&self) -> (u64, Option<String>) {
        let machine = self.machine();
        (machine.traps, machine.last.as_ref().map(Trap::text))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an admitted call holds. Dropped without a report, as where the caller gives up, it leaves the next
/// call to be the probe.
pub(crate) struct Pass<'b> {
    breaker: &'b Breaker,
    admission: Admission,
}

impl Pass<'_> {
    /// Reports how the call ended; whether it trapped.
    pub(crate) fn ended<T>(self, answer: &Result<T, OpenFault>) -> bool {
        let trap = match answer {
            Ok(_) | Err(OpenFault::Refused(_)) => {
                self.answered();
                return false;
            }
            Err(OpenFault::Fault(fault)) => Trap::of(fault),
            Err(OpenFault::Resting(_)) => None,
        };
        trap.map(|trap| self.trapped(trap)).is_some()
    }

    fn answered(self) {
        // Nearly every call ends here, without the lock.
        if !self.admission.is_probe {
            return;
        }
        let closed = self
            .breaker
            .machine()
            .answered(self.admission, Instant::now());
        if closed {
            tracing::info!(
                store = self.breaker.store,
                "the backend answers again: the breaker is closed"
            );
        }
    }

    fn trapped(self, trap: Trap) {
        let last = trap.text();
        let unevenness = fastrand::f64();
        let opened =
            self.breaker
                .machine()
                .trapped(self.admission, Instant::now(), trap, unevenness);
        if let Some(pause) = opened {
            tracing::error!(
                store = self.breaker.store,
                last,
                ?pause,
                "the backend traps too often: the breaker is open, calls fail until a probe is answered"
            );
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.admission.is_probe {
            let now = Instant::now();
            self.breaker.machine().given_up(self.admission, now);
        }
    }
}

/// Closed, open, probing; and what led there.
struct Machine {
    /// How many traps within the window open it. 0: none do.
    max_traps: u32,
    window: Duration,
    first_pause: Duration,
    longest_pause: Duration,
    phase: Phase,
    /// Grows with every change of phase. What a call reports that was admitted before is of the past, and
    /// changes no phase.
    era: u64,
    /// How often it opened since the last quiet window: each time the pause doubles.
    openings: u32,
    /// The traps that opened it, and those of the probes since; and when the first of them was.
    burst: (u32, Instant),
    /// All since the store was opened.
    traps: u64,
    last: Option<Trap>,
}

/// A call that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Admission {
    era: u64,
    is_probe: bool,
}

enum Phase {
    Closed {
        /// The traps of the window that ends now, oldest first.
        recent: VecDeque<Instant>,
        /// The last trap, or when it closed.
        quiet_since: Instant,
    },
    Open {
        next_probe: Instant,
    },
    Probing,
}

impl Machine {
    fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            max_traps: limits.breaker_traps,
            window: limits.breaker_window,
            first_pause: limits.breaker_pause,
            longest_pause: limits.breaker_max_pause,
            phase: closed(now),
            era: 0,
            openings: 0,
            burst: (0, now),
            traps: 0,
            last: None,
        }
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
    }

    /// Lets a call through: what its report is to name.
    fn admit(&mut self, now: Instant) -> Result<Admission, Rest> {
        let next_probe = match self.phase {
            Phase::Closed { .. } => return Ok(self.admission(false)),
            Phase::Open { next_probe } if next_probe <= now => {
                self.turn(Phase::Probing);
                return Ok(self.admission(true));
            }
            Phase::Open { next_probe } => Some(next_probe - now),
            Phase::Probing => None,
        };
        let (traps, since) = self.burst;
        Err(Rest {
            traps,
            within: now.saturating_duration_since(since),
            last: self.last.clone(),
            next_probe,
        })
    }

    fn admission(&self, is_probe: bool) -> Admission {
        let era = self.era;
        Admission { era, is_probe }
    }

    /// Whether this closed it.
    fn answered(&mut self, call: Admission, now: Instant) -> bool {
        let closes = call.is_probe && call.era == self.era;
        if closes {
            self.turn(closed(now));
        }
        closes
    }

    /// The pause, where this opened it. `unevenness`, from 0 to 1, takes up to half off the pause, so that
    /// not all hosts come back at once.
    fn trapped(
        &mut self,
        call: Admission,
        now: Instant,
        trap: Trap,
        unevenness: f64,
    ) -> Option<Duration> {
        self.traps += 1;
        self.last = Some(trap);
        if call.era != self.era || self.max_traps == 0 {
            return None;
        }
        match &mut self.phase {
            Phase::Closed {
                recent,
                quiet_since,
            } => {
                if now.saturating_duration_since(*quiet_since) >= self.window {
                    self.openings = 0;
                }
                *quiet_since = now;
                recent.push_back(now);
                let is_old = |trap: &Instant| now.saturating_duration_since(*trap) > self.window;
                while recent.front().is_some_and(is_old) {
                    recent.pop_front();
                }
                let count = u32::try_from(recent.len()).unwrap_or(u32::MAX);
                if count < self.max_traps {
                    return None;
                }
                self.burst = (count, recent.front().copied().unwrap_or(now));
            }
            Phase::Probing => self.burst.0 = self.burst.0.saturating_add(1),
            Phase::Open { .. } => return None,
        }
        let longest = self
            .first_pause
            .saturating_mul(1 << self.openings.min(20))
            .min(self.longest_pause);
        self.openings = self.openings.saturating_add(1);
        let pause = longest.mul_f64(1.0 - unevenness / 2.0);
        self.turn(Phase::Open {
            next_probe: now + pause,
        });
        Some(pause)
    }

    /// The call ended without a word about the component: where it was the probe, the next call is.
    fn given_up(&mut self, call: Admission, now: Instant) {
        if call.is_probe && call.era == self.era {
            self.turn(Phase::Open { next_probe: now });
        }
    }
}

fn closed(now: Instant) -> Phase {
    Phase::Closed {
        recent: VecDeque::new(),
        quiet_since: now,
    }
}

#[cfg(test)]
mod tests;
