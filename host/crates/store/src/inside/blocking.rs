//! Work on a thread or a task of its own, whose end is awaited.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorInside as _, ErrorKind, Operation, Result};

/// Runs what blocks on a thread that may.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    finished(tokio::task::spawn_blocking(work)).await
}

/// What a task came to.
pub async fn finished<T>(task: JoinHandle<Result<T>>) -> Result<T> {
    match task.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            Operation::Open,
            "the runtime is shutting down",
        )),
    }
}

/// A permit, at once where one is free; none where none came free until the deadline.
pub async fn permit(permits: &Semaphore, deadline: Instant) -> Option<SemaphorePermit<'_>> {
    match permits.try_acquire() {
        Ok(permit) => Some(permit),
        Err(_) => timeout_at(deadline, permits.acquire()).await.ok()?.ok(),
    }
}
