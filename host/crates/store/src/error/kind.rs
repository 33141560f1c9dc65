//! What failed, in a form that a program can act on.

/// What failed, in a form that a program can act on.
///
/// | kind | what happened to the data | try again? |
/// |---|---|---|
/// | `AlreadyExists`, `NotFound`, `Conflict` | nothing | after a load |
/// | `InvalidTransition` | nothing | when the entity is in another state |
/// | `Invalid`, `TooLarge`, `Unsupported` | nothing | no: the call is at fault |
/// | `Unavailable`, `Deadline` | nothing | yes |
/// | `Ambiguous` | it may have been written | after a load |
/// | `Trap`, `Internal` | nothing | perhaps; tell the backend's author |
/// | `StateLost` | all records of a singleton are gone | after [`Store::reopen`](crate::Store::reopen) |
/// | `Corrupt` | the record was set aside ([`Store::quarantine`](crate::Store::quarantine)); where even that was refused, or it is of a shape not known, it is where it was | no |
/// | `NotGranted`, `Component`, `Config` | nothing was opened | no: the operator must act |
/// | `Io` | as the error says | once the file can be read or written |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The record is there already.
    AlreadyExists,
    /// There is no such record.
    NotFound,
    /// The record changed since it was read; [`Error::current`](crate::Error::current) has the present one.
    Conflict,
    /// The entity is in a state that does not allow it; [`Error::transition_refusal`](crate::Error::transition_refusal) tells why.
    InvalidTransition,
    /// An argument breaks a documented rule.
    Invalid,
    /// Over a limit of size or space.
    TooLarge,
    /// The stored bytes of a record cannot be read back. They are never deleted:
    /// [`Store::quarantine`](crate::Store::quarantine) has what was set aside.
    Corrupt,
    /// This backend does not offer what was asked.
    Unsupported,
    /// The storage did not answer, all instances were busy, or the backend trapped so often that it is
    /// given a rest; nothing happened.
    Unavailable,
    /// The write may or may not have happened.
    Ambiguous,
    /// The backend answered that it is itself at fault.
    Internal,
    /// The component trapped: a panic, a stack overflow, out of memory. The instance was dropped.
    Trap,
    /// The call did not end within its deadline, and nothing was written. The instance was dropped.
    Deadline,
    /// A singleton trapped before, and its records went with it.
    StateLost,
    /// The component asks for a capability that the operator did not grant.
    NotGranted,
    /// The file is not a component that this host can run.
    Component,
    /// The configuration, or a store's URL, is at fault.
    Config,
    /// What is read or written beside the store failed: the file of an export, an import or a backup.
    Io,
}

impl ErrorKind {
    /// Each of them.
    pub const ALL: [Self; 18] = [
        Self::AlreadyExists,
        Self::NotFound,
        Self::Conflict,
        Self::InvalidTransition,
        Self::Invalid,
        Self::TooLarge,
        Self::Corrupt,
        Self::Unsupported,
        Self::Unavailable,
        Self::Ambiguous,
        Self::Internal,
        Self::Trap,
        Self::Deadline,
        Self::StateLost,
        Self::NotGranted,
        Self::Component,
        Self::Config,
        Self::Io,
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its name, as over HTTP: `already-exists`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyExists => "already-exists",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::InvalidTransition => "invalid-transition",
            Self::Invalid => "invalid",
            Self::TooLarge => "too-large",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Ambiguous => "ambiguous",
            Self::Internal => "internal",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::StateLost => "state-lost",
            Self::NotGranted => "not-granted",
            Self::Component => "component",
            Self::Config => "config",
            Self::Io => "io",
        }
    }
}
