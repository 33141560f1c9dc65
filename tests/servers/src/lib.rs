//! What the tests need and is not ours: real Redis servers, each on the loopback with a folder of its own, and what
//! other platforms left.
//!
//! Whatever is started here ends with the test process, however that ends: see `process`.

mod cluster;
mod fixtures;
mod process;
mod proxy;
mod sentinel;
mod server;
mod teal;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use cluster::RedisCluster;
pub use fixtures::copy_fixture;
pub use proxy::Proxy;
pub use sentinel::Sentinel;
pub use server::{Monitor, RedisServer};
pub use teal::Teal;
pub use tls::Tls;

/// How long a server may take for what it does at once on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// The one server that most tests share, each in namespaces of its own.
pub fn shared_server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]))
}

/// The one cluster that most tests share, each in namespaces of its own.
pub fn shared_cluster() -> &'static RedisCluster {
    static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
    CLUSTER.get_or_init(RedisCluster::start)
}

/// A namespace that no other test of this process uses.
pub fn fresh_namespace() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Looks again and again until there is something to see.
///
/// # Panics
///
/// If there is nothing for half a minute.
pub fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
