//! What a store falls back on where its backend does not open, if the operator wrote so.

use mortise_store::{Error, ErrorKind, Operation};
use serde::Deserialize;

/// The backend that is opened where the configured one is not ([`StoreConfig::fallback`](crate::StoreConfig::fallback)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fallback {
    /// The backend `memory`: records are gone when the store is closed.
    Memory,
}

impl Fallback {
    /// The backend's name.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Memory => "memory",
        }
    }
}

/// Whether a store that does not open for this reason falls back. Not where the configuration itself
/// is at fault: a grant that is missing or a misspelt option would never be found.
pub fn falls_back(error: &Error) -> bool {
    let is_written_wrong = error.operation() == Operation::Configure;
    let kinds = [
        ErrorKind::NotGranted,
        ErrorKind::Invalid,
        ErrorKind::Unsupported,
    ];
    !is_written_wrong && !kinds.contains(&error.kind())
}
