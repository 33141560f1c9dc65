//! Connections: how many there are, which leaves for another, and how they end.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use mortise_restart::inside::Seated;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::connection::{Connection, hold};
use super::limits::ServeLimits;
use super::request::Peer;
use super::tls::Tls;

/// How long to wait after a connection could not be taken: no file descriptor is free, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Of this many files that the process may have open, one is left to its stores.
const STORES_SHARE: usize = 4;

/// What stands for an address that nobody has any more.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Answers what comes over connections.
pub(super) struct Connections {
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: ServeLimits,
    /// How many may be open.
    most: usize,
    /// A permit for each of them.
    room: Arc<Semaphore>,
    open: Arc<Mutex<BTreeMap<u64, Arc<Connection>>>>,
    /// Said once, to all.
    ending: watch::Sender<bool>,
}

impl Connections {
    pub(super) fn new(router: Router, tls: Option<Arc<Tls>>, limits: ServeLimits) -> Self {
        let most = most(&limits);
        Self {
            router,
            tls,
            most,
            room: Arc::new(Semaphore::new(most)),
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
        mut stop: Pin<&mut impl Future<Output = ()>>,
        seated: &mut Option<Seated>,
    ) -> bool {
        let mut number = 0;
        let stopped = loop {
            let came = tokio::select! {
                () = &mut stop => break true,
                came = self.next(&listener, seated) => match came {
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
            .filter_map(|one| Some(((*one.idle_since())?, one)));
        if let Some((_, oldest)) = idle.min_by_key(|(since, _)| *since) {
            // So that the next one is another; unless a request has come meanwhile.
            if let Some(since) = oldest.idle_since().as_mut() {
                *since = Instant::now();
            }
            oldest.leave.notify_one();
        }
    }

    /// The next connection; none once another process took over.
    async fn next(&self, listener: &TcpListener, seated: &mut Option<Seated>) -> Option<Came> {
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
                // The client was gone before.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be taken");
                    // That may pass, where what is missing is a file that a connection has.
                    self.let_idle_one_leave();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, number: u64, came: Came, permit: OwnedSemaphorePermit) {
        let connection = Arc::new(Connection::new());
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
                    hold(stream, None, &connection, router, head_timeout, ending).await
                }
                (Came::Client(stream), None) => {
                    let peer = Some(peer(&stream));
                    hold(stream, peer, &connection, router, head_timeout, ending).await
                }
                (Came::Client(stream), Some(tls)) => {
                    let peer = Some(peer(&stream));
                    let shaken = tokio::select! {
                        shaken = tls.accept(stream) => Some(shaken),
                        () = connection.leave.notified() => None,
                    };
                    match shaken {
                        Some(Ok(stream)) => {
                            hold(stream, peer, &connection, router, head_timeout, ending).await
                        }
                        Some(Err(error)) => Err(error.into()),
                        None => Ok(()),
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
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
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

/// How many connections may be open: each is an open file.
fn most(limits: &ServeLimits) -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    let fit = (files - files / STORES_SHARE).max(1);
    if fit < limits.connections {
        tracing::warn!(
            files,
            connections = fit,
            wanted = limits.connections,
            "the process may not have files enough open for as many connections as are allowed"
        );
    }
    limits.connections.clamp(1, fit)
}

/// Whose requests come over a stream.
fn peer(stream: &TcpStream) -> Peer {
    // A stream whose other end is gone already brings no request that would be counted with a peer's.
    Peer(stream.peer_addr().map_or(UNKNOWN, |peer| peer.ip()))
}

/// A connection that came.
enum Came {
    Client(TcpStream),
    /// Passed on by the process that served before, with a request on it: the client's own connection is there.
    Passed(UnixStream),
}
