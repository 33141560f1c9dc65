//! One connection to the server, shared by all calls, made anew when it is lost.
//!
//! What matters is to know what became of a command: one that was never sent, or that the server
//! refused, did nothing and is sent again; one whose answer was lost is sent again only if it reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mortise_config::RedisGrant;
use mortise_config::inside::RedisGrantInside as _;
use mortise_store::Result;
use mortise_store::inside::Later;
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::link::Link;
use crate::topology::{ConnectError, Servers};

/// The pause after the first failed attempt to connect; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What must be left of a call's time for a command to be sent again.
const LAST_TRY: Duration = Duration::from_millis(250);

/// Whether a command can change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It cannot.
    Reads,
    /// It can.
    Writes,
}

/// Why a command has no answer.
#[derive(Debug)]
pub enum Failure {
    /// Nothing happened.
    Unavailable(String),
    /// It may have happened: it was sent, and its answer was lost.
    Ambiguous(String),
    /// The server answered with this error; nothing happened.
    Refused(RedisError),
}

/// The way to the server that has the store.
pub struct Connection {
    servers: Servers,
    patience: Duration,
    command_timeout: Option<Duration>,
    /// What is sent first on every connection; it fails without harm.
    greeting: Pipeline,
    current: Mutex<Option<Arc<Link>>>,
    /// How many were made so far.
    made: AtomicU64,
    /// Held by whoever connects.
    attempts: tokio::sync::Mutex<Attempts>,
}

/// What is known of the attempts since the last connection.
#[derive(Default)]
struct Attempts {
    failed: u32,
    /// When the next one may begin.
    not_before: Option<Instant>,
}

impl Connection {
    /// Knows the servers; connects with the first command, and sends `greeting` before it.
    pub fn new(grant: &RedisGrant, slot_of: &str, greeting: Pipeline) -> Result<Self> {
        Ok(Self {
            servers: Servers::new(grant, slot_of)?,
            greeting,
            patience: grant.patience(),
            command_timeout: grant.command_timeout,
            current: Mutex::default(),
            made: AtomicU64::new(0),
            attempts: tokio::sync::Mutex::default(),
        })
    }

