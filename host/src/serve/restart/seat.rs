//! The place from which one process after another serves.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::calls::Calls;
use super::carry::{self, Part};
use super::control::{self, Desk};
use super::event::{Outcome, Restart};
use super::follow::Follow;
use super::hand_over::HandOver;
use super::history::History;
use super::hold::stay;
use super::limits::RestartLimits;
use super::passing::Passing;
use super::program::Program;
use super::protocol::{CONTROL, LISTENER, LOCK, SNAPSHOT_LOCK};
use super::restarts::Restarts;
use super::snapshot::{self, Snapshot};
use super::state_dir::{StateDir, StateLock};
use super::successor::Successor;
use super::supervisor;
use super::take_over::{Inherited, TakeOver};
use super::triggers::Triggers;
use crate::capability::clock::{Clock as _, SystemClock};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::store::Store;
use crate::work::blocking;

/// The place from which a server serves: its state directory, and, where another process served from it before, the
/// sockets that it hands over.
///
/// Taken before the stores are opened, so that two servers never have the same ones open.
pub struct Seat {
    state: StateDir,
    program: Program,
    limits: RestartLimits,
    /// What belongs to whoever has it; none before the process before gave it away.
    held: Option<Held>,
    /// Of what was inherited, what was not asked for yet.
    files: BTreeMap<String, OwnedFd>,
    before: Before,
    triggers: Triggers,
}

/// What the process has that serves.
struct Held {
    lock: StateLock,
    control: UnixListener,
}

/// Who served from here before.
enum Before {
    /// Nobody who lives.
    Nobody(History),
    /// The process that leads this one through a restart.
    Old(Box<TakeOver>, Box<Restart>),
}

/// The new process, once it serves.
pub(super) type LeftTo = watch::Receiver<Option<Arc<Successor>>>;

/// What serves from a seat.
pub(crate) struct Serving {
    pub(crate) stores: Vec<Store>,
    /// What goes from process to process beside the stores.
    pub(crate) parts: Vec<Arc<dyn Part>>,
    /// The listening sockets, by name.
    pub(crate) listeners: Vec<(String, OwnedFd)>,
    pub(crate) calls: Arc<dyn Calls>,
    /// Whether the process itself is to go on, because its clients hold on to it.
    pub(crate) in_place: bool,
}

/// What a server needs of its seat while it serves.
pub(crate) struct Seated {
    left_to: LeftTo,
    /// Connections that the old process passes on.
    handed: mpsc::Receiver<UnixStream>,
    linger: Duration,
    restarts: Restarts,
    state: StateDir,
    _task: Task,
}

impl Seated {
    /// The next connection that the old process passes on; none once another process serves, to which calls are passed
    /// on.
    pub(crate) async fn next(&mut self) -> Option<UnixStream> {
        let left = async { self.left_to.wait_for(Option::is_some).await.is_ok() };
        tokio::select! {
            true = left => None,
            // It has none where there is no old process, or it is gone.
            Some(stream) = self.handed.recv() => Some(stream),
            else => std::future::pending().await,
        }
    }

    /// Waits until the restart is told in the history, and to who asked for it.
    pub(crate) async fn over(&self) {
        // Who does not listen is not waited for.
        let _ = tokio::time::timeout(self.linger, self.restarts.over()).await;
    }

    /// The process that took over.
    pub(crate) fn left_to(&self) -> Option<u32> {
        let successor = self.left_to.borrow();
        successor.as_ref().map(|successor| successor.process())
    }

    /// How long to stay for connections that clients keep open, after another process took over.
    pub(crate) fn linger(&self) -> Duration {
        self.linger
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.state.remove_pid();
        // One that was being written as the server was told to stop. Calls were answered since.
        if self.left_to.borrow().is_none()
            && let Err(error) = snapshot::remove(&self.state.snapshot())
        {
            tracing::error!(?error, "the next start finds a snapshot that is old");
        }
    }
}

/// Ends it when it is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells the process that started this one that it cannot take over, before there is anything to serve.
pub async fn decline(why: String) {
    // Where nobody leads this process, nobody has to be told.
    if let Ok((mut take_over, _)) = TakeOver::begin().await {
        take_over.failed(why).await;
    }
}

