//! The gate that every call passes: open, closed for a while, or left to a successor.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

/// Counts the calls in flight, and holds back those that arrive while it is closed. Cheap to clone; all clones
/// are one gate.
///
/// A call passes with [`pass`](Self::pass) and is in flight as long as its [`Pass`] lives, up to the last byte
/// of its answer. A gate that is open costs a call two short locks.
#[derive(Clone, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever the gate opens or is left.
    moved: watch::Sender<()>,
    /// Told when the last call in flight has ended.
    empty: Notify,
    /// How often calls in flight were given up.
    cuts: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    way: Way,
    /// How many calls are in flight, by what they are.
    flying: BTreeMap<&'static str, usize>,
    suspended: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Open,
    Closed,
    Left,
}

/// Where a call runs.
#[derive(Debug)]
pub enum Admission {
    /// Here, and it counts as in flight as long as this lives.
    Here(Pass),
    /// In the process that took over.
    Successor,
}

/// One call in flight.
pub struct Pass {
    gate: Arc<Shared>,
    what: &'static str,
    /// How often calls had been given up when this one began.
    cuts: u64,
}

/// How many calls are in flight, by what they are. `Display`: `3 calls: 2 load, 1 export`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InFlight(BTreeMap<&'static str, usize>);

impl Gate {
    /// Waits until the gate is open or left, and tells where the call runs. `what` names it to those who
    /// wait for its end: the operation.
    pub async fn pass(&self, what: &'static str) -> Admission {
        if let Some(admission) = self.admit(what) {
            return admission;
        }
        let mut moves = self.0.moved.subscribe();
        let _suspended = Suspended::new(&self.0);
        loop {
            // A move from here on is seen below.
            moves.mark_unchanged();
            if let Some(admission) = self.admit(what) {
                return admission;
            }
            // It cannot fail: the sender lives as long as this gate.
            let _ = moves.changed().await;
        }
    }

    /// None where the gate is closed.
    fn admit(&self, what: &'static str) -> Option<Admission> {
        let mut state = self.0.lock();
        match state.way {
            Way::Closed => None,
            Way::Left => Some(Admission::Successor),
            Way::Open => Some(Admission::Here(self.fly(&mut state, what))),
        }
    }

    /// Counts a call that is part of one in flight, wherever the gate stands.
    pub fn within(&self, what: &'static str) -> Pass {
        self.fly(&mut self.0.lock(), what)
    }

    fn fly(&self, state: &mut State, what: &'static str) -> Pass {
        *state.flying.entry(what).or_default() += 1;
        Pass {
            gate: Arc::clone(&self.0),
            what,
            cuts: *self.0.cuts.borrow(),
        }
    }

    /// From now on, calls that arrive are suspended.
    pub fn close(&self) {
        self.0.move_to(Way::Closed);
    }

    /// Lets the suspended calls, and all after them, run here.
    pub fn reopen(&self) {
        self.0.move_to(Way::Open);
    }

    /// Sends the suspended calls, and all after them, to the process that took over.
    pub fn leave(&self) {
        self.0.move_to(Way::Left);
    }

    /// Whether calls go to the process that took over.
    pub fn is_left(&self) -> bool {
        self.0.lock().way == Way::Left
    }

    /// Waits until no call is in flight.
    ///
    /// # Errors
    ///
    /// Those that are still in flight at the deadline.
    pub async fn drained(&self, deadline: Instant) -> Result<(), InFlight> {
        loop {
            let flying = self.in_flight();
            if flying.is_none() {
                return Ok(());
            }
            let emptied = self.0.empty.notified();
            if timeout_at(deadline, emptied).await.is_err() {
                return Err(flying);
            }
        }
    }

