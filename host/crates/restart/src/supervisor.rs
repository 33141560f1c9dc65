//! What systemd is told, where it started the server (`Type=notify`).

use sd_notify::NotifyState;

/// This process serves.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// From now on, another process is the server.
pub(super) fn handed_over_to(process: u32) {
    tell(NotifyState::MainPid(process));
}

/// Where nobody asked to be told, nobody is.
fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the supervisor is not told");
    }
}
