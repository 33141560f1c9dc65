//! The place from which one process after another serves.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use mortise_store::inside::{ErrorInside as _, Opener, blocking};
use mortise_store::{Error, Result, Store};
use tokio::net::UnixListener;

use crate::carry::{self, Part};
use crate::control;
use crate::event::{Outcome, Restart};
use crate::history::History;
use crate::limits::RestartLimits;
use crate::program::Program;
use crate::protocol::{CONTROL, LISTENER, LOCK, SNAPSHOT_LOCK};
use crate::snapshot::{self, Luggage};
use crate::state_dir::{StateDir, StateLock};
use crate::take_over::{Inherited, TakeOver};
use crate::test_hold::stay;
use crate::triggers::Triggers;

/// The place from which a server serves: its state directory, and, where another process served from it before, the
/// sockets that it hands over.
///
/// Taken before the stores are opened, so that two servers never have the same ones open.
pub struct Seat {
    pub(crate) state: StateDir,
    pub(crate) program: Program,
    pub(crate) limits: RestartLimits,
    /// What belongs to whoever has it; none before the process before gave it away.
    pub(crate) held: Option<Held>,
    /// Of what was inherited, what was not asked for yet.
    files: BTreeMap<String, OwnedFd>,
    pub(crate) before: Before,
    pub(crate) triggers: Triggers,
}

/// What the process has that serves.
pub(crate) struct Held {
    pub(crate) lock: StateLock,
    pub(crate) control: UnixListener,
}

/// Who served from here before.
pub(crate) enum Before {
    /// Nobody who lives.
    Nobody(History),
    /// The process that leads this one through a restart.
    Old(Box<TakeOver>, Box<Restart>),
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
    /// As `Host::prepare`; `Unavailable` where the other process gave the restart up.
    pub async fn prepare(&mut self, opener: &dyn Opener, stores: &[String]) -> Result<()> {
        let Before::Old(take_over, _) = &mut self.before else {
            return Ok(());
        };
        for store in stores {
            opener.prepare(store).await?;
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
                opener.inherit(snapshot, File::from(lock));
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
            blocking(move || Luggage::open(&place))
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
