//! Faults to order: the conformance kit makes the k-th call of a capability fail.
//!
//! Every call that can fail passes here, those that write by `State::writing`, the others by
//! `StoreContext::reading`; a host without an injector pays one branch for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mortise_capability_redis::inside::Effect;
use mortise_capability_sqlite::inside::{Failure, SqlError};
use mortise_store::inside::{ContractError as Contract, Injected, Rejection};
use tokio::sync::Barrier;

/// What all instances of a host's stores pass on their way to a capability.
#[derive(Debug, Default)]
pub struct Injector {
    order: Mutex<Option<Order>>,
    /// Where calls wait for one another, and how long.
    meeting: Mutex<Option<(Arc<Barrier>, Duration)>>,
}

#[derive(Debug)]
struct Order {
    fault: Injected,
    /// How many calls pass before the one that fails.
    passes: u32,
}

impl Injector {
    /// Makes the `k`-th call from now on fail, counted from 1; for [`Injected::Full`], the `k`-th write.
    pub fn order(&self, fault: Injected, k: u32) {
        let passes = k.saturating_sub(1);
        *locked(&self.order) = Some(Order { fault, passes });
    }

    /// Takes the order back; false where it was carried out already.
    pub fn withdraw(&self) -> bool {
        locked(&self.order).take().is_some()
    }

    /// Lets calls wait for one another until the answer is dropped: so many go on together. One that is
    /// left alone goes on when its patience ends.
    pub fn meet(&self, callers: usize, patience: Duration) -> Meeting<'_> {
        *locked(&self.meeting) = Some((Arc::new(Barrier::new(callers)), patience));
        Meeting(self)
    }

    /// Runs a call of a capability, unless it is the one to fail.
    pub(crate) async fn run<T, E: Injectable>(
        &self,
        effect: Effect,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let meeting = locked(&self.meeting).clone();
        match meeting {
            Some((barrier, patience)) => {
                let _ = tokio::time::timeout(patience, barrier.wait()).await;
            }
            // Others come in between, on a machine with few cores too.
            None => tokio::task::yield_now().await,
        }
        match self.next(effect) {
            None => call.await,
            Some(Injected::LostAnswer) => {
                // What it answered is what nobody hears.
                let _ = call.await;
                Err(E::injected(Injected::LostAnswer, effect))
            }
            Some(fault) => Err(E::injected(fault, effect)),
        }
    }

    fn next(&self, effect: Effect) -> Option<Injected> {
        let mut standing = locked(&self.order);
        let order = standing.as_mut()?;
        if order.fault == Injected::Full && effect == Effect::Reads {
            return None;
        }
        if order.passes > 0 {
            order.passes -= 1;
            return None;
        }
        standing.take().map(|order| order.fault)
    }
}

/// Calls wait for one another until this is dropped.
pub struct Meeting<'a>(&'a Injector);

impl Drop for Meeting<'_> {
    fn drop(&mut self) {
        *locked(&self.0.meeting) = None;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of a capability, as it answers when it really fails so.
pub(crate) trait Injectable {
    fn injected(fault: Injected, effect: Effect) -> Self;
}

impl Injectable for SqlError {
    fn injected(fault: Injected, effect: Effect) -> Self {
        match fault {
            Injected::Busy => Self::Busy,
            Injected::Full => Self::Full,
            Injected::LostAnswer if effect == Effect::Writes => {
                Self::Ambiguous("the disk failed during the commit".to_owned())
            }
            Injected::Io | Injected::LostAnswer => Self::Other("disk I/O error".to_owned()),
        }
    }
}

impl Injectable for Failure {
    fn injected(fault: Injected, effect: Effect) -> Self {
        let error = SqlError::injected(fault, effect);
        Self { index: 0, error }
    }
}

/// As the capability `redis` has them.
impl Injectable for Contract {
    fn injected(fault: Injected, effect: Effect) -> Self {
        match fault {
            Injected::Busy => Self::Unavailable("the server is loading its records".to_owned()),
            Injected::Full => Self::TooLarge("the server's memory is full (maxmemory)".to_owned()),
            Injected::LostAnswer if effect == Effect::Writes => {
                Self::Ambiguous("the connection was lost before the answer came".to_owned())
            }
            Injected::Io | Injected::LostAnswer => {
                Self::Unavailable("there is no connection to the server".to_owned())
            }
        }
    }
}

impl Injectable for Rejection {
    fn injected(fault: Injected, effect: Effect) -> Self {
        let error = Contract::injected(fault, effect);
        Self { index: 0, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a call; what it was answered, and whether it happened.
    async fn run(injector: &Injector, effect: Effect) -> (Result<u32, SqlError>, bool) {
        let mut happened = false;
        let call = async {
            happened = true;
            Ok(7)
        };
        let answer = injector.run(effect, call).await;
        (answer, happened)
    }

    #[tokio::test]
    async fn the_kth_call_fails_and_no_other() {
        let injector = Injector::default();
        injector.order(Injected::Io, 2);
        assert_eq!(run(&injector, Effect::Reads).await, (Ok(7), true));
        let failed = Err(SqlError::Other("disk I/O error".to_owned()));
        assert_eq!(run(&injector, Effect::Writes).await, (failed, false));
        assert_eq!(run(&injector, Effect::Writes).await, (Ok(7), true));
        assert!(!injector.withdraw(), "it was carried out");
        injector.order(Injected::Busy, 2);
        run(&injector, Effect::Reads).await.0.unwrap();
        assert!(injector.withdraw(), "it was not carried out");
        assert_eq!(run(&injector, Effect::Reads).await, (Ok(7), true));
    }

    #[tokio::test]
    async fn a_call_whose_answer_is_lost_happened() {
        let injector = Injector::default();
        injector.order(Injected::LostAnswer, 1);
        let (answer, happened) = run(&injector, Effect::Writes).await;
        assert!(matches!(answer, Err(SqlError::Ambiguous(_))), "{answer:?}");
        assert!(happened);
        injector.order(Injected::LostAnswer, 1);
        let (answer, _) = run(&injector, Effect::Reads).await;
        assert!(matches!(answer, Err(SqlError::Other(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn only_writes_meet_a_full_storage() {
        let injector = Injector::default();
        injector.order(Injected::Full, 1);
        assert_eq!(run(&injector, Effect::Reads).await, (Ok(7), true));
        let (answer, happened) = run(&injector, Effect::Writes).await;
        assert!(matches!(answer, Err(SqlError::Full)), "{answer:?}");
        assert!(!happened);
    }

    #[tokio::test]
    async fn calls_that_meet_go_on_together() {
        let injector = Injector::default();
        let meeting = injector.meet(2, Duration::from_secs(3600));
        let (one, other) = tokio::join!(
            run(&injector, Effect::Reads),
            run(&injector, Effect::Writes)
        );
        assert_eq!((one.1, other.1), (true, true));
        drop(meeting);
        run(&injector, Effect::Reads).await.0.unwrap();
    }
}