impl Seat {
    /// Takes the seat in a state directory from which nobody serves. Notes of a restart in the middle of which a
    /// process died, that it did.
    ///
    /// # Errors
    ///
    /// `Unavailable` where another server has it; `Config` where the folder cannot be used.
    pub async fn first(state: StateDir, program: Program, limits: RestartLimits) -> Result<Self> {
        let triggers = Triggers::new()?;
        let lock = state.lock().await?;
        let control = control::listen(&state)?;
        let file = state.history();
        let history = blocking(move || {
            let history = History::open(file)?;
            for restart in history.settle("starts anew")? {
                let number = restart.number;
                let outcome = restart.outcome.as_ref().map(Outcome::to_string);
                tracing::error!(restart = number, outcome, "a restart never ended");
            }
            Ok(history)
        });
        Ok(Self {
            held: Some(Held { lock, control }),
            files: BTreeMap::new(),
            before: Before::Nobody(history.await?),
            state,
            program,
            limits,
            triggers,
        })
    }

    /// Takes the seat of the process that started this one, which leads it over its standard input.
    ///
    /// # Errors
    ///
    /// `Config` where nobody leads it, or somebody of another version.
    pub async fn next(program: Program, limits: RestartLimits) -> Result<Self> {
        let triggers = Triggers::new()?;
        let begun = TakeOver::begin().await?;
        Ok(Self::led(begun, program, limits, triggers))
    }

