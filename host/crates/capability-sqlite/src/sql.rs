//! What a guest asks of a database and is answered, as plain Rust: the names, cases and fields are those of
//! the WIT's interfaces `sqlite` and `schema`, which the engine converts them from and to.

/// A value, as SQLite has them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT, any characters, NUL among them.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
}

/// One SQL statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Exactly one statement, with `?1`, `?2`, … for the parameters.
    pub sql: String,
    /// As many as the statement has.
    pub params: Vec<Value>,
    /// Fail with `unexpected-changes`, and roll the whole transaction back, unless the statement
    /// changes so many rows. Ignored by `query`.
    pub expect_changed: Option<u64>,
}

/// A result. Row-major: there are rows times `columns` values.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// How many columns there are.
    pub columns: u32,
    /// The values, row after row.
    pub values: Vec<Value>,
    /// False where rows were left out because of `max-bytes`.
    pub complete: bool,
}

/// What a statement of a transaction did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How many rows it inserted, updated or deleted, those of foreign-key actions not counted.
    pub changed: u64,
    /// What it returned (`RETURNING`, `SELECT`).
    pub rows: Rows,
}

/// Why a statement failed. The transaction was rolled back.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// Raised when other processes held the database for the whole of the call's deadline.
    Busy,
    /// Raised when the disk, or the size that the operator allows, is used up.
    Full,
    /// Raised when a constraint of the schema is violated: which.
    Constraint(String),
    /// Raised when a statement changed another number of rows than expected: how many.
    UnexpectedChanges(u64),
    /// Raised when a statement does what no guest may: what.
    Denied(String),
    /// Raised when a value, a statement, or an answer without `max-bytes`, is over its limit.
    TooLarge(String),
    /// Raised when the call's deadline passed while the statement ran.
    Interrupted,
    /// Raised when the database file is damaged, or is none.
    Corrupt(String),
    /// Raised by `transact` when the commit was under way as the disk failed: it may have happened.
    Ambiguous(String),
    /// Raised for anything else: SQLite's own words.
    Other(String),
}

/// A failed transaction: nothing of it happened, unless the error is `ambiguous`.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Which statement, counted from 0. When the transaction as a whole failed: 0.
    pub index: u32,
    /// Why.
    pub error: Error,
}

/// What no comparison of two schemas can derive: a rename, a backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The schema version that it leads to. Strictly ascending from 1.
    pub version: u32,
    /// Statements, run in order in one transaction.
    pub sql: Vec<String>,
}
