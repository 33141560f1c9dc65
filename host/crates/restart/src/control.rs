//! The control socket: where `mortise restart` asks the server that runs.
//!
//! One JSON object a line, both ways. Only the user whose server it is can connect, and the administrator.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mortise_store::inside::{ErrorInside as _, Later};
use mortise_store::{Error, ErrorKind, Operation, Result, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::calls::Calls;
use crate::channel::{Broken, Channel};
use crate::event::{Request, Restart, Trigger};
use crate::process::lives;
use crate::restarts::Restarts;
use crate::state_dir::StateDir;

/// How long a server may take to go on in place.
const IN_PLACE: Duration = Duration::from_secs(10);
/// The version of what is said here.
const VERSION: u32 = 1;

/// What is asked: the version is looked at before the rest.
#[derive(Serialize, Deserialize)]
struct Question<C> {
    version: u32,
    command: C,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Command {
    Restart {
        #[serde(default)]
        reason: Option<String>,
        graceful: bool,
        preserve_state: bool,
    },
    Status,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// A restart that was asked for: as it begins, with each phase, and once it has an outcome.
    Restart(Box<Restart>),
    Status(Box<ServerStatus>),
    /// Nothing was done: why.
    Refused {
        why: String,
    },
}

/// How a server that runs is doing with its restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerStatus {
    /// The process that serves.
    pub process: u32,
    /// Since when: milliseconds since 1970, UTC.
    pub since: Timestamp,
    /// The restart that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// What the restart waits for: the calls in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How many calls wait for the restart.
    pub suspended: usize,
    /// The last restart that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Restart>,
}

/// What the control socket answers from.
#[derive(Clone)]
pub struct Desk {
    pub(crate) restarts: Restarts,
    pub(crate) calls: Arc<dyn Calls>,
    pub(crate) since: Timestamp,
}

impl Desk {
    /// How the server is doing.
    pub fn status(&self) -> ServerStatus {
        let restart = self.restarts.current();
        let flying = self.calls.in_flight();
        let waits = restart.is_some() && !flying.is_none();
        let mut history = self.restarts.history();
        history.retain(|restart| restart.outcome.is_some());
        ServerStatus {
            process: std::process::id(),
            since: self.since,
            restart,
            waits_for: waits.then(|| flying.to_string()),
            suspended: self.calls.suspended(),
            last: history.pop(),
        }
    }

    /// Begins a restart, which goes on by itself; what comes back tells of it until it has an outcome.
    ///
    /// # Errors
    ///
    /// `Unavailable` where one goes on already, or there were too many; `Io` where the history cannot be written.
    /// The server serves as before.
    pub fn begin(&self, request: Request) -> Later<'_, Result<watch::Receiver<Restart>>> {
        Box::pin(self.restarts.begin(request))
    }

    /// Breaks off the restart that goes on, because the server stops. That it was, the next start notes in the history.
    pub fn abandon(&self) {
        self.restarts.abandon();
    }

    /// Answers whoever connects, for ever.
    pub(crate) async fn serve(self, listener: &UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(self.clone().answer(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    // As where no file can be opened any more: that may pass.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn answer(self, stream: UnixStream) {
        let by = match peer(&stream) {
            Ok(by) => by,
            Err(reason) => return tracing::warn!(reason, "the control socket refuses"),
        };
        let mut channel = Channel::new(stream);
        let answer = match question(&mut channel).await {
            Ok(Command::Status) => Answer::Status(Box::new(self.status())),
            Ok(Command::Restart {
                reason,
                graceful,
                preserve_state,
            }) => {
                let request = Request {
                    trigger: Trigger::Command,
                    by,
                    reason,
                    graceful,
                    preserve_state,
                };
                return self.restart(request, &channel).await;
            }
            Err(why) => Answer::Refused { why },
        };
        // Nobody is there any more where it fails.
        let _ = channel.send(&answer, &[]).await;
    }

    /// Tells every step. The restart goes on where nobody listens any more.
    async fn restart(self, request: Request, channel: &Channel) {
        let _busy = self.restarts.busy().await;
        let mut told = match self.restarts.begin(request).await {
            Ok(told) => told,
            Err(error) => {
                let why = error.with_causes();
                let _ = channel.send(&Answer::Refused { why }, &[]).await;
                return;
            }
        };
        loop {
            let restart = Box::new(told.borrow_and_update().clone());
            let ended = restart.outcome.is_some();
            let sent = channel.send(&Answer::Restart(restart), &[]).await;
            if ended || sent.is_err() || told.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn question(channel: &mut Channel) -> std::result::Result<Command, String> {
    let asked = channel.receive::<Question<serde_json::Value>>().await;
    let (Question { version, command }, _) = asked.map_err(|broken| broken.to_string())?;
    if version != VERSION {
        return Err(format!(
            "the question has version {version}, this server knows {VERSION}"
        ));
    }
    serde_json::from_value(command).map_err(|error| format!("the command is not known: {error}"))
}

/// Who is at the other end; refuses other users.
fn peer(stream: &UnixStream) -> std::result::Result<String, String> {
    let credentials = stream.peer_cred().map_err(|error| error.to_string())?;
    let (uid, own) = (credentials.uid(), rustix::process::geteuid().as_raw());
    if uid != own && uid != 0 {
        return Err(format!("user {uid} asks the server of user {own}"));
    }
    Ok(match credentials.pid() {
        Some(pid) => format!("user {uid}, process {pid}"),
        None => format!("user {uid}"),
    })
}

/// Listens at the state directory's control socket. What is left of an earlier one is removed: whoever has the
/// directory's lock is alone.
pub(crate) fn listen(state: &StateDir) -> Result<UnixListener> {
    let place = state.control_socket();
    bind(&place).map_err(|error| {
        let what = format!("the control socket {} cannot be made", place.display());
        Error::config(what)
            .with_source(error)
            .with_hint("a socket's path has at most 100 bytes or so: name a shorter --state-dir")
    })
}

fn bind(place: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(place)?;
    fs::set_permissions(place, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Asks a server that runs.
pub struct ControlClient {
    channel: Channel,
    state: StateDir,
}

impl ControlClient {
    /// Connects to the server with this state directory.
    ///
    /// # Errors
    ///
    /// `Unavailable` where none runs.
    pub async fn connect(state: &StateDir) -> Result<Self> {
        let place = state.control_socket();
        let stream = UnixStream::connect(&place).await.map_err(|error| {
            let what = format!("no server answers at {}", place.display());
            Error::new(ErrorKind::Unavailable, Operation::Restart, what)
                .with_source(error)
                .with_hint("start one with `mortise serve`, or name its folder with --state-dir")
        })?;
        Ok(Self {
            channel: Channel::new(stream),
            state: state.clone(),
        })
    }

    /// Has the server restart, and waits for the outcome. `each` is told of every phase as it begins.
    ///
    /// # Errors
    ///
    /// `Unavailable` where it is refused or the server is gone.
    pub async fn restart(
        mut self,
        reason: Option<String>,
        graceful: bool,
        preserve_state: bool,
        mut each: impl FnMut(&Restart),
    ) -> Result<Restart> {
        let command = Command::Restart {
            reason,
            graceful,
            preserve_state,
        };
        self.ask(command).await?;
        let mut begun = None;
        loop {
            match (self.answer().await, &begun) {
                (Ok(Answer::Restart(restart)), _) if restart.outcome.is_some() => {
                    return Ok(*restart);
                }
                (Ok(Answer::Restart(restart)), _) => {
                    each(&restart);
                    begun = Some(*restart);
                }
                (Ok(_), _) => return Err(unexpected()),
                (Err(error), Some(begun)) => return self.gone_on(begun).await.ok_or(error),
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// The outcome of a restart that ends no connection but this one: the process that was asked takes over from itself.
    async fn gone_on(&self, begun: &Restart) -> Option<Restart> {
        let deadline = Instant::now() + IN_PLACE;
        while lives(begun.from) && Instant::now() < deadline {
            let restarts = history(&self.state).ok()?;
            let ended = restarts
                .into_iter()
                .find(|restart| restart.number == begun.number && restart.outcome.is_some());
            if ended.is_some() {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    /// How the server is doing.
    ///
    /// # Errors
    ///
    /// `Unavailable` where it is gone.
    pub async fn status(mut self) -> Result<ServerStatus> {
        self.ask(Command::Status).await?;
        match self.answer().await? {
            Answer::Status(status) => Ok(*status),
            _ => Err(unexpected()),
        }
    }

    async fn ask(&mut self, command: Command) -> Result<()> {
        let question = Question {
            version: VERSION,
            command,
        };
        let sent = self.channel.send(&question, &[]).await;
        sent.map_err(|error| unavailable("the server cannot be asked").with_source(error))
    }

    async fn answer(&mut self) -> Result<Answer> {
        match self.channel.receive().await {
            Ok((Answer::Refused { why }, _)) => Err(unavailable(why)),
            Ok((answer, _)) => Ok(answer),
            Err(Broken::Gone) => Err(unavailable("the server ended before it answered")
                .with_hint("see `mortise restart history` for what came of it")),
            Err(broken) => Err(unavailable(broken.to_string())),
        }
    }
}

fn unavailable(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, Operation::Restart, what)
}

fn unexpected() -> Error {
    Error::new(
        ErrorKind::Internal,
        Operation::Restart,
        "the server answered something else than was asked",
    )
}

/// Every restart that a state directory tells of, oldest first; also while no server runs.
///
/// # Errors
///
/// `Io` where the history cannot be read.
pub fn history(state: &StateDir) -> Result<Vec<Restart>> {
    super::history::read(&state.history())
}
