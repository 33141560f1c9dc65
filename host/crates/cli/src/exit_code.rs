//! How the command line ends.

use std::fmt;
use std::process::ExitCode;

use mortise::ErrorKind;

/// The end of `mortise --help`.
pub const HELP: &str = "\
NO_COLOR and RUST_LOG are honoured.

Exit codes:
  0   it was done
  1   it failed in a way that has no code of its own
  2   the command line is wrong
  3   there is no such record
  4   the record is there already
  5   the record changed since it was read, or is in a state that does not allow it
  6   the input is invalid, too large, or more than the backend offers
  7   the storage did not answer in time; nothing happened, try again
  8   the write may or may not have happened; look before trying again
  9   the configuration, the component or a missing grant is in the way
  10  the backend is at fault: it trapped, lost its state, breaks the contract, or a record is
      damaged";

/// Exit codes: part of the command line's interface, they do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MortiseExitCode {
    /// It was done.
    Success = 0,
    /// It failed in a way that has no code of its own: a file that cannot be read, for one.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no such record.
    NotFound = 3,
    /// The record is there already.
    AlreadyExists = 4,
    /// The record changed since it was read, or is in a state that does not allow it.
    Conflict = 5,
    /// The input is invalid, too large, or more than the backend offers.
    Invalid = 6,
    /// The storage did not answer in time. Nothing happened: try again.
    Unavailable = 7,
    /// The write may or may not have happened. Look before trying again.
    Ambiguous = 8,
    /// The operator must act: the configuration, the component, or a missing grant is in the way.
    Refused = 9,
    /// The backend is at fault: it trapped, lost its state, breaks the contract, or a record is damaged.
    BackendFault = 10,
}

impl MortiseExitCode {
    /// By the first cause in the chain that has a code.
    pub fn of(error: &anyhow::Error) -> Self {
        error
            .chain()
            .find_map(Self::of_cause)
            .unwrap_or(Self::Failure)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(error) = cause.downcast_ref::<mortise::Error>() {
            return Some(Self::of_kind(error.kind()));
        }
        if let Some(error) = cause.downcast_ref::<CliError>() {
            return Some(error.code);
        }
        match cause.downcast_ref::<serde_json::Error>() {
            Some(error) if !error.is_io() => Some(Self::Invalid),
            _ => None,
        }
    }

    fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::Conflict | ErrorKind::InvalidTransition => Self::Conflict,
            ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Unsupported => Self::Invalid,
            ErrorKind::Unavailable | ErrorKind::Deadline => Self::Unavailable,
            ErrorKind::Ambiguous => Self::Ambiguous,
            ErrorKind::NotGranted | ErrorKind::Component | ErrorKind::Config => Self::Refused,
            ErrorKind::Trap | ErrorKind::Internal | ErrorKind::StateLost | ErrorKind::Corrupt => {
                Self::BackendFault
            }
            _ => Self::Failure,
        }
    }
}

impl From<MortiseExitCode> for ExitCode {
    fn from(code: MortiseExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// A failure that the command line finds itself, not the library.
#[derive(Debug)]
pub struct CliError {
    code: MortiseExitCode,
    message: String,
    hint: Option<&'static str>,
}

impl CliError {
    /// The arguments, together with what is there, do not say what to do.
    pub fn usage(message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            code: MortiseExitCode::Usage,
            message: message.into(),
            hint: Some(hint),
        }
    }

    /// The input is not what the command takes.
    pub fn invalid(message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            code: MortiseExitCode::Invalid,
            message: message.into(),
            hint: Some(hint),
        }
    }

    /// The record is not as it would have to be.
    pub fn conflict(message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            code: MortiseExitCode::Conflict,
            message: message.into(),
            hint: Some(hint),
        }
    }

    /// What was asked for by its id is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self {
            code: MortiseExitCode::NotFound,
            message: message.into(),
            hint: None,
        }
    }

    /// The backend breaks the contract.
    pub fn backend_fault(message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            code: MortiseExitCode::BackendFault,
            message: message.into(),
            hint: Some(hint),
        }
    }

    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

#[cfg(test)]
mod tests {
    use super::*;
    use MortiseExitCode as Code;

    #[test]
    fn every_kind_of_error_has_its_code() {
        for (kind, code) in [
            (ErrorKind::AlreadyExists, Code::AlreadyExists),
            (ErrorKind::NotFound, Code::NotFound),
            (ErrorKind::Conflict, Code::Conflict),
            (ErrorKind::InvalidTransition, Code::Conflict),
            (ErrorKind::Invalid, Code::Invalid),
            (ErrorKind::TooLarge, Code::Invalid),
            (ErrorKind::Unsupported, Code::Invalid),
            (ErrorKind::Corrupt, Code::BackendFault),
            (ErrorKind::Unavailable, Code::Unavailable),
            (ErrorKind::Deadline, Code::Unavailable),
            (ErrorKind::Ambiguous, Code::Ambiguous),
            (ErrorKind::Internal, Code::BackendFault),
            (ErrorKind::Trap, Code::BackendFault),
            (ErrorKind::StateLost, Code::BackendFault),
            (ErrorKind::NotGranted, Code::Refused),
            (ErrorKind::Component, Code::Refused),
            (ErrorKind::Config, Code::Refused),
            (ErrorKind::Io, Code::Failure),
        ] {
            assert_eq!(Code::of_kind(kind), code, "{kind:?}");
        }
    }

    #[test]
    fn the_first_cause_that_has_a_code_decides() {
        let json = serde_json::from_str::<u8>("x").unwrap_err();
        let error = anyhow::Error::new(json).context("task 7");
        assert_eq!(Code::of(&error), Code::Invalid);
        let error = anyhow::Error::new(CliError::usage("which?", "say which")).context("so");
        assert_eq!(Code::of(&error), Code::Usage);
        assert_eq!(Code::of(&anyhow::anyhow!("something else")), Code::Failure);
    }

    #[test]
    fn the_help_names_every_code() {
        let named: Vec<u8> = HELP
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(
            named,
            (Code::Success as u8..=Code::BackendFault as u8).collect::<Vec<_>>()
        );
    }
}
