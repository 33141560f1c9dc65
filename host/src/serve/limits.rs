//! What a server takes from its clients.

use std::time::Duration;

/// How much of a request's head is read: its line and its headers, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 64 << 10;

/// How much a server takes, of one client and of all.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeLimits {
    /// The largest body of a request, in bytes; an import has none. Default: 64 MiB.
    pub body_bytes: usize,
    /// The bodies of all requests that are under way together, in bytes; more wait. Default: 256 MiB.
    pub all_bodies_bytes: usize,
    /// How many connections are open at once. Where there are as many, the one that has been idle for longest makes
    /// room for a new one. Default: 1,024.
    pub connections: usize,
    /// How long a client may take to send the head of a request, and how long a connection stays without one.
    /// Default: 30 s.
    pub head_timeout: Duration,
    /// How long a request may take, from its head to its answer; exports and imports have no such limit. Default:
    /// 60 s.
    pub request_timeout: Duration,
    /// How long a server that ends waits for the requests that are under way. Default: 30 s.
    pub drain_deadline: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            all_bodies_bytes: 256 << 20,
            connections: 1024,
            head_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            drain_deadline: Duration::from_secs(30),
        }
    }
}
