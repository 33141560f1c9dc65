//! What serves from a seat, and what it needs of the seat meanwhile.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mortise_store::{Clock as _, Store, SystemClock};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::calls::Calls;
use crate::carry::Part;
use crate::control::Desk;
use crate::follow::Follow;
use crate::hand_over::HandOver;
use crate::restarts::Restarts;
use crate::seat::{Before, Held, Seat};
use crate::state_dir::StateDir;
use crate::successor::Successor;
use crate::{snapshot, supervisor};

/// The new process, once it serves.
pub type LeftTo = watch::Receiver<Option<Arc<Successor>>>;

/// What serves from a seat.
pub struct Serving {
    /// What it serves.
    pub stores: Vec<Store>,
    /// What goes from process to process beside the stores.
    pub parts: Vec<Arc<dyn Part>>,
    /// The listening sockets, by name.
    pub listeners: Vec<(String, OwnedFd)>,
    /// Its calls, which end, wait and go on.
    pub calls: Arc<dyn Calls>,
    /// Whether the process itself is to go on, because its clients hold on to it.
    pub in_place: bool,
}

/// What a server needs of its seat while it serves.
pub struct Seated {
    desk: Desk,
    left_to: LeftTo,
    /// Connections that the old process passes on.
    handed: mpsc::Receiver<UnixStream>,
    linger: Duration,
    state: StateDir,
    _task: Task,
}

impl Seated {
    /// Where restarts are asked for.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The process that calls are to be passed on to, once there is one.
    pub fn left_to(&self) -> LeftTo {
        self.left_to.clone()
    }

    /// Tells the supervisor that this process serves.
    pub fn ready(&self) {
        supervisor::ready();
    }

    /// The next connection that the old process passes on; none once another process serves, to which calls are passed
    /// on.
    pub async fn next(&mut self) -> Option<UnixStream> {
        let left = async { self.left_to.wait_for(Option::is_some).await.is_ok() };
        tokio::select! {
            true = left => None,
            // It has none where there is no old process, or it is gone.
            Some(stream) = self.handed.recv() => Some(stream),
            else => std::future::pending().await,
        }
    }

    /// Waits until the restart is told in the history, and to who asked for it.
    pub async fn over(&self) {
        // Who does not listen is not waited for.
        let _ = tokio::time::timeout(self.linger, self.desk.restarts.over()).await;
    }

    /// The process that took over.
    pub fn taken_over_by(&self) -> Option<u32> {
        let successor = self.left_to.borrow();
        successor.as_ref().map(|successor| successor.process())
    }

    /// How long to stay for connections that clients keep open, after another process took over.
    pub fn linger(&self) -> Duration {
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

impl Seat {
    /// Serves from here on. To be called on a runtime.
    pub(crate) fn sit(self, serving: Serving) -> Seated {
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
        Seated {
            desk,
            left_to,
            handed,
            linger,
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

/// Ends it when it is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
