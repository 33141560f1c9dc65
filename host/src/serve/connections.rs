//! Connections: how many there are, how long each may be silent, and how they end.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower::Service as _;

use super::limits::{MAX_HEAD_BYTES, ServeLimits};
use super::request::Peer;
use super::restart::Seated;
use super::tls::Tls;

/// How long to wait after a connection could not be taken: no file descriptor is free, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What stands for an address that nobody has any more.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Answers what comes over connections.
pub(super) struct Connections {
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: ServeLimits,
    /// A permit for each connection that may be open.
    room: Arc<Semaphore>,
    open: Arc<Mutex<BTreeMap<u64, Arc<Connection>>>>,
    /// Said once, to all.
    ending: watch::Sender<bool>,
}

/// One that is open.
struct Connection {
    /// How many requests are under way on it: one, or none.
    busy: AtomicUsize,
    /// Since when it has been as it is.
    since: Mutex<Instant>,
    /// It is to make room.
    leave: Notify,
}

impl Connection {
    fn turn(&self, busy: usize) {
        self.busy.store(busy, Ordering::Relaxed);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_since(&self) -> Option<Instant> {
        let idle = self.busy.load(Ordering::Relaxed) == 0;
        idle.then(|| *self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connections {
    pub(super) fn new(router: Router, tls: Option<Arc<Tls>>, limits: ServeLimits) -> Self {
        Self {
            router,
            tls,
            room: Arc::new(Semaphore::new(limits.connections.max(1))),
            limits,
            open: Arc::default(),
            ending: watch::Sender::new(false),
        }
    }

    /// Takes connections until `stop`, or until another process took over; ends when the last is gone, or the deadline
    /// is over. Whether it was told to stop.
    pub(super) async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        seated: &mut Option<Seated>,
    ) -> bool {
        let mut stop = pin!(stop);
        let mut number = 0;
        let stopped = loop {
            let came = tokio::select! {
                () = &mut stop => break true,
                came = next(&listener, seated) => match came {
                    Some(came) => came,
                    None => break false,
                },
            };
            let permit = tokio::select! {
                () = &mut stop => break true,
                permit = self.room_for_one_more() => permit,
            };
            number += 1;
            self.start(number, came, permit);
        };
        // New clients find nobody, or the process that took over, rather than somebody who does not answer.
        drop(listener);
        stopped
    }

    /// Stays for connections that clients keep open: the next call on each is passed on to the process that took over,
    /// and closes it. One that was closed at once might be just the one on which a call comes.
    pub(super) async fn linger(&self, patience: Duration) {
        // Those that are left are closed.
        let _ = tokio::time::timeout(patience, self.all_gone()).await;
    }

    /// Waits until there is room for a connection; those that are idle leave for it.
    async fn room_for_one_more(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
                return permit;
            }
            self.let_idle_one_leave();
            let freed = Arc::clone(&self.room).acquire_owned();
            // Where all are busy now, one may be idle in a moment.
            if let Ok(permit) = tokio::time::timeout(ACCEPT_PAUSE, freed).await {
                return permit.expect("it is never closed");
            }
        }
    }

    fn let_idle_one_leave(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = open
            .values()
            .filter_map(|one| Some((one.idle_since()?, one)));
        if let Some((_, oldest)) = idle.min_by_key(|(since, _)| *since) {
            // So that the next one is another.
            oldest.turn(0);
            oldest.leave.notify_one();
        }
    }

    fn start(&self, number: u64, came: Came, permit: OwnedSemaphorePermit) {
        let connection = Arc::new(Connection {
            busy: AtomicUsize::new(0),
            since: Mutex::new(Instant::now()),
            leave: Notify::new(),
        });
        let open = Arc::clone(&self.open);
        let lock = || open.lock().unwrap_or_else(PoisonError::into_inner);
        lock().insert(number, Arc::clone(&connection));
        let (router, head_timeout) = (self.router.clone(), self.limits.head_timeout);
        let (ending, tls) = (self.ending.subscribe(), self.tls.clone());
        let open = Arc::clone(&self.open);
        tokio::spawn(async move {
            let held = match (came, tls) {
                // Its peer was counted by the process that it came to.
                (Came::Passed(stream), _) => {
                    hold(stream, &connection, router, head_timeout, ending).await
                }
                (Came::Client(stream), None) => {
                    let router = of_peer(router, &stream);
                    hold(stream, &connection, router, head_timeout, ending).await
                }
                (Came::Client(stream), Some(tls)) => {
                    let router = of_peer(router, &stream);
                    match tls.accept(stream).await {
                        Ok(stream) => hold(stream, &connection, router, head_timeout, ending).await,
                        Err(error) => Err(error.into()),
                    }
                }
            };
            if let Err(error) = held {
                tracing::debug!(%error, "a connection broke off");
            }
            open.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&number);
            drop(permit);
        });
    }

    async fn all_gone(&self) {
        let all = u32::try_from(self.limits.connections.max(1)).unwrap_or(u32::MAX);
        // It is never closed.
        let _ = self.room.acquire_many(all).await;
    }

    /// Ends all connections as soon as their requests are answered.
    pub(super) async fn end(self) {
        self.ending.send_replace(true);
        let gone = self.all_gone();
        if tokio::time::timeout(self.limits.drain_deadline, gone)
            .await
            .is_err()
        {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            tracing::warn!(
                connections = open.len(),
                "requests were cut off: they took too long to end"
            );
        }
    }
}

/// Tells the handlers whose requests they are.
fn of_peer(router: Router, stream: &TcpStream) -> Router {
    // A stream whose other end is gone already brings no request that would be counted with a peer's.
    let peer = stream.peer_addr().map_or(UNKNOWN, |peer| peer.ip());
    router.layer(Extension(Peer(peer)))
}

/// A connection that came.
enum Came {
    Client(TcpStream),
    /// Passed on by the process that served before, with a request on it: the client's own connection is there.
    Passed(UnixStream),
}

/// The next connection; none once another process took over.
async fn next(listener: &TcpListener, seated: &mut Option<Seated>) -> Option<Came> {
    loop {
        let accepted = match seated {
            None => listener.accept().await,
            Some(seated) => tokio::select! {
                // At the same time as a client, this comes first.
                biased;
                passed = seated.next() => return passed.map(Came::Passed),
                accepted = listener.accept() => accepted,
            },
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small, and waited for.
                let _ = stream.set_nodelay(true);
                return Some(Came::Client(stream));
            }
            Err(error) => refused(&error).await,
        }
    }
}

/// Answers what comes over one connection, until it ends.
async fn hold(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    connection: &Arc<Connection>,
    router: Router,
    head_timeout: Duration,
    mut ending: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (mut router, connection) = (router.clone(), Arc::clone(connection));
        async move {
            connection.turn(1);
            let answer = router.call(request.map(Body::new)).await;
            connection.turn(0);
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    tokio::select! {
        ended = served.as_mut() => return ended.map_err(Into::into),
        () = connection.leave.notified() => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
    served.as_mut().graceful_shutdown();
    served.await.map_err(Into::into)
}

/// Waits where taking connections fails for a reason that goes away.
async fn refused(error: &io::Error) {
    // The client was gone before.
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    tracing::error!(%error, "no connection can be taken");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
