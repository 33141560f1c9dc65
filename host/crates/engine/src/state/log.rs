//! The interface `log`: lines for the host's log.

use super::State;
use crate::bindings::mortise::persistence::log::{Host, Level};
use crate::log::cut;

impl Host for State {
    fn write(&mut self, level: Level, message: String) {
        if level == Level::Error {
            self.last_error_line = Some(cut(&message).to_owned());
        }
        self.context.log.write(level, &message);
    }
}
