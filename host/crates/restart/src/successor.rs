//! The old process's side: the new process, from its start on.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, blocking};
use mortise_store::{Error, ErrorKind, Operation, Result};
use rustix::process::Signal;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use crate::channel::{Broken, Channel};
use crate::event::Restart;
use crate::process::send;
use crate::program::Program;
use crate::protocol::{Order, PROTOCOL, Report};

/// How long a process that closed its socket may take to end by itself, so that it can be told how it ended.
const ENDING: Duration = Duration::from_secs(1);

/// A process that is to take over.
pub struct Successor {
    process: u32,
    child: StdMutex<Child>,
    to_serve: AtomicBool,
    channel: tokio::sync::Mutex<Channel>,
}

impl Successor {
    /// Starts it; `mute` where what it writes is not for this process's clients.
    pub(super) fn start(program: &Program, mute: bool) -> Result<Self> {
        let failed = |error: io::Error| {
            let what = format!("{} does not start", program.file().display());
            Error::new(ErrorKind::Unavailable, Operation::Restart, what).with_source(error)
        };
        let (channel, theirs) = Channel::pair().map_err(failed)?;
        let child = program.spawn(theirs, mute).map_err(failed)?;
        Ok(Self {
            process: child.id(),
            child: StdMutex::new(child),
            to_serve: AtomicBool::new(false),
            channel: tokio::sync::Mutex::new(channel),
        })
    }

    /// Its process ID.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Says who asks.
    pub(super) async fn greet(&self, restart: &Restart, state_dir: &Path) -> Result<()> {
        let greeted = greet(&*self.channel.lock().await, restart, state_dir).await;
        self.sent(greeted).await
    }

    /// Has it restore, with what there is to serve with.
    pub(super) async fn restore(&self, files: Vec<(String, BorrowedFd<'_>)>) -> Result<()> {
        let ordered = restore(&*self.channel.lock().await, files).await;
        self.sent(ordered).await
    }

    /// Gives it an order.
    pub(super) async fn order(&self, order: Order) -> Result<()> {
        let sent = self.channel.lock().await.send(&order, &[]).await;
        self.sent(sent).await
    }

    async fn sent(&self, sent: io::Result<()>) -> Result<()> {
        match sent {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(self.broken(Broken::Gone).await)
            }
            Err(error) => Err(self.failed("is not reached").with_source(error)),
        }
    }

    /// Waits until it reports what is expected.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it says that it failed, and why; it ended, and how; or it did not report in time.
    pub(super) async fn expect(&self, expected: Report, patience: Duration) -> Result<()> {
        let reported = async { self.channel.lock().await.receive::<Report>().await };
        let reported = timeout_at(Instant::now() + patience, reported);
        match reported.await {
            Ok(Ok((report, _))) if report == expected => Ok(()),
            Ok(Ok((Report::Failed { why }, _))) => Err(self.failed(&format!("says: {why}"))),
            Ok(Ok((report, _))) => Err(self.failed(&format!(
                "reports {report:?} where {expected:?} was expected"
            ))),
            Ok(Err(broken)) => Err(self.broken(broken).await),
            Err(_) => {
                Err(self.failed(&format!("does not report {expected:?} within {patience:?}")))
            }
        }
    }

    /// Comes back once the process is gone, or says what nobody asked it: why it cannot take over.
    pub(super) async fn gone(&self) -> Error {
        let received = self.channel.lock().await.receive::<Report>().await;
        match received {
            Ok((Report::Failed { why }, _)) => self.failed(&format!("says: {why}")),
            Ok((report, _)) => self.failed(&format!("reports {report:?} where nothing was asked")),
            Err(broken) => self.broken(broken).await,
        }
    }

    /// Sends it one end of a new connection; the other one is answered.
    pub async fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let files = [theirs.as_fd()];
        let channel = self.channel.lock().await;
        channel.send(&Order::Connection, &files).await?;
        drop(channel);
        UnixStream::from_std(ours)
    }

    /// From here on it may answer calls.
    pub(super) fn is_told_to_serve(&self) {
        self.to_serve.store(true, Ordering::Relaxed);
    }

    /// Whether it may answer calls.
    pub(super) fn is_to_serve(&self) -> bool {
        self.to_serve.load(Ordering::Relaxed)
    }

    /// Asks it to end, as a server does that is asked to: by SIGTERM.
    pub(super) fn terminate(&self) {
        send(self.process, Signal::TERM);
    }

    /// Ends the process, at once.
    pub(super) fn begin_to_kill(&self) {
        // It may have ended before.
        let _ = self.child().kill();
    }

    /// Ends the process, and waits until it is gone.
    pub(super) async fn kill(self: Arc<Self>) {
        let process = self.process;
        let killing = blocking(move || {
            self.begin_to_kill();
            Ok(self.child().wait())
        });
        if let Ok(Err(error)) = killing.await {
            tracing::error!(%error, process, "it is not known to have ended");
        }
    }

    async fn broken(&self, broken: Broken) -> Error {
        let Broken::Gone = broken else {
            return self.failed(&format!("is not understood: {broken}"));
        };
        let deadline = Instant::now() + ENDING;
        loop {
            match self.status() {
                Some(status) => return self.failed(&format!("ended: {status}")),
                None if Instant::now() >= deadline => {
                    return self.failed("closed its standard input, by which it is led");
                }
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// How it ended, if it did.
    fn status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, what: &str) -> Error {
        let what = format!("the new process {} {what}", self.process);
        Error::new(ErrorKind::Unavailable, Operation::Restart, what)
    }
}

/// Says who asks.
pub(super) async fn greet(
    channel: &Channel,
    restart: &Restart,
    state_dir: &Path,
) -> io::Result<()> {
    let hello = Order::Hello {
        protocol: PROTOCOL,
        restart: Box::new(restart.clone()),
        state_dir: state_dir.to_owned(),
    };
    channel.send(&hello, &[]).await
}

/// Hands over the open files that the new process is to serve with, each under a name.
pub(super) async fn restore(
    channel: &Channel,
    files: Vec<(String, BorrowedFd<'_>)>,
) -> io::Result<()> {
    let (names, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    channel.send(&Order::Restore { files: names }, &files).await
}
