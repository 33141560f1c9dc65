//! What a server takes from its clients.

pub use crate::config::ServeLimits;

/// How much of a request's head is read: its line and its headers, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 64 << 10;

impl ServeLimits {
    /// The largest body, as a length in memory.
    pub(super) fn longest_body(&self) -> usize {
        usize::try_from(self.body_bytes.0).unwrap_or(usize::MAX)
    }

    /// All bodies together, as a length in memory.
    pub(super) fn longest_bodies(&self) -> usize {
        usize::try_from(self.all_bodies_bytes.0).unwrap_or(usize::MAX)
    }
}
