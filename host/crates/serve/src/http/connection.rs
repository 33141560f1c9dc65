//! One connection: whether it is idle, and how it ends.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use futures_util::FutureExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tower::Service as _;

use super::limits::MAX_HEAD_BYTES;
use super::request::{Peer, is_stream_of_notices};

/// A connection that is open.
pub(super) struct Connection {
    /// Since when no request is under way on it; none while one is, up to the last byte of its answer.
    idle_since: Mutex<Option<Instant>>,
    /// It is to make room.
    pub(super) leave: Notify,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self {
            idle_since: Mutex::new(Some(Instant::now())),
            leave: Notify::new(),
        }
    }

    pub(super) fn idle_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers what comes over one connection, until it ends; to the handlers, it comes from `peer`.
pub(super) async fn hold(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    peer: Option<Peer>,
    connection: &Arc<Connection>,
    router: Router,
    head_timeout: Duration,
    mut ending: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let (mut router, connection) = (router.clone(), Arc::clone(connection));
        async move {
            let under_way = UnderWay::new(connection);
            let idles = is_stream_of_notices(request.method(), request.uri().path());
            let answer = router.call(request.map(Body::new)).await?;
            // One that waits for notices comes back where it has to make room.
            let under_way = (!idles).then_some(under_way);
            Ok::<_, Infallible>(answer.map(|body| Answer {
                body,
                _under_way: under_way,
            }))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let mut ends = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => return ended.map_err(Into::into),
            () = connection.leave.notified() => {
                served.as_mut().graceful_shutdown();
                if let Some(ended) = served.as_mut().now_or_never() {
                    return ended.map_err(Into::into);
                }
                // Of a request there is half a head, or an answer that its client does not read.
                if connection.idle_since().is_some() {
                    return Ok(());
                }
            }
            _ = ending.wait_for(|ending| *ending), if !ends => {
                ends = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A request on a connection, which is not idle as long as this lives.
struct UnderWay(Arc<Connection>);

impl UnderWay {
    fn new(connection: Arc<Connection>) -> Self {
        *connection.idle_since() = None;
        Self(connection)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.idle_since() = Some(Instant::now());
    }
}

/// The body of an answer, up to whose end its request is under way.
struct Answer {
    body: Body,
    _under_way: Option<UnderWay>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
