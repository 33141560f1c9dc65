//! The interface `clock`: the host's time.

use mortise_store::Timestamp;

use super::State;
use crate::bindings::mortise::persistence::clock::Host;

impl Host for State {
    fn now(&mut self) -> Timestamp {
        self.context.clock.now()
    }
}
