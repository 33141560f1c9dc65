//! What moving a store is at.

/// What a copy, a backup or a restore is at, for whoever shows how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// A backup is read through, before anything is written.
    Check,
    /// Records are read and written.
    Write,
    /// What was written is read back.
    Verify,
}
