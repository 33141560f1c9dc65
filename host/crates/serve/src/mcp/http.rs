//! MCP over streamable HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use mortise_restart::inside::Gate;
use mortise_store::limits::{MAX_MCP_MESSAGE_BYTES, MAX_MCP_SESSIONS};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tower::Service;

use super::arguments::Arguments;
use super::notice::Wanted;
use super::server::{Handler, Mcp};
use super::sessions::{SESSION_ID, Sessions};

/// After how long a client is to come back whose stream broke.
const RETRY: Duration = Duration::from_millis(500);
/// The header that tells what a client saw last of a stream.
const LAST_EVENT_ID: &str = "last-event-id";

/// How MCP is served over HTTP.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpConfig {
    /// The values of `Host` that are let in, with or without a port; none stands for all. Default: the loopback's, which
    /// keeps pages of the web from calling a server on the reader's machine.
    pub allowed_hosts: Vec<String>,
    /// The values of `Origin` that are let in, for clients in a browser: `https://app.example.com:443`,
    /// `http://localhost:*`. Default: the loopback's.
    pub allowed_origins: Vec<String>,
    /// The largest message. Default: 32 MiB.
    pub max_message_bytes: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        let hosts = ["localhost", "127.0.0.1", "[::1]"];
        let origins = |host| ["http", "https"].map(|scheme| format!("{scheme}://{host}:*"));
        Self {
            allowed_hosts: hosts.map(str::to_owned).to_vec(),
            allowed_origins: hosts.into_iter().flat_map(origins).collect(),
            max_message_bytes: MAX_MCP_MESSAGE_BYTES,
        }
    }
}

/// The service for one path of an HTTP server, by custom `/mcp`: a [`tower::Service`]. Cheap to clone.
///
/// What is in a request's extensions reaches the tools.
#[derive(Clone)]
pub struct HttpService {
    service: StreamableHttpService<Handler, LocalSessionManager>,
    sessions: Arc<Sessions>,
    max_message_bytes: usize,
}

impl Mcp {
    /// Serves over HTTP.
    pub fn http_service(&self, config: HttpConfig) -> HttpService {
        let sessions = Arc::clone(self.sessions());
        let mut settings = StreamableHttpServerConfig::default()
            .with_allowed_hosts(config.allowed_hosts)
            .with_allowed_origins(config.allowed_origins)
            .enforce_origin_validation()
            .with_sse_retry(Some(RETRY))
            .with_max_request_body_bytes(config.max_message_bytes);
        settings.session_store = Some(Arc::clone(&sessions) as _);
        let mcp = self.clone();
        let handler = move || {
            Ok(Handler::new(
                mcp.clone(),
                Wanted::new(true),
                Gate::default(),
            ))
        };
        HttpService {
            service: StreamableHttpService::new(handler, Arc::clone(&sessions.alive), settings),
            sessions,
            max_message_bytes: config.max_message_bytes,
        }
    }
}

impl HttpService {
    /// Answers a request.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let session = request.headers().get(SESSION_ID);
        let session = session.and_then(|id| id.to_str().ok()).map(str::to_owned);
        if let Some(id) = &session {
            self.sessions.heard_of(id);
        }
        let request = if request.method() == Method::POST {
            match self.message(request, session.is_none()).await {
                Ok(request) => request,
                Err(refusal) => return refusal,
            }
        } else if request.method() == Method::GET {
            self.stream(request, session.as_deref())
        } else {
            request
        };
        let ends = request.method() == Method::DELETE;
        let _starting = match &session {
            Some(id) => self.sessions.starting(id).await,
            None => None,
        };
        let mut answer = self.service.handle(request).await.map(Body::new);
        if ends && answer.status() == StatusCode::ACCEPTED {
            // There is nothing to wait for, and clients take 202 for a failure.
            *answer.status_mut() = StatusCode::NO_CONTENT;
        }
        answer
    }

    /// A request with a message, its arguments beside it.
    async fn message(
        &self,
        request: Request<Body>,
        begins: bool,
    ) -> Result<Request<Body>, Response<Body>> {
        let (mut parts, body) = request.into_parts();
        if begins && self.sessions.alive().await >= MAX_MCP_SESSIONS {
            let what = format!("there are {MAX_MCP_SESSIONS} sessions already, try again later");
            let mut refusal = refusal(StatusCode::SERVICE_UNAVAILABLE, what);
            let seconds = header::HeaderValue::from_static("60");
            refusal.headers_mut().insert(header::RETRY_AFTER, seconds);
            return Err(refusal);
        }
        let most = self.max_message_bytes;
        let Ok(message) = axum::body::to_bytes(body, most).await else {
            let what = format!("the message is cut, or has more than {most} bytes");
            return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, what));
        };
        Ok(match Arguments::take(&message) {
            None => Request::from_parts(parts, Body::from(message)),
            Some((rest, arguments)) => {
                parts.extensions.insert(arguments);
                parts.headers.remove(header::CONTENT_LENGTH);
                Request::from_parts(parts, Body::from(rest))
            }
        })
    }

    /// A request for the server's own messages. What the client saw last was sent by another process, where it has had no
    /// stream of this one: then it gets all that there is.
    fn stream(&self, mut request: Request<Body>, session: Option<&str>) -> Request<Body> {
        if session.is_some_and(|id| self.sessions.first_stream(id)) {
            let seen = request.headers().get(LAST_EVENT_ID);
            // One with a slash is of the answer to a call, which ended with its process.
            if seen.is_some_and(|seen| !seen.as_bytes().contains(&b'/')) {
                request.headers_mut().remove(LAST_EVENT_ID);
            }
        }
        request
    }
}

fn refusal(status: StatusCode, what: String) -> Response<Body> {
    let mut refusal = Response::new(Body::from(what));
    *refusal.status_mut() = status;
    let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
    refusal.headers_mut().insert(header::CONTENT_TYPE, text);
    refusal
}

impl Service<Request<Body>> for HttpService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.handle(request).await) })
    }
}

impl std::fmt::Debug for HttpService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpService").finish_non_exhaustive()
    }
}
