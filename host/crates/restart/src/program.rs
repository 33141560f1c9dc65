//! The program that runs, and how the next one is started: from the same place, with the same arguments.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, Result};
use rustix::io::FdFlags;

/// What a process is started with that takes over from the one that starts it.
pub const TAKE_OVER: &str = "--take-over";
/// What a process goes on with that takes over from itself, by `exec`: this, and the number of the socket over which
/// it finds itself led.
pub const TAKE_OVER_IN_PLACE: &str = "--take-over-in-place=";

/// Where the program is, and its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// That of this process. To be asked for as it starts: what is at its path later is what the next process runs.
    ///
    /// # Errors
    ///
    /// `Config` where the system does not tell.
    pub fn of_this_process() -> Result<Self> {
        let file = this_file().map_err(|error| {
            Error::config("the path of this program is not known").with_source(error)
        })?;
        let arguments = env::args_os().skip(1);
        let ours = |argument: &OsString| {
            let bytes = argument.as_encoded_bytes();
            argument == TAKE_OVER || bytes.starts_with(TAKE_OVER_IN_PLACE.as_bytes())
        };
        Ok(Self {
            file,
            arguments: arguments.filter(|argument| !ours(argument)).collect(),
        })
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Starts a process that takes over. It gets one end of the socket as its standard input; what it logs goes
    /// where this process logs, and what it writes where this one writes, unless it is to be `mute`.
    pub(super) fn spawn(&self, socket: OwnedFd, mute: bool) -> io::Result<Child> {
        let mut command = self.command();
        if mute {
            command.stdout(Stdio::null());
        }
        command.arg(TAKE_OVER).stdin(Stdio::from(socket)).spawn()
    }

    /// Goes on as a process that takes over: led over this socket, with the standard input, output and error of this
    /// one. Comes back only where that fails.
    pub(super) fn exec(&self, socket: OwnedFd) -> io::Error {
        if let Err(error) = rustix::io::fcntl_setfd(&socket, FdFlags::empty()) {
            return error.into();
        }
        let number = socket.as_raw_fd();
        self.command()
            .arg(format!("{TAKE_OVER_IN_PLACE}{number}"))
            .exec()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.args(&self.arguments);
        command
    }
}

/// Under the name by which it was started, where that is a path: a link may lead to another version later. Found by
/// the shell, it is where the system found it.
fn this_file() -> io::Result<PathBuf> {
    let running = env::current_exe()?;
    let named = env::args_os().next().map(PathBuf::from);
    let named = named.filter(|named| named.components().count() > 1);
    match named.map(std::path::absolute) {
        Some(Ok(named)) if is_same(&named, &running) => Ok(named),
        _ => Ok(running),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let [one, other] = [one, other].map(std::fs::canonicalize);
    matches!((one, other), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_and_does_not_take_over_twice() {
        let program = Program::of_this_process().unwrap();
        assert!(is_same(program.file(), &env::current_exe().unwrap()));
        assert!(
            !program
                .arguments
                .iter()
                .any(|argument| argument == TAKE_OVER)
        );
    }
}
