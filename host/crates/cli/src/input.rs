//! Where input comes from: a file, or stdin.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;
use mortise::agent::AgentTask;
use serde::de::DeserializeOwned;

use crate::exit_code::CliError;
use crate::output::Output;

/// A file, or stdin.
#[derive(Debug, Clone)]
pub enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    /// Opens it for reading.
    pub fn open(&self, output: &Output) -> anyhow::Result<Box<dyn BufRead>> {
        match self {
            Self::Stdin => {
                if io::stdin().is_terminal() {
                    output.note("reading from the terminal; end with ctrl-d");
                }
                Ok(Box::new(io::stdin().lock()))
            }
            Self::File(path) => {
                let file = File::open(path).with_context(|| format!("{self} cannot be opened"))?;
                Ok(Box::new(BufReader::with_capacity(64 << 10, file)))
            }
        }
    }

    /// Reads all of it.
    pub fn bytes(&self, output: &Output) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(output)?
            .read_to_end(&mut bytes)
            .with_context(|| format!("{self} cannot be read"))?;
        Ok(bytes)
    }

    /// Reads its values, one JSON after another, with or without line breaks.
    pub fn values<T: DeserializeOwned>(&self, output: &Output) -> anyhow::Result<Values<T>> {
        let values = serde_json::Deserializer::from_reader(self.open(output)?);
        Ok(values.into_iter())
    }

    /// Reads the one task that it has.
    pub fn task(&self, output: &Output) -> anyhow::Result<AgentTask> {
        let mut tasks = self.values(output)?;
        let task = tasks
            .next()
            .transpose()
            .with_context(|| format!("{self} is no task"))?;
        let Some(task) = task else {
            return Err(
                CliError::invalid(format!("{self} is empty"), "give one task as JSON").into(),
            );
        };
        match tasks.next() {
            None => Ok(task),
            Some(Err(error)) => {
                Err(error).with_context(|| format!("{self} goes on after the task"))
            }
            Some(Ok(_)) => {
                let message = format!("{self} has more than one task");
                Err(CliError::invalid(message, "update one task at a time").into())
            }
        }
    }
}

/// Values, as they are read.
pub type Values<T> =
    serde_json::StreamDeserializer<'static, serde_json::de::IoRead<Box<dyn BufRead>>, T>;

impl From<OsString> for Input {
    fn from(path: OsString) -> Self {
        if path == "-" {
            Self::Stdin
        } else {
            Self::File(path.into())
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("stdin"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
