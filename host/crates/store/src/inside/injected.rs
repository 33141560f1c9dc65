//! Faults that tests order.

/// How a call of a capability fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// The disk fails, the server is gone; nothing happened.
    Io,
    /// Others hold the database, the server is loading; nothing happened.
    Busy,
    /// The disk, or the server's memory, is used up; nothing happened. Only writes meet it.
    Full,
    /// The call happened, and its answer is lost.
    LostAnswer,
}
