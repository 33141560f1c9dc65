//! The tools that restart the server, and who does it for them.

use futures_util::future::BoxFuture;
use mortise_store::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Call, allowed_to_restart};
use super::problem::Problem;
use super::tool::{Effect, Tool};

/// Restarts the server.
pub trait Restarts: Send + Sync {
    /// Takes a request: the restart itself comes after the answer. The error says why it is refused, and what to do.
    fn request(&self, request: RestartRequest) -> BoxFuture<'_, Result<RestartTicket, String>>;

    /// How it stands.
    fn status(&self) -> RestartStatus;
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRequest {
    /// Whether calls in flight are waited for.
    pub graceful: bool,
    /// Whether stores in memory and sessions are carried over.
    pub preserve_state: bool,
    /// Why, for the history.
    pub reason: String,
    /// Who asks, as the client calls itself.
    pub by: String,
}

/// A restart that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartTicket {
    /// Names the restart in the history.
    pub id: String,
    /// When it was asked for: milliseconds since 1970, UTC.
    pub requested_at: Timestamp,
}

/// How restarts stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartStatus {
    /// serving, where no restart is under way; else its phase.
    pub phase: String,
    /// What the phase waits for.
    pub waiting_for: Vec<String>,
    /// The restart that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<RestartTicket>,
    /// The last one that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<RestartOutcome>,
}

/// How a restart ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartOutcome {
    /// The ticket's id.
    pub id: String,
    /// Why it was asked for.
    pub reason: String,
    /// Who asked.
    pub by: String,
    /// When it was asked for: milliseconds since 1970, UTC.
    pub requested_at: Timestamp,
    /// Whether the new process took over.
    pub succeeded: bool,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long each phase took, in their order.
    pub phases: Vec<PhaseDuration>,
}

/// How long a phase took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseDuration {
    /// The phase.
    pub phase: String,
    /// In milliseconds.
    pub milliseconds: u64,
}

/// Restarts are refused to whoever has none.
fn restarts(call: &Call) -> Result<&dyn Restarts, Problem> {
    allowed_to_restart(&call.context)?;
    let restarts = call.restarts.as_deref();
    restarts.ok_or_else(|| Problem::new("unsupported", "this server does not restart itself"))
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestartServer {
    /// Whether calls in flight are waited for; default: true
    #[serde(default = "yes")]
    graceful: bool,
    /// Whether stores in memory and sessions are carried over; default: true
    #[serde(default = "yes")]
    preserve_state: bool,
    /// Why, for the history
    #[schemars(length(max = 1024))]
    reason: String,
}

impl Tool for RestartServer {
    const NAME: &'static str = "restart_server";
    const TITLE: &'static str = "Restart the server";
    const DESCRIPTION: &'static str = "Asks for a restart of the server in place: a new process takes over, and this session goes on. \
         Answers at once; restart_status tells how it goes, and clients are notified before and after.";
    const EFFECT: Effect = Effect::Acts;
    type Answer = RestartTicket;

    async fn run(self, call: &Call) -> Result<RestartTicket, Problem> {
        const MAX_REASON_BYTES: usize = 1024;
        if self.reason.len() > MAX_REASON_BYTES {
            let length = self.reason.len();
            let what =
                format!("the reason has {length} bytes, expected at most {MAX_REASON_BYTES}");
            return Err(Problem::new("invalid", what));
        }
        let request = RestartRequest {
            graceful: self.graceful,
            preserve_state: self.preserve_state,
            reason: self.reason,
            by: call.client(),
        };
        let ticket = restarts(call)?.request(request).await;
        ticket.map_err(|why| Problem::new("restart-refused", why))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestartStatusOf {}

impl Tool for RestartStatusOf {
    const NAME: &'static str = "restart_status";
    const TITLE: &'static str = "Tell how a restart goes";
    const DESCRIPTION: &'static str = "Tells whether a restart is under way, in which phase, what it waits for, and how the last one ended.";
    const EFFECT: Effect = Effect::Reads;
    type Answer = RestartStatus;

    async fn run(self, call: &Call) -> Result<RestartStatus, Problem> {
        Ok(restarts(call)?.status())
    }
}
