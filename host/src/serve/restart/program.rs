//! The program that runs, and how the next one is started: from the same place, with the same arguments.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{Error, Result};

/// What a process is started with that takes over from the one that starts it.
pub const TAKE_OVER: &str = "--take-over";

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
        Ok(Self {
            file,
            arguments: arguments.filter(|argument| argument != TAKE_OVER).collect(),
        })
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Starts a process that takes over. It gets one end of the socket as its standard input; what it logs goes
    /// where this process logs.
    pub(super) fn spawn(&self, socket: OwnedFd) -> io::Result<Child> {
        Command::new(&self.file)
            .args(&self.arguments)
            .arg(TAKE_OVER)
            .stdin(Stdio::from(socket))
            .spawn()
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
