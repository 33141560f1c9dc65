//! Which instance serves a call: any idle one of a pool, or the singleton.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use mortise_store::InstanceCounts;
use mortise_store::inside::{Waits, permit};
use tokio::sync::{
    OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, Semaphore,
};
use tokio::time::{Instant, timeout_at};

use crate::calls;
use crate::context::StoreContext;
use crate::fault::{Fault, OpenFault};
use crate::instance::{GuestCall, Instance, Template};

/// Starts instances and opens them.
pub(crate) struct Starter {
    pub(crate) template: Template,
    pub(crate) context: Arc<StoreContext>,
    pub(crate) options: Vec<(String, String)>,
    /// Linear memory of an instance, in bytes.
    pub(crate) memory: u64,
}

impl Starter {
    /// A fresh instance on which `open` succeeded.
    pub(crate) async fn open(&self, deadline: Instant) -> Result<Instance, OpenFault> {
        let mut instance = self
            .template
            .start(&self.context, self.memory)
            .await
            .map_err(OpenFault::Fault)?;
        let open = calls::Open(self.options.clone());
        match instance.run(deadline, open).await {
            Ok(Ok(())) => Ok(instance),
            Ok(Err(refusal)) => Err(OpenFault::Refused(Box::new(refusal))),
            Err(fault) => Err(OpenFault::Fault(fault)),
        }
    }
}

/// The instances of one store.
pub enum Instances {
    /// Any number, interchangeable.
    Pooled(Box<Pool>),
    /// Exactly one.
    Singleton(Singleton),
}

impl Instances {
    /// Runs a call on an instance, within `patience` from `now`, waiting for one included; how long that
    /// took is entered in `waits`. One that is `gated` waits as long as a singleton's writes are held back.
    pub(crate) async fn call<C: GuestCall>(
        &self,
        now: Instant,
        patience: Duration,
        gated: bool,
        waits: &Waits,
        call: C,
    ) -> Result<C::Answer, OpenFault> {
        match self {
            // In a box, so that a singleton's call needs no room for it. Measured: a call whose futures are larger
            // than a kilobyte leaves malloc's fast path, and moving them takes as long again.
            Self::Pooled(pool) => Box::pin(pool.call(now, patience, waits, call)).await,
            Self::Singleton(singleton) => singleton
                .call(now, patience, gated, waits, call)
                .await
                .map_err(OpenFault::Fault),
        }
    }

    /// Whether a singleton trapped, and its records went with it.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Pooled(_) => false,
            // While a call runs, there is an instance that it runs on.
            Self::Singleton(singleton) => {
                singleton.slot.try_lock().is_ok_and(|slot| slot.is_none())
            }
        }
    }

    pub(crate) fn counts(&self) -> InstanceCounts {
        let mut counts = InstanceCounts::default();
        match self {
            Self::Pooled(pool) => {
                let max = pool.starter.context.limits.concurrency;
                counts.idle = pool.idle().len();
                counts.running = max.saturating_sub(pool.permits.available_permits());
                counts.max = max;
            }
            Self::Singleton(singleton) => {
                (counts.idle, counts.running) = match singleton.slot.try_lock() {
                    Ok(slot) => (usize::from(slot.is_some()), 0),
                    Err(_) => (0, 1),
                };
                counts.max = 1;
            }
        }
        counts
    }
}

/// Interchangeable instances: as many as calls run at once, up to the limit.
pub struct Pool {
    starter: Arc<Starter>,
    permits: Semaphore,
    idle: Mutex<Vec<Instance>>,
}

impl Pool {
    pub(crate) fn new(starter: Arc<Starter>, first: Instance) -> Self {
        let permits = Semaphore::new(starter.context.limits.concurrency);
        Self {
            starter,
            permits,
            idle: Mutex::new(vec![first]),
        }
    }

