//! The one error of this crate.

use std::fmt;

use crate::agent::TransitionRefusal;
use crate::bindings::mortise::persistence::types::Error as Contract;
use crate::record::{Key, Stored};

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// The record changed since it was read; [`Error::current`] has the present one.
    Conflict,
    /// The entity is in a state that does not allow it; [`Error::transition_refusal`] tells why.
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
    #[cfg(feature = "client")]
    pub(crate) const ALL: [Self; 18] = [
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
    #[cfg(feature = "client")]
    pub(crate) fn named(name: &str) -> Option<Self> {
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

/// Where a corrupt record went.
pub(crate) const CORRUPT_HINT: &str =
    "see what was set aside: Store::quarantine, or `mortise store quarantine list`";

/// What to do about a write that may have happened.
const AMBIGUOUS_HINT: &str = "load the record before trying again";

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each is the method of `Store` or of `Host`, the function of `transfer`, or what a `Migrator` does, of the same name"
)]
pub enum Operation {
    Configure,
    Open,
    Create,
    Load,
    LoadMany,
    Update,
    Delete,
    Find,
    Apply,
    Export,
    Import,
    Sweep,
    Clear,
    Statistics,
    Health,
    Reload,
    Snapshot,
    Copy,
    Backup,
    Restore,
    Migrate,
    Restart,
}

impl Operation {
    /// How many there are, for what has a place for each.
    pub(crate) const COUNT: usize = Self::Migrate as usize + 1;

