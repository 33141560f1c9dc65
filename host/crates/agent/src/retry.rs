//! Trying again what others were faster at.

use std::time::Duration;

use mortise_store::{Error, ErrorKind, Result};

/// How often a change is tried on what others wrote meanwhile, before the conflict is reported.
const ATTEMPTS: u32 = 256;

/// How often it was tried.
#[derive(Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    /// Waits a moment after an error that says that others were faster; any other error, and the last of
    /// many, comes back.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        let outrun = matches!(
            error.kind(),
            ErrorKind::Conflict | ErrorKind::AlreadyExists | ErrorKind::NotFound
        );
        self.0 += 1;
        if !outrun || self.0 >= ATTEMPTS {
            return Err(error);
        }
        // Uneven pauses, so that not all who lost come back at once.
        let longest = 100_u64 << self.0.min(7);
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..longest))).await;
        Ok(())
    }
}
