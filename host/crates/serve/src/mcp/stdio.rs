//! MCP over stdio, and how its session goes on after `exec`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mortise_restart::inside::Gate;
use mortise_store::inside::Later;
use mortise_store::limits::MAX_MCP_MESSAGE_BYTES;
use rmcp::Peer;
use rmcp::model::InitializeRequestParams;
use rmcp::service::{RoleServer, ServerInitializeError, serve_directly, serve_server};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::input::Input;
use super::lines::{LineTransport, Lines};
use super::notice::{Notice, Wanted, tell};
use super::server::{Handler, Mcp};

/// What a session over stdio goes on with after `exec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StdioState {
    /// What the client said when it began, and the revision that was agreed on; none where it did not begin yet.
    initialize: Option<InitializeRequestParams>,
    /// Whether it wants notices.
    notices: bool,
    /// What was read from stdin and not taken, in base64: lines, and the beginning of one.
    unread: String,
    /// Whether that begins inside of a line that is passed over.
    skipping: bool,
}

/// Where a session reads from and writes to.
pub struct Pipes {
    /// Lines from the client.
    pub input: Box<dyn AsyncRead + Send + Unpin>,
    /// Lines to the client.
    pub output: Box<dyn AsyncWrite + Send + Unpin>,
}

/// This process's stdin and stdout.
///
/// Pipes and sockets are read without a thread that waits in a read: so nothing is read that [`Stdio::state`] does not
/// know of. A terminal and a file are read by a thread; what it has read and not handed on is lost at `exec`.
///
/// # Errors
///
/// Where one of them is closed.
pub fn standard_io() -> io::Result<Pipes> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    let input: Box<dyn AsyncRead + Send + Unpin> = match kind(&stdin)? {
        Kind::Pipe => Box::new(pipe::Receiver::from_owned_fd(stdin)?),
        Kind::Socket => Box::new(socket(stdin)?),
        Kind::Other => Box::new(pipe::Receiver::from_owned_fd(copied_stdin()?)?),
    };
    let output: Box<dyn AsyncWrite + Send + Unpin> = match kind(&stdout)? {
        Kind::Pipe => Box::new(pipe::Sender::from_owned_fd(stdout)?),
        Kind::Socket => Box::new(socket(stdout)?),
        Kind::Other => Box::new(tokio::io::stdout()),
    };
    Ok(Pipes { input, output })
}

/// A pipe with what a thread reads from stdin. The process does not wait for the thread when it ends.
fn copied_stdin() -> io::Result<OwnedFd> {
    let (reader, mut writer) = io::pipe()?;
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            // Where it fails the pipe ends, as stdin does.
            let _ = io::copy(&mut io::stdin(), &mut writer);
        })?;
    Ok(reader.into())
}

enum Kind {
    Pipe,
    Socket,
    Other,
}

fn kind(descriptor: &OwnedFd) -> io::Result<Kind> {
    let kind = File::from(descriptor.try_clone()?).metadata()?.file_type();
    Ok(if kind.is_fifo() {
        Kind::Pipe
    } else if kind.is_socket() {
        Kind::Socket
    } else {
        Kind::Other
    })
}

fn socket(descriptor: OwnedFd) -> io::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(descriptor);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// A session over stdio. Cheap to clone: all clones are one session.
#[derive(Clone)]
pub struct Stdio(Arc<Session>);

struct Session {
    mcp: Mcp,
    lines: Arc<Lines>,
    wanted: Wanted,
    /// The calls in flight.
    calls: Gate,
    /// What the client said to the process before.
    before: Option<InitializeRequestParams>,
    /// What the client is told as soon as the session goes on.
    notice: Option<Notice>,
    /// The client, once it began.
    peer: OnceLock<Peer<RoleServer>>,
}

impl Mcp {
    /// A session over these pipes; with a state, the one that another process began, whose client is told the notice,
    /// where there is one, as soon as it goes on.
    ///
    /// # Errors
    ///
    /// Where the state is damaged.
    pub fn stdio(
        &self,
        pipes: Pipes,
        state: Option<StdioState>,
        notice: Option<Notice>,
    ) -> io::Result<Stdio> {
        let state = state.unwrap_or_else(|| StdioState {
            initialize: None,
            notices: true,
            unread: String::new(),
            skipping: false,
        });
        let unread = BASE64.decode(state.unread);
        let unread = unread.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let most = MAX_MCP_MESSAGE_BYTES;
        let input = Input::new(pipes.input, unread, state.skipping, most);
        Ok(Stdio(Arc::new(Session {
            mcp: self.clone(),
            lines: Lines::new(input, pipes.output),
            wanted: Wanted::new(state.notices),
            calls: Gate::default(),
            before: state.initialize,
            notice,
            peer: OnceLock::new(),
        })))
    }
}

impl Stdio {
    /// Serves until the client closes its end. Once for each session.
    ///
    /// # Errors
    ///
    /// Where the client begins with something else than `initialize`, or the pipes break before.
    pub async fn run(&self) -> io::Result<()> {
        self.run_boxed().await
    }

    /// The same, boxed, so that no other crate compiles it.
    fn run_boxed(&self) -> Later<'_, io::Result<()>> {
        Box::pin(self.serve())
    }

    async fn serve(&self) -> io::Result<()> {
        let Session {
            mcp,
            lines,
            wanted,
            calls,
            before,
            notice,
            peer,
        } = &*self.0;
        let handler = Handler::new(mcp.clone(), wanted.clone(), calls.clone());
        let transport = LineTransport(Arc::clone(lines));
        let service = match before {
            Some(before) => {
                let service = serve_directly(handler, transport, Some(before.clone()));
                // It says that it began to one process alone.
                mcp.audience().add(service.peer().clone(), wanted.clone());
                if let Some(notice) = notice.as_ref().filter(|_| wanted.get()) {
                    tell(service.peer(), notice).await;
                }
                service
            }
            None => match serve_server(handler, transport).await {
                Ok(service) => service,
                Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
                Err(error) => return Err(io::Error::other(error)),
            },
        };
        let _ = peer.set(service.peer().clone());
        service.waiting().await.map_err(io::Error::other)?;
        Ok(())
    }

    /// Takes no further message, and waits until all that were taken are answered. A time-out around it is the caller's;
    /// [`go_on`](Self::go_on) has to follow where nothing comes of the restart.
    pub async fn pause(&self) {
        self.0.lines.pause().await;
    }

    /// Takes messages again.
    pub fn go_on(&self) {
        self.0.lines.go_on();
    }

    /// Takes no further message.
    pub(crate) fn hold_back(&self) {
        self.0.lines.hold_back();
    }

    /// The calls in flight.
    pub(crate) fn calls(&self) -> &Gate {
        &self.0.calls
    }

    /// How many requests were taken and are not answered.
    pub fn pending(&self) -> usize {
        self.0.lines.pending()
    }

    /// What the session goes on with in a process that is started by `exec`. To be asked for while it is paused.
    pub async fn state(&self) -> StdioState {
        let Session {
            lines,
            wanted,
            before,
            peer,
            ..
        } = &*self.0;
        let (unread, skipping) = lines.unread().await;
        let said = peer.get().and_then(Peer::peer_info);
        StdioState {
            initialize: said.map(|said| (*said).clone()).or_else(|| before.clone()),
            notices: wanted.get(),
            unread: BASE64.encode(unread),
            skipping,
        }
    }
}

impl std::fmt::Debug for Pipes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipes").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Stdio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stdio").finish_non_exhaustive()
    }
}