    /// Gives up the calls in flight: each learns it from [`Pass::cut`].
    pub fn cut(&self) {
        self.0.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The calls in flight.
    pub fn in_flight(&self) -> InFlight {
        InFlight(self.0.lock().flying.clone())
    }

    /// How many calls wait at the gate.
    pub fn suspended(&self) -> usize {
        self.0.lock().suspended
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_to(&self, way: Way) {
        self.lock().way = way;
        self.moved.send_replace(());
    }
}

impl Pass {
    /// Comes back once the call is given up: it is to be dropped then.
    pub async fn cut(&self) {
        let mut cuts = self.gate.cuts.subscribe();
        // It cannot fail: the sender lives as long as the gate.
        let _ = cuts.wait_for(|cuts| *cuts > self.cuts).await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        if let Some(count) = state.flying.get_mut(self.what) {
            *count -= 1;
            if *count == 0 {
                state.flying.remove(self.what);
            }
        }
        if state.flying.is_empty() && state.way != Way::Open {
            self.gate.empty.notify_one();
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pass").field(&self.what).finish()
    }
}

/// Counts a call that waits, also where its caller goes away.
struct Suspended<'a>(&'a Shared);

impl<'a> Suspended<'a> {
    fn new(gate: &'a Shared) -> Self {
        gate.lock().suspended += 1;
        Self(gate)
    }
}

impl Drop for Suspended<'_> {
    fn drop(&mut self) {
        self.0.lock().suspended -= 1;
    }
}

impl InFlight {
    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.0.values().sum();
        let plural = if total == 1 { "" } else { "s" };
        write!(f, "{total} call{plural}")?;
        let mut separator = ": ";
        for (what, count) in &self.0 {
            write!(f, "{separator}{count} {what}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    async fn here(gate: &Gate, what: &'static str) -> Pass {
        match gate.pass(what).await {
            Admission::Here(pass) => pass,
            Admission::Successor => panic!("the gate is left"),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn calls_in_flight_are_counted_by_what_they_are() {
        let gate = Gate::default();
        assert_eq!(gate.in_flight().to_string(), "0 calls");
        let load = here(&gate, "load").await;
        assert_eq!(gate.in_flight().to_string(), "1 call: 1 load");
        let others = [here(&gate, "load").await, here(&gate, "export").await];
        assert_eq!(gate.in_flight().to_string(), "3 calls: 1 export, 2 load");
        drop((load, others));
        assert!(gate.in_flight().is_none());
    }

    #[tokio::test]
    async fn a_closed_gate_waits_for_the_last_call_in_flight() {
        let gate = Gate::default();
        let passes = [here(&gate, "load").await, here(&gate, "load").await];
        gate.close();
        let mut drained = Box::pin(gate.drained(soon()));
        assert!((&mut drained).now_or_never().is_none());
        let [one, other] = passes;
        drop(one);
        assert!((&mut drained).now_or_never().is_none());
        drop(other);
        drained.await.unwrap();
    }

    #[tokio::test]
    async fn what_does_not_end_by_the_deadline_is_named() {
        let gate = Gate::default();
        let _pass = here(&gate, "export").await;
        gate.close();
        let late = gate.drained(Instant::now()).await.unwrap_err();
        assert_eq!(late.to_string(), "1 call: 1 export");
    }

    #[tokio::test]
    async fn a_suspended_call_runs_here_once_the_gate_is_reopened() {
        let gate = Gate::default();
        gate.close();
        let mut call = Box::pin(gate.pass("create"));
        assert!((&mut call).now_or_never().is_none());
        assert_eq!(gate.suspended(), 1);
        // Nobody is in flight: who is suspended is not waited for.
        gate.drained(soon()).await.unwrap();
        gate.reopen();
        assert!(matches!(call.await, Admission::Here(_)));
        assert_eq!(gate.suspended(), 0);
    }

    #[tokio::test]
    async fn a_suspended_call_goes_to_the_successor_once_the_gate_is_left() {
        let gate = Gate::default();
        gate.close();
        let suspended = tokio::spawn({
            let gate = gate.clone();
            async move { matches!(gate.pass("create").await, Admission::Successor) }
        });
        tokio::task::yield_now().await;
        gate.leave();
        assert!(suspended.await.unwrap());
        assert!(matches!(gate.pass("load").await, Admission::Successor));
    }

    #[tokio::test]
    async fn a_suspended_call_whose_caller_goes_away_is_forgotten() {
        let gate = Gate::default();
        gate.close();
        let mut call = Box::pin(gate.pass("create"));
        assert!((&mut call).now_or_never().is_none());
        drop(call);
        assert_eq!(gate.suspended(), 0);
        gate.reopen();
        assert!(gate.in_flight().is_none());
    }

    #[tokio::test]
    async fn only_the_calls_in_flight_are_given_up() {
        let gate = Gate::default();
        let early = here(&gate, "create").await;
        assert!(early.cut().now_or_never().is_none());
        gate.close();
        gate.cut();
        assert!(early.cut().now_or_never().is_some());
        gate.reopen();
        let late = here(&gate, "create").await;
        assert!(late.cut().now_or_never().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_call_runs_while_the_gate_is_closed_and_drained() {
        let gate = Gate::default();
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut callers = Vec::new();
        for _ in 0..8 {
            let (gate, running) = (gate.clone(), Arc::clone(&running));
            callers.push(tokio::spawn(async move {
                use std::sync::atomic::Ordering::SeqCst;
                for _ in 0..2_000 {
                    let Admission::Here(_pass) = gate.pass("create").await else {
                        panic!("the gate is left")
                    };
                    running.fetch_add(1, SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, SeqCst);
                }
            }));
        }
        while callers.iter().any(|caller| !caller.is_finished()) {
            gate.close();
            gate.drained(soon()).await.unwrap();
            for _ in 0..10 {
                assert_eq!(running.load(std::sync::atomic::Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
            }
            gate.reopen();
            tokio::task::yield_now().await;
        }
        for caller in callers {
            caller.await.unwrap();
        }
    }
}
