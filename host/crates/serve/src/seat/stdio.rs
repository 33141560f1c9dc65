//! What a restart means to a session of MCP over stdio: its pipes stay, and with them the process.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mortise_restart::Restart;
use mortise_restart::inside::{Calls, InFlight, Part};
use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Result};
use tokio::time::{Instant, timeout_at};

use super::mcp::restarted;
use crate::mcp::{Mcp, Notice, Stdio, StdioState};

/// The session, from `exec` to `exec`.
pub(crate) struct StdioPart {
    mcp: Mcp,
    /// What this process was left.
    before: Mutex<Option<StdioState>>,
    /// Once it goes on.
    session: OnceLock<Stdio>,
}

impl StdioPart {
    pub(crate) fn new(mcp: Mcp) -> Self {
        Self {
            mcp,
            before: Mutex::default(),
            session: OnceLock::new(),
        }
    }

    /// What the session goes on with, and what its client is told then; none where it begins.
    pub(crate) fn take(&self) -> Option<(StdioState, Notice)> {
        Some((self.before().take()?, restarted()))
    }

    fn before(&self) -> MutexGuard<'_, Option<StdioState>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, this session is the one that goes on.
    pub(crate) fn goes_on(&self, session: Stdio) {
        // It is said once.
        let _ = self.session.set(session);
    }
}

impl Part for StdioPart {
    fn name(&self) -> &'static str {
        "mcp-stdio"
    }

    fn announce<'a>(&'a self, restart: &'a Restart) -> Later<'a, ()> {
        self.mcp.announce(restart)
    }

    fn export(&self) -> Later<'_, Result<Vec<u8>>> {
        Box::pin(async {
            let failed =
                |message: &str| Error::new(ErrorKind::Internal, Operation::Restart, message);
            let session = self.session.get();
            let session = session.ok_or_else(|| failed("no session goes on"))?;
            serde_json::to_vec(&session.state().await)
                .map_err(|error| failed("the session cannot be written").with_source(error))
        })
    }

    fn import(&self, known: Vec<u8>) -> Later<'_, Result<()>> {
        Box::pin(async move {
            let state = serde_json::from_slice(&known).map_err(|error| {
                let message = "the session in the snapshot cannot be read";
                Error::invalid(Operation::Restart, message).with_source(error)
            })?;
            *self.before() = Some(state);
            Ok(())
        })
    }

    fn leave(&self) -> Later<'_, ()> {
        Box::pin(async {})
    }

    fn resume<'a>(&'a self, restart: &'a Restart) -> Later<'a, ()> {
        self.mcp.resume(restart)
    }
}

/// Those that wait stay in the pipe.
impl Calls for Stdio {
    fn close(&self) {
        self.hold_back();
    }

    fn drained(&self, deadline: Instant) -> Later<'_, Result<(), InFlight>> {
        Box::pin(async move {
            let paused = timeout_at(deadline, self.pause()).await;
            paused.map_err(|_| self.in_flight())
        })
    }

    fn cut(&self) {
        self.calls().cut();
    }

    fn reopen(&self) {
        self.go_on();
    }

    fn leave(&self) {}

    fn in_flight(&self) -> InFlight {
        self.calls().in_flight()
    }

    fn suspended(&self) -> usize {
        0
    }
}
