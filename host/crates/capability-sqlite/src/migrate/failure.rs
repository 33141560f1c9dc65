//! What went wrong, as an error that names it.

use mortise_store::inside::ErrorInside as _;
use mortise_store::{Error, ErrorKind, Operation};
use rusqlite::ErrorCode;

use crate::sql::Error as SqlError;

/// An error of SQLite, while the host did `what`.
pub(super) fn failed(what: impl Into<String>, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => ErrorKind::Config,
        Some(ErrorCode::OperationInterrupted) => ErrorKind::Deadline,
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => ErrorKind::Io,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, Operation::Migrate, what).with_source(error)
}

/// A file beside the database cannot be written, or read.
pub(super) fn file_failed(what: impl Into<String>, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, Operation::Migrate, what).with_source(error)
}

/// A statement of a plan failed.
pub(super) fn statement_failed(sql: &str, error: &SqlError) -> Error {
    let kind = match error {
        SqlError::Busy => ErrorKind::Unavailable,
        SqlError::Interrupted => ErrorKind::Deadline,
        SqlError::Full => ErrorKind::Io,
        _ => ErrorKind::Component,
    };
    // SQLite may quote it.
    let said = said(error).replace(&format!(" in {sql}"), "");
    let message = format!(
        "a statement failed, and nothing was changed: {said}: {}",
        in_one_line(sql)
    );
    Error::new(kind, Operation::Migrate, message)
}

/// The backend's schema cannot be used.
pub(super) fn component(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Component, Operation::Migrate, message)
}

/// The operator has to act.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Migrate, message)
}

/// What the capability said.
pub(super) fn said(error: &SqlError) -> String {
    match error {
        SqlError::Busy => "other processes hold the database".to_owned(),
        SqlError::Interrupted => "it did not end within the limit upkeep-deadline".to_owned(),
        SqlError::Full => "the disk, or the database, is full".to_owned(),
        SqlError::UnexpectedChanges(rows) => format!("it changed {rows} rows"),
        SqlError::TooLarge(text)
        | SqlError::Corrupt(text)
        | SqlError::Ambiguous(text)
        | SqlError::Constraint(text)
        | SqlError::Denied(text)
        | SqlError::Other(text) => text.clone(),
    }
}

/// A statement without its line breaks.
pub(super) fn in_one_line(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    words.join(" ")
}
