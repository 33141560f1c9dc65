//! What a restart means to clients of MCP: their sessions go along, they are told, and their tools may ask for one.

use futures_util::future::BoxFuture;
use mortise_restart::inside::Part;
use mortise_restart::{Outcome, Request, Restart, Trigger};
use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Result};

use super::passing::Passing;
use crate::mcp::{
    Mcp, Notice, NoticeEvent, PhaseDuration, RestartOutcome, RestartRequest, RestartStatus,
    RestartTicket, Restarts,
};

/// What is told of a server that no restart goes on at.
const SERVING: &str = "serving";

impl Part for Mcp {
    fn name(&self) -> &'static str {
        "mcp-sessions"
    }

    fn announce<'a>(&'a self, restart: &'a Restart) -> Later<'a, ()> {
        let why = restart.request.reason.as_deref();
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        let notice = notice(
            NoticeEvent::RestartAhead,
            format!("the server restarts, and this session goes on{why}"),
        );
        Box::pin(async move { self.notify(&notice).await })
    }

    fn export(&self) -> Later<'_, Result<Vec<u8>>> {
        Box::pin(async {
            serde_json::to_vec(&self.sessions().export()).map_err(|error| {
                let message = "the sessions of MCP cannot be written";
                Error::new(ErrorKind::Internal, Operation::Restart, message).with_source(error)
            })
        })
    }

    fn import(&self, known: Vec<u8>) -> Later<'_, Result<()>> {
        Box::pin(async move {
            let sessions = serde_json::from_slice(&known).map_err(|error| {
                let message = "the sessions of MCP in the snapshot cannot be read";
                Error::invalid(Operation::Restart, message).with_source(error)
            })?;
            self.sessions().restore(sessions, Some(restarted()));
            Ok(())
        })
    }

    fn leave(&self) -> Later<'_, ()> {
        Box::pin(self.sessions().end_streams())
    }

    fn resume<'a>(&'a self, restart: &'a Restart) -> Later<'a, ()> {
        Box::pin(async move {
            let Some(outcome) = restart
                .outcome
                .as_ref()
                .filter(|outcome| !outcome.is_done())
            else {
                return;
            };
            let message = format!("the server was not restarted, and serves on: {outcome}");
            self.notify(&notice(NoticeEvent::RestartFailed, message))
                .await;
        })
    }
}

/// What clients are told by the process that took over.
pub(super) fn restarted() -> Notice {
    notice(
        NoticeEvent::Restarted,
        "the server was restarted, and this session goes on".to_owned(),
    )
}

fn notice(event: NoticeEvent, message: String) -> Notice {
    Notice { event, message }
}

impl Restarts for Passing {
    fn request(&self, request: RestartRequest) -> BoxFuture<'_, Result<RestartTicket, String>> {
        let request = Request {
            trigger: Trigger::Tool,
            by: request.by,
            reason: Some(request.reason),
            graceful: request.graceful,
            preserve_state: request.preserve_state,
        };
        Box::pin(async move {
            let desk = self
                .desk()
                .ok_or("the server has only just started, try again")?;
            let told = desk.begin(request).await;
            let told = told.map_err(|error| error.with_causes())?;
            let ticket = ticket(&told.borrow());
            Ok(ticket)
        })
    }

    fn status(&self) -> RestartStatus {
        let Some(desk) = self.desk() else {
            return RestartStatus {
                phase: SERVING.to_owned(),
                ..RestartStatus::default()
            };
        };
        let status = desk.status();
        let phase = status.restart.as_ref().and_then(Restart::phase);
        RestartStatus {
            phase: phase.map_or(SERVING, |phase| phase.as_str()).to_owned(),
            waiting_for: status.waits_for.into_iter().collect(),
            current: status.restart.as_ref().map(ticket),
            last: status.last.as_ref().and_then(outcome),
        }
    }
}

fn ticket(restart: &Restart) -> RestartTicket {
    RestartTicket {
        id: restart.number.to_string(),
        requested_at: restart.at,
    }
}

fn outcome(restart: &Restart) -> Option<RestartOutcome> {
    let ended = restart.outcome.as_ref()?;
    let RestartTicket { id, requested_at } = ticket(restart);
    let phases = restart.phases.iter().map(|entry| PhaseDuration {
        phase: entry.phase.to_string(),
        milliseconds: entry.milliseconds.unwrap_or_default(),
    });
    Some(RestartOutcome {
        id,
        requested_at,
        reason: restart.request.reason.clone().unwrap_or_default(),
        by: restart.request.by.clone(),
        succeeded: *ended == Outcome::Done,
        error: (!ended.is_done()).then(|| ended.to_string()),
        phases: phases.collect(),
    })
}