    /// Connects, or says in full why not: to the operator, not to a guest.
    pub fn connect(&self) -> Later<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            let connecting = tokio::time::timeout(self.patience, self.new_link());
            let link = match connecting.await {
                Ok(link) => link?,
                Err(_) => return Err(self.servers.silence(self.patience)),
            };
            self.adopt(link);
            Ok(())
        })
    }

    /// How many connections were made so far. While it is the same, one server has answered.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }

    /// Sends a command, as often as it takes until it was answered or the deadline is near.
    pub async fn call(
        &self,
        command: &Cmd,
        effect: Effect,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let start = Instant::now();
        let deadline = match self.command_timeout {
            Some(timeout) => deadline.min(start + timeout),
            None => deadline,
        };
        let last_try = deadline - LAST_TRY.min(deadline.saturating_duration_since(start) / 4);
        let mut pauses = 0;
        loop {
            let link = self.link(deadline).await?;
            let error = match timeout_at(deadline, link.send(command)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                // It may never answer again, and nobody else should wait for it.
                Err(_) => {
                    self.discard(&link);
                    return Err(lost(effect, "the server did not answer in time"));
                }
            };
            let next = match answered(&error) {
                Answer::Refused => return Err(Failure::Refused(error)),
                Answer::None => {
                    tracing::warn!(%error, "the connection to Redis was lost");
                    self.discard(&link);
                    if effect == Effect::Writes {
                        return Err(lost(effect, "the connection was lost before the answer"));
                    }
                    "the connection is lost again and again"
                }
                Answer::Elsewhere if self.servers.can_move() => {
                    self.discard(&link);
                    "the server that has the store is changing"
                }
                Answer::Elsewhere => return Err(Failure::Refused(error)),
                Answer::Later => "the server is busy",
            };
            // Nothing happened, or nothing that would matter twice. The server, or another, may do it a
            // moment later.
            pauses += 1;
            let again = Instant::now() + pause(pauses);
            if again >= last_try {
                tracing::warn!(%error, "Redis goes on refusing a command");
                return Err(Failure::Unavailable(next.to_owned()));
            }
            sleep_until(again).await;
        }
    }

    /// The connection, made anew where it was lost.
    async fn link(&self, deadline: Instant) -> Result<Arc<Link>, Failure> {
        if let Some(link) = self.alive() {
            return Ok(link);
        }
        let none = || Failure::Unavailable("there is no connection to the server".to_owned());
        let patience = deadline.min(Instant::now() + self.patience);
        let mut attempts = timeout_at(patience, self.attempts.lock())
            .await
            .map_err(|_| none())?;
        loop {
            if let Some(link) = self.alive() {
                return Ok(link);
            }
            if let Some(not_before) = attempts.not_before {
                sleep_until(not_before.min(patience)).await;
            }
            if Instant::now() >= patience {
                return Err(none());
            }
            let error = match timeout_at(patience, self.new_link()).await {
                Ok(Ok(link)) => {
                    if attempts.failed > 0 {
                        tracing::info!(failed = attempts.failed, "connected to Redis again");
                    }
                    *attempts = Attempts::default();
                    return Ok(self.adopt(link));
                }
                Ok(Err(error)) => error,
                Err(_) => self.servers.silence(self.patience),
            };
            attempts.failed += 1;
            attempts.not_before = Some(Instant::now() + pause(attempts.failed));
            tracing::warn!(%error, failed = attempts.failed, "no connection to Redis");
        }
    }

    async fn new_link(&self) -> Result<Link, ConnectError> {
        let link = self.servers.connect().await?;
        if let Err(error) = link.greet(&self.greeting).await {
            tracing::debug!(%error, "Redis refused the greeting");
        }
        Ok(link)
    }

    /// Has all calls from now on go over this connection.
    fn adopt(&self, link: Link) -> Arc<Link> {
        let link = Arc::new(link);
        *self.current() = Some(Arc::clone(&link));
        self.made.fetch_add(1, Ordering::AcqRel);
        link
    }

    fn alive(&self) -> Option<Arc<Link>> {
        self.current()
            .as_ref()
            .filter(|link| link.is_alive())
            .cloned()
    }

    /// Lets go of a connection, unless another one is there already.
    fn discard(&self, link: &Arc<Link>) {
        let mut current = self.current();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, link))
        {
            *current = None;
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Arc<Link>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(effect: Effect, what: &str) -> Failure {
    match effect {
        Effect::Reads => Failure::Unavailable(what.to_owned()),
        Effect::Writes => Failure::Ambiguous(what.to_owned()),
    }
}

/// The pause after so many failures: doubling, and of uneven length, so that not all hosts come back at
/// once.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// What an error says of the server.
enum Answer {
    /// It answered nothing.
    None,
    /// It would do this later.
    Later,
    /// Another one does this now.
    Elsewhere,
    /// It does not do this.
    Refused,
}

fn answered(error: &RedisError) -> Answer {
    match error.code() {
        None => match error.kind() {
            // An answer that is none: who knows what the next bytes belong to.
            redis::ErrorKind::Io | redis::ErrorKind::Parse => Answer::None,
            _ => Answer::Refused,
        },
        Some("LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN") => Answer::Later,
        // A slot on its way: scripts cannot be atomic until it has arrived.
        Some("ASK") => Answer::Later,
        Some("MOVED" | "READONLY") => Answer::Elsewhere,
        Some(_) => Answer::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (failures, longest) in [(1, 20), (2, 40), (3, 80), (7, 1000), (u32::MAX, 1000)] {
            let longest = Duration::from_millis(longest);
            for _ in 0..100 {
                let pause = pause(failures);
                assert!(longest / 2 <= pause && pause <= longest, "{pause:?}");
            }
        }
    }
}
