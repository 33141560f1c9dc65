//! What the open stores of one name and backend have counted.

mod histogram;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{ErrorKind, Operation};
pub use histogram::{Counted, Histogram};

/// The bounds for durations, in nanoseconds: from a load from memory to what only upkeep may take.
const DURATIONS: [u64; 23] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    60_000_000_000,
];
/// The bounds for groups of transactions: up to the largest that is committed at once.
const TRANSACTIONS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const NANOSECONDS: u64 = 1_000_000_000;

/// Counted from when the first of these stores was opened, and kept as long as one is.
pub struct Measures {
    /// One place for each operation, taken by its first call.
    calls: [OnceLock<Box<Calls>>; Operation::COUNT],
    /// How long calls waited for an instance.
    pub waits: Waits,
    /// Calls in which the component trapped.
    pub traps: Counter,
    /// The commits of a SQLite database.
    pub commits: Arc<Commits>,
    /// Snapshots that were taken.
    pub snapshots_taken: Counter,
    /// Snapshots that failed.
    pub snapshots_failed: Counter,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            calls: std::array::from_fn(|_| OnceLock::new()),
            waits: Waits(Histogram::new(&DURATIONS)),
            traps: Counter::default(),
            commits: Arc::new(Commits(Histogram::new(&TRANSACTIONS))),
            snapshots_taken: Counter::default(),
            snapshots_failed: Counter::default(),
        }
    }
}

impl Measures {
    /// A call of `operation` began at `now`.
    pub fn begin(&self, operation: Operation, now: Instant) -> UnderWay<'_> {
        let calls = self.calls[operation as usize].get_or_init(|| Box::new(Calls::of(operation)));
        UnderWay {
            calls,
            since: now,
            ended: false,
        }
    }

    /// The operations that were called.
    pub fn calls(&self) -> impl Iterator<Item = &Calls> {
        self.calls.iter().filter_map(|calls| Some(&**calls.get()?))
    }
}

/// The calls of one operation.
pub struct Calls {
    operation: Operation,
    durations: Histogram<{ DURATIONS.len() }>,
    /// Behind a lock: an error costs more than taking it.
    errors: Mutex<Vec<(ErrorKind, u64)>>,
    given_up: Counter,
}

impl Calls {
    fn of(operation: Operation) -> Self {
        Self {
            operation,
            durations: Histogram::new(&DURATIONS),
            errors: Mutex::default(),
            given_up: Counter::default(),
        }
    }

    /// Which one.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// How long they took, in seconds.
    pub fn durations(&self) -> Counted {
        self.durations.read(NANOSECONDS)
    }

    /// How many ended with which error.
    pub fn errors(&self) -> Vec<(ErrorKind, u64)> {
        self.lock_errors().clone()
    }

    /// How many did not end, because their callers went away.
    pub fn given_up(&self) -> u64 {
        self.given_up.get()
    }

    fn failed(&self, kind: ErrorKind) {
        let mut errors = self.lock_errors();
        match errors.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => errors.push((kind, 1)),
        }
    }

    fn lock_errors(&self) -> MutexGuard<'_, Vec<(ErrorKind, u64)>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that has not ended. Dropped before it has, as where its caller goes away, it counts as given up.
#[must_use]
pub struct UnderWay<'m> {
    calls: &'m Calls,
    since: Instant,
    ended: bool,
}

impl UnderWay<'_> {
    /// It ended: with an answer, or with this error.
    pub fn ended(mut self, error: Option<ErrorKind>) {
        self.ended = true;
        self.calls
            .durations
            .record(nanoseconds(self.since.elapsed()));
        if let Some(kind) = error {
            self.calls.failed(kind);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.calls.given_up.add();
        }
    }
}

/// How long calls waited until an instance was free for them.
pub struct Waits(Histogram<{ DURATIONS.len() }>);

impl Waits {
    /// One was free at once: that is told without the clock.
    pub fn none(&self) {
        self.0.record(0);
    }

    /// It waited since then, whether or not one became free.
    pub fn since(&self, start: Instant) {
        self.0.record(nanoseconds(start.elapsed()));
    }

    /// In seconds.
    pub fn read(&self) -> Counted {
        self.0.read(NANOSECONDS)
    }
}

/// How many transactions SQLite commits had.
pub struct Commits(Histogram<{ TRANSACTIONS.len() }>);

impl Commits {
    /// A commit of so many transactions.
    pub fn record(&self, transactions: usize) {
        self.0.record(transactions as u64);
    }

    /// In transactions.
    pub fn read(&self) -> Counted {
        self.0.read(1)
    }
}

/// Counts what happens.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_operation_and_error() {
        let measures = Measures::default();
        assert_eq!(measures.calls().count(), 0);
        let now = Instant::now();
        measures.begin(Operation::Load, now).ended(None);
        for error in [None, Some(ErrorKind::Conflict), Some(ErrorKind::NotFound)] {
            measures.begin(Operation::Update, now).ended(error);
        }
        let again = Some(ErrorKind::Conflict);
        measures.begin(Operation::Update, now).ended(again);
        drop(measures.begin(Operation::Update, now));

        let [load, update] = measures.calls().collect::<Vec<_>>()[..] else {
            panic!("two operations were called");
        };
        assert_eq!(load.operation(), Operation::Load);
        assert_eq!((load.durations().count, load.errors().len()), (1, 0));
        assert_eq!(update.operation(), Operation::Update);
        assert_eq!((update.durations().count, update.given_up()), (4, 1));
        let errors = [(ErrorKind::Conflict, 2), (ErrorKind::NotFound, 1)];
        assert_eq!(update.errors(), errors);
    }

    #[test]
    fn bounds_ascend() {
        assert!(DURATIONS.is_sorted_by(|one, next| one < next));
        assert!(TRANSACTIONS.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn who_does_not_wait_is_counted_all_the_same() {
        let measures = Measures::default();
        measures.waits.none();
        measures
            .waits
            .since(Instant::now() - Duration::from_millis(3));
        let counted = measures.waits.read();
        assert_eq!((counted.count, counted.buckets[0]), (2, (1e-6, 1)));
        assert!(counted.sum >= 0.003, "{}", counted.sum);
    }
}
