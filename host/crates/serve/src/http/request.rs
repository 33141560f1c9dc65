//! What is done for every request: its id, its log line, its time limit, and a look at its Host.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::app::App;
use super::problem::Refused;
use crate::access::{Access, RequestSpan};

/// What is answered to everybody.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/openapi.json"];
/// What tells one request from all others, in its answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a client.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Whose request it is, by its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Handles one request.
pub(super) async fn handle(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id_text = id.to_str().unwrap_or_default();
    // There whatever is logged: a warning tells of which request it is, too.
    let span = tracing::error_span!("request", id = id_text, token = Empty);
    // Where it is passed on to another process, its log tells the same.
    request.headers_mut().insert(REQUEST_ID, id.clone());
    request.extensions_mut().insert(RequestSpan(span.clone()));
    let mut response = answer(&app, request, next).instrument(span.clone()).await;
    let status = response.status();
    let took = started.elapsed();
    let route = route.as_ref().map(MatchedPath::as_str);
    app.figures.answered(&method, route, status, took);
    span.in_scope(|| {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        tracing::info!(%method, path, status, milliseconds, "answered");
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

async fn answer(app: &App, mut request: Request, next: Next) -> Response {
    match admit(app, &request) {
        Ok(access) => {
            Span::current().record("token", access.name());
            request.extensions_mut().insert(access);
        }
        Err(refused) => return *refused,
    }
    if is_stream(request.uri().path()) {
        return app.passing.pass(request, next).await;
    }
    let limit = app.limits.request_timeout;
    match tokio::time::timeout(limit, app.passing.pass(request, next)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("the request took longer than {limit:?}");
            let status = StatusCode::REQUEST_TIMEOUT;
            let refused = Refused::new("request-timeout", status, detail)
                .with_hint("a write may have happened: load before trying again");
            refused.into_response()
        }
    }
}

/// What the sender may do; or why it gets no further.
fn admit(app: &App, request: &Request) -> Result<Access, Box<Response>> {
    let headers = request.headers();
    // Where tokens are asked for, a page of another site has none.
    if app.tokens.are_none() && !is_local(headers) {
        let detail = "the request's Host is none of this machine's names";
        let refused = Refused::new("misdirected", StatusCode::MISDIRECTED_REQUEST, detail)
            .with_hint("reach the server as localhost, 127.0.0.1 or [::1]");
        return Err(Box::new(refused.into_response()));
    }
    let open = OPEN.contains(&request.uri().path());
    let access = match app.tokens.authenticate(headers.get(header::AUTHORIZATION)) {
        Ok(access) => access,
        // Who asks whether it is up has no token.
        Err(_) if open => return Ok(Access::Nothing),
        Err(error) => return Err(Box::new(Refused::from(error).into_response())),
    };
    let peer = request.extensions().get::<Peer>();
    if let (Some(rate), Some(Peer(peer))) = (&app.rate, peer)
        && !open
        && let Err(limited) = rate.check(access.requester(*peer))
    {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let refused = Refused::new("rate-limited", status, limited.to_string());
        let mut response = refused.into_response();
        let after = limited.retry_after();
        response.headers_mut().insert(header::RETRY_AFTER, after);
        return Err(Box::new(response));
    }
    Ok(access)
}

/// The client's own id, where it can be logged; else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let fits = |id: &&HeaderValue| {
        let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
        visible && (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
    };
    match headers.get(REQUEST_ID).filter(fits) {
        Some(id) => id.clone(),
        None => HeaderValue::try_from(format!("{:016x}", fastrand::u64(..)))
            .expect("hex digits are a header's value"),
    }
}

/// Whether a request was meant for this machine. A page of another site may have its own name lead here (DNS
/// rebinding), but not write another name into what its browser sends.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
    else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a request has as many records as there are, or waits for what comes.
fn is_stream(path: &str) -> bool {
    path == "/mcp" || path.ends_with("/export") || path.ends_with("/import")
}

/// Whether a client asks for what the server has to say by itself.
pub(crate) fn is_stream_of_notices(method: &Method, path: &str) -> bool {
    *method == Method::GET && path == "/mcp"
}

pub(super) async fn no_such_path() -> Refused {
    let detail = "nothing is served at this path";
    Refused::new("no-such-path", StatusCode::NOT_FOUND, detail)
        .with_hint("/openapi.json lists what is")
}

pub(super) async fn method_not_allowed() -> Refused {
    let detail = "what is at this path does not take this method";
    Refused::new("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, detail)
        .with_hint("/openapi.json lists what it takes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_meant_for_another_host_is_told_from_one_that_was_not() {
        let local = |host: &'static str| {
            let host = HeaderValue::from_static(host);
            is_local(&HeaderMap::from_iter([(header::HOST, host)]))
        };
        for host in [
            "localhost",
            "LocalHost:7337",
            "127.0.0.1:1",
            "127.8.0.1",
            "[::1]",
            "[::1]:7337",
        ] {
            assert!(local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:7337",
            "127.0.0.1.evil:1",
        ] {
            assert!(!local(host), "{host}");
        }
        assert!(!is_local(&HeaderMap::new()));
    }
}
