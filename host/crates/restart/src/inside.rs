//! What the server needs to be restarted. No part of what embedders see: it may change with any release.

use std::net::TcpListener;
use std::sync::Arc;

use mortise_store::inside::Later;
use mortise_store::{Result, Store};

pub use crate::calls::Calls;
pub use crate::carry::Part;
pub use crate::control::Desk;
pub use crate::gate::{Admission, Gate, InFlight, Pass};
pub use crate::migration::restart_to_migrate;
use crate::seat::Seat;
pub use crate::seated::{LeftTo, Seated, Serving};
pub use crate::successor::Successor;

/// What a server does with its seat.
pub trait SeatInside {
    /// Whether another process, or this one before `exec`, served from here, and its clients are still there.
    fn goes_on(&self) -> bool;

    /// The listening socket of this name, where the process before handed one over.
    ///
    /// # Errors
    ///
    /// `Config` where it cannot be used.
    fn listener(&mut self, name: &str) -> Result<Option<TcpListener>>;

    /// Restores what the process before knew, and waits until this one is to serve.
    ///
    /// The snapshot of a restart in the middle of which both processes died is restored, too: nobody was answered
    /// since. One that is damaged is moved away, and told of.
    ///
    /// # Errors
    ///
    /// Those of the stores; `Invalid` where the snapshot that the process before has just written is damaged.
    fn restore<'a>(
        &'a mut self,
        stores: &'a [Store],
        parts: &'a [Arc<dyn Part>],
    ) -> Later<'a, Result<()>>;

    /// Serves from here on. To be called on a runtime.
    fn sit(self, serving: Serving) -> Seated;
}

impl SeatInside for Seat {
    fn goes_on(&self) -> bool {
        Self::goes_on(self)
    }

    fn listener(&mut self, name: &str) -> Result<Option<TcpListener>> {
        Self::listener(self, name)
    }

    fn restore<'a>(
        &'a mut self,
        stores: &'a [Store],
        parts: &'a [Arc<dyn Part>],
    ) -> Later<'a, Result<()>> {
        Box::pin(Self::restore(self, stores, parts))
    }

    fn sit(self, serving: Serving) -> Seated {
        Self::sit(self, serving)
    }
}