    async fn call<C: GuestCall>(
        &self,
        now: Instant,
        patience: Duration,
        waits: &Waits,
        call: C,
    ) -> Result<C::Answer, OpenFault> {
        let deadline = now + patience;
        let _permit = match self.permits.try_acquire() {
            Ok(permit) => {
                waits.none();
                permit
            }
            Err(_) => {
                let permit = permit(&self.permits, deadline).await;
                waits.since(now);
                permit.ok_or(OpenFault::Fault(Fault::Busy(patience)))?
            }
        };
        let idle = self.idle().pop();
        let mut instance = match idle {
            Some(instance) => instance,
            // In a box, so that the calls that find an instance need no room for it.
            None => Box::pin(self.starter.open(deadline)).await?,
        };
        // An instance whose call failed, or was given up, is dropped: only a whole one goes back.
        let answer = instance
            .run(deadline, call)
            .await
            .map_err(OpenFault::Fault)?;
        self.idle().push(instance);
        Ok(answer)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one instance that holds its records in its own memory. Calls queue for it, first come first
/// served.
pub struct Singleton {
    /// Empty once the instance trapped: its records are gone.
    slot: Arc<tokio::sync::Mutex<Option<Instance>>>,
    /// Each write holds it shared until it ended; who needs the records to stand still holds it alone.
    writes: Arc<RwLock<()>>,
}

/// What a call of a singleton holds: the gate, where it writes, and the instance.
type Turn = (
    Option<OwnedRwLockReadGuard<()>>,
    OwnedMutexGuard<Option<Instance>>,
);

impl Singleton {
    pub(crate) fn new(only: Instance) -> Self {
        Self {
            slot: Arc::new(tokio::sync::Mutex::new(Some(only))),
            writes: Arc::default(),
        }
    }

    async fn call<C: GuestCall>(
        &self,
        now: Instant,
        patience: Duration,
        gated: bool,
        waits: &Waits,
        call: C,
    ) -> Result<C::Answer, Fault> {
        let deadline = now + patience;
        let (write, slot) = match self.turn_at_once(gated) {
            Some(turn) => {
                waits.none();
                turn
            }
            None => {
                // In a box, for the same reason: few calls wait.
                let turn = Box::pin(self.turn(deadline, patience, gated)).await;
                waits.since(now);
                turn?
            }
        };
        let mut running = Box::pin(run(slot, write, deadline, call));
        // A call that ends without a pause, as nearly all do, ends here. One that pauses must not be
        // dropped with its caller, because the records would go with the instance: it goes on as a
        // task of its own.
        let mut first = std::future::poll_fn(|context| Poll::Ready(running.as_mut().poll(context)));
        match (&mut first).await {
            Poll::Ready(result) => result,
            Poll::Pending => match tokio::spawn(running).await {
                Ok(result) => result,
                // The runtime is shutting down.
                Err(_) => Err(Fault::StateLost),
            },
        }
    }

    /// A call's turn, where nobody is before it.
    fn turn_at_once(&self, gated: bool) -> Option<Turn> {
        let write = match gated {
            true => Some(Arc::clone(&self.writes).try_read_owned().ok()?),
            false => None,
        };
        let slot = Arc::clone(&self.slot).try_lock_owned().ok()?;
        Some((write, slot))
    }

    /// A call's turn, once it comes.
    async fn turn(
        &self,
        deadline: Instant,
        patience: Duration,
        gated: bool,
    ) -> Result<Turn, Fault> {
        let write = match gated {
            true => {
                let write = timeout_at(deadline, Arc::clone(&self.writes).read_owned());
                Some(write.await.map_err(|_| Fault::Held(patience))?)
            }
            false => None,
        };
        let slot = timeout_at(deadline, Arc::clone(&self.slot).lock_owned());
        Ok((write, slot.await.map_err(|_| Fault::Busy(patience))?))
    }

    /// Waits for the writes under way, and holds back all others as long as the guard lives; none where
    /// they did not end before the deadline.
    pub async fn hold_writes(&self, deadline: Instant) -> Option<OwnedRwLockWriteGuard<()>> {
        let held = Arc::clone(&self.writes).write_owned();
        timeout_at(deadline, held).await.ok()
    }

    /// Whether the instance trapped, and the records went with it.
    pub async fn is_lost(&self) -> bool {
        self.slot.lock().await.is_none()
    }

    /// Goes on with the instance of another singleton, which is left without one.
    pub async fn take_over(&self, other: &Self) {
        let instance = other.slot.lock().await.take();
        *self.slot.lock().await = instance;
    }

    /// Goes on with another instance, and its records.
    pub(crate) async fn replace(&self, instance: Instance) {
        *self.slot.lock().await = Some(instance);
    }
}

/// Runs a call on the instance in the slot, and empties the slot where it fails.
async fn run<C: GuestCall>(
    mut slot: OwnedMutexGuard<Option<Instance>>,
    _write: Option<OwnedRwLockReadGuard<()>>,
    deadline: Instant,
    call: C,
) -> Result<C::Answer, Fault> {
    let instance = slot.as_mut().ok_or(Fault::StateLost)?;
    let result = instance.run(deadline, call).await;
    if result.is_err() {
        *slot = None;
    }
    result
}
