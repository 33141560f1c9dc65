//! Statements, answers, and what an error of the capability means.

use mortise_guest::Error;
use mortise_guest::sqlite::{self, Failure, Outcome, Rows, Statement, Value};

/// One statement.
pub fn statement(sql: impl Into<String>, params: impl Into<Vec<Value>>) -> Statement {
    Statement {
        sql: sql.into(),
        params: params.into(),
        expect_changed: None,
    }
}

/// One statement that must change one row, else the transaction is rolled back.
pub fn guard(sql: impl Into<String>, params: impl Into<Vec<Value>>) -> Statement {
    Statement {
        expect_changed: Some(1),
        ..statement(sql, params)
    }
}

/// A text as a parameter.
pub fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A revision, an instant or a count as a parameter. The host keeps them all below 2^63.
pub fn integer(number: impl Into<u64>) -> Value {
    Value::Integer(i64::try_from(number.into()).unwrap_or(i64::MAX))
}

/// Reads. With `max_bytes`, the answer may end early, but never before its first row.
pub fn query(statement: &Statement, max_bytes: Option<u64>) -> Result<Rows, Error> {
    sqlite::query(statement, max_bytes).map_err(meaning)
}

/// Writes all or nothing.
pub fn transact(statements: &[Statement]) -> Result<Vec<Outcome>, Failure> {
    sqlite::transact(statements)
}

/// What an error of the capability means to the caller of a backend. A failed transaction was rolled
/// back; only `ambiguous` says that it may not have been.
pub fn meaning(error: sqlite::Error) -> Error {
    match error {
        sqlite::Error::Busy => {
            Error::Unavailable("other processes hold the database: try again".into())
        }
        sqlite::Error::Interrupted => {
            Error::Unavailable("the database did not answer within the call's deadline".into())
        }
        sqlite::Error::Full => Error::TooLarge("the database is full".into()),
        sqlite::Error::TooLarge(what) => Error::TooLarge(what),
        sqlite::Error::Corrupt(what) => {
            Error::Unavailable(format!("the database is damaged: {what}"))
        }
        sqlite::Error::Ambiguous(what) => Error::Ambiguous(what),
        sqlite::Error::Constraint(what) => Error::Internal(format!("a constraint failed: {what}")),
        sqlite::Error::UnexpectedChanges(rows) => {
            Error::Internal(format!("a statement changed {rows} rows"))
        }
        sqlite::Error::Denied(what) => Error::Internal(format!("the host denied {what}")),
        sqlite::Error::Other(what) => Error::Internal(what),
    }
}

/// The values of an answer, one after another.
#[derive(Debug)]
pub struct Cells(std::vec::IntoIter<Value>);

impl Cells {
    /// The values of all rows.
    pub fn of(rows: Rows) -> Self {
        Self(rows.values.into_iter())
    }

    /// Whether there are no more.
    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// The next value, where it is an INTEGER of at least 0.
    pub fn integer(&mut self) -> Option<u64> {
        match self.0.next()? {
            Value::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// The next value, where it is an INTEGER.
    pub fn signed(&mut self) -> Option<i64> {
        self.signed_or_null()?
    }

    /// The next value, where it is NULL or an INTEGER.
    pub fn signed_or_null(&mut self) -> Option<Option<i64>> {
        match self.0.next()? {
            Value::Null => Some(None),
            Value::Integer(number) => Some(Some(number)),
            _ => None,
        }
    }

    /// The next value, where it is a TEXT.
    pub fn text(&mut self) -> Option<String> {
        match self.0.next()? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The next value, where it is a BLOB.
    pub fn blob(&mut self) -> Option<Vec<u8>> {
        match self.0.next()? {
            Value::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The error of an answer that is not what the statement selects.
pub fn odd_answer() -> Error {
    Error::Internal("the database answered other columns than were asked for".into())
}
