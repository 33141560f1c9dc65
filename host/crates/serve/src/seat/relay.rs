//! Calls that came to the old process and run in the new one.

use std::fmt;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mortise_restart::inside::Successor;

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It was not begun.
    NotSent(String),
    /// It may have happened.
    Lost(String),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "it was not sent: {why}"),
            Self::Lost(why) => write!(f, "its answer is lost: {why}"),
        }
    }
}

/// Passes a call on, over a connection of its own. Its answer closes the client's connection: the next one is with
/// the new process.
pub(super) async fn relay(
    successor: &Successor,
    mut request: Request<Body>,
) -> Result<Response<Body>, Unanswered> {
    let not_sent = |error: &dyn fmt::Display| Unanswered::NotSent(error.to_string());
    let stream = successor
        .connect()
        .await
        .map_err(|error| not_sent(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| not_sent(&error))?;
    // It ends with the answer.
    tokio::spawn(connection);
    let close = HeaderValue::from_static("close");
    request
        .headers_mut()
        .insert(header::CONNECTION, close.clone());
    let answered = sender.try_send_request(request).await;
    let mut response = answered.map_err(|mut error| match error.take_message() {
        Some(_) => not_sent(error.error()),
        None => Unanswered::Lost(error.error().to_string()),
    })?;
    response.headers_mut().insert(header::CONNECTION, close);
    Ok(response.map(Body::new))
}
