//! The calls of a server, as a restart needs them.

use mortise_store::inside::Later;
use tokio::time::Instant;

use crate::gate::{Gate, InFlight};

/// Has calls end, wait and go on.
pub trait Calls: Send + Sync {
    /// From now on, calls that arrive wait.
    fn close(&self);

    /// Waits until no call is in flight.
    ///
    /// # Errors
    ///
    /// Those that are still in flight at the deadline.
    fn drained(&self, deadline: Instant) -> Later<'_, Result<(), InFlight>>;

    /// Gives up the calls in flight.
    fn cut(&self);

    /// Those that wait, and all after them, run here.
    fn reopen(&self);

    /// Those that wait, and all after them, go to the process that took over.
    fn leave(&self);

    /// The calls in flight.
    fn in_flight(&self) -> InFlight;

    /// How many calls wait.
    fn suspended(&self) -> usize;
}

impl Calls for Gate {
    fn close(&self) {
        self.close();
    }

    fn drained(&self, deadline: Instant) -> Later<'_, Result<(), InFlight>> {
        Box::pin(self.drained(deadline))
    }

    fn cut(&self) {
        self.cut();
    }

    fn reopen(&self) {
        self.reopen();
    }

    fn leave(&self) {
        self.leave();
    }

    fn in_flight(&self) -> InFlight {
        self.in_flight()
    }

    fn suspended(&self) -> usize {
        self.suspended()
    }
}
