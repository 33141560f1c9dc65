//! What clients are told without having asked: that a restart is ahead, and that it is done.
#![expect(deprecated, reason = "the revisions that are spoken have logging")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam};
use rmcp::{Peer, RoleServer};
use serde::{Deserialize, Serialize};

/// How long a client may take for a notice: one that does not read must not hold up the others.
const PATIENCE: Duration = Duration::from_secs(1);

/// A message to clients, as `notifications/message` of the level `notice`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happens.
    pub event: NoticeEvent,
    /// The same for people.
    pub message: String,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoticeEvent {
    /// The server is about to restart. Calls are answered late, and the session goes on.
    RestartAhead,
    /// A new process serves.
    Restarted,
    /// A new process did not take over, and the old one serves on.
    RestartFailed,
}

/// Whether a client wants notices: those of its level, and of the ones above.
#[derive(Debug, Clone)]
pub(super) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(super) fn new(wanted: bool) -> Self {
        Self(Arc::new(AtomicBool::new(wanted)))
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, wanted: bool) {
        self.0.store(wanted, Ordering::Relaxed);
    }
}

/// Everybody who is told.
#[derive(Debug, Default)]
pub(super) struct Audience(Mutex<Vec<Listener>>);

#[derive(Debug, Clone)]
struct Listener {
    peer: Peer<RoleServer>,
    wanted: Wanted,
}

impl Audience {
    /// Adds a client, once; those that left are forgotten.
    pub(super) fn add(&self, peer: Peer<RoleServer>, wanted: Wanted) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| {
            !listener.peer.is_transport_closed() && !Arc::ptr_eq(&listener.wanted.0, &wanted.0)
        });
        listeners.push(Listener { peer, wanted });
    }

    /// Tells everybody.
    pub(super) async fn tell(&self, notice: &Notice) {
        let listeners = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let told = listeners
            .iter()
            .filter(|listener| listener.wanted.get())
            .map(|listener| tell(&listener.peer, notice));
        join_all(told).await;
    }
}

/// Tells one client. One that left or does not read is not told.
pub(super) async fn tell(peer: &Peer<RoleServer>, notice: &Notice) {
    let data = serde_json::json!(notice);
    let message = LoggingMessageNotificationParam::new(LoggingLevel::Notice, data);
    let sent = peer.notify_logging_message(message.with_logger("mortise"));
    match tokio::time::timeout(PATIENCE, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client was not told"),
        Err(_) => tracing::debug!("a client was not told: it does not read"),
    }
}
