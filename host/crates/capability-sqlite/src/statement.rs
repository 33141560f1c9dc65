//! One statement: bind, step, collect, count; and SQLite's errors in the contract's words.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ErrorCode, ToSql};

use crate::sql::{Error as SqlError, Outcome, Rows, Statement, Value};

/// What a value takes in an answer beside its bytes.
const VALUE_OVERHEAD: u64 = 16;

/// Runs a statement that only reads. `left` is how many bytes the answer may have; with `max_bytes` it
/// ends before them instead of failing.
pub(crate) fn read(
    connection: &rusqlite::Connection,
    statement: &Statement,
    max_bytes: Option<u64>,
    left: &mut u64,
) -> Result<Rows, SqlError> {
    let mut prepared = prepare(connection, statement)?;
    if !prepared.readonly() {
        return Err(SqlError::Denied(
            "a query may only read: write with `transact`".to_owned(),
        ));
    }
    collect(&mut prepared, max_bytes, left)
}

/// Runs any statement, and checks how many rows it changed.
pub(crate) fn write(
    connection: &rusqlite::Connection,
    statement: &Statement,
    left: &mut u64,
) -> Result<Outcome, SqlError> {
    let mut prepared = prepare(connection, statement)?;
    let before = connection.total_changes();
    let rows = collect(&mut prepared, None, left)?;
    // `changes` keeps the count of an earlier statement where this one changed nothing.
    let changed = if connection.total_changes() == before {
        0
    } else {
        connection.changes()
    };
    match statement.expect_changed {
        Some(expected) if expected != changed => Err(SqlError::UnexpectedChanges(changed)),
        _ => Ok(Outcome { changed, rows }),
    }
}

/// Whether all that a statement can change is rows, which SQLite counts.
pub(crate) fn changes_only_rows(sql: &str) -> bool {
    let word = sql.split_ascii_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

fn prepare<'a>(
    connection: &'a rusqlite::Connection,
    statement: &Statement,
) -> Result<CachedStatement<'a>, SqlError> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(error)?;
    let (expected, given) = (prepared.parameter_count(), statement.params.len());
    if expected != given {
        return Err(SqlError::Other(format!(
            "the statement has {expected} parameters, {given} were given"
        )));
    }
    for (index, value) in statement.params.iter().enumerate() {
        prepared
            .raw_bind_parameter(index + 1, Bound(value))
            .map_err(error)?;
    }
    Ok(prepared)
}

fn collect(
    prepared: &mut CachedStatement<'_>,
    max_bytes: Option<u64>,
    left: &mut u64,
) -> Result<Rows, SqlError> {
    let columns = prepared.column_count();
    let mut values = Vec::with_capacity(columns);
    let mut complete = true;
    let mut taken = 0_u64;
    let mut stepping = prepared.raw_query();
    while let Some(row) = stepping.next().map_err(error)? {
        let mut bytes = 0;
        for column in 0..columns {
            bytes += VALUE_OVERHEAD + length(row.get_ref(column).map_err(error)?);
        }
        if !values.is_empty() && max_bytes.is_some_and(|most| taken + bytes > most) {
            complete = false;
            break;
        }
        taken += bytes;
        if taken > *left {
            return Err(SqlError::TooLarge(format!(
                "the answer has more than {left} bytes"
            )));
        }
        for column in 0..columns {
            values.push(owned(row.get_ref(column).map_err(error)?)?);
        }
    }
    *left -= taken;
    let columns = u32::try_from(columns).unwrap_or(u32::MAX);
    Ok(Rows {
        columns,
        values,
        complete,
    })
}

fn length(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
        _ => 0,
    }
}

fn owned(value: ValueRef<'_>) -> Result<Value, SqlError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(SqlError::Corrupt("a TEXT value is not UTF-8".to_owned())),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

/// A guest's value as a parameter, without a copy.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Real(real) => ValueRef::Real(*real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// SQLite's error in the contract's words.
pub(crate) fn error(error: rusqlite::Error) -> SqlError {
    let text = match &error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
        ) => SqlError::Busy,
        Some(ErrorCode::DiskFull) => SqlError::Full,
        Some(ErrorCode::ConstraintViolation) => SqlError::Constraint(text),
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            SqlError::Denied(text)
        }
        Some(ErrorCode::TooBig | ErrorCode::OutOfMemory) => SqlError::TooLarge(text),
        Some(ErrorCode::OperationInterrupted) => SqlError::Interrupted,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => SqlError::Corrupt(text),
        _ => SqlError::Other(text),
    }
}