    /// Takes the seat of what this process was before `exec`, by the socket that it was left.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn in_place(
        socket: OwnedFd,
        program: Program,
        limits: RestartLimits,
    ) -> Result<Self> {
        let triggers = Triggers::new()?;
        let begun = TakeOver::begin_in_place(socket).await?;
        Ok(Self::led(begun, program, limits, triggers))
    }

    fn led(
        (take_over, inherited): (TakeOver, Inherited),
        program: Program,
        limits: RestartLimits,
        triggers: Triggers,
    ) -> Self {
        let Inherited { restart, state } = inherited;
        Self {
            state,
            program,
            limits,
            held: None,
            files: BTreeMap::new(),
            before: Before::Old(Box::new(take_over), Box::new(restart)),
            triggers,
        }
    }

    /// Has the server restart when its program or one of these files changed.
    ///
    /// # Errors
    ///
    /// `Config`: the system does not let them be watched.
    pub fn restart_on_change(&mut self, files: impl IntoIterator<Item = PathBuf>) -> Result<()> {
        let program = self.program.file().to_owned();
        self.triggers.watch(std::iter::once(program).chain(files))
    }

    /// Whether another process, or this one before `exec`, served from here, and its clients are still there.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.before, Before::Old(..))
    }

    /// Where its state is.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// Makes ready for these stores to be opened: compiles what they need, and waits, where another process serves,
    /// until it does no longer.
    ///
    /// # Errors
    ///
    /// As [`Host::prepare`]; `Unavailable` where the other process gave the restart up.
    pub async fn prepare(&mut self, host: &Host, stores: &[String]) -> Result<()> {
        let Before::Old(take_over, _) = &mut self.before else {
            return Ok(());
        };
        for store in stores {
            host.prepare(store).await?;
        }
        stay("start-half", self.state.path()).await;
        self.files = take_over.warm().await?;
        self.held = Some(Held::take(&mut self.files)?);
        while let Some(name) = self
            .files
            .keys()
            .find(|name| name.starts_with(SNAPSHOT_LOCK))
        {
            let name = name.clone();
            if let Some(lock) = self.files.remove(&name) {
                let snapshot = PathBuf::from(&name[SNAPSHOT_LOCK.len()..]);
                host.0.inherited_locks.add(snapshot, File::from(lock));
            }
        }
        Ok(())
    }

    /// The listening socket of this name, where the process before handed one over.
    pub(crate) fn listener(&mut self, name: &str) -> Result<Option<TcpListener>> {
        let Some(file) = self.files.remove(&format!("{LISTENER}{name}")) else {
            return Ok(None);
        };
        let listener = TcpListener::from(file);
        let ready = listener.set_nonblocking(true);
        ready.map_err(|error| {
            Error::config(format!("the socket {name} cannot be taken over")).with_source(error)
        })?;
        Ok(Some(listener))
    }

    /// Restores what the process before knew, and waits until this one is to serve.
    ///
    /// The snapshot of a restart in the middle of which both processes died is restored, too: nobody was answered
    /// since. One that is damaged is moved away, and told of.
    ///
    /// # Errors
    ///
    /// Those of the stores; `Invalid` where the snapshot that the process before has just written is damaged.
    pub(crate) async fn restore(
        &mut self,
        stores: &[Store],
        parts: &[Arc<dyn Part>],
    ) -> Result<()> {
        if self.held.is_none() {
            return Err(Error::config("the seat is not prepared")
                .with_hint("call Seat::prepare before the stores are opened"));
        }
        let place = self.state.snapshot();
        let opening = {
            let place = place.clone();
            blocking(move || Snapshot::open(&place))
        };
        let found = match (opening.await, &self.before) {
            (Err(error), Before::Nobody(_)) => {
                let aside = blocking(move || snapshot::set_aside(&place)).await?;
                let aside = aside.display().to_string();
                tracing::error!(?error, aside, "the last restart's snapshot is refused");
                None
            }
            (found, _) => found?,
        };
        match (found, &mut self.before) {
            (None, Before::Nobody(_)) => {}
            (None, Before::Old(_, restart)) => {
                let what = format!("restart {} left no snapshot", restart.number);
                return Err(Error::config(what));
            }
            (Some(found), before) => {
                if let Before::Old(_, restart) = before
                    && restart.number != found.header.restart
                {
                    return Err(found.refuse("is of another restart"));
                }
                let (number, process) = (found.header.restart, found.header.process);
                carry::restore(found, stores, parts).await?;
                tracing::info!(restart = number, process, "restored what it knew");
            }
        }
        for store in stores {
            store.health().await?;
        }
        if let Before::Old(take_over, _) = &mut self.before {
            stay("restore-half", self.state.path()).await;
            take_over.ready().await?;
        }
        let state = self.state.clone();
        blocking(move || {
            // Before the first call is answered.
            snapshot::remove(&state.snapshot())?;
            state.write_pid()
        })
        .await?;
        if let Before::Old(..) = &self.before {
            stay("commit-half", self.state.path()).await;
        }
        Ok(())
    }

    /// Tells the process before that this one cannot take over; nothing where there is none.
    pub async fn failed(&mut self, why: String) {
        if let Before::Old(take_over, _) = &mut self.before {
            take_over.failed(why).await;
        }
    }

    /// Serves from here on. To be called on a runtime.
    pub(crate) fn sit(self, serving: Serving, passing: &Passing) -> Seated {
        let Serving {
            stores,
            parts,
            listeners,
            calls,
            in_place,
        } = serving;
        let linger = self.limits.linger;
        let Held { lock, control } = self.held.expect("it was there as it restored");
        let control = Arc::new(control);
        let (leave, left_to) = watch::channel(None);
        let guard = self.limits.guard;
        let hand_over = HandOver {
            program: self.program,
            state: self.state.clone(),
            lock,
            control: Arc::clone(&control),
            listeners,
            calls: Arc::clone(&calls),
            stores,
            parts: parts.clone(),
            limits: self.limits,
            led: Mutex::default(),
            left_to: leave,
            in_place,
        };
        let restarts = Restarts::new(hand_over, guard);
        let desk = Desk {
            restarts: restarts.clone(),
            calls,
            since: SystemClock.now(),
        };
        let (hand, handed) = mpsc::channel(64);
        let triggers = self.triggers.run(restarts.clone());
        let answering = answer(desk.clone(), control, left_to.clone());
        let asked = async { tokio::join!(answering, triggers) };
        let task = match self.before {
            Before::Nobody(history) => {
                restarts.open(history);
                tokio::spawn(async {
                    asked.await;
                })
            }
            Before::Old(take_over, restart) => {
                let follow = Follow {
                    take_over: *take_over,
                    restart: *restart,
                    file: self.state.history(),
                    parts,
                    hand,
                };
                tokio::spawn(follow.run(restarts.clone(), asked))
            }
        };
        passing.seat(desk, left_to.clone());
        supervisor::ready();
        Seated {
            left_to,
            handed,
            linger,
            restarts,
            state: self.state,
            _task: Task(task),
        }
    }
}

/// Answers at the control socket, until another process does.
async fn answer(desk: Desk, control: Arc<UnixListener>, mut left_to: LeftTo) {
    tokio::select! {
        biased;
        // It fails where the server stops.
        _ = left_to.wait_for(Option::is_some) => {}
        () = desk.serve(&control) => {}
    }
}

impl Held {
    /// Among what was inherited.
    fn take(files: &mut BTreeMap<String, OwnedFd>) -> Result<Self> {
        let mut file = |name: &str| {
            let missing = || Error::config(format!("the {name} did not come along"));
            files.remove(name).ok_or_else(missing)
        };
        let lock = StateLock(file(LOCK)?.into());
        let control = std::os::unix::net::UnixListener::from(file(CONTROL)?);
        let control = control
            .set_nonblocking(true)
            .and_then(|()| UnixListener::from_std(control))
            .map_err(|error| {
                Error::config("the control socket cannot be taken over").with_source(error)
            })?;
        Ok(Self { lock, control })
    }
}
