//! The old process's way through a restart.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, Here, Later, StoreInside as _, blocking};
use mortise_store::{Error, ErrorKind, Operation, Result, Store};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::calls::Calls;
use crate::carry::{self, Part};
use crate::channel::Channel;
use crate::event::Phase;
use crate::limits::RestartLimits;
use crate::program::Program;
use crate::protocol::{CONTROL, LISTENER, LOCK, Order, Report, SNAPSHOT_LOCK};
use crate::restarts::{ProcessHandover, Progress};
use crate::state_dir::{StateDir, StateLock};
use crate::successor::{self, Successor};
use crate::test_hold::{hold, stay};
use crate::{snapshot, supervisor};

/// How long calls that were given up may take to notice.
const CUT_PATIENCE: Duration = Duration::from_secs(1);
/// How long the new process may take to begin to serve, once it is ready.
const COMMIT_DEADLINE: Duration = Duration::from_secs(10);

/// A server that is handed over to a new process.
pub(crate) struct HandOver {
    pub(crate) program: Program,
    pub(crate) state: StateDir,
    pub(crate) lock: StateLock,
    pub(crate) control: Arc<UnixListener>,
    /// The listening sockets, by name.
    pub(crate) listeners: Vec<(String, OwnedFd)>,
    pub(crate) calls: Arc<dyn Calls>,
    pub(crate) stores: Vec<Store>,
    pub(crate) parts: Vec<Arc<dyn Part>>,
    pub(crate) limits: RestartLimits,
    /// The new process, from its start on.
    pub(crate) led: Mutex<Option<Arc<Successor>>>,
    /// Where the new process is told to those who pass calls on, as soon as it serves.
    pub(crate) left_to: watch::Sender<Option<Arc<Successor>>>,
    /// Whether this process becomes the new one itself, because its clients hold on to it: the one that it starts
    /// shows that it could serve, and ends.
    pub(crate) in_place: bool,
}

impl ProcessHandover for HandOver {
    fn hand_over<'a>(&'a self, progress: &'a mut Progress) -> Later<'a, Result<()>> {
        Box::pin(async move {
            progress.enter(Phase::Start).await?;
            let successor = Arc::new(Successor::start(&self.program, self.in_place)?);
            self.leads(Some(Arc::clone(&successor)));
            progress.started(successor.process());
            let error = match self.lead(&successor, progress).await {
                Ok(()) if !self.in_place => {
                    supervisor::handed_over_to(successor.process());
                    self.leave_to(successor);
                    return Ok(());
                }
                Ok(()) => {
                    self.leads(None);
                    successor.kill().await;
                    self.replace(progress).await
                }
                Err(error) => {
                    self.leads(None);
                    successor.kill().await;
                    error
                }
            };
            self.serve_on(progress).await;
            Err(error)
        })
    }

    fn abandoned(&self) -> Result<()> {
        match self.leads(None) {
            // It may have answered calls: it lets them end, as this process does.
            Some(successor) if successor.is_to_serve() => {
                successor.terminate();
                self.leave_to(successor);
                Ok(())
            }
            successor => {
                if let Some(successor) = successor {
                    successor.begin_to_kill();
                }
                let removed = snapshot::remove(&self.state.snapshot());
                self.calls.reopen();
                removed
            }
        }
    }

    fn ended<'a>(&'a self, progress: &'a Progress) -> Later<'a, ()> {
        Box::pin(async move {
            let successor = self.left_to.borrow().clone();
            match successor {
                Some(successor) => {
                    // Where it does not arrive, the new process finds it in the history.
                    let _ = successor.order(Order::Ended).await;
                    for part in &self.parts {
                        part.leave().await;
                    }
                }
                None => {
                    for part in &self.parts {
                        part.resume(progress.restart()).await;
                    }
                }
            }
        })
    }
}

