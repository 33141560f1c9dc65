//! One process migrates a database; the others wait, and look again.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, beside};
use mortise_store::{Error, ErrorKind, Operation, Result};
use tokio::time::Instant;

use super::failure::file_failed;

/// Held as long as it lives; the system lets go of it when the process ends, however it ends.
pub(super) struct Lock(#[expect(dead_code, reason = "it is held, not used")] File);

impl Lock {
    /// Waits for it until the deadline. Its file, `FILE.migrate.lock`, stays: who waits has it open.
    pub(super) fn take(file: &Path, deadline: Instant) -> Result<Self> {
        let name = beside(file, ".migrate.lock");
        let failed = |error| {
            file_failed(
                format!("the lock {} cannot be taken", name.display()),
                error,
            )
        };
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&name)
            .map_err(failed)?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self(lock)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let what = format!(
                        "another process migrates {}, and has not ended within the limit upkeep-deadline",
                        file.display()
                    );
                    return Err(Error::new(ErrorKind::Unavailable, Operation::Migrate, what)
                        .with_hint("try again when it has ended"));
                }
                // There is no event to wait for with a deadline.
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(Duration::from_millis(fastrand::u64(2..20)))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_vain_is_told_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        let held = Lock::take(&file, Instant::now()).unwrap();
        let error = Lock::take(&file, Instant::now()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("tasks.db"), "{error}");
        drop(held);
        Lock::take(&file, Instant::now()).unwrap();
    }
}
