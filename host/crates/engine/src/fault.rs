//! Why a call got no answer, and the error that its caller is told.

use std::time::Duration;

use mortise_store::inside::{ContractError, ErrorInside as _};
use mortise_store::{Error, ErrorKind, Operation};

/// Why a call did not end with an answer. The instance must not be called again.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A panic, a stack overflow.
    #[error("the component trapped")]
    Trap {
        /// The last line that it logged as an error: untrusted text.
        last_words: Option<String>,
        /// Whether a write may have happened.
        wrote: bool,
        /// The trap.
        source: wasmtime::Error,
    },
    /// The memory of its instance is used up.
    #[error("the component asked for more than its {limit} of memory")]
    Memory {
        /// What it may have.
        limit: bytesize::ByteSize,
        /// Whether a write may have happened.
        wrote: bool,
        /// The trap that followed.
        source: wasmtime::Error,
    },
    /// It handed over too much in one go.
    #[error("the component handed over more than the {limit} that an answer may have")]
    Answer {
        /// What it may hand over.
        limit: bytesize::ByteSize,
        /// Whether a write may have happened.
        wrote: bool,
    },
    /// It was too slow.
    #[error("the call did not end within its deadline")]
    Deadline {
        /// Whether a write may have happened.
        wrote: bool,
    },
    /// All instances served other calls.
    #[error("no instance was free within the deadline of {0:?}")]
    Busy(Duration),
    /// A snapshot or a swap held back a singleton's writes.
    #[error("writes were held back for the whole deadline of {0:?}, while all records were read")]
    Held(Duration),
    /// A singleton trapped before.
    #[error("the backend keeps its records in memory, and lost them when it trapped")]
    StateLost,
    /// The engine has no room for one more instance.
    #[error("the host runs as many instances as it may")]
    Exhausted(wasmtime::Error),
}

impl Fault {
    /// The public error for a call of `operation` that ended so.
    pub fn into_error(self, operation: Operation) -> Error {
        let message = self.to_string();
        let (kind, wrote) = match &self {
            Self::Trap { wrote, .. } | Self::Memory { wrote, .. } => (ErrorKind::Trap, *wrote),
            Self::Answer { wrote, .. } => (ErrorKind::TooLarge, *wrote),
            Self::Deadline { wrote } => (ErrorKind::Deadline, *wrote),
            Self::Busy(_) | Self::Held(_) | Self::Exhausted(_) => (ErrorKind::Unavailable, false),
            Self::StateLost => (ErrorKind::StateLost, false),
        };
        let mut error = if wrote {
            let message = format!("the write may or may not have happened: {message}");
            Error::new(ErrorKind::Ambiguous, operation, message)
                .with_hint("load the record before trying again")
        } else {
            Error::new(kind, operation, message)
        };
        match self {
            Self::Trap {
                last_words, source, ..
            } => {
                error = error.with_backend_message(last_words).with_source(source);
            }
            Self::Memory { source, .. } | Self::Exhausted(source) => {
                error = error.with_source(source);
            }
            Self::StateLost => error = error.with_hint("reopen the store; it starts empty"),
            Self::Busy(_) => error = error.with_hint("raise the limit `concurrency`, or try again"),
            Self::Held(_) => {
                error = error.with_hint("a hot swap or a snapshot is under way: try again")
            }
            Self::Answer { .. } => error = error.with_hint("ask for less at once"),
            Self::Deadline { .. } => {}
        }
        error
    }
}

/// Why a call got no answer: an instance failed, refused to open, or was not asked.
pub enum OpenFault {
    Fault(Fault),
    Refused(Box<ContractError>),
    /// The breaker is open: no instance was asked.
    Resting(Box<Rest>),
}

impl OpenFault {
    /// The public error for a call of `operation` that ended so.
    pub(crate) fn into_error(self, operation: Operation) -> Error {
        match self {
            Self::Fault(fault) => fault.into_error(operation),
            Self::Refused(refusal) => Error::from_contract(operation, *refusal),
            Self::Resting(rest) => rest.into_error(operation),
        }
    }
}

/// How a call trapped.
#[derive(Debug, Clone)]
pub(crate) struct Trap {
    /// In the host's words.
    pub(crate) what: String,
    /// The component's last words: untrusted text.
    pub(crate) said: Option<String>,
}

impl Trap {
    /// Of a call that trapped. One that was too slow, or found no instance, says nothing about the
    /// component's health; a lost state has an error of its own.
    pub(crate) fn of(fault: &Fault) -> Option<Self> {
        let (said, source) = match fault {
            Fault::Trap {
                last_words, source, ..
            } => (last_words.clone(), source),
            Fault::Memory { source, .. } => (None, source),
            _ => return None,
        };
        let what = match (fault, &said) {
            (Fault::Trap { .. }, None) => format!("{fault}: {}", source.root_cause()),
            _ => fault.to_string(),
        };
        Some(Self { what, said })
    }

    pub(crate) fn text(&self) -> String {
        match &self.said {
            Some(said) => format!("{}: {}", self.what, said.escape_debug()),
            None => self.what.clone(),
        }
    }
}

/// Why a call was not admitted.
#[derive(Debug)]
pub struct Rest {
    pub(crate) traps: u32,
    pub(crate) within: Duration,
    pub(crate) last: Option<Trap>,
    /// None while a probe is under way.
    pub(crate) next_probe: Option<Duration>,
}

impl Rest {
    /// The public error for a call that was not made.
    pub(crate) fn into_error(self, operation: Operation) -> Error {
        let next = match self.next_probe {
            Some(pause) => format!("the next one is tried in {:?}", whole_ms(pause)),
            None => "one is being tried".to_owned(),
        };
        let (what, said) = match self.last {
            Some(trap) => (trap.what, trap.said),
            None => ("the component trapped".to_owned(), None),
        };
        let message = format!(
            "the call was not made, because the backend trapped {} times in {:?}; {next}; the last time, \
             {what}",
            self.traps,
            whole_ms(self.within)
        );
        Error::new(ErrorKind::Unavailable, operation, message)
            .with_backend_message(said)
            .with_hint("the backend is at fault: tell its author, or replace it")
    }
}

fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