    /// Its name, as in the contract: `load-many`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Open => "open",
            Self::Create => "create",
            Self::Load => "load",
            Self::LoadMany => "load-many",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Find => "find",
            Self::Apply => "apply",
            Self::Export => "export",
            Self::Import => "import",
            Self::Sweep => "sweep",
            Self::Clear => "clear",
            Self::Statistics => "statistics",
            Self::Health => "health",
            Self::Reload => "reload",
            Self::Snapshot => "snapshot",
            Self::Copy => "copy",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Migrate => "migrate",
            Self::Restart => "restart",
        }
    }

    /// Whether a call of this operation can change records.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Update
                | Self::Delete
                | Self::Apply
                | Self::Import
                | Self::Sweep
                | Self::Clear
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call failed: what was being done, to which record, in which backend, and what to do next.
///
/// `Display` is one line in lower case, without the source. What a backend said is quoted in it, and
/// to be had alone from [`Error::backend_message`]: it is text from inside the sandbox.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Operation,
    backend: Option<String>,
    key: Option<Key>,
    message: String,
    backend_message: Option<String>,
    current: Option<Stored>,
    refusal: Option<TransitionRefusal>,
    write_index: Option<usize>,
    needs_migration: bool,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// What failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The backend's name, once it is known.
    pub fn backend(&self) -> Option<&str> {
        self.0.backend.as_deref()
    }

    /// The record that it is about.
    pub fn key(&self) -> Option<&Key> {
        self.0.key.as_ref()
    }

    /// What the backend said, word for word. Untrusted text.
    pub fn backend_message(&self) -> Option<&str> {
        self.0.backend_message.as_deref()
    }

    /// Of a conflict: the record as it is now.
    pub fn current(&self) -> Option<&Stored> {
        self.0.current.as_ref()
    }

    /// Of an invalid transition: the state that the entity is in, and what it allows.
    pub fn transition_refusal(&self) -> Option<&TransitionRefusal> {
        self.0.refusal.as_ref()
    }

    /// Of a failed batch: which write failed it, counted from 0.
    pub fn write_index(&self) -> Option<usize> {
        self.0.write_index
    }

    /// What happened, without the operation and the record.
    pub(crate) fn reason(&self) -> String {
        match &self.0.backend_message {
            Some(said) => format!("{}: {}", self.0.message, said.escape_debug()),
            None => self.0.message.clone(),
        }
    }

    /// What happened, without the operation, the record, and what the backend said.
    #[cfg(feature = "serve")]
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The error and its causes, in one line.
    pub fn with_causes(&self) -> String {
        match self.causes() {
            Some(causes) => format!("{self}: {causes}"),
            None => self.to_string(),
        }
    }

    /// Its causes, in one line; none where it has none.
    pub(crate) fn causes(&self) -> Option<String> {
        let mut causes: Option<String> = None;
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            causes = Some(match causes {
                Some(causes) => format!("{causes}: {error}"),
                None => error.to_string(),
            });
            source = error.source();
        }
        causes
    }

    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the record changed since it was read.
    pub fn is_conflict(&self) -> bool {
        self.kind() == ErrorKind::Conflict
    }

    /// Whether there is no such record.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the record is there already.
    pub fn is_already_exists(&self) -> bool {
        self.kind() == ErrorKind::AlreadyExists
    }

    /// Whether nothing happened and the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::Deadline)
    }

    /// Whether the write may have happened.
    pub fn is_ambiguous(&self) -> bool {
        self.kind() == ErrorKind::Ambiguous
    }

    /// Of a hot swap that was refused: whether the new component has to migrate a store first, and would as the store is
    /// opened anew.
    pub fn needs_migration(&self) -> bool {
        self.0.needs_migration
    }

    pub(crate) fn new(kind: ErrorKind, operation: Operation, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            backend: None,
            key: None,
            message: message.into(),
            backend_message: None,
            current: None,
            refusal: None,
            write_index: None,
            needs_migration: false,
            hint: None,
            source: None,
        }))
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Operation::Configure, message)
    }

    pub(crate) fn invalid(operation: Operation, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, operation, message)
    }

    pub(crate) fn too_large(operation: Operation, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, operation, message)
    }

    /// The record changed since it was read: this is what it is now.
    pub(crate) fn conflict(operation: Operation, current: Stored) -> Self {
        let message = format!(
            "the record is another one than expected: it was changed last by revision {}",
            current.stamp.mod_revision
        );
        let mut error = Self::new(ErrorKind::Conflict, operation, message)
            .with_key(current.draft.key.clone())
            .with_hint("load it again, apply the change to what is there, and retry");
        error.0.current = Some(current);
        error
    }

    /// What a lifecycle refuses.
    pub(crate) fn invalid_transition(operation: Operation, refusal: TransitionRefusal) -> Self {
        let mut error = Self::new(ErrorKind::InvalidTransition, operation, refusal.to_string());
        error.0.refusal = Some(refusal);
        error
    }

    /// What a backend answered.
    pub(crate) fn from_contract(operation: Operation, error: Contract) -> Self {
        use ErrorKind as K;
        let said = |kind, message: &str, text: String| {
            let mut error = Self::new(kind, operation, message);
            error.0.backend_message = Some(text);
            error
        };
        match error {
            Contract::AlreadyExists(key) => {
                Self::new(K::AlreadyExists, operation, "the record is there already").with_key(key)
            }
            Contract::NotFound(key) => {
                Self::new(K::NotFound, operation, "there is no such record").with_key(key)
            }
            Contract::Conflict(current) => Self::conflict(operation, current),
            Contract::Corrupt(key) => Self::new(
                K::Corrupt,
                operation,
                "the stored record cannot be read back",
            )
            .with_key(key)
            .with_hint(CORRUPT_HINT),
            Contract::Invalid(text) => said(K::Invalid, "the call breaks a rule", text),
            Contract::TooLarge(text) => said(K::TooLarge, "over a limit", text),
            Contract::Unsupported(text) => said(K::Unsupported, "not offered", text),
            Contract::Unavailable(text) => said(
                K::Unavailable,
                "the storage did not answer, nothing happened",
                text,
            ),
            Contract::Ambiguous(text) => {
                said(K::Ambiguous, "the write may or may not have happened", text)
                    .with_hint(AMBIGUOUS_HINT)
            }
            Contract::Internal(text) => said(K::Internal, "the backend is at fault", text),
        }
    }

    /// The same of a write of which it is not known whether it happened.
    #[cfg(feature = "client")]
    pub(crate) fn into_ambiguous(mut self) -> Self {
        let message = &self.0.message;
        self.0.message = format!("the write may or may not have happened: {message}");
        self.0.kind = ErrorKind::Ambiguous;
        self.0.hint = Some(AMBIGUOUS_HINT.to_owned());
        self
    }

    pub(crate) fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = operation;
        self
    }

    pub(crate) fn with_backend(mut self, backend: &str) -> Self {
        self.0.backend.get_or_insert_with(|| backend.to_owned());
        self
    }

    pub(crate) fn with_key(mut self, key: Key) -> Self {
        self.0.key.get_or_insert(key);
        self
    }

    pub(crate) fn with_write_index(mut self, index: usize) -> Self {
        self.0.write_index = Some(index);
        self
    }

    pub(crate) fn with_migration_needed(mut self) -> Self {
        self.0.needs_migration = true;
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert(hint.into());
        self
    }

    pub(crate) fn with_backend_message(mut self, message: Option<String>) -> Self {
        self.0.backend_message = message;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "{}", inner.operation)?;
        if let Some(index) = inner.write_index {
            write!(f, ", write {index}")?;
        }
        if let Some(key) = &inner.key {
            write!(f, " {key}")?;
        }
        if let Some(backend) = &inner.backend {
            write!(f, " (backend {backend})")?;
        }
        write!(f, ": {}", self.reason())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind(), self.with_causes())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
