//! Work on a thread or a task of its own, whose end is awaited.

use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Operation, Result};

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    finished(tokio::task::spawn_blocking(work)).await
}

/// What a task came to.
pub(crate) async fn finished<T>(task: JoinHandle<Result<T>>) -> Result<T> {
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
