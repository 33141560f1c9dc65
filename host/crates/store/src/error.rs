//! The one error of Mortise.

mod kind;
mod operation;

use std::fmt;

use crate::contract::ContractError;
use crate::record::{Key, Stored};
use crate::transition::TransitionRefusal;

pub use kind::ErrorKind;
pub use operation::Operation;

/// Shorthand for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where a corrupt record went.
pub const CORRUPT_HINT: &str =
    "see what was set aside: Store::quarantine, or `mortise store quarantine list`";

/// What to do about a write that may have happened.
const AMBIGUOUS_HINT: &str = "load the record before trying again";

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

    /// The error and its causes, in one line.
    pub fn with_causes(&self) -> String {
        match self.causes() {
            Some(causes) => format!("{self}: {causes}"),
            None => self.to_string(),
        }
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
}

/// What makes errors, and what they tell siblings of this crate.
pub trait ErrorInside: Sized {
    /// What happened, without the operation and the record.
    fn reason(&self) -> String;

    /// What happened, without the operation, the record, and what the backend said.
    fn message(&self) -> &str;

    /// Its causes, in one line; none where it has none.
    fn causes(&self) -> Option<String>;

    /// An error of this kind.
    fn new(kind: ErrorKind, operation: Operation, message: impl Into<String>) -> Self;

    /// The configuration is at fault.
    fn config(message: impl Into<String>) -> Self;

    /// An argument breaks a rule.
    fn invalid(operation: Operation, message: impl Into<String>) -> Self;

    /// Over a limit.
    fn too_large(operation: Operation, message: impl Into<String>) -> Self;

    /// The record changed since it was read: this is what it is now.
    fn conflict(operation: Operation, current: Stored) -> Self;

    /// What a lifecycle refuses.
    fn invalid_transition(operation: Operation, refusal: TransitionRefusal) -> Self;

    /// What a backend answered.
    fn from_contract(operation: Operation, error: ContractError) -> Self;

    /// The same of a write of which it is not known whether it happened.
    fn into_ambiguous(self) -> Self;

    /// The same of another operation.
    fn with_operation(self, operation: Operation) -> Self;

    /// Names the backend, where none is named yet.
    fn with_backend(self, backend: &str) -> Self;

    /// Names the record, where none is named yet.
    fn with_key(self, key: Key) -> Self;

    /// Names the write of a batch.
    fn with_write_index(self, index: usize) -> Self;

    /// A store has to be migrated first.
    fn with_migration_needed(self) -> Self;

    /// What to do next, where nothing is said yet.
    fn with_hint(self, hint: impl Into<String>) -> Self;

    /// What the backend said.
    fn with_backend_message(self, message: Option<String>) -> Self;

    /// What caused it.
    fn with_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self;
}

impl ErrorInside for Error {
    fn reason(&self) -> String {
        match &self.0.backend_message {
            Some(said) => format!("{}: {}", self.0.message, said.escape_debug()),
            None => self.0.message.clone(),
        }
    }

    fn message(&self) -> &str {
        &self.0.message
    }

    fn causes(&self) -> Option<String> {
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

    fn new(kind: ErrorKind, operation: Operation, message: impl Into<String>) -> Self {
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

    fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Operation::Configure, message)
    }

    fn invalid(operation: Operation, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, operation, message)
    }

    fn too_large(operation: Operation, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, operation, message)
    }

    fn conflict(operation: Operation, current: Stored) -> Self {
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

    fn invalid_transition(operation: Operation, refusal: TransitionRefusal) -> Self {
        let mut error = Self::new(ErrorKind::InvalidTransition, operation, refusal.to_string());
        error.0.refusal = Some(refusal);
        error
    }

    fn from_contract(operation: Operation, error: ContractError) -> Self {
        use ErrorKind as K;
        let said = |kind, message: &str, text: String| {
            let mut error = Self::new(kind, operation, message);
            error.0.backend_message = Some(text);
            error
        };
        match error {
            ContractError::AlreadyExists(key) => {
                Self::new(K::AlreadyExists, operation, "the record is there already").with_key(key)
            }
            ContractError::NotFound(key) => {
                Self::new(K::NotFound, operation, "there is no such record").with_key(key)
            }
            ContractError::Conflict(current) => Self::conflict(operation, current),
            ContractError::Corrupt(key) => Self::new(
                K::Corrupt,
                operation,
                "the stored record cannot be read back",
            )
            .with_key(key)
            .with_hint(CORRUPT_HINT),
            ContractError::Invalid(text) => said(K::Invalid, "the call breaks a rule", text),
            ContractError::TooLarge(text) => said(K::TooLarge, "over a limit", text),
            ContractError::Unsupported(text) => said(K::Unsupported, "not offered", text),
            ContractError::Unavailable(text) => said(
                K::Unavailable,
                "the storage did not answer, nothing happened",
                text,
            ),
            ContractError::Ambiguous(text) => {
                said(K::Ambiguous, "the write may or may not have happened", text)
                    .with_hint(AMBIGUOUS_HINT)
            }
            ContractError::Internal(text) => said(K::Internal, "the backend is at fault", text),
        }
    }

    fn into_ambiguous(mut self) -> Self {
        let message = &self.0.message;
        self.0.message = format!("the write may or may not have happened: {message}");
        self.0.kind = ErrorKind::Ambiguous;
        self.0.hint = Some(AMBIGUOUS_HINT.to_owned());
        self
    }

    fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = operation;
        self
    }

    fn with_backend(mut self, backend: &str) -> Self {
        self.0.backend.get_or_insert_with(|| backend.to_owned());
        self
    }

    fn with_key(mut self, key: Key) -> Self {
        self.0.key.get_or_insert(key);
        self
    }

    fn with_write_index(mut self, index: usize) -> Self {
        self.0.write_index = Some(index);
        self
    }

    fn with_migration_needed(mut self) -> Self {
        self.0.needs_migration = true;
        self
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert(hint.into());
        self
    }

    fn with_backend_message(mut self, message: Option<String>) -> Self {
        self.0.backend_message = message;
        self
    }

    fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
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
