//! Where an HTTP call passes the gate: it runs here, or in the process that took over.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use mortise_restart::Phase;
use mortise_restart::inside::{Admission, Desk, Gate, LeftTo, Pass, Seated};
use mortise_store::ErrorKind;
use tokio::sync::oneshot;

use super::relay::{Unanswered, relay};
use crate::http::problem::Refused;
use crate::http::request::is_stream_of_notices;

/// The gate of a server that may be restarted; of one that may not, it is always open. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Passing {
    gate: Gate,
    /// Once the server has a seat.
    seated: Arc<OnceLock<(Desk, LeftTo)>>,
}

impl Passing {
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// From now on, the server may be restarted.
    pub(crate) fn seat(&self, seated: &Seated) {
        // It is said once, by who serves.
        let _ = self.seated.set((seated.desk().clone(), seated.left_to()));
    }

    /// Where restarts are asked for; none before the server may be restarted.
    pub(super) fn desk(&self) -> Option<&Desk> {
        self.seated.get().map(|(desk, _)| desk)
    }

    /// Why no call is answered right now, and what is waited for.
    pub(crate) fn holds_up(&self) -> Option<String> {
        let status = self.desk()?.status();
        let phase = status.restart?.phase()?;
        // Calls run while the new process starts.
        if phase == Phase::Start {
            return None;
        }
        let waits_for = status.waits_for.map(|calls| format!(", waits for {calls}"));
        Some(format!(
            "restarts: {phase}{}",
            waits_for.unwrap_or_default()
        ))
    }

    /// Breaks off a restart that goes on, because the server stops.
    pub(crate) fn stop(&self) {
        if let Some(desk) = self.desk() {
            desk.abandon();
        }
    }

    /// Answers a call once the gate is open, or has the process answer it that took over.
    pub(crate) async fn pass(&self, request: Request, next: Next) -> Response {
        // Who asks how the server is doing is answered by the one that serves.
        if is_about_the_server(&request) && !self.gate.is_left() {
            return next.run(request).await;
        }
        let what = what(&request);
        let writes = !request.method().is_safe();
        match self.gate.pass(what).await {
            // It ends when the client goes, or its session: nobody waits for that.
            Admission::Here(_) if is_stream_of_notices(request.method(), request.uri().path()) => {
                next.run(request).await
            }
            Admission::Here(pass) => {
                let answered = tokio::select! {
                    response = next.run(request) => Some(response),
                    () = pass.cut() => None,
                };
                match answered {
                    Some(response) => in_flight(response, pass),
                    None => cut(writes),
                }
            }
            Admission::Successor => self.relay(request, writes).await,
        }
    }

    async fn relay(&self, request: Request, writes: bool) -> Response {
        let left_to = self
            .seated
            .get()
            .map(|(_, left_to)| left_to.borrow().clone());
        let Some(successor) = left_to.flatten() else {
            return not_begun("the server restarts");
        };
        let error = match relay(&successor, request).await {
            Ok(response) => return response,
            Err(error) => error,
        };
        tracing::warn!(%error, "a call that was passed on has no answer");
        match error {
            Unanswered::NotSent(_) => not_begun("the new process is not reached"),
            Unanswered::Lost(_) => cut(writes),
        }
    }
}

fn is_about_the_server(request: &Request) -> bool {
    matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics")
}

/// What a call is, for those who wait for its end.
fn what(request: &Request) -> &'static str {
    match request.uri().path() {
        path if path.ends_with("/export") => "export",
        path if path.ends_with("/import") => "import",
        path if path.starts_with("/mcp") => "mcp",
        _ if *request.method() == Method::GET => "read",
        _ => "write",
    }
}

/// A call is in flight until its answer is known to the last byte. One that is given up breaks its answer off.
fn in_flight(response: Response, pass: Pass) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        let (wanted, unwanted) = oneshot::channel::<Infallible>();
        // By itself: nobody asks for more of the answer where its client does not read.
        let flight = tokio::spawn(async move {
            tokio::select! {
                () = pass.cut() => {}
                _ = unwanted => {}
            }
        });
        let flying = Some((body.into_data_stream(), flight, wanted));
        Body::from_stream(stream::unfold(flying, |flying| async move {
            let (mut chunks, mut flight, wanted) = flying?;
            tokio::select! {
                biased;
                _ = &mut flight => {
                    let cut = "the server was restarted before the answer had ended";
                    Some((Err(axum::Error::new(cut)), None))
                }
                chunk = chunks.next() => Some((chunk?, Some((chunks, flight, wanted)))),
            }
        }))
    })
}

/// It did not begin: it may be tried again.
fn not_begun(detail: &str) -> Response {
    let refused = Refused::new("restarting", StatusCode::SERVICE_UNAVAILABLE, detail)
        .with_hint("nothing happened: try again");
    closing(refused)
}

/// It began, and nobody knows how it ended.
fn cut(writes: bool) -> Response {
    if !writes {
        return not_begun("the call took too long for a restart that did not wait");
    }
    let kind = ErrorKind::Ambiguous.as_str();
    let detail = "the server was restarted before the call had ended";
    let refused = Refused::new(kind, StatusCode::BAD_GATEWAY, detail)
        .with_hint("the write may have happened: load before trying again");
    closing(refused)
}

/// The client's next call goes to the process that serves then.
fn closing(refused: Refused) -> Response {
    let mut response = refused.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}
