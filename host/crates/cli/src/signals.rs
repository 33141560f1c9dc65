//! What ends a server.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Comes back at SIGTERM or SIGINT; from now on, neither ends the process by itself.
pub fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
