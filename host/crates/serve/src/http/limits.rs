//! What a server takes from its clients.

pub use mortise_config::ServeLimits;

/// How much of a request's head is read: its line and its headers, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 64 << 10;

/// The largest body, as a length in memory.
pub(super) fn longest_body(limits: &ServeLimits) -> usize {
    usize::try_from(limits.body_bytes.0).unwrap_or(usize::MAX)
}

/// All bodies together, as a length in memory.
pub(super) fn longest_bodies(limits: &ServeLimits) -> usize {
    usize::try_from(limits.all_bodies_bytes.0).unwrap_or(usize::MAX)
}
