//! The folder in which a server keeps what outlives it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy as _;
use mortise_store::inside::{ErrorInside as _, beside};
use mortise_store::{Clock as _, Error, ErrorKind, Operation, Result, SystemClock};
use tokio::time::Instant;

/// How long a start waits for the process that has the folder: one that was to take over ends by itself when
/// the one before it is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// A state directory: for this user alone.
///
/// | file | what it is |
/// |---|---|
/// | `server.pid` | the process that serves |
/// | `server.lock` | held by it; by both during a restart |
/// | `control.sock` | where `mortise restart` asks |
/// | `restarts.jsonl` | the history |
/// | `restart.snapshot` | what goes from process to process: there only while nobody serves |
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// The right to serve from a state directory, as long as it lives. A process that takes over inherits it.
#[derive(Debug)]
pub(crate) struct StateLock(pub(crate) File);

impl StateDir {
    /// The folder of the server at this port, in the user's own folder for such: two servers do not meet.
    ///
    /// # Errors
    ///
    /// `Config` where the user has no home.
    pub fn of_port(port: u16) -> Result<Self> {
        Self::named(&format!("serve-{port}"))
    }

    /// The folder of a server that has another port each time.
    ///
    /// # Errors
    ///
    /// As [`of_port`](Self::of_port).
    pub fn of_this_process() -> Result<Self> {
        Self::named(&format!("serve-process-{}", std::process::id()))
    }

    /// A new folder for a session over stdio, which nobody else knows.
    ///
    /// # Errors
    ///
    /// As [`of_port`](Self::of_port).
    pub fn of_session() -> Result<Self> {
        let (process, now) = (std::process::id(), SystemClock.now());
        Self::named(&format!("mcp-{process}-{now}"))
    }

    /// Removes it, unless there are records in it that a restart left.
    pub fn remove(&self) {
        if !self.snapshot().exists() {
            // What is left of it does no harm.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn named(name: &str) -> Result<Self> {
        let strategy = etcetera::choose_base_strategy().map_err(|error| {
            Error::config("there is no folder for the server's state")
                .with_hint("name one with --state-dir")
                .with_source(error)
        })?;
        let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
        Ok(Self(base.join("mortise").join(name)))
    }

    /// This folder. It is made where it is not there.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.0.join("server.pid")
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.0.join("restarts.jsonl")
    }

    pub(crate) fn snapshot(&self) -> PathBuf {
        self.0.join("restart.snapshot")
    }

    /// Makes the folder, and takes the right to serve from it; waits a while where another process has it.
    ///
    /// # Errors
    ///
    /// `Unavailable` where another server has it; `Config` where it is open to others or cannot be made.
    pub(crate) async fn lock(&self) -> Result<StateLock> {
        self.lock_within(PATIENCE).await
    }

    async fn lock_within(&self, patience: Duration) -> Result<StateLock> {
        let failed = |error: io::Error| {
            let what = format!("the state directory {} cannot be used", self.0.display());
            Error::config(what).with_source(error)
        };
        make_private(&self.0).map_err(failed)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(self.0.join("server.lock")).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(StateLock(lock)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let who = match self.pid() {
                        Some(pid) => format!("process {pid}"),
                        None => "another process".to_owned(),
                    };
                    let what = format!("{who} serves from {}", self.0.display());
                    return Err(Error::new(ErrorKind::Unavailable, Operation::Open, what)
                        .with_hint("stop it, or name another folder with --state-dir"));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Says that this process serves: at once and whole, for whoever looks. Blocks.
    pub(crate) fn write_pid(&self) -> Result<()> {
        let file = self.pid_file();
        let partial = beside(&file, ".partial");
        let written = File::create(&partial).and_then(|mut to| {
            writeln!(to, "{}", std::process::id())?;
            to.sync_all()?;
            fs::rename(&partial, &file)
        });
        written.map_err(|error| {
            let what = format!("the file {} cannot be written", file.display());
            Error::new(ErrorKind::Io, Operation::Restart, what).with_source(error)
        })
    }

    /// The process that serves, or did last.
    pub fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.pid_file()).ok()?;
        text.trim().parse().ok()
    }

    /// Says that nobody serves any more, if this process did.
    pub(crate) fn remove_pid(&self) {
        if self.pid() == Some(std::process::id()) {
            // Whoever reads it finds that the process is gone.
            let _ = fs::remove_file(self.pid_file());
        }
    }
}

/// Makes a folder that is this user's alone, or makes sure that it is.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    let about = fs::metadata(folder)?;
    if about.uid() != rustix::process::geteuid().as_raw() {
        let what = "it belongs to another user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("others can look into it (mode {mode:o}), expected mode 700");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path().join("a/b"));
        (folder, state)
    }

    #[tokio::test]
    async fn one_server_at_a_time_serves_from_it() {
        let (_folder, state) = place();
        let lock = state.lock_within(LOOK).await.unwrap();
        state.write_pid().unwrap();
        assert_eq!(state.pid(), Some(std::process::id()));
        let error = state.lock_within(LOOK).await.unwrap_err();
        let expected = format!("process {} serves from", std::process::id());
        assert!(error.to_string().contains(&expected), "{error}");
        // An inherited lock is the same lock.
        let inherited = lock.0.try_clone().unwrap();
        drop(lock);
        state.lock_within(LOOK).await.unwrap_err();
        drop(inherited);
        state.lock_within(LOOK).await.unwrap();
        state.remove_pid();
        assert_eq!(state.pid(), None);
    }

    #[tokio::test]
    async fn a_folder_that_others_can_look_into_is_refused() {
        let (_folder, state) = place();
        state.lock_within(LOOK).await.unwrap();
        let mode = |mode| fs::set_permissions(state.path(), fs::Permissions::from_mode(mode));
        assert_eq!(
            fs::metadata(state.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
        mode(0o755).unwrap();
        let error = state.lock_within(LOOK).await.unwrap_err().with_causes();
        assert!(error.contains("mode 755"), "{error}");
        mode(0o700).unwrap();
        state.lock_within(LOOK).await.unwrap();
    }

    #[test]
    fn two_ports_have_two_folders() {
        let [one, two] =
            [7337, 7338].map(|port| StateDir::named(&format!("serve-{port}")).unwrap());
        assert!(one.path().ends_with("mortise/serve-7337"));
        assert_ne!(one.path(), two.path());
    }
}