impl HandOver {
    /// Notes which process is led, if any; which was before.
    fn leads(&self, successor: Option<Arc<Successor>>) -> Option<Arc<Successor>> {
        let mut led = self.led.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *led, successor)
    }

    /// From here on, calls are passed on to the new process.
    fn leave_to(&self, successor: Arc<Successor>) {
        self.left_to.send_replace(Some(successor));
        self.calls.leave();
    }

    /// Leads the new process until it serves; in place, until it could.
    async fn lead(&self, successor: &Successor, progress: &mut Progress) -> Result<()> {
        let limits = &self.limits;
        let restart = progress.restart().clone();
        let state_dir = self.state.path();
        successor.greet(&restart, state_dir).await?;
        successor
            .expect(Report::Warm, limits.start_deadline)
            .await?;
        hold(Phase::Start, successor, &self.state).await?;

        for part in &self.parts {
            part.announce(&restart).await;
        }
        progress.enter(Phase::Drain).await?;
        self.calls.close();
        tokio::select! {
            drained = self.drain(restart.request.graceful) => drained?,
            gone = successor.gone() => return Err(gone),
        }
        hold(Phase::Drain, successor, &self.state).await?;

        progress.enter(Phase::Snapshot).await?;
        let place = self.state.snapshot();
        let bytes = carry::write(&place, &restart, &self.stores, &self.parts).await?;
        tracing::debug!(bytes, "the snapshot is written");
        hold(Phase::Snapshot, successor, &self.state).await?;

        progress.enter(Phase::Restore).await?;
        successor.restore(self.files()).await?;
        successor
            .expect(Report::Ready, limits.restore_deadline)
            .await?;
        hold(Phase::Restore, successor, &self.state).await?;

        progress.enter(Phase::Commit).await?;
        hold(Phase::Commit, successor, &self.state).await?;
        if self.in_place {
            return Ok(());
        }
        successor.is_told_to_serve();
        successor.order(Order::Serve).await?;
        successor.expect(Report::Serving, COMMIT_DEADLINE).await
    }

    /// Becomes the new process, which finds all orders given. Comes back only where that fails: why.
    async fn replace(&self, progress: &mut Progress) -> Error {
        progress.started(std::process::id());
        let failed = |error: io::Error| {
            let what = format!("{} does not start", self.program.file().display());
            Error::new(ErrorKind::Unavailable, Operation::Restart, what).with_source(error)
        };
        let ordered = async {
            let (channel, theirs) = Channel::pair()?;
            let state_dir = self.state.path();
            successor::greet(&channel, progress.restart(), state_dir).await?;
            successor::restore(&channel, self.files()).await?;
            channel.send(&Order::Serve, &[]).await?;
            Ok(theirs)
        };
        match ordered.await {
            Ok(theirs) => failed(self.program.exec(theirs)),
            Err(error) => failed(error),
        }
    }

    /// What the new process serves with.
    fn files(&self) -> Vec<(String, BorrowedFd<'_>)> {
        let mut files = vec![
            (LOCK.to_owned(), self.lock.0.as_fd()),
            (CONTROL.to_owned(), self.control.as_fd()),
        ];
        let listeners = self.listeners.iter();
        files.extend(listeners.map(|(name, file)| (format!("{LISTENER}{name}"), file.as_fd())));
        for store in &self.stores {
            let here = store.here();
            if let Some((snapshot, lock)) = here.and_then(Here::snapshot_lock) {
                let name = format!("{SNAPSHOT_LOCK}{}", snapshot.display());
                files.push((name, lock.as_fd()));
            }
        }
        files
    }

    /// Waits until no call is in flight.
    async fn drain(&self, graceful: bool) -> Result<()> {
        stay("drain-half", self.state.path()).await;
        let patience = self.limits.drain_deadline;
        let Err(late) = self.calls.drained(Instant::now() + patience).await else {
            return Ok(());
        };
        if graceful {
            let what = format!("within {patience:?}, {late} did not end");
            return Err(Error::new(ErrorKind::Deadline, Operation::Restart, what)
                .with_hint("restart with --now to drop what takes longer"));
        }
        tracing::warn!(%late, "calls are dropped");
        self.calls.cut();
        let deadline = Instant::now() + CUT_PATIENCE;
        self.calls.drained(deadline).await.map_err(|late| {
            let what = format!("{late} cannot be dropped");
            Error::new(ErrorKind::Deadline, Operation::Restart, what)
        })
    }

    /// Serves as before. The new process is gone.
    async fn serve_on(&self, progress: &Progress) {
        let state = self.state.clone();
        let committing = progress.restart().phase() == Some(Phase::Commit);
        let mending = blocking(move || {
            // The new process may have taken them over.
            if committing {
                state.write_pid()?;
            }
            snapshot::remove(&state.snapshot())
        });
        if let Err(error) = mending.await {
            tracing::error!(
                ?error,
                "the state directory is not as it should be: mend it before the server is started anew"
            );
        }
        self.calls.reopen();
    }
}
